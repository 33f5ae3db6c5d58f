//! The official Python client lists and calls every tool. Skipped where it is not installed.

use std::path::Path;
use std::process::Command;

use creatormirror::model::Kind;
use serde_json::{Value, json};

use crate::mirror;
use crate::support::{BINARY, tools};

#[test]
fn python_client_lists_and_calls_every_tool() {
    let Some(python) = tools::tool("python") else { return };
    let bed = mirror();
    let video = &bed.control.ids(Kind::Video)[0];
    let (creator, account) =
        (&bed.control.ids(Kind::Creator)[0], &bed.control.ids(Kind::Account)[0]);
    let link = json!({ "creator": creator, "account": account });
    let calls = json!([
        ["query", { "sql": "SELECT platform, count(*) FROM videos GROUP BY 1 ORDER BY 1" }],
        ["query", { "sql": "SELECT :a", "params": { "a": "x" }, "limit": 1 }],
        ["query", { "sql": "SELECT id FROM videos ORDER BY id", "limit": 2 }],
        ["describe", {}],
        ["describe", { "name": "videos" }],
        ["status", {}],
        ["ready_query", { "name": "fastest-risers", "args": { "days": 7 } }],
        ["track", { "kind": "creator", "name": "From Python" }],
        ["set", { "kind": "video", "id": video, "is_active": false }],
        ["link", link],
        ["unlink", link],
        ["outbox", { "entry": 1 }],
        ["query", { "sql": "DROP TABLE videos" }],
    ]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/client.py");
    let database = bed.database();
    let server = [BINARY, "--database", database.to_str().unwrap(), "mcp", "--allow-writes"];
    let output =
        Command::new(python).arg(script).arg(calls.to_string()).args(server).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let called: std::collections::BTreeSet<&str> =
        calls.as_array().unwrap().iter().map(|call| call[0].as_str().unwrap()).collect();
    let listed: std::collections::BTreeSet<&str> =
        answer["tools"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(listed, called);
    assert!(answer["resources"].as_u64().unwrap() > 10, "{answer}");
    assert!(answer["schema"].as_str().unwrap().contains("## videos"));
    let results = answer["results"].as_array().unwrap();
    for (call, result) in calls.as_array().unwrap().iter().zip(results) {
        let is_error = call[1]["sql"] == "DROP TABLE videos";
        assert_eq!(result["is_error"], is_error, "{call}: {result}");
        assert_eq!(result["structured"].is_object(), !is_error, "{call}: {result}");
    }
    assert_eq!(results[2]["structured"]["truncated"]["reason"], "rows");
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 4);
}
