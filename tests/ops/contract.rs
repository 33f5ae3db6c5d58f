//! `check` compares the API's own OpenAPI document with what is used of the API.

use serde_json::{Value, json};

use super::fixture::{Fixture, Output};
use crate::support::sandbox::{Fault, FaultBody, FaultKind};

/// The lines about the document.
fn lines(ran: &Output) -> Vec<&str> {
    let is_about = |line: &&str| line.split_whitespace().nth(1) == Some("contract");
    ran.stdout.lines().filter(is_about).collect()
}

fn assert_line(ran: &Output, level: &str, text: &str) {
    let is_found = |line: &&str| line.starts_with(level) && line.contains(text);
    assert!(lines(ran).iter().any(is_found), "no {level} `{text}` in {:#?}", lines(ran));
}

#[test]
fn matching_document_is_ok_and_confirms_what_was_inferred() {
    let fixture = Fixture::new();
    let ran = fixture.run(&["check"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_line(&ran, "ok", "the API's OpenAPI document (v2) has all ");
    assert_line(&ran, "info", "new member `is_pinned` (boolean)");
    for part in [
        "inferred so far, and confirmed: ",
        "PATCH /accounts/{}",
        "GET /account-videos (limit, ",
        "GET /videos (include_total)",
    ] {
        assert_line(&ran, "info", part);
    }
    assert_eq!(lines(&ran).len(), 3, "{ran:?}");
    let request =
        fixture.control.log().into_iter().find(|one| one.path == "/openapi.json").unwrap();
    assert!(!request.has_authorization, "{request:?}");
}

#[test]
fn each_change_of_the_document_is_a_line() {
    let fixture = Fixture::new();
    let schema = |path: &str| format!("/components/schemas/{path}");
    let get_videos = "/paths/~1videos/get";
    let cases: Vec<(String, Option<Value>, &str, &str)> = vec![
        (
            "/paths/~1accounts~1{account_id}/patch".into(),
            None,
            "warning",
            "PATCH /accounts/{} is not in the document",
        ),
        (
            "/paths/~1creators~1{creator_id}".into(),
            None,
            "warning",
            "DELETE /creators/{} is not in the document",
        ),
        (
            format!("{get_videos}/parameters/3/schema/enum"),
            Some(json!(["create_time"])),
            "warning",
            "GET /videos: `order_by` does not take `added_at`",
        ),
        (
            "/components/parameters/Limit/schema/maximum".into(),
            Some(json!(100)),
            "warning",
            "GET /accounts: `limit` is at most 100, not 200",
        ),
        (
            "/components/parameters/Cursor/name".into(),
            Some(json!("after")),
            "warning",
            "GET /creators: no parameter `cursor`",
        ),
        (
            "/components/parameters/Cursor/name".into(),
            Some(json!("after")),
            "info",
            "GET /creators: new parameter `after`",
        ),
        (
            "/paths/~1overview/get/parameters/0".into(),
            Some(json!({ "name": "unit", "in": "query", "required": true })),
            "warning",
            "GET /overview: parameter `unit` is required",
        ),
        (
            schema("Account/properties/follower_count"),
            None,
            "warning",
            "GET /accounts: no member `follower_count`",
        ),
        (
            schema("Account/properties/follower_count"),
            Some(json!({ "type": "string" })),
            "warning",
            "GET /accounts: `follower_count` is string, not integer or number",
        ),
        (
            schema("CreatorAccountsSummary/properties/total"),
            Some(json!({ "type": ["array", "null"] })),
            "warning",
            "GET /creators: `accounts_summary.total` is array",
        ),
        (
            schema("Pagination/properties/has_next"),
            None,
            "warning",
            "GET /videos: no member `pagination.has_next`",
        ),
        (
            schema("WindowedMetrics/properties/plays"),
            None,
            "warning",
            "POST /videos/metrics: no member `plays`",
        ),
        (
            schema("OverviewFigures/properties/total_views"),
            None,
            "warning",
            "GET /overview: no member `current.total_views`",
        ),
        (
            schema("Whoami/properties/organization_id/type"),
            Some(json!("integer")),
            "warning",
            "GET /whoami: `organization_id` is integer, not string",
        ),
        (
            schema("VideoUpdate/properties/is_active"),
            None,
            "warning",
            "PATCH /videos/{}: no member `is_active` in the request",
        ),
        (
            schema("VideoCreate/required/1"),
            Some(json!("consent")),
            "warning",
            "POST /videos: member `consent` of the request is required",
        ),
        (
            schema("Video/properties/saves"),
            Some(json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] })),
            "info",
            "GET /videos: new member `saves` (integer)",
        ),
        (
            schema("Platform/enum/1"),
            Some(json!("youtube")),
            "info",
            "GET /accounts: `platform` may be `youtube`",
        ),
        (
            format!("{get_videos}/parameters/3/schema/enum/1"),
            Some(json!("last_scrape_time")),
            "info",
            "GET /videos: `order_by` also takes `last_scrape_time`",
        ),
        (
            "/paths/~1videos~1{video_id}~1timeseries".into(),
            Some(json!({ "get": {} })),
            "info",
            "GET /videos/{}/timeseries is a new operation",
        ),
    ];
    for (pointer, value, level, text) in cases {
        fixture.control.restore_openapi();
        fixture.control.edit_openapi(&pointer, value);
        let ran = fixture.run(&["check"]);
        assert_eq!(ran.code, Some(0), "{pointer}: {ran:?}");
        assert_line(&ran, level, text);
    }
}

