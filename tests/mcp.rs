//! `mcp` of the real binary: raw JSON-RPC over its stdin and stdout, hostile statements, and the official Python client.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

#[path = "mcp/beside_daemon.rs"]
mod beside_daemon;
#[path = "mcp/client.rs"]
mod client;
#[path = "mcp/client_config.rs"]
mod client_config;
#[path = "mcp/hostile.rs"]
mod hostile;
#[path = "mcp/lifecycle.rs"]
mod lifecycle;
#[path = "mcp/protocol.rs"]
mod protocol;
#[path = "mcp/python_sdk.rs"]
mod python_sdk;
#[path = "mcp/statements.rs"]
mod statements;
#[path = "mcp/tools.rs"]
mod tools;
#[path = "mcp/writes.rs"]
mod writes;

use client::Client;
use support::{TestBed, unlimited};

/// A statement that runs until it is stopped.
const ENDLESS: &str =
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r";

/// A mirror of a small organization.
fn mirror() -> TestBed {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    bed.control.clear_log();
    bed
}

/// A server for this mirror, without a key, and a client that has initialized it.
fn serve(bed: &TestBed, arguments: &[&str]) -> Client {
    let mut command = bed.command(&[&["mcp"], arguments].concat());
    command.env_remove("CREATORAUDIT_API_KEY");
    Client::start(command)
}
