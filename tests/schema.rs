//! The schema documentation compared with a real database, and as the real binary prints it.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use creatormirror::model::Kind;
use creatormirror::model::columns::{ColumnType, columns};
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use creatormirror::store::schema_docs::{TABLES, VIEWS, ViewFact};
use rusqlite::Connection;
use serde_json::Value;
use support::{TestBed, unlimited};

/// The columns of the views in our own schema, in order.
const COLUMNS: [(&str, &str); 13] = [
    (
        "account_history",
        "account_id, scraped_at, scraped_at_unix, follower_count, following_count, \
         total_post_count, view_count, like_count, comment_count, share_count, play_count, \
         saved_count, profile_post_count, fb_play_count, ig_play_count, fb_like_count",
    ),
    (
        "video_history",
        "video_id, scraped_at, scraped_at_unix, view_count, like_count, comment_count, \
         share_count, play_count, saved_count, total_views, total_plays",
    ),
    (
        "account_video_history",
        "platform, account_video_id, scraped_at, scraped_at_unix, view_count, like_count, \
         comment_count, share_count, play_count, saved_count",
    ),
    (
        "overview_history",
        "observed_at, period, total_views, api_engagement_rate, active_accounts, account_videos, \
         tracked_videos, extra",
    ),
    ("daily_metrics", "kind, id, date, views, plays, likes, comments, shares, engagement"),
    ("coverage", "kind, complete_as_of, rows, removed, last_full_sync_at, last_outcome"),
    (
        "sync_log",
        "run_id, started_at, finished_at, trigger, kind, requests, not_modified, rows_seen, \
         rows_changed, type_mismatches, snapshots_added, snapshots_revised, removed, outcome, \
         error_code, request_id, detail",
    ),
    (
        "outbox_log",
        "entry, created_at, kind, action, target, state, attempts, next_attempt_at, \
         idempotency_key, http_status, code, detail, request_id, result_id, finished_at",
    ),
    ("outbox_requests", "kind, action, target, body"),
    (
        "mirror_info",
        "organization_id, api_key_name, timezone, first_synced_at, last_run_at, schema_version",
    ),
    ("change_log", "change, changed_at, kind, id, field, old_value, new_value"),
    ("creator_accounts", "creator_id, account_id, from_at, to_at"),
    ("usage", "platform, account_posts, tracked_posts, paused_posts, posts_total"),
];

/// Views whose columns come from the API, or are covered by `tests/views.rs`.
const OTHER_VIEWS: [&str; 10] = [
    "accounts",
    "creators",
    "videos",
    "account_videos",
    "video_growth",
    "video_gains",
    "video_daily",
    "video_latest",
    "creator_rollup",
    "freshness",
];

fn new_database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mirror.db");
    drop(Database::open(&path, IfMissing::Create).unwrap());
    (folder, Connection::open(path).unwrap())
}

/// The columns of a view of the database, with their declared types.
fn columns_of(database: &Connection, name: &str) -> Vec<(String, String)> {
    let sql = "SELECT name, lower(type) FROM pragma_table_info(?1) ORDER BY cid";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn names(view: &ViewFact) -> Vec<&'static str> {
    view.columns().map(|column| column.name).collect()
}