#[test]
fn other_spellings_of_the_same_document_are_no_change() {
    let fixture = Fixture::new();
    let nullable = json!({ "type": "integer", "nullable": true });
    for (name, schema) in [
        ("view_count", nullable),
        ("like_count", json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] })),
        ("share_count", json!({ "type": ["number", "null"] })),
        ("play_count", json!({})),
        (
            "platform",
            json!({ "allOf": [{ "$ref": "#/components/schemas/Platform" }, { "description": "x" }] }),
        ),
    ] {
        fixture
            .control
            .edit_openapi(&format!("/components/schemas/Video/properties/{name}"), Some(schema));
    }
    fixture
        .control
        .edit_openapi("/paths/~1v2~1whoami~1", Some(json!({ "$ref": "#/paths/~1whoami" })));
    let ran = fixture.run(&["check"]);
    assert_line(&ran, "ok", "has all ");
}

#[test]
fn document_that_cannot_be_read_is_no_failure() {
    let fixture = Fixture::new();
    for (fault, text) in [
        (FaultKind::status(404), "the API has none at /openapi.json"),
        (FaultKind::Html, "it is not JSON"),
        (raw(403, "text/html", "<html>blocked</html>"), "the response is not from the API"),
        (raw(200, "application/json", r#"{"swagger":"2.0"}"#), "it is not an OpenAPI 3 document"),
        (FaultKind::ResetBefore, "OpenAPI document not compared"),
        (FaultKind::status(503), "OpenAPI document not compared"),
    ] {
        fixture.control.clear_faults();
        fixture.control.fault(Fault::on("GET", "/openapi.json", fault).forever());
        let ran = fixture.run(&["check"]);
        assert_eq!((ran.code, lines(&ran).len()), (Some(0), 1), "{text}: {ran:?}");
        assert_line(&ran, "info", text);
    }
}

fn raw(code: u16, content_type: &'static str, text: &'static str) -> FaultKind {
    FaultKind::Status { code, body: FaultBody::Raw(content_type, text), headers: Vec::new() }
}

#[test]
fn many_changes_are_bounded_and_in_the_json_document() {
    let fixture = Fixture::new();
    fixture
        .control
        .edit_openapi("/components/schemas/Account/properties", Some(json!({ "x": {} })));
    let ran = fixture.run(&["check", "--json"]);
    let document = ran.json();
    assert_eq!((ran.code, &document["outcome"]), (Some(0), &json!("warning")));
    let checks = document["checks"].as_array().unwrap();
    let warnings: Vec<_> = checks
        .iter()
        .filter(|one| one["name"] == "contract" && one["level"] == "warning")
        .collect();
    assert_eq!(warnings.len(), 21, "{warnings:#?}");
    assert!(warnings[20]["detail"].as_str().unwrap().starts_with("and "), "{warnings:#?}");
}
