//! When the server ends: end of input, signals, a closed pipe. A query that runs does not delay it.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::Client;
use crate::{ENDLESS, mirror, serve};

/// A client whose server runs a query that would take ten minutes.
fn busy(bed: &crate::TestBed) -> Client {
    let mut client = serve(bed, &["--timeout", "10m"]);
    client.ask("tools/call", json!({ "name": "query", "arguments": { "sql": ENDLESS } }));
    // Answered while the query runs, so it has begun.
    client.result("tools/list", json!({}));
    client
}

#[test]
fn ends_with_its_input() {
    let bed = mirror();
    for mut client in [Client::spawn(bed.command(&["mcp"])), serve(&bed, &[]), busy(&bed)] {
        client.close_input();
        assert_eq!(client.wait().code(), Some(0));
    }
}

/// Requests that came before the end of input are answered, as in `printf … | creatormirror mcp`.
#[test]
fn answers_what_was_asked_before_the_end_of_input() {
    let bed = mirror();
    let mut client = serve(&bed, &[]);
    let id = client.ask("tools/call", json!({ "name": "status", "arguments": {} }));
    client.close_input();
    assert_eq!(client.receive()["id"], id);
    assert_eq!(client.wait().code(), Some(0));
}

#[test]
fn ends_on_signals() {
    let bed = mirror();
    for signal in [Signal::TERM, Signal::INT] {
        for mut client in [serve(&bed, &[]), busy(&bed)] {
            kill_process(Pid::from_child(&client.child), signal).unwrap();
            let status = client.wait();
            assert_eq!((status.code(), status.signal()), (Some(0), None));
        }
    }
}

#[test]
fn ends_when_nobody_reads_its_answers() {
    let bed = mirror();
    let mut command = bed.command(&["mcp"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap();
    drop(child.stdout.take());
    // The input stays open.
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn cancelled_query_ends_and_the_next_one_runs() {
    let bed = mirror();
    let mut client = serve(&bed, &["--timeout", "10m"]);
    let id = client.ask("tools/call", json!({ "name": "query", "arguments": { "sql": ENDLESS } }));
    let params = json!({ "requestId": id, "reason": "no longer needed" });
    client
        .send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    assert_eq!(client.query("SELECT 1 AS one").unwrap()["rows"], json!([[1]]));
}

#[test]
fn missing_database_is_a_configuration_error() {
    let bed = crate::TestBed::frozen(crate::unlimited());
    bed.start(bed.command(&["mcp"])).wait().expect(78).says("hint: run `creatormirror sync`");
    assert!(!bed.database().exists());
}

/// Each call opens the database, so that a restored file is read by a server that runs.
#[test]
fn reads_a_database_that_replaced_the_first() {
    let bed = mirror();
    let count = "SELECT count(*) FROM creators WHERE name = 'replaced'";
    let mut client = serve(&bed, &[]);
    assert_eq!(client.query(count).unwrap()["rows"], json!([[0]]));
    let copy = bed.folder().join("copy.db");
    let db = bed.db();
    db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(db);
    let copied = rusqlite::Connection::open(&copy).unwrap();
    copied.execute("UPDATE creator SET name = 'replaced'", []).unwrap();
    drop(copied);
    for end in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", bed.database().display())).unwrap();
    }
    std::fs::rename(copy, bed.database()).unwrap();
    assert_ne!(client.query(count).unwrap()["rows"], json!([[0]]));
}
