//! API responses to writes, and the resulting outcome of the entry.

use creatormirror::model::Kind;
use serde_json::json;

use crate::support::sandbox::{
    Duplicates, Fault, FaultBody, FaultKind, Platform, RetryAfter, SandboxSettings, Scope,
};
use crate::support::{KEY, unlimited};
use crate::{Outbox, bed, bed_of};

#[test]
fn adopts_existing_resources() {
    for duplicates in [Duplicates::Conflict, Duplicates::Existing] {
        let bed = bed_of(SandboxSettings { duplicates, videos: 450, ..unlimited() });
        let video = bed.control.rows(Kind::Video).remove(17);
        let account = bed.control.rows(Kind::Account).remove(3);
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
        bed.queue(&[
            "track",
            "video",
            &text(&video, "external_id"),
            "--platform",
            &text(&video, "platform"),
        ]);
        bed.queue(&["track", "account", &text(&account, "platform"), &text(&account, "username")]);
        bed.queue(&[
            "track",
            "account",
            &text(&account, "platform"),
            &text(&account, "username").to_uppercase(),
        ]);
        // It changed since the last sync; adopting it reads it again.
        let id = text(&video, "id");
        bed.control.set_member(Kind::Video, &id, "description", &json!("another"));
        // A video that the mirror does not have yet.
        let unseen = bed.control.add_video(Platform::Tiktok);
        let unseen = bed.control.row(Kind::Video, &unseen).unwrap();
        bed.queue(&["track", "video", &text(&unseen, "external_id"), "--platform", "tiktok"]);
        bed.sync_ok(&[]);
        assert_eq!(bed.states(), ["succeeded"; 4]);
        assert_eq!(bed.entry(1)["result_id"], video["id"]);
        assert_eq!(bed.entry(2)["result_id"], account["id"]);
        assert_eq!(bed.entry(3)["result_id"], account["id"]);
        assert_eq!(bed.entry(4)["result_id"], unseen["id"]);
        if duplicates == Duplicates::Conflict {
            assert_eq!(bed.entry(1)["detail"], "it existed already");
        }
        let is_updated = format!("SELECT description = 'another' FROM videos WHERE id = '{id}'");
        assert_eq!(
            bed.number(&is_updated),
            1,
            "{duplicates:?}: the mirror shows the adopted video"
        );
    }
}

#[test]
fn rejected_writes_fail_immediately_with_details() {
    let bed = bed_of(unlimited());
    bed.control.set_account_cap(Some(12));
    bed.queue(&["track", "account", "tiktok", "someone.else"]);
    bed.queue(&["track", "account", "tiktok", "bad!name"]);
    bed.queue(&["untrack", "video", "00000000-0000-4000-8000-000000000000"]);
    let run = bed.sync(&[]).expect(1);
    assert!(run.stderr.contains("3 failed"), "{}", run.stderr);
    assert_eq!(bed.states(), ["failed"; 3]);
    let quota = bed.entry(1);
    assert_eq!((&quota["code"], &quota["http_status"]), (&json!("QUOTA_EXCEEDED"), &json!(403)));
    assert!(quota["hint"].as_str().unwrap().contains("limit") && quota["request_id"].is_string());
    let invalid = bed.entry(2);
    assert_eq!(
        (&invalid["http_status"], &invalid["fields"][0]["field"]),
        (&json!(422), &json!("username"))
    );
    assert_eq!(bed.entry(3)["http_status"], 404);
    bed.control.set_account_cap(None);
    bed.run(&["outbox", "retry", "1"]).expect(0);
    bed.sync_ok(&[]);
    assert_eq!(bed.entry(1)["state"], "succeeded");
}

#[test]
fn read_only_key_fails_only_the_write() {
    let bed = bed();
    bed.control.set_key_scope(KEY, Scope::Read);
    bed.queue(&["track", "creator", "Ada"]);
    bed.sync(&["--full"]).expect(1);
    assert_eq!(bed.entry(1)["code"], "INSUFFICIENT_SCOPE");
    bed.compare();
}

#[test]
fn refused_key_pauses_the_queue_without_counting_attempts() {
    let bed = bed();
    for name in ["One", "Two"] {
        bed.queue(&["track", "creator", name]);
    }
    // Refused in the middle of the run, after `/whoami` succeeded.
    let disabled =
        FaultKind::Status { code: 403, body: FaultBody::Code("FORBIDDEN"), headers: Vec::new() };
    bed.control.fault(Fault::on("POST", "/creators", disabled));
    bed.sync(&[]).expect(77);
    assert_eq!(bed.states(), ["queued"; 2]);
    assert_eq!(bed.entry(1)["attempts"], 0);
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 2]);
    assert_eq!(bed.entry(1)["attempts"], 1);
}

#[test]
fn requested_waits_do_not_count_as_failures() {
    let bed = bed();
    let before = bed.creators().len();
    for code in [429, 503] {
        bed.queue(&["track", "creator", &format!("After {code}")]);
        let wait = FaultKind::Refuse { code, retry_after: RetryAfter::Seconds(1) };
        bed.control.fault(Fault::on("POST", "/creators", wait));
        bed.sync_ok(&[]);
    }
    assert_eq!(bed.states(), ["succeeded"; 2]);
    assert_eq!(bed.creators().len(), before + 2);
    let looked =
        bed.log().iter().filter(|entry| entry.path == "/creators" && entry.method == "GET").count();
    assert_eq!(looked, 2, "one lookup per run for known names");
    let failed = "SELECT max(fails) FROM outbox";
    assert_eq!(bed.number(failed), 0);
}

#[test]
fn unreachable_api_does_not_count_as_an_attempt() {
    let mut bed = bed();
    bed.queue(&["track", "creator", "Ada"]);
    bed.stop_server();
    bed.sync(&[]).expect(69);
    assert_eq!(bed.states(), ["queued"]);
    assert_eq!(bed.number("SELECT attempts FROM outbox"), 0);
}

#[test]
fn failing_target_keeps_its_order_and_blocks_no_other() {
    let bed = bed();
    let ids = bed.control.ids(Kind::Video);
    let path = format!("/videos/{}", ids[0]);
    bed.control.fault(Fault::on("PATCH", &path, FaultKind::ResetBefore).times(2));
    bed.queue(&["set", "video", &ids[0], "--interval", "3"]);
    bed.queue(&["set", "video", &ids[0], "--interval", "5"]);
    bed.queue(&["set", "video", &ids[1], "--interval", "7"]);
    bed.sync(&[]).expect(1);
    assert_eq!(bed.states(), ["unsure", "queued", "succeeded"]);
    bed.db_to_write().execute("UPDATE outbox SET next_at = 0", []).unwrap();
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 3]);
    assert_eq!(bed.control.row(Kind::Video, &ids[0]).unwrap()["scrape_interval_hours"], 5);
}
