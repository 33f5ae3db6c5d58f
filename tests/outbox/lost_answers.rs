//! Lost answers, and how they are reconciled before anything is sent again.

use creatormirror::model::Kind;
use serde_json::json;

use crate::support::sandbox::{Fault, FaultBody, FaultKind, SandboxSettings};
use crate::support::{TestBed, unlimited};
use crate::{Outbox, bed, bed_of};

/// Every failure with an unknown outcome, and whether the request was carried out. A page with status
/// 200 is an answer; see `retries`.
fn losses() -> Vec<(FaultKind, bool)> {
    let html = |code| FaultKind::Status {
        code,
        body: FaultBody::Raw("text/html", "<p>oops"),
        headers: Vec::new(),
    };
    vec![
        (FaultKind::ResetAfter, true),
        (FaultKind::ResetBefore, false),
        (FaultKind::Truncated, true),
        (FaultKind::TruncatedJson, true),
        (FaultKind::status(500), false),
        (FaultKind::status(502), false),
        (html(503), false),
        (html(504), false),
    ]
}

fn one_of_each(bed: &TestBed) {
    bed.queue(&["track", "video", "https://www.instagram.com/reel/C8abcDEF123/?igsh=1"]);
    bed.queue(&["track", "account", "tiktok", "Some.One"]);
    bed.queue(&["track", "creator", "Ada"]);
}

#[test]
fn lost_answer_creates_nothing_twice() {
    for (loss, was_done) in losses() {
        let bed = bed();
        let before = Kind::LISTS.map(|kind| bed.control.count(kind));
        one_of_each(&bed);
        // One fault for each path, because entries may be resent in any order.
        for path in ["/videos", "/accounts", "/creators"] {
            bed.control.fault(Fault::on("POST", path, loss.clone()));
        }
        bed.sync_ok(&[]);
        assert_eq!(bed.states(), ["succeeded"; 3], "{loss:?}");
        for (kind, before) in Kind::LISTS.into_iter().zip(before).take(3) {
            assert_eq!(bed.control.count(kind), before + 1, "{loss:?} {kind}");
        }
        let sends = bed.number("SELECT sum(attempts) FROM outbox_log");
        assert_eq!(sends, if was_done { 3 } else { 6 }, "{loss:?}");
        let ids = "SELECT count(*) FROM outbox_log AS o
                   WHERE EXISTS (SELECT 1 FROM videos WHERE id = o.result_id)
                      OR EXISTS (SELECT 1 FROM accounts WHERE id = o.result_id)
                      OR EXISTS (SELECT 1 FROM creators WHERE id = o.result_id)";
        assert_eq!(bed.number(ids), 3);
        bed.sync_ok(&["--full"]);
        bed.compare();
    }
}

#[test]
fn lost_answer_to_a_change_deletion_or_link_is_reconciled() {
    for (loss, _) in losses() {
        let bed = bed();
        let videos = bed.control.ids(Kind::Video);
        let rows = bed.control.rows(Kind::Account);
        let free = rows.iter().find(|row| row["creator_id"].is_null()).unwrap();
        let account = free["id"].as_str().unwrap();
        let creator = bed.control.ids(Kind::Creator).remove(0);
        bed.queue(&["set", "video", &videos[0], "--interval", "9"]);
        bed.queue(&["untrack", "video", &videos[1]]);
        bed.queue(&["link", &creator, account]);
        for method in ["PATCH", "DELETE", "PUT"] {
            bed.control.fault(Fault::on(method, "/*", loss.clone()));
        }
        bed.sync_ok(&[]);
        assert_eq!(bed.states(), ["succeeded"; 3], "{loss:?}");
        assert_eq!(bed.control.row(Kind::Video, &videos[0]).unwrap()["scrape_interval_hours"], 9);
        assert_eq!(bed.control.row(Kind::Video, &videos[1]), None);
        assert_eq!(
            bed.text(&format!("SELECT creator_id FROM accounts WHERE id = '{account}'")),
            creator
        );
        bed.sync_ok(&["--full"]);
        bed.compare();
    }
}

#[test]
fn creates_each_of_several_creators_with_one_name() {
    let bed = bed();
    bed.control.add_creator("Ada");
    for _ in 0..5 {
        bed.queue(&["track", "creator", "Ada"]);
    }
    // Alternately lost after and before the request was carried out.
    for (skip, loss) in
        [(0, FaultKind::ResetAfter), (1, FaultKind::ResetBefore), (3, FaultKind::ResetAfter)]
    {
        bed.control.fault(Fault::on("POST", "/creators", loss).after(skip));
    }
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 5]);
    let named = bed.creators().iter().filter(|name| *name == "Ada").count();
    assert_eq!(named, 6);
    let results = "SELECT count(DISTINCT result_id) FROM outbox_log";
    assert_eq!(bed.number(results), 5);
}

