//! `mcp config`: each client's text starts the server, and has no secret.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use serde_json::{Value, json};

use crate::client::Client;
use crate::support::{BINARY, KEY};
use crate::{TestBed, mirror};

fn config(bed: &TestBed, client: &str, flags: &[&str]) -> String {
    let arguments = [&["mcp"], flags, &["config", client]].concat();
    let text = bed.start(bed.command(&arguments)).wait().expect(0).stdout;
    assert!(!text.contains(KEY), "{text}");
    text
}

/// Starts the server with a command and arguments from a configuration, and asks it something.
fn assert_serves(server: &Value) {
    assert!(Path::new(server["command"].as_str().unwrap()).is_absolute());
    let mut command = Command::new(server["command"].as_str().unwrap());
    command.args(server["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()));
    command.env_clear().current_dir("/");
    let mut client = Client::start(command);
    assert_ne!(client.query("SELECT count(*) FROM videos").unwrap()["rows"], json!([[0]]));
}

#[test]
fn every_text_starts_the_server() {
    let bed = mirror();
    for client in ["claude-desktop", "generic"] {
        let document: Value = serde_json::from_str(&config(&bed, client, &[])).unwrap();
        assert_serves(&document["mcpServers"]["creatormirror"]);
    }
    let codex: toml::Value = toml::from_str(&config(&bed, "codex", &[])).unwrap();
    let codex = serde_json::to_value(codex).unwrap();
    assert_serves(&codex["mcp_servers"]["creatormirror"]);
    let cursor = config(&bed, "cursor", &[]);
    let link = url::Url::parse(cursor.trim()).unwrap();
    assert_eq!((link.scheme(), link.host_str()), ("cursor", Some("anysphere.cursor-deeplink")));
    let (_, encoded) = link.query_pairs().find(|(name, _)| name == "config").unwrap();
    let decoded = base64::engine::general_purpose::STANDARD.decode(&*encoded).unwrap();
    assert_serves(&serde_json::from_slice(&decoded).unwrap());
    // The shell's words of the two commands.
    let words = |text: &str| -> Vec<String> {
        let script = format!("for word in {text}; do printf '%s\\0' \"$word\"; done");
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap().stdout;
        let output = String::from_utf8(output).unwrap();
        output.split_terminator('\0').map(str::to_owned).collect()
    };
    let claude = words(config(&bed, "claude-code", &[]).trim());
    let (add, server) = claude.split_at(claude.iter().position(|word| word == "--").unwrap());
    assert_eq!(add, ["claude", "mcp", "add", "--scope", "user", "creatormirror"]);
    assert_serves(&json!({ "command": server[1], "args": server[2..] }));
    let code = words(config(&bed, "vscode", &[]).trim());
    assert_eq!(code[..2], ["code", "--add-mcp"]);
    let server: Value = serde_json::from_str(&code[2]).unwrap();
    assert_eq!(server["name"], "creatormirror");
    assert_serves(&server);
}

#[test]
fn flags_are_kept() {
    let bed = mirror();
    let flags = ["--allow-writes", "--timeout", "1m 30s", "--max-rows", "1000"];
    let document: Value = serde_json::from_str(&config(&bed, "generic", &flags)).unwrap();
    let server = &document["mcpServers"]["creatormirror"];
    assert_eq!(server["command"], BINARY);
    let database = bed.database();
    let expected = json!([
        "mcp",
        "--database",
        database.to_str().unwrap(),
        "--timeout",
        "1m 30s",
        "--max-rows",
        "1000",
        "--allow-writes"
    ]);
    assert_eq!(server["args"], expected);
    for (flags, part) in [
        (["--max-rows", "5001"], "5001 is not in 1..=5000"),
        (["--timeout", "11m"], "longer than 10m"),
        (["--timeout", "90"], "no unit"),
    ] {
        bed.start(bed.command(&[&["mcp"], &flags[..]].concat())).wait().expect(2).says(part);
    }
    bed.start(bed.command(&["mcp", "config", "emacs"])).wait().expect(2).says("claude-code");
}
