//! The tools that queue writes: entries as the commands queue them, never sent from here, bounded in number.

use serde_json::{Value, json};

use creatormirror::model::Kind;

use crate::{mirror, serve};

#[test]
fn queues_what_the_commands_queue() {
    let bed = mirror();
    let (account, creator) =
        (&bed.control.ids(Kind::Account)[0], &bed.control.ids(Kind::Creator)[0]);
    let video = &bed.control.ids(Kind::Video)[0];
    let mut client = serve(&bed, &["--allow-writes"]);
    let calls = [
        (
            "track",
            json!({ "kind": "video", "identifier": "https://www.tiktok.com/@ada/video/7345678901234567890" }),
        ),
        (
            "track",
            json!({ "kind": "account", "platform": "instagram", "username": "@Ada.Bakes", "is_active": false }),
        ),
        ("track", json!({ "kind": "creator", "name": "Ada" })),
        ("set", json!({ "kind": "video", "id": video, "scrape_interval_hours": 6 })),
        ("link", json!({ "creator": creator, "account": account })),
        ("unlink", json!({ "creator": "@3", "account": account })),
    ];
    for (n, (tool, arguments)) in calls.into_iter().enumerate() {
        let entry = client.call(tool, arguments).unwrap_or_else(|e| panic!("{tool}: {e}"));
        assert_eq!(entry["entry"], n + 1, "{entry}");
        assert!(entry["next"].as_str().unwrap().contains("creatormirror sync"), "{entry}");
    }
    bed.start(bed.command(&[
        "track",
        "video",
        "https://www.tiktok.com/@ada/video/7345678901234567890",
    ]))
    .wait()
    .expect(0);
    bed.start(bed.command(&["track", "account", "instagram", "@Ada.Bakes", "--paused"]))
        .wait()
        .expect(0);
    bed.start(bed.command(&["track", "creator", "Ada"])).wait().expect(0);
    bed.start(bed.command(&["set", "video", video, "--interval", "6"])).wait().expect(0);
    bed.start(bed.command(&["link", creator, account])).wait().expect(0);
    bed.start(bed.command(&["unlink", "@3", account])).wait().expect(0);
    let columns = "kind, action, target, subject, account, method, path, body, serial_key, other_serial_key, state";
    let queued = |from| {
        bed.rows(&format!(
            "SELECT {columns} FROM outbox WHERE entry >= {from} ORDER BY entry LIMIT 6"
        ))
    };
    assert_eq!(queued(1), queued(7));
    // Nothing was sent.
    assert_eq!(bed.log().len(), 0);
}

#[test]
fn outcome_is_shown_without_the_request() {
    let bed = mirror();
    let mut client = serve(&bed, &["--allow-writes"]);
    client.call("track", json!({ "kind": "creator", "name": "A secret name" })).unwrap();
    let show = |client: &mut crate::Client| client.call("outbox", json!({ "entry": 1 })).unwrap();
    let queued = show(&mut client);
    assert_eq!(queued["state"], "queued");
    bed.sync_ok(&[]);
    let done = show(&mut client);
    assert_eq!(done["state"], "succeeded");
    assert!(done["result_id"].is_string());
    for entry in [queued, done] {
        assert!(!entry.to_string().contains("A secret name"), "{entry}");
        for member in ["body", "idempotency_key"] {
            assert!(entry.get(member).is_none(), "{entry}");
        }
    }
    assert!(client.call("outbox", json!({ "entry": 99 })).unwrap_err().contains("does not exist"));
}

#[test]
fn invalid_writes_queue_nothing() {
    let bed = mirror();
    let mut client = serve(&bed, &["--allow-writes"]);
    for (tool, arguments, part) in [
        ("track", json!({ "kind": "overview" }), "`kind` must be"),
        ("track", json!({ "kind": "video", "identifier": "https://example.com/" }), ""),
        ("track", json!({ "kind": "creator" }), "nothing was queued: name is missing"),
        ("track", json!({ "kind": "creator", "name": "A", "nmae": "B" }), "unknown member `nmae`"),
        ("set", json!({ "kind": "video", "id": 1 }), "`id` must be a string"),
        (
            "set",
            json!({ "kind": "video", "id": "0000", "is_active": false }),
            "no video in the mirror",
        ),
        (
            "set",
            json!({ "kind": "video", "id": bed.control.ids(Kind::Video)[0] }),
            "nothing to change",
        ),
        ("link", json!({ "creator": "nobody", "account": "nothing" }), "no creator in the mirror"),
        ("link", json!({ "creator": "nobody" }), "missing field `account`"),
    ] {
        let error = client.call(tool, arguments).unwrap_err();
        assert!(error.contains(part), "{tool}: {part}: {error}");
    }
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 0);
}

#[test]
fn a_session_queues_at_most_20_writes() {
    let bed = mirror();
    let mut client = serve(&bed, &["--allow-writes"]);
    let track = |client: &mut crate::Client, n: i32| -> Result<Value, String> {
        client.call("track", json!({ "kind": "creator", "name": format!("Creator {n}") }))
    };
    for n in 0..20 {
        track(&mut client, n).unwrap();
    }
    let error = track(&mut client, 20).unwrap_err();
    assert!(error.contains("has queued 20 writes"), "{error}");
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 20);
    // Its outcomes can still be asked for, and queries run.
    client.call("outbox", json!({ "entry": 20 })).unwrap();
    client.query("SELECT 1").unwrap();
}
