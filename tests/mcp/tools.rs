//! The tools that read: rows, parameters, bounds and paging, hints, and agreement with the commands.

use std::collections::BTreeSet;

use creatormirror::store::cookbook::recipes;
use creatormirror::store::public_tables::readable_views;
use serde_json::{Value, json};

use crate::{ENDLESS, mirror, serve};

#[test]
fn query_returns_rows_and_takes_parameters() {
    let bed = mirror();
    let mut client = serve(&bed, &[]);
    let found = client.query(
        "SELECT id, view_count, NULL AS missing, 0.5 AS half FROM videos ORDER BY id LIMIT 2",
    );
    let found = found.unwrap();
    assert_eq!(found["columns"], json!(["id", "view_count", "missing", "half"]));
    assert_eq!((&found["row_count"], &found["truncated"]), (&json!(2), &Value::Null));
    let expected = bed.rows("SELECT id, view_count FROM videos ORDER BY id LIMIT 2");
    for (row, expected) in found["rows"].as_array().unwrap().iter().zip(expected) {
        assert_eq!(format!("Text({})", row[0]), format!("{:?}", expected[0]));
        assert_eq!(format!("Integer({})", row[1]), format!("{:?}", expected[1]));
        assert_eq!((&row[2], &row[3]), (&Value::Null, &json!(0.5)));
    }
    for (sql, params, row) in [
        ("SELECT :a, @b, $c", json!({ "a": 1, "b": "x", "c": null }), json!([1, "x", null])),
        ("SELECT ?, ?", json!([true, 1.5]), json!([1, 1.5])),
        ("SELECT sum(value) FROM json_each(:list)", json!({ "list": [1, 2, 3] }), json!([6])),
        ("SELECT x'00ff', 9e999, -1", Value::Null, json!([{ "hex": "00ff" }, "inf", -1])),
    ] {
        let found = client.call("query", json!({ "sql": sql, "params": params })).unwrap();
        assert_eq!(found["rows"], json!([row]), "{sql}");
    }
    for (sql, params, part) in [
        ("SELECT :a", json!({}), "the parameter `a` has no value"),
        ("SELECT 1", json!({ "a": 1 }), "has no parameter `a`"),
        ("SELECT ?", json!([]), "parameter 1 has no value"),
        ("SELECT 1", json!([1]), "1 values for 0 parameters"),
        ("SELECT 1", json!("x"), "must be an object"),
    ] {
        let error = client.call("query", json!({ "sql": sql, "params": params })).unwrap_err();
        assert!(error.contains(part), "{sql}: {error}");
    }
    let error = client.call("query", json!({ "statement": "SELECT 1" })).unwrap_err();
    assert!(error.contains("unknown field `statement`"), "{error}");
}

/// Follows the advice of a truncated answer until nothing is missing.
#[test]
fn truncated_answer_says_how_to_get_the_rest() {
    let bed = mirror();
    let mut client = serve(&bed, &["--max-rows", "7"]);
    let sql = "SELECT id FROM videos ORDER BY id";
    let mut ids = Vec::new();
    let mut page = client.query(sql).unwrap();
    loop {
        ids.extend(
            page["rows"].as_array().unwrap().iter().map(|row| row[0].as_str().unwrap().to_owned()),
        );
        if page["truncated"].is_null() {
            break;
        }
        assert_eq!((&page["truncated"]["reason"], &page["row_count"]), (&json!("rows"), &json!(7)));
        let next = page["truncated"]["next"].as_str().unwrap();
        assert!(next.contains("SELECT * FROM (<the same statement>) LIMIT -1 OFFSET 7"), "{next}");
        page =
            client.query(&format!("SELECT * FROM ({sql}) LIMIT -1 OFFSET {}", ids.len())).unwrap();
    }
    assert_eq!(ids.len(), usize::try_from(bed.number("SELECT count(*) FROM videos")).unwrap());
    assert!(ids.is_sorted());
    // A smaller limit holds, a larger one does not.
    for (limit, rows) in [(3, 3), (7, 7), (100, 7)] {
        let found = client.call("query", json!({ "sql": sql, "limit": limit })).unwrap();
        assert_eq!(found["row_count"], rows, "{limit}");
    }
}

