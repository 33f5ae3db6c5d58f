//! `backfill` without a daemon: exact figures, in the fewest requests, never repeated.

use std::time::Duration;

use creatormirror::model::Kind;

use super::support::{KEY, TestBed, unlimited, until};
use super::truth::{KINDS, PATHS, day, expect_no_repeats, ids};
use crate::support::sandbox::{
    Fault, FaultBody, FaultKind, IdStyle, Platform, RetryAfter, SandboxSettings, Scope, Switch,
};

/// More than one request of each kind per day, and posts of both platforms.
fn settings() -> SandboxSettings {
    SandboxSettings {
        accounts: 230,
        videos: 450,
        account_videos: 700,
        past_days: 20,
        ..unlimited()
    }
}

#[test]
fn mirrors_every_figure_in_the_fewest_requests() {
    let bed = TestBed::live(settings());
    bed.sync_ok(&[]);
    bed.control.clear_log();
    let document = bed.backfill_well(12);
    let days = TestBed::days_of(&document);
    assert_eq!((days.len(), &document["days"]), (12, &12.into()));
    bed.compare_days(&days);
    assert!(bed.mirrored_figures().values().any(|figures| figures[0] > Some(0)));

    let requests = bed.metrics_requests();
    assert_eq!(requests.len(), bed.fewest(&days, 200));
    assert_eq!(bed.log().len(), requests.len() + 1, "plus one for `/whoami`");
    assert_eq!(document["requests"], bed.log().len());
    let order: Vec<String> = requests.iter().map(day).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "newest first: {order:?}");
    expect_no_repeats(&requests);
    assert!(requests.iter().all(|entry| (1..=200).contains(&ids(entry).1.len())));

    for kind in KINDS {
        assert_eq!(bed.last_outcome(kind), "complete");
        let rows = format!("SELECT count(*) FROM daily_metrics WHERE kind = '{}'", kind.name());
        assert_eq!(bed.last_number(kind, "rows_seen"), bed.number(&rows));
        assert_eq!(bed.last_number(kind, "snapshots_added"), 0);
    }
    bed.check_integrity();
}

#[test]
fn includes_later_posts_without_extra_requests() {
    let settings =
        SandboxSettings { videos: 150, account_videos: 200, past_days: 20, ..unlimited() };
    let bed = TestBed::live(settings);
    bed.sync_ok(&[]);
    let document = bed.backfill_well(4);
    let days = TestBed::days_of(&document);
    assert_eq!(bed.metrics_requests().len(), bed.fewest(&days, 200), "no additional request");
    let (mirror, all) = (bed.mirrored_figures(), bed.all_figures(&days));
    assert!(
        all.len() > bed.true_figures(&days).len(),
        "the sandbox published posts within the days"
    );
    assert_eq!(mirror, all);
    let again = bed.backfill_well(4);
    if again["to"] == document["to"] {
        assert_eq!(again["rows"], 0);
    }
}

#[test]
fn requests_only_days_and_accounts_not_held_yet() {
    let bed = TestBed::live(settings());
    bed.sync_ok(&[]);
    let first = bed.backfill_well(5);
    bed.control.clear_log();
    let again = bed.backfill_well(5);
    // A new UTC day may have begun in between.
    if again["to"] == first["to"] {
        assert_eq!((bed.metrics_requests().len(), &again["rows"]), (0, &0.into()));
    }
    let further = bed.backfill_well(8);
    let days = TestBed::days_of(&further);
    let older: Vec<_> = days.iter().copied().take(3).collect();
    if further["to"] == first["to"] {
        assert_eq!(
            bed.metrics_requests().len(),
            bed.fewest(&older, 200),
            "only the three earlier days"
        );
    }
    bed.compare_days(&days);

    let id = bed.control.add_account(Platform::Tiktok, "new.one");
    bed.sync_ok(&["--full"]);
    bed.control.clear_log();
    let last = bed.backfill_well(8);
    let requests = bed.metrics_requests();
    assert!(
        requests.iter().all(|entry| ids(entry).1 == [id.as_str()]) || last["to"] != first["to"]
    );
    bed.compare_days(&TestBed::days_of(&last));
}

