//! Servers beside a daemon: neither waits for the other.

use serde_json::json;

use crate::support::until;
use crate::{ENDLESS, mirror, serve};

#[test]
fn daemon_sends_a_write_while_twenty_queries_run() {
    let bed = mirror();
    let daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || daemon.stderr().contains("daemon"));
    let mut clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = serve(&bed, &["--timeout", "10m"]);
            client.ask("tools/call", json!({ "name": "query", "arguments": { "sql": ENDLESS } }));
            client.result("tools/list", json!({}));
            client
        })
        .collect();
    bed.start(bed.command(&["track", "creator", "Beside", "--wait=140s"])).wait().expect(0);
    for client in &mut clients {
        assert!(client.child.try_wait().unwrap().is_none(), "a server ended");
        client.close_input();
        assert_eq!(client.wait().code(), Some(0));
    }
    daemon.terminate();
    daemon.wait().expect(0);
    // The pages of the write-ahead log that the queries read are in the database.
    bed.check_integrity();
}

#[test]
fn write_tool_says_whether_something_will_send_it() {
    let bed = mirror();
    let daemon = bed.start(bed.command(&["run"]));
    let mut client = serve(&bed, &["--allow-writes"]);
    until("the daemon runs", || client.call("status", json!({})).unwrap()["is_running"] == true);
    let entry = client.call("track", json!({ "kind": "creator", "name": "Beside" })).unwrap();
    assert!(entry["next"].as_str().unwrap().contains("the daemon sends it"), "{entry}");
    let state = |client: &mut crate::Client| client.call("outbox", json!({ "entry": 1 })).unwrap();
    until("it is sent", || state(&mut client)["state"] == "succeeded");
    daemon.terminate();
    daemon.wait().expect(0);
}
