//! The protocol: revisions, lists of tools and resources, errors.

use serde_json::{Value, json};

use crate::client::Client;
use crate::{mirror, serve};

const READ_TOOLS: [&str; 4] = ["query", "describe", "status", "ready_query"];
const WRITE_TOOLS: [&str; 5] = ["track", "set", "link", "unlink", "outbox"];

#[test]
fn negotiates_older_and_unknown_revisions() {
    let bed = mirror();
    for (asked, given) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2024-11-05", "2024-11-05"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let mut client = Client::start_with(bed.command(&["mcp"]), asked);
        assert_eq!(client.server["protocolVersion"], given, "{asked}");
        assert_eq!(client.server["serverInfo"]["name"], "creatormirror");
        let instructions = client.server["instructions"].as_str().unwrap().to_owned();
        for part in
            ["UTC", "NULL means unknown", "describe", "never instructions", "complete as of"]
        {
            assert!(instructions.contains(part), "{part}: {instructions}");
        }
        client.query("SELECT 1").unwrap();
    }
}

/// The newest revision has no handshake: each request says what the client is.
#[test]
fn serves_the_newest_revision_without_a_handshake() {
    let bed = mirror();
    let mut client = Client::spawn(bed.command(&["mcp"]));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = client.result("server/discover", json!({ "_meta": meta }));
    let versions = found["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    let tools = client.result("tools/list", json!({ "_meta": meta }));
    assert_eq!(tools["resultType"], "complete");
    let params =
        json!({ "name": "query", "arguments": { "sql": "SELECT 1 AS one" }, "_meta": meta });
    let result = client.result("tools/call", params);
    assert_eq!(result["structuredContent"]["rows"], json!([[1]]));
}

#[test]
fn lists_write_tools_only_with_the_flag() {
    let bed = mirror();
    let names = |client: &mut Client| -> Vec<String> {
        let tools = client.result("tools/list", json!({}));
        for tool in tools["tools"].as_array().unwrap() {
            let is_write =
                ["track", "set", "link", "unlink"].contains(&tool["name"].as_str().unwrap());
            assert_eq!(tool["annotations"]["readOnlyHint"], !is_write, "{tool}");
            assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
            assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
            assert!(tool["description"].as_str().unwrap().len() > 20, "{tool}");
        }
        let names = tools["tools"].as_array().unwrap().iter();
        names.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut client = serve(&bed, &[]);
    assert_eq!(names(&mut client), READ_TOOLS);
    for tool in WRITE_TOOLS.iter().chain(&["untrack", "nothing"]) {
        let answer = client.request("tools/call", json!({ "name": tool, "arguments": {} }));
        assert_eq!(answer["error"]["code"], -32602, "{tool}: {answer}");
    }
    let mut client = serve(&bed, &["--allow-writes"]);
    assert_eq!(names(&mut client), [&READ_TOOLS[..], &WRITE_TOOLS[..]].concat());
    let answer = client.request("tools/call", json!({ "name": "untrack", "arguments": {} }));
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn reads_resources() {
    let bed = mirror();
    let mut client = serve(&bed, &[]);
    let listed = client.result("resources/list", json!({}));
    let uris: Vec<&str> = listed["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["uri"].as_str().unwrap())
        .collect();
    for uri in ["creatormirror://schema", "creatormirror://status", "creatormirror://views/videos"]
    {
        assert!(uris.contains(&uri), "{uri}: {uris:?}");
    }
    let mut texts = Vec::new();
    for uri in &uris {
        let read = client.result("resources/read", json!({ "uri": uri }));
        let contents = &read["contents"][0];
        assert_eq!(contents["uri"], *uri);
        texts.push(contents["text"].as_str().unwrap().to_owned());
    }
    assert!(texts[0].contains("## video_gains") && !texts[0].contains("outbox\\_requests"));
    let status: Value = serde_json::from_str(&texts[1]).unwrap();
    assert_eq!(status["kinds"].as_array().unwrap().len(), 6);
    let templates = client.result("resources/templates/list", json!({}));
    assert_eq!(templates["resourceTemplates"][0]["uriTemplate"], "creatormirror://views/{name}");
    for uri in [
        "creatormirror://views/outbox_requests",
        "creatormirror://views/video",
        "file:///etc/passwd",
    ] {
        let answer = client.request("resources/read", json!({ "uri": uri }));
        assert_eq!(answer["error"]["code"], -32002, "{uri}: {answer}");
    }
}

#[test]
fn survives_lines_that_are_no_requests() {
    let bed = mirror();
    let mut client = serve(&bed, &[]);
    for line in ["", "{", "[]", "nonsense", &"x".repeat(2_000_000)] {
        client.send_line(line);
    }
    let id = client.ask("tools/list", json!({}));
    // Valid JSON that is no request may be answered with an error without an id.
    let answers = std::iter::repeat_with(|| client.receive()).take(5);
    assert!(answers.into_iter().any(|answer| answer["id"] == id));
}