#[test]
fn long_rows_and_cells_are_never_cut() {
    let bed = mirror();
    let mut client = serve(&bed, &["--max-rows", "5000"]);
    let sql = "SELECT printf('%.30000c', 'a') AS text FROM json_each('[1,2,3,4,5,6,7,8]')";
    let found = client.query(sql).unwrap();
    assert_eq!((&found["truncated"]["reason"], &found["row_count"]), (&json!("bytes"), &json!(6)));
    for row in found["rows"].as_array().unwrap() {
        assert_eq!(row[0].as_str().unwrap().len(), 30_000);
    }
    // Escaped in JSON, this text is six times as long.
    for text in ["printf('%.204000c', 'a')", "replace(printf('%.40000c', 'a'), 'a', char(1))"] {
        let found = client.query(&format!("SELECT 1 AS one, {text} AS text")).unwrap();
        assert_eq!(
            (&found["truncated"]["reason"], &found["row_count"]),
            (&json!("cell"), &json!(0))
        );
        let next = found["truncated"]["next"].as_str().unwrap();
        assert!(next.contains("substr(text, 1, 50000)"), "{next}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let bed = mirror();
    let mut client = serve(&bed, &["--timeout", "300ms"]);
    for (sql, parts) in [
        ("SELECT * FROM vidoes", vec!["no such table: vidoes", "similar names: videos"]),
        ("SELECT * FROM video", vec!["no such table: video", "videos"]),
        (
            "SELECT viewcount FROM videos",
            vec!["no such column: viewcount", "view_count", "describe(\"videos\")"],
        ),
        (
            "SELECT v.viewcount FROM videos v JOIN accounts",
            vec!["no such column: v.viewcount", "view_count"],
        ),
        ("SELECT id FROM videos, accounts", vec!["ambiguous column name", "alias"]),
        ("SELECT * FROM outbox_requests", vec!["for INSERTs only; outbox_log"]),
        ("SELECT * FROM sqlite_schema", vec!["`sqlite_master` cannot be queried", "describe()"]),
        ("SELEC 1", vec!["near \"SELEC\": syntax error", "SQLite"]),
        ("", vec!["only one SELECT statement"]),
        ("-- nothing", vec!["only one SELECT statement"]),
        ("SELECT 1; SELECT 2", vec!["only one SELECT statement", "more than one"]),
        ("DROP TABLE videos", vec!["only one SELECT statement", "is not allowed"]),
        ("SELECT load_extension('x')", vec!["the function `load_extension` is not available"]),
        ("SELECT nofunction(1)", vec!["no such function: nofunction"]),
        ("SELECT printf('%1000000d', 1)", vec!["too long", "substr()"]),
        (
            "SELECT 'a' LIKE printf('%.101c', 'a')",
            vec!["LIKE or GLOB pattern too complex", "instr()"],
        ),
        (ENDLESS, vec!["stopped after 0.3 s (--timeout)", "filter by"]),
    ] {
        let error = client.query(sql).unwrap_err();
        assert!(error.contains("\nhint: "), "{sql}: {error}");
        for part in parts {
            assert!(error.contains(part), "{sql}: {part}: {error}");
        }
    }
}

#[test]
fn describe_agrees_with_the_schema() {
    let bed = mirror();
    let schema = bed.start(bed.command(&["schema", "--json"])).wait().expect(0).json();
    let mut client = serve(&bed, &[]);
    let all = client.call("describe", json!({})).unwrap();
    let names = |views: &Value| -> BTreeSet<String> {
        let views = views.as_array().unwrap().iter();
        views.map(|view| view["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut expected = names(&schema["views"]);
    expected.remove("outbox_requests");
    assert_eq!(names(&all["views"]), expected);
    let coverage = all["coverage"].as_array().unwrap();
    let videos = coverage.iter().find(|row| row["kind"] == "video").unwrap();
    assert_eq!(videos["rows"], bed.number("SELECT count(*) FROM videos"));
    for view in schema["views"].as_array().unwrap() {
        let name = view["name"].as_str().unwrap();
        if name == "outbox_requests" {
            continue;
        }
        let mut described = client.call("describe", json!({ "name": name })).unwrap();
        let mut described = described["views"][0].take();
        let rows = described.as_object_mut().unwrap().remove("rows").unwrap();
        // Counting the rows of some views takes too long.
        if !rows.is_null() {
            assert_eq!(rows, bed.number(&format!("SELECT count(*) FROM {name}")), "{name}");
        }
        assert_eq!(described, *view);
    }
    let error = client.call("describe", json!({ "name": "vidoes" })).unwrap_err();
    assert!(error.contains("there is no view `vidoes`\nhint: similar names: videos"), "{error}");
}

/// Every public view can be read within the bounds of a statement, also beside another.
#[test]
fn every_view_can_be_queried() {
    let bed = mirror();
    let mut client = serve(&bed, &["--timeout", "2m", "--max-rows", "3"]);
    for view in readable_views() {
        let name = view.name;
        client.query(&format!("SELECT * FROM {name}")).unwrap_or_else(|e| panic!("{name}: {e}"));
        let sql = format!(
            "WITH v AS (SELECT * FROM {name}) SELECT count(*) FROM v JOIN main.{name} AS w JOIN videos WHERE 0"
        );
        client.query(&sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}

#[test]
fn status_agrees_with_the_command() {
    let bed = mirror();
    bed.start(bed.command(&["track", "creator", "A name"])).wait().expect(0);
    bed.start(bed.command(&["outbox", "discard", "1"])).wait().expect(0);
    let mut expected = bed.start(bed.command(&["status", "--json"])).wait().expect(0).json();
    let mut client = serve(&bed, &[]);
    let mut status = client.call("status", json!({})).unwrap();
    for document in [&mut expected, &mut status] {
        document["now"].take();
        for kind in document["kinds"].as_array_mut().unwrap() {
            kind["freshness"]["median_age_s"].take();
            kind["freshness"]["p95_age_s"].take();
            kind["next_listing_at"].take();
        }
        document["next_due_at"].take();
        document["rate_limit"].take();
    }
    assert_eq!(status, expected);
    // It has no arguments.
    assert!(
        client
            .call("status", json!({ "kind": "video" }))
            .unwrap_err()
            .contains("invalid arguments")
    );
}

#[test]
fn ready_queries_run_with_typed_parameters() {
    let bed = mirror();
    let mut client = serve(&bed, &["--timeout", "2m"]);
    for recipe in recipes() {
        let found = client.call("ready_query", json!({ "name": recipe.name }));
        let columns = found.unwrap_or_else(|e| panic!("{}: {e}", recipe.name))["columns"].take();
        assert!(!columns.as_array().unwrap().is_empty(), "{}", recipe.name);
    }
    let call = |client: &mut crate::Client, args: Value| {
        client.call("ready_query", json!({ "name": "accounts-gone-quiet", "args": args }))
    };
    // Every account has been quiet for at least a negative number of days.
    let all = call(&mut client, json!({ "days": -1_000_000 })).unwrap();
    assert_eq!(all["row_count"], bed.number("SELECT count(*) FROM accounts WHERE is_active"));
    assert_eq!(
        call(&mut client, json!({ "days": null })),
        call(&mut client, json!({ "days": 14 }))
    );
    for (args, part) in [
        (json!({ "days": "14" }), "`days` must be: integer"),
        (json!({ "day": 14 }), "has no parameter `day`\nhint: it has: days"),
    ] {
        let error = call(&mut client, args).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let error = client.call("ready_query", json!({ "name": "fastest-riser" })).unwrap_err();
    assert!(error.contains("similar names: fastest-risers"), "{error}");
    let tools = client.result("tools/list", json!({}));
    let tool = tools["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "ready_query");
    let tool = tool.unwrap();
    let parameters = &tool["inputSchema"]["properties"]["args"]["properties"];
    assert_eq!(parameters["days"]["type"], "integer", "{tool}");
    let names = tool["inputSchema"]["properties"]["name"]["enum"].as_array().unwrap();
    assert_eq!(names.len(), recipes().len());
    for recipe in recipes() {
        assert!(tool["description"].as_str().unwrap().contains(&recipe.title), "{}", recipe.name);
    }
}

#[test]
fn questions_make_no_request() {
    let bed = mirror();
    let mut client = serve(&bed, &[]);
    client.query("SELECT count(*) FROM videos").unwrap();
    client.call("describe", json!({})).unwrap();
    client.call("status", json!({})).unwrap();
    client.call("ready_query", json!({ "name": "fastest-risers" })).unwrap();
    client.result("resources/read", json!({ "uri": "creatormirror://status" }));
    assert_eq!(bed.log().len(), 0);
}

/// `instr`, `replace` and `trim` are replaced by ours; the answers are SQLite's.
#[test]
fn replaced_functions_agree_with_sqlite() {
    let bed = mirror();
    let mut client = serve(&bed, &["--max-rows", "5000"]);
    let plain = rusqlite::Connection::open_in_memory().unwrap();
    let values = [
        "NULL",
        "''",
        "'a'",
        "'abcabc'",
        "'bc'",
        "'äöü ß äö'",
        "'ö'",
        "' x '",
        "12",
        "-1.5",
        "2",
        "'😀a😀'",
        "'😀'",
        "x'6162'",
        "x'62'",
        "1e3",
    ];
    let mut terms = Vec::new();
    for a in values {
        for b in values {
            for function in ["instr", "trim", "ltrim", "rtrim"] {
                terms.push(format!("{function}({a}, {b})"));
            }
            terms.push(format!("replace({a}, {b}, 'ö-')"));
        }
    }
    for terms in terms.chunks(100) {
        let sql = format!("SELECT json_array({})", terms.join(", "));
        let expected: String = plain.query_row(&sql, [], |row| row.get(0)).unwrap();
        let found = client.query(&sql).unwrap();
        let expected: Vec<Value> = serde_json::from_str(&expected).unwrap();
        let found: Vec<Value> =
            serde_json::from_str(found["rows"][0][0].as_str().unwrap()).unwrap();
        for (term, (found, expected)) in terms.iter().zip(found.iter().zip(&expected)) {
            assert_eq!(found, expected, "{term}");
        }
    }
}