#[test]
fn repeats_only_the_request_in_flight_after_a_kill() {
    for nth in [0, 1, 3, 6] {
        let bed = TestBed::live(SandboxSettings { accounts: 30, account_videos: 90, ..settings() });
        bed.sync_ok(&[]);
        bed.control.clear_log();
        let slow = FaultKind::Slow(Duration::from_secs(600));
        bed.control.fault(Fault::on("*", "/*", slow).after(nth * 2));
        let run = bed.start_backfill(&["--days", "3"]);
        until("the request is in flight", || bed.log().len() as u64 == nth * 2 + 1);
        std::thread::sleep(Duration::from_millis(nth * 5));
        run.kill();
        let lost = bed.log().last().unwrap().number;
        let document = bed.backfill_well(3);
        let days = TestBed::days_of(&document);
        bed.compare_days(&days);
        let answered: Vec<_> =
            bed.metrics_requests().into_iter().filter(|entry| entry.number != lost).collect();
        expect_no_repeats(&answered);
        assert_eq!(answered.len(), bed.fewest(&days, 200), "kill {nth}");
        bed.check_integrity();
    }
}

#[test]
fn exits_75_on_a_rate_limit_beyond_max_wait_and_resumes() {
    let mut bed = TestBed::live(settings());
    // With one request at a time, the work done before the third request is known.
    bed.set("CREATORMIRROR_MAX_CONCURRENT_REQUESTS", "1");
    bed.sync_ok(&[]);
    bed.control.clear_log();
    let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(3) };
    bed.control.fault(Fault::on("POST", "/videos/metrics", refuse).after(2));
    let run = bed.backfill(&["--days", "4", "--max-wait", "1s"]).expect(75).says("--max-wait");
    assert!(run.stdout.contains("the next backfill continues from here"), "{run:#?}");
    assert_eq!(bed.last_outcome(Kind::Video), "rate_limited");
    let kept = bed.number("SELECT count(*) FROM daily_metrics");
    assert!(kept >= 600, "finished work is kept: {kept}");
    let requests = bed.metrics_requests().len();
    bed.backfill(&["--days", "4", "--max-wait", "1s"]).expect(75);
    assert_eq!(bed.metrics_requests().len(), requests, "no request before the wait is over");
    let days = TestBed::days_of(&bed.backfill_well(4));
    let log = bed.metrics_requests();
    let refused = log.iter().position(|entry| entry.status == Some(429)).unwrap();
    assert!(log[refused + 1].received - log[refused].received >= Duration::from_secs(3));
    expect_no_repeats(&log);
    assert_eq!(log.len(), bed.fewest(&days, 200) + 1);
    bed.compare_days(&days);
}

#[test]
fn keeps_finished_work_on_sigterm() {
    let bed = TestBed::live(SandboxSettings { accounts: 30, account_videos: 90, ..settings() });
    bed.sync_ok(&[]);
    bed.control.clear_log();
    bed.control.fault(
        Fault::on("POST", "/videos/metrics", FaultKind::Slow(Duration::from_secs(600))).after(4),
    );
    let run = bed.start_backfill(&["--days", "3"]);
    until("the backfill is running", || bed.log_of("/videos/metrics").len() >= 5);
    run.terminate();
    run.wait().expect(1).says("interrupted");
    assert_eq!(bed.last_outcome(Kind::Video), "interrupted");
    let days = TestBed::days_of(&bed.backfill_well(3));
    bed.compare_days(&days);
    // Requests in flight at the signal are sent again.
    let fewest = bed.fewest(&days, 200);
    assert!(
        (fewest + 1..=fewest + 4).contains(&bed.metrics_requests().len()),
        "{}",
        bed.metrics_requests().len()
    );
}

