//! Answers are recorded before any follow-up request, and a write answered with 2xx is never sent
//! again. Transient failures are retried in the same run, as for reads.

use std::collections::BTreeSet;
use std::time::Duration;

use creatormirror::model::Kind;

use crate::support::sandbox::{Fault, FaultBody, FaultKind, RetryAfter};
use crate::support::{TestBed, until};
use crate::{Outbox, bed};

/// An account without a creator, and a creator.
fn free_account_and_creator(bed: &TestBed) -> (String, String) {
    let rows = bed.control.rows(Kind::Account);
    let free = rows.iter().find(|row| row["creator_id"].is_null()).unwrap();
    let account = free["id"].as_str().unwrap().to_owned();
    (account, bed.control.ids(Kind::Creator).remove(0))
}

fn creator_of(bed: &TestBed, account: &str) -> String {
    bed.text(&format!("SELECT ifnull(creator_id, '') FROM accounts WHERE id = '{account}'"))
}

#[test]
fn answered_write_is_not_resent_if_the_reread_is_rate_limited() {
    let bed = bed();
    let (account, creator) = free_account_and_creator(&bed);
    let wait = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(3) };
    bed.control.fault(Fault::on("GET", "/accounts/*", wait));
    bed.queue(&["link", &creator, &account]);
    bed.sync(&["--max-wait", "1s"]).expect(75);
    assert_eq!(bed.states(), ["succeeded"]);
    assert_eq!(creator_of(&bed, &account), "", "not reread yet");
    bed.sync_ok(&[]);
    assert_eq!((bed.writes(), creator_of(&bed, &account)), (1, creator));
    assert_eq!(bed.number("SELECT count(*) FROM reread_due"), 0);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn answered_write_is_not_resent_after_a_kill_in_the_reread() {
    let bed = bed();
    let (account, creator) = free_account_and_creator(&bed);
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/accounts/*", slow));
    bed.queue(&["link", &creator, &account]);
    let run = bed.start_sync(&[]);
    until("the account is reread", || bed.log().iter().any(|e| e.path.starts_with("/accounts/")));
    run.kill();
    assert_eq!(bed.states(), ["succeeded"]);
    bed.control.clear_faults();
    bed.sync_ok(&[]);
    assert_eq!((bed.writes(), creator_of(&bed, &account)), (1, creator));
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn failed_reread_is_reported_and_retried_later() {
    let bed = bed();
    let (account, creator) = free_account_and_creator(&bed);
    bed.control.fault(Fault::on("GET", "/accounts/*", FaultKind::status(500)).times(5));
    bed.queue(&["link", &creator, &account]);
    bed.sync(&[]).expect(1).says("the mirror is incomplete");
    assert_eq!(bed.states(), ["succeeded"]);
    bed.sync_ok(&[]);
    assert_eq!(creator_of(&bed, &account), "", "the backoff is not over");
    bed.db_to_write().execute("UPDATE reread_due SET next_at = 0", []).unwrap();
    bed.sync_ok(&[]);
    assert_eq!((bed.writes(), creator_of(&bed, &account)), (1, creator));
}

#[test]
fn unreadable_2xx_to_a_change_is_reconciled_not_resent() {
    let page = |content_type, text| FaultKind::Status {
        code: 200,
        body: FaultBody::Raw(content_type, text),
        headers: Vec::new(),
    };
    for (answer, was_done) in [
        (FaultKind::Html, false),
        (page("application/json", "{\"data\":"), false),
        (page("text/plain", "ok"), false),
        (FaultKind::Truncated, true),
        (FaultKind::TruncatedJson, true),
    ] {
        let bed = bed();
        let videos = bed.control.ids(Kind::Video);
        let (account, creator) = free_account_and_creator(&bed);
        bed.queue(&["set", "video", &videos[0], "--interval", "9"]);
        bed.queue(&["link", &creator, &account]);
        for method in ["PATCH", "PUT"] {
            bed.control.fault(Fault::on(method, "/*", answer.clone()));
        }
        bed.sync_until_finished();
        let state = if was_done { "succeeded" } else { "failed" };
        assert_eq!((bed.writes(), bed.states()), (2, vec![state.to_owned(); 2]), "{answer:?}");
        let interval =
            format!("SELECT scrape_interval_hours FROM videos WHERE id = '{}'", videos[0]);
        assert_eq!(bed.number(&interval) == 9, was_done, "{answer:?}");
        if !was_done {
            let detail = bed.entry(1)["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("answered 200, but does not show the change"), "{detail}");
            // A manual retry sends it again.
            bed.run(&["outbox", "retry", "1", "2"]).expect(0);
            bed.sync_ok(&[]);
            assert_eq!((bed.writes(), bed.number(&interval)), (4, 9), "{answer:?}");
        }
        bed.sync_ok(&["--full"]);
        bed.compare();
    }
}

#[test]
fn answer_that_shows_another_value_is_remarked() {
    let bed = bed();
    let video = bed.control.ids(Kind::Video).remove(0);
    let unchanged = format!(r#"{{"data":{{"id":"{video}","scrape_interval_hours":24}}}}"#);
    bed.queue(&["set", "video", &video, "--interval", "9"]);
    let body = FaultBody::Raw("application/json", Box::leak(unchanged.into_boxed_str()));
    let answer = FaultKind::Status { code: 200, body, headers: Vec::new() };
    bed.control.fault(Fault::on("PATCH", "/*", answer));
    bed.sync_until_finished();
    assert_eq!((bed.writes(), bed.states()), (1, vec!["succeeded".to_owned()]));
    assert_eq!(bed.entry(1)["detail"], "the API accepted the change, but shows another value");
}

#[test]
fn unreadable_2xx_to_a_creation_is_not_resent() {
    let bed = bed();
    bed.queue(&["track", "creator", "Ada"]);
    bed.control.fault(Fault::on("POST", "/creators", FaultKind::Html));
    for run in bed.sync_until_finished() {
        run.expect(1);
    }
    assert_eq!(bed.states(), ["failed"]);
    assert_eq!(bed.writes(), 1);
    let detail = bed.entry(1)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("answered 200, but does not show the change"), "{detail}");
    // A manual retry sends it again.
    bed.run(&["outbox", "retry", "1"]).expect(0);
    bed.sync_ok(&[]);
    assert_eq!((bed.writes(), bed.states()), (2, vec!["succeeded".to_owned()]));
    assert_eq!(bed.creators().iter().filter(|name| *name == "Ada").count(), 1);
}

#[test]
fn transient_503_is_retried_in_the_run_with_the_same_key() {
    let proxy = FaultKind::Status {
        code: 503,
        body: FaultBody::Raw("text/html", "<p>busy"),
        headers: Vec::new(),
    };
    for (busy, times) in [(FaultKind::status(503), 4), (proxy, 2)] {
        let bed = bed();
        let video = bed.control.ids(Kind::Video).remove(0);
        bed.queue(&["track", "creator", "Ada"]);
        bed.queue(&["set", "video", &video, "--interval", "9"]);
        bed.control.fault(Fault::on("POST", "/creators", busy.clone()).times(times));
        bed.control.fault(Fault::on("PATCH", "/videos/*", busy.clone()).times(times));
        let run = bed.sync_ok(&[]);
        assert_eq!(bed.states(), ["succeeded"; 2], "{busy:?}: {run:#?}");
        let posts: Vec<_> = bed.log().into_iter().filter(|e| e.method == "POST").collect();
        assert_eq!(posts.len() as u64, times + 1, "{busy:?}");
        let keys: BTreeSet<_> = posts.iter().map(|e| e.headers.get("idempotency-key")).collect();
        assert_eq!(keys.len(), 1, "{busy:?}");
        assert_eq!(bed.creators().iter().filter(|name| *name == "Ada").count(), 1);
    }
}

#[test]
fn failing_writes_do_not_block_reads() {
    let bed = bed();
    for n in 0..7 {
        bed.queue(&["track", "video", &format!("730000000000000000{n}"), "--platform", "tiktok"]);
    }
    bed.control.fault(Fault::on("POST", "/*", FaultKind::status(503)).forever());
    bed.sync(&["--full"]).expect(1).says("will be retried");
    bed.compare();
    let sends = bed.writes();
    assert!(
        (5..=10).contains(&sends),
        "{sends} sends: one entry is retried like a read, a few others sent once"
    );
    let open = "SELECT count(*) FROM outbox_log
                WHERE state = 'queued' AND attempts > 0 AND next_attempt_at > created_at";
    assert_eq!(bed.number(open), 5);
    let untouched = "SELECT count(*) FROM outbox_log
                     WHERE state = 'queued' AND attempts = 0 AND next_attempt_at IS NULL";
    assert_eq!(bed.number(untouched), 2);
    let list = bed.run(&["outbox", "list"]).expect(0).stdout;
    assert!(list.contains("next try") && list.contains("next run"), "{list}");
    assert_eq!(list.matches(" in ").count(), 5, "{list}");
    assert!(bed.entry(1)["next_attempt_at"].is_string());
    assert!(bed.entry(7)["next_attempt_at"].is_null());
}

#[test]
fn next_attempt_is_not_before_retry_after() {
    let bed = bed();
    let wait = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(600) };
    bed.control.fault(Fault::on("POST", "/creators", wait));
    bed.queue(&["track", "creator", "Ada"]);
    bed.sync(&["--max-wait", "1s"]).expect(75);
    let ahead = "SELECT (julianday(next_attempt_at) - julianday('now')) * 86400 FROM outbox_log";
    let ahead = format!("SELECT CAST(({ahead}) AS INTEGER)");
    let ahead = bed.number(&ahead);
    assert!((500..=601).contains(&ahead), "{ahead}");
}

#[test]
fn unreadable_list_is_requested_once_per_run() {
    let bed = bed();
    for n in 0..8 {
        bed.queue(&["track", "creator", &format!("Creator {n}")]);
    }
    bed.control.fault(Fault::on("GET", "/creators", FaultKind::status(500)).forever());
    let run = bed.sync(&[]).expect(1);
    assert_eq!((bed.writes(), bed.log_of("/creators").len()), (0, 5), "{run:#?}");
    assert!(run.took < Duration::from_secs(25), "{run:#?}");
    assert_eq!(bed.states(), ["queued"; 8]);
    bed.control.clear_faults();
    bed.db_to_write().execute("UPDATE outbox SET next_at = 0", []).unwrap();
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 8]);
}

#[test]
fn deletion_carried_out_despite_a_503_succeeds() {
    let bed = bed();
    bed.sync_ok(&[]);
    let video = bed.control.ids(Kind::Video).remove(0);
    bed.queue(&["untrack", "video", &video]);
    bed.control.fault(Fault::on("DELETE", "/videos/*", FaultKind::status(503)));
    bed.control.delete(Kind::Video, &video);
    bed.sync_ok(&[]);
    assert_eq!((bed.states(), bed.writes()), (vec!["succeeded".to_owned()], 2));
    // Deleting a resource that never existed fails, also after a rate limit.
    let wait = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(1) };
    let other = bed.control.ids(Kind::Video).remove(0);
    bed.queue(&["untrack", "video", &other]);
    bed.control.fault(Fault::on("DELETE", "/videos/*", wait));
    bed.control.delete(Kind::Video, &other);
    bed.sync(&[]).expect(1);
    assert_eq!(bed.states()[1], "failed");
}

#[test]
fn lost_answer_to_a_change_is_reconciled_before_resending() {
    let bed = bed();
    let video = bed.control.ids(Kind::Video).remove(0);
    // Carried out and the answer lost: found by reconciling, not sent again.
    bed.control.fault(Fault::on("PATCH", "/videos/*", FaultKind::ResetAfter));
    bed.queue(&["set", "video", &video, "--interval", "9"]);
    bed.sync_ok(&[]);
    assert_eq!((bed.states(), bed.writes()), (vec!["succeeded".to_owned()], 1));
    assert_eq!(bed.control.row(Kind::Video, &video).unwrap()["scrape_interval_hours"], 9);
    // Not carried out: not found by reconciling, sent again.
    bed.control.fault(Fault::on("PATCH", "/videos/*", FaultKind::ResetBefore));
    bed.queue(&["set", "video", &video, "--interval", "7"]);
    bed.sync_ok(&[]);
    assert_eq!((bed.states()[1].as_str(), bed.writes()), ("succeeded", 3));
    bed.sync_ok(&["--full"]);
    bed.compare();
}