fn names_of(database: &Connection, form: &str) -> Vec<String> {
    let sql =
        "SELECT name FROM sqlite_schema WHERE type = ?1 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               AND name <> 'refinery_schema_history' ORDER BY name";
    let mut statement = database.prepare(sql).unwrap();
    let names = statement.query_map([form], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_column_is_documented() {
    let (_folder, database) = new_database();
    let mut declared: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
    declared.sort_unstable();
    let is_internal = |name: &String| TABLES.contains(&name.as_str());
    let (internal, public): (Vec<_>, Vec<_>) =
        names_of(&database, "view").into_iter().partition(is_internal);
    assert_eq!(declared, public);
    for name in OTHER_VIEWS.into_iter().chain(COLUMNS.map(|(name, _)| name)) {
        assert!(declared.contains(&name), "{name}");
    }
    for view in VIEWS {
        let held = columns_of(&database, view.name);
        let held_names: Vec<_> = held.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names(view), held_names, "{}", view.name);
    }
    let mut tables = TABLES.to_vec();
    tables.sort_unstable();
    let mut held = [internal, names_of(&database, "table")].concat();
    held.sort_unstable();
    assert_eq!(tables, held);
}

#[test]
fn columns_keep_their_documented_order() {
    let (_folder, database) = new_database();
    for (view, expected) in COLUMNS {
        let held: Vec<_> = columns_of(&database, view).into_iter().map(|(name, _)| name).collect();
        assert_eq!(held.join(", "), expected, "{view}");
    }
    // Each current-state view ends with the mirror's own columns.
    for view in ["accounts", "creators", "videos", "account_videos"] {
        let held: Vec<_> = columns_of(&database, view).into_iter().map(|(name, _)| name).collect();
        let ours = ["extra", "first_mirrored_at", "mirrored_at", "removed_at"];
        assert!(held.iter().map(String::as_str).collect::<Vec<_>>().ends_with(&ours), "{held:?}");
    }
}

#[test]
fn documentation_is_complete_and_types_match() {
    let (_folder, database) = new_database();
    for view in VIEWS {
        assert!(view.text.ends_with('.'), "{}", view.name);
        let held: BTreeMap<_, _> = columns_of(&database, view.name).into_iter().collect();
        for column in view.columns() {
            let place = format!("{}.{}: {column:?}", view.name, column.name);
            assert!(!column.meaning.is_empty() && !column.source.is_empty(), "{place}");
            // SQLite declares no type for an expression; the test of values covers those.
            let declared = &held[column.name];
            let is_any = column.sql_type() == "any" && declared == "blob";
            assert!(
                declared.is_empty() || declared == column.sql_type() || is_any,
                "{declared}: {place}"
            );
        }
    }
}

#[test]
fn values_have_the_documented_type_and_nullability() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    for arguments in [&["backfill", "--days", "2"][..], &["track", "creator", "New Creator"]] {
        bed.start(bed.command(arguments)).wait().expect(0);
    }
    for id in bed.control.ids(Kind::Account) {
        bed.control.pause(Kind::Account, &id);
    }
    bed.sync_ok(&["--full"]);
    let an_earlier_scrape_of_each = "
        INSERT INTO post_scrape (post, source, at_s, at_ns, view_count)
        SELECT post, source, at_s - 90000, 5000, 1 FROM post_scrape WHERE source > 0
        UNION ALL
        SELECT post, source, strftime('%s', 'now') - 7200, 0, 9 FROM post_scrape;
        UPDATE instance SET first_scrape_s = strftime('%s', 'now') - 200000";
    bed.db_to_write().execute_batch(an_earlier_scrape_of_each).unwrap();
    let database = bed.db();
    for view in VIEWS {
        for column in view.columns() {
            let sql = format!("SELECT DISTINCT typeof({}) FROM {}", column.name, view.name);
            let mut statement = database.prepare(&sql).unwrap();
            let types = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
            let types: Vec<String> = types.map(Result::unwrap).collect();
            assert!(!types.is_empty(), "{} has no row", view.name);
            for found in types {
                let is_declared = match found.as_str() {
                    "null" => column.is_nullable,
                    found => column.sql_type() == "any" || found == column.sql_type(),
                };
                assert!(is_declared, "{}.{} has a {found}: {column:?}", view.name, column.name);
            }
        }
    }
}