#[test]
fn prints_an_estimate_and_stays_within_the_budget() {
    let bed = TestBed::live(SandboxSettings {
        rate_limit: 40,
        rate_window: Duration::from_secs(2),
        ..SandboxSettings { accounts: 3, videos: 30, account_videos: 20, ..unlimited() }
    });
    bed.sync_ok(&[]);
    let run = bed.backfill(&["--days", "30"]).expect(0);
    assert!(run.stderr.contains("requests=120 time=\"about "), "{run:#?}");
    assert!(run.stderr.contains("36 requests per rate-limit window"), "{run:#?}");
    assert_eq!(bed.log().iter().filter(|entry| entry.status == Some(429)).count(), 0);
    assert!(run.stdout.starts_with("backfill of 30 days, "), "{run:#?}");
    assert_eq!(run.stdout.lines().count(), 1);
    let quiet = bed.backfill(&["--days", "31", "--quiet"]).expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn exit_codes_and_hints_of_failures() {
    let mut bed = TestBed::live(SandboxSettings { account_videos: 30, ..unlimited() });
    bed.backfill(&["--days", "3"]).expect(78).says("no database at");
    assert!(!bed.database().exists() && bed.log().is_empty());
    for days in ["0", "-3", "4000", "x"] {
        bed.backfill(&["--days", days]).expect(2);
    }
    bed.backfill(&[]).expect(2);
    // With only the overview mirrored, the database has no rows to request metrics for.
    bed.sync_ok(&["--only", "overview"]);
    bed.backfill(&["--days", "3"]).expect(1).says("creatormirror sync");
    assert_eq!(bed.backfill(&["--days", "3", "--json"]).expect(1).json()["exit_code"], 1);
    bed.sync_ok(&[]);
    bed.control.set_key_organization(KEY, "org-2");
    bed.backfill(&["--days", "3"]).expect(77).says("org-2");
    bed.control.set_key_organization(KEY, &bed.text("SELECT organization_id FROM instance"));
    bed.control.set_key_enabled(KEY, false);
    bed.backfill(&["--days", "3"]).expect(77);
    bed.control.set_key_enabled(KEY, true);
    assert_eq!(bed.metrics_requests().len(), 0);
    bed.stop_server();
    let run = bed.backfill(&["--days", "3"]).expect(69);
    assert!(run.took < Duration::from_secs(60));
}

#[test]
fn empty_organization_needs_one_request() {
    let bed = TestBed::live(SandboxSettings {
        accounts: 0,
        creators: 0,
        videos: 0,
        account_videos: 0,
        ..unlimited()
    });
    bed.sync_ok(&[]);
    assert_eq!(bed.backfill_well(30)["requests"], 1);
}

#[test]
fn skips_removed_rows_but_not_paused_ones() {
    let bed = TestBed::live(SandboxSettings { videos: 40, account_videos: 30, ..unlimited() });
    bed.sync_ok(&[]);
    let gone = bed.control.ids(Kind::Video).remove(3);
    bed.control.delete(Kind::Video, &gone);
    bed.sync_ok(&["--full"]);
    bed.sync_ok(&["--full"]);
    bed.control.pause(Kind::Video, &bed.control.ids(Kind::Video)[5]);
    bed.control.clear_log();
    let days = TestBed::days_of(&bed.backfill_well(3));
    assert!(bed.metrics_requests().iter().all(|entry| !entry.body.contains(&gone)));
    bed.compare_days(&days);
}

#[test]
fn skips_account_videos_with_non_numeric_ids_and_warns_once() {
    for (style, is_asked) in [(IdStyle::Text, true), (IdStyle::Uuid, false)] {
        let bed = TestBed::live(SandboxSettings { account_video_ids: style, ..settings() });
        bed.sync_ok(&[]);
        bed.control.clear_log();
        let run = bed.backfill(&["--days", "2"]).expect(0);
        assert_eq!(bed.log_of("/account-videos/metrics").is_empty(), !is_asked);
        let warnings = run.stderr.matches("daily metrics cannot be requested").count();
        assert_eq!(warnings, usize::from(!is_asked), "{run:#?}");
        assert_eq!(run.stdout.contains("700 account videos that cannot be"), !is_asked);
        let numbers = |entry: &_| ids(entry).1.iter().all(serde_json::Value::is_u64);
        assert!(bed.log_of("/account-videos/metrics").iter().all(numbers));
    }
}

#[test]
fn retries_a_missing_endpoint_after_a_week() {
    for status in [404, 405] {
        let bed = TestBed::live(settings());
        bed.sync_ok(&[]);
        let (method, path) = ("POST".to_owned(), "/videos/metrics".to_owned());
        bed.control.switch_off(Switch::Endpoint { method, path, status });
        let run = bed.backfill(&["--days", "3"]).expect(1).says("video: ");
        assert!(run.stderr.contains(&bed.log_of("/videos/metrics")[0].request_id), "{run:#?}");
        assert_eq!(bed.log_of("/videos/metrics").len(), 1);
        assert_eq!(bed.last_outcome(Kind::Video), "unavailable");
        assert_eq!(bed.last_outcome(Kind::AccountVideo), "complete", "the other kinds continue");
        bed.control.switch_all_on();
        bed.backfill(&["--days", "3"]).expect(1).says("tried again after");
        assert_eq!(bed.log_of("/videos/metrics").len(), 1, "no second request within the week");
        bed.db_to_write().execute("UPDATE unsupported_feature SET retry_at = 0", []).unwrap();
        let days = TestBed::days_of(&bed.backfill_well(3));
        bed.compare_days(&days);
    }
}

#[test]
fn reports_a_missing_scope_and_retries_once_granted() {
    let bed = TestBed::live(settings());
    bed.sync_ok(&[]);
    let body = FaultBody::Code("INSUFFICIENT_SCOPE");
    let what = FaultKind::Status { code: 403, body, headers: Vec::new() };
    bed.control.fault(Fault::on("POST", "/*", what).forever());
    let run = bed.backfill(&["--days", "3"]).expect(1);
    let run = run.says("INSUFFICIENT_SCOPE").says("scope `write`");
    run.says("POST /accounts/metrics");
    assert_eq!(bed.metrics_requests().len(), PATHS.len(), "one rejected request each");
    assert_eq!(bed.number("SELECT count(*) FROM unsupported_feature"), 3);
    bed.control.clear_faults();
    bed.control.set_key_scope(KEY, Scope::Write);
    let days = TestBed::days_of(&bed.backfill_well(3));
    bed.compare_days(&days);
    assert_eq!(
        bed.number("SELECT count(*) FROM unsupported_feature"),
        0,
        "the unsupported features are cleared"
    );
}

#[test]
fn status_shows_the_range_of_days() {
    let bed = TestBed::live(SandboxSettings { account_videos: 30, ..unlimited() });
    bed.sync_ok(&[]);
    let status = || bed.start(bed.command(&["status"])).wait().expect(0).stdout;
    assert!(status().contains("no daily metrics"));
    let document = bed.backfill_well(9);
    let line = format!("accounts {} to {}", document["from"], document["to"]).replace('"', "");
    assert!(status().contains(&line), "{line} in {}", status());
    let json = bed.start(bed.command(&["status", "--json"])).wait().expect(0).json();
    assert_eq!(json["daily_metrics"][1]["from"], document["from"]);
    assert_eq!(json["daily_metrics"][1]["is_growing"], true);
}

#[test]
fn sync_and_dry_run_include_days_ended_since_the_backfill() {
    let bed = TestBed::live(SandboxSettings { account_videos: 30, ..unlimited() });
    bed.sync_ok(&[]);
    let lines = || bed.sync_ok(&["--dry-run"]).stdout;
    assert!(!lines().contains("POST"), "{}", lines());
    // Pretend that the backfill was made two days ago.
    let two_days_ago = "UPDATE metric_kind SET grows_from = CAST(julianday('now', '-2 days') - 2440587.5 AS INTEGER)";
    bed.db_to_write().execute(two_days_ago, []).unwrap();
    assert!(lines().contains("POST /videos/metrics for "), "{}", lines());
    assert!(!bed.sync_ok(&["--dry-run", "--only", "creators"]).stdout.contains("POST"));
    bed.control.clear_log();
    let document = bed.sync_ok(&["--json"]).json();
    assert_eq!(document["requests"], bed.log().len());
    assert_eq!(document["daily_metrics"]["requests"], bed.metrics_requests().len());
    bed.compare_days(&TestBed::days_of(&document["daily_metrics"]));
    assert_eq!(bed.sync_ok(&["--json"]).json()["daily_metrics"], serde_json::Value::Null);
}