#[test]
fn permanently_unreadable_list_fails_the_entry() {
    let bed = bed();
    bed.queue(&["track", "creator", "Ada"]);
    let without_id =
        FaultKind::WrongTypes { row: 0, members: vec![("id".to_owned(), "null".to_owned())] };
    bed.control.fault(Fault::on("GET", "/creators", without_id).forever());
    bed.sync(&[]).expect(1);
    assert_eq!(bed.states(), ["queued"], "the failure may be transient");
    // As if hours had passed.
    bed.db_to_write().execute_batch("UPDATE outbox SET next_at = 0, fails = 12").unwrap();
    bed.sync(&[]).expect(1);
    assert_eq!(bed.states(), ["failed"]);
    let entry = bed.entry(1);
    let detail = entry["detail"].as_str().unwrap();
    assert!(detail.contains("12 attempts; it could not be looked up"), "{detail}");
    assert_eq!(bed.writes(), 0);
    bed.control.clear_faults();
    bed.run(&["outbox", "retry", "1"]).expect(0);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.states(), ["succeeded"]);
}

#[test]
fn creator_is_reconciled_twice_before_resending() {
    let bed = bed();
    bed.queue(&["track", "creator", "Ada"]);
    bed.control.fault(Fault::on("POST", "/creators", FaultKind::ResetBefore));
    bed.sync_ok(&[]);
    let requests: Vec<String> = bed
        .log()
        .iter()
        .filter(|entry| entry.path == "/creators")
        .map(|entry| entry.method.clone())
        .collect();
    assert_eq!(requests, ["GET", "POST", "GET", "GET", "POST"]);
    assert_eq!(bed.entry(1)["former_keys"], json!([]), "sent again with the same key");
}

#[test]
fn creator_whose_name_the_api_normalized_is_not_created_twice() {
    let bed = bed();
    bed.control.fault(Fault::on("POST", "/creators", FaultKind::ResetAfter).times(2));
    let before = bed.creators().len();
    assert_eq!(
        bed.entry(bed.queue(&["track", "creator", " Ada "]))["body"],
        json!({"name": "Ada"})
    );
    // As queued by SQL, and as a server that normalizes has it.
    let sql = "INSERT INTO outbox_requests (kind, action, body) VALUES ('creator', 'track', ?1)";
    let body = json!({"name": "Jos\u{e9}  B "}).to_string();
    bed.db_to_write().execute(sql, [body]).unwrap();
    bed.sync_until_finished();
    assert_eq!(bed.states(), ["succeeded"; 2]);
    assert_eq!(bed.creators().len(), before + 2);
}

#[test]
fn reconciling_a_video_reads_only_the_newest_page() {
    let bed = bed_of(SandboxSettings { videos: 900, ..unlimited() });
    bed.queue(&["track", "video", "https://www.tiktok.com/@luna/video/7300000000000000001"]);
    bed.control.fault(Fault::on("POST", "/videos", FaultKind::ResetAfter));
    bed.sync_ok(&[]);
    assert_eq!(bed.entry(1)["state"], "succeeded");
    let pages = bed
        .log()
        .iter()
        .filter(|entry| entry.path == "/videos" && entry.param("order_direction") == Some("desc"))
        .count();
    assert_eq!(pages, 1);
}

#[test]
fn replaces_an_idempotency_key_that_keeps_failing() {
    let bed = bed();
    bed.queue(&["track", "creator", "Ada"]);
    let first = bed.entry(1)["idempotency_key"].clone();
    bed.control.fault(Fault::on("POST", "/creators", FaultKind::status(500)).times(2));
    bed.sync(&[]).expect(1).says("will be retried");
    bed.db_to_write().execute("UPDATE outbox SET next_at = 0", []).unwrap();
    bed.sync_ok(&[]);
    let entry = bed.entry(1);
    assert_eq!((&entry["state"], &entry["former_keys"]), (&json!("succeeded"), &json!([first])));
    assert_ne!(entry["idempotency_key"], first);
    assert_eq!(bed.creators().iter().filter(|name| *name == "Ada").count(), 1);
}

#[test]
fn attempts_are_bounded_and_dead_letters_can_be_retried() {
    let bed = bed();
    bed.queue(&["track", "video", "7300000000000000001", "--platform", "tiktok"]);
    bed.control.fault(Fault::on("POST", "/videos", FaultKind::status(500)).forever());
    for run in bed.sync_until_finished() {
        run.expect(1);
    }
    assert_eq!(bed.states(), ["failed"]);
    assert!(bed.run(&["status"]).expect(0).stdout.contains("entry 1 FAILED"));
    bed.control.clear_faults();
    bed.run(&["outbox", "retry", "1"]).expect(0);
    assert_eq!(bed.states(), ["unsure"], "reconciled before it is sent again");
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"]);
}