/// Documented units match the types that the decoder stores.
#[test]
fn units_match_the_decoder() {
    for (kind, name) in [
        (Kind::Account, "accounts"),
        (Kind::Creator, "creators"),
        (Kind::Video, "videos"),
        (Kind::AccountVideo, "account_videos"),
    ] {
        let view = VIEWS.iter().find(|view| view.name == name).unwrap();
        for column in columns(kind) {
            let fact = view.columns().find(|fact| fact.name == column.name).unwrap();
            let units: &[&str] = match column.ty {
                ColumnType::Text => &["id", "text", "URL"],
                ColumnType::Integer => &["count", "whole hours", "whole days"],
                ColumnType::Real => &["seconds"],
                ColumnType::Boolean => &["0/1"],
                ColumnType::Instant => &["UTC instant"],
                ColumnType::Object => &["JSON object"],
            };
            assert!(units.contains(&fact.unit.name), "{name}: {fact:?}");
            assert!(fact.is_nullable, "{name}: {fact:?}");
        }
    }
}

/// Runs `schema` without settings and without a database.
fn schema(arguments: &[&str]) -> Output {
    Command::new(support::BINARY)
        .arg("schema")
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(output: Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn prints_text_markdown_and_json_without_a_database() {
    let text = stdout(schema(&[]));
    let markdown = stdout(schema(&["--markdown"]));
    let json: Value = serde_json::from_str(&stdout(schema(&["--json"]))).unwrap();
    let views = json["views"].as_array().unwrap();
    assert!(views.len() >= VIEWS.len());
    for view in views {
        let name = view["name"].as_str().unwrap();
        assert!(text.contains(&format!("\n{name}\n")) || text.starts_with(name), "{name}");
        assert!(markdown.contains(&format!("\n## {name}\n")), "{name}");
        for column in view["columns"].as_array().unwrap() {
            let column = column["name"].as_str().unwrap();
            assert!(markdown.contains(&format!("\n| `{column}` |")), "{name}.{column}");
        }
    }
    let growth = views.iter().find(|view| view["name"] == "video_growth").unwrap();
    let gap = growth["columns"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&gap["type"], &gap["unit"], &gap["nullable"]),
        (&"integer".into(), &"0/1".into(), &false.into())
    );
}

#[test]
fn prints_one_view_by_name() {
    let text = stdout(schema(&["coverage"]));
    assert!(text.starts_with("coverage\n"), "{text}");
    assert!(!text.contains("freshness"), "{text}");
    let refused = schema(&["coverrage"]);
    assert_eq!(refused.status.code(), Some(2));
    let stderr = String::from_utf8(refused.stderr).unwrap();
    assert!(stderr.contains("unknown view `coverrage`") && stderr.contains("coverage"), "{stderr}");
    assert_eq!(schema(&["--json", "--markdown"]).status.code(), Some(2));
}

/// The packaged file equals the program's output.
#[test]
fn packaged_datasette_metadata_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/datasette.json");
    let packaged = std::fs::read_to_string(path).unwrap();
    assert!(
        packaged == stdout(schema(&["--datasette"])),
        "regenerate it: creatormirror schema --datasette > deploy/datasette.json"
    );
    let metadata: Value = serde_json::from_str(&packaged).unwrap();
    let described = metadata["databases"]["creatormirror"]["tables"].as_object().unwrap();
    let (_folder, database) = new_database();
    let mut statement = database.prepare("SELECT name, type FROM sqlite_schema").unwrap();
    let held = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let held: BTreeMap<String, String> = held.collect::<Result<_, _>>().unwrap();
    for (name, form) in &held {
        match form.as_str() {
            "table" => assert_eq!(described[name]["hidden"], true, "{name}"),
            "view" if TABLES.contains(&name.as_str()) => {
                assert_eq!(described[name]["hidden"], true, "{name}")
            }
            "view" => assert_eq!(
                described[name]["columns"].as_object().unwrap().len(),
                columns_of(&database, name).len()
            ),
            _ => {}
        }
    }
    assert!(described.keys().all(|name| held.contains_key(name)));
    // Datasette names a database after its file.
    let other = stdout(schema(&["--datasette", "--database", "/elsewhere/mirror.db"]));
    let other: Value = serde_json::from_str(&other).unwrap();
    assert_eq!(other["databases"]["mirror"], metadata["databases"]["creatormirror"]);
}
