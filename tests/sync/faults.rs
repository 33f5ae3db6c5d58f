//! Faulty servers: transient faults are retried, persistent faults are reported, and an incomplete
//! listing is never taken for a complete one.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::sandbox::{
    Fault, FaultBody, FaultKind, Mutation, Repeat, SandboxSettings, Shape,
};
use crate::support::{TestBed, unlimited, until};
use creatormirror::model::Kind;

const SHAPES: [Shape; 7] = [
    Shape::NoData,
    Shape::DataObject,
    Shape::NoPagination,
    Shape::HasNextText,
    Shape::NextWithoutCursor,
    Shape::Array,
    Shape::Empty,
];

/// Four pages of videos, a few rows of everything else.
fn pages() -> SandboxSettings {
    SandboxSettings { videos: 700, accounts: 9, account_videos: 40, ..unlimited() }
}

/// A fault on the third page of videos.
fn on_third_page(what: FaultKind) -> Fault {
    Fault::on("GET", "/videos", what).after(2)
}

/// Runs a test concurrently for each item, each with a new test bed.
fn each<T: Send>(all: impl IntoIterator<Item = T>, test: impl Fn(&TestBed, T) + Sync) {
    std::thread::scope(|scope| {
        for one in all {
            let test = &test;
            scope.spawn(move || test(&TestBed::frozen(pages()), one));
        }
    });
}

/// A transient fault: one run is enough.
fn recovers_in_one_run(bed: &TestBed, what: FaultKind) {
    let name = what.name();
    bed.control.fault(on_third_page(what));
    bed.sync_ok(&[]);
    assert_eq!(bed.control.counters().faults.get(name), Some(&1));
    bed.compare();
}

/// A persistent fault: the run exits with `code`, the other kinds are mirrored, no row is removed
/// although rows are gone, and after the fault the mirror is complete again.
fn fails_until_it_is_over(bed: &TestBed, what: FaultKind, code: i32) {
    bed.sync_ok(&[]);
    for id in &bed.control.ids(Kind::Video)[..3] {
        bed.control.delete(Kind::Video, id);
    }
    let account = bed.control.ids(Kind::Account).remove(0);
    bed.control.set_member(Kind::Account, &account, "category", &"new".into());
    bed.control.fault(on_third_page(what).forever());
    for _ in 0..2 {
        bed.control.clear_log();
        bed.sync(&["--full"]).expect(code).says("kind=video");
        assert!(bed.log_of("/videos").len() < 30, "too many requests");
        assert_eq!((bed.removed(Kind::Video), bed.suspected(Kind::Video)), (0, 0));
        assert_ne!(bed.last_outcome(Kind::Video), "complete");
    }
    for kind in [Kind::Account, Kind::Creator, Kind::AccountVideo] {
        bed.compare_kind(kind);
    }
    bed.control.clear_faults();
    pass_time(bed, 24 * 3_600);
    bed.sync_ok(&[]);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 3);
    bed.compare();
}

#[test]
fn retries_a_cursor_that_repeats_once() {
    each([Repeat::Own, Repeat::First], |bed, which| {
        recovers_in_one_run(bed, FaultKind::RepeatCursor(which));
    });
}

#[test]
fn cursor_cycle_makes_the_listing_incomplete() {
    each([Repeat::Own, Repeat::First], |bed, which| {
        fails_until_it_is_over(bed, FaultKind::RepeatCursor(which), 1)
    });
}

#[test]
fn relists_once_when_a_list_ends_early() {
    each([false, true], |bed, stays| match stays {
        false => {
            recovers_in_one_run(bed, FaultKind::EarlyEnd);
            assert_eq!(bed.log_of("/videos").len(), 3 + 4);
        }
        true => fails_until_it_is_over(bed, FaultKind::EarlyEnd, 1),
    });
}

#[test]
fn retries_a_page_of_the_wrong_shape() {
    each(SHAPES, |bed, shape| recovers_in_one_run(bed, FaultKind::WrongShape(shape)));
}

#[test]
fn retries_truncated_foreign_and_unexpected_304_answers() {
    let passing =
        [FaultKind::Truncated, FaultKind::TruncatedJson, FaultKind::Html, FaultKind::NotModified];
    each(passing, recovers_in_one_run);
}

#[test]
fn persistent_bad_pages_make_the_listing_incomplete() {
    let shapes = SHAPES.map(FaultKind::WrongShape);
    let broken = [FaultKind::Truncated, FaultKind::TruncatedJson, FaultKind::Html];
    each(shapes.into_iter().chain(broken), |bed, what| fails_until_it_is_over(bed, what, 1));
}

#[test]
fn unexpected_304_confirms_nothing() {
    let bed = TestBed::frozen(pages());
    bed.control.fault(on_third_page(FaultKind::NotModified).forever());
    bed.sync(&[]).expect(1).says("304 to a request that was not conditional");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 400);
    bed.control.clear_faults();
    bed.sync_ok(&[]);
    bed.compare();
}

#[test]
fn retries_transient_server_errors() {
    let statuses = [500, 502, 503, 504].map(FaultKind::status);
    let foreign = FaultBody::Raw("text/html", "<h1>Bad gateway</h1>");
    let proxy = FaultKind::Status { code: 502, body: foreign, headers: Vec::new() };
    each(
        statuses.into_iter().chain([proxy, FaultKind::ResetBefore, FaultKind::ResetAfter]),
        recovers_in_one_run,
    );
}

#[test]
fn persistent_server_errors_exit_69() {
    let statuses = [500, 502, 503].map(FaultKind::status);
    let resets = [FaultKind::ResetBefore, FaultKind::ResetAfter];
    each(statuses.into_iter().chain(resets), |bed, what| fails_until_it_is_over(bed, what, 69));
}

#[test]
fn failure_shows_status_code_and_request_id() {
    let bed = TestBed::frozen(pages());
    bed.control.fault(on_third_page(FaultKind::status(500)).forever());
    let run = bed.sync(&[]).expect(69).says("500 INTERNAL_ERROR");
    let request_id = bed.log_of("/videos").last().unwrap().request_id.clone();
    run.says(&request_id);
    let logged = "SELECT error_code || ' ' || request_id FROM sync_log WHERE kind = 'video'";
    assert_eq!(bed.text(logged), format!("INTERNAL_ERROR {request_id}"));
}

#[test]
fn requests_of_a_failed_single_resource_are_in_the_log() {
    let bed = TestBed::frozen(pages());
    bed.sync_ok(&[]);
    let loose = "UPDATE video SET page = NULL WHERE row_id = 1";
    let due = "UPDATE video_due SET due_at = iif(video = 1, 0, 9e10)";
    bed.db_to_write().execute_batch(&format!("{loose}; {due};")).unwrap();
    bed.control.fault(Fault::on("GET", "/videos/*", FaultKind::status(500)).forever());
    bed.control.clear_log();
    bed.sync(&[]).expect(69).says("500 INTERNAL_ERROR");
    let sent = bed.take_requests().iter().filter(|line| line.contains("/videos/")).count();
    assert!(sent > 1, "{sent}");
    let logged = "SELECT requests FROM sync_log WHERE kind = 'video' ORDER BY run_id DESC LIMIT 1";
    assert_eq!(bed.number(logged), i64::try_from(sent).unwrap());
}

#[test]
fn gives_up_within_a_minute_on_connection_resets() {
    let bed = TestBed::frozen(pages());
    bed.control.fault(Fault::on("*", "/*", FaultKind::ResetBefore).after(1).forever());
    let run = bed.sync(&[]).expect(69).says("unreachable");
    assert!(run.took < Duration::from_secs(60), "{run:#?}");
}

#[test]
fn refused_cursor_restarts_the_listing() {
    let bed = TestBed::frozen(pages());
    bed.control.fault(Fault::on("GET", "/videos", FaultKind::RefuseCursor).after(1));
    bed.sync_ok(&[]);
    assert_eq!(bed.log_of("/videos").len(), 3 + 4);
    bed.compare();
}

#[test]
fn repeatedly_refused_cursor_makes_the_listing_incomplete() {
    each([FaultKind::RefuseCursor], |bed, what| fails_until_it_is_over(bed, what, 1));
}

#[test]
fn expired_stored_cursors_cost_one_new_listing() {
    let mut bed = TestBed::frozen(pages());
    bed.set("CREATORMIRROR_FRESHNESS_TARGET", "1s");
    bed.sync_ok(&[]);
    bed.control.expire_cursors();
    let id = bed.control.ids(Kind::Video).remove(650);
    bed.control.revise(Kind::Video, &id, |counts| counts.like += 1);
    std::thread::sleep(Duration::from_millis(2_100));
    bed.control.clear_log();
    bed.sync_ok(&[]);
    let requests = bed.log_of("/videos");
    let refused = requests.iter().filter(|entry| entry.status == Some(422)).count();
    // As many as were in flight at the first refusal.
    assert!((1..=4).contains(&refused), "{requests:#?}");
    assert!(requests.len() <= refused + 5, "{requests:#?}");
    bed.compare();
}

#[test]
fn interrupted_listing_with_expired_cursor_restarts() {
    let bed = TestBed::frozen(pages());
    bed.control.fault(on_third_page(FaultKind::Slow(Duration::from_secs(600))));
    let run = bed.start_sync(&[]);
    until("the second page is stored", || {
        bed.log_of("/videos").len() == 3 && bed.number("SELECT count(*) FROM video") == 400
    });
    run.kill();
    bed.control.expire_cursors();
    bed.control.clear_log();
    bed.sync_ok(&[]);
    let statuses: Vec<_> = bed.log_of("/videos").iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [Some(422), Some(200), Some(200), Some(200), Some(200)]);
    bed.compare();
}

#[test]
fn converges_when_rows_change_between_pages() {
    let mutations = [
        Mutation::Insert(3),
        Mutation::DeleteServed(5),
        Mutation::DeleteBorder,
        Mutation::DeleteAhead(5),
        Mutation::MoveBack,
        Mutation::MoveAhead,
    ];
    // Three pages of one kind, and few rows of the others.
    let settings = |kind| {
        let few = SandboxSettings {
            accounts: 2,
            creators: 0,
            videos: 0,
            account_videos: 0,
            ..unlimited()
        };
        match kind {
            Kind::Account => SandboxSettings { accounts: 450, ..few },
            Kind::Creator => SandboxSettings { creators: 450, ..few },
            Kind::Video => SandboxSettings { videos: 450, ..few },
            _ => SandboxSettings { account_videos: 450, ..few },
        }
    };
    for (what, kind) in mutations.into_iter().flat_map(|what| Kind::LISTS.map(|kind| (what, kind)))
    {
        let bed = TestBed::frozen(settings(kind));
        let fault = Fault::on("GET", kind.path(), FaultKind::Mutate(what)).after(1);
        bed.control.fault(fault);
        bed.sync_ok(&["--only", kind.plural()]);
        assert_eq!(bed.control.faults_waiting(), 0);
        // A removal needs two complete listings.
        bed.sync_ok(&["--full", "--only", kind.plural()]);
        bed.sync_ok(&["--full", "--only", kind.plural()]);
        bed.compare_kind(kind);
        bed.check_integrity();
    }
}

#[test]
fn redirects_are_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = format!("http://{}/v2/videos", elsewhere.local_addr().unwrap());
    let redirect = |code| FaultKind::Status {
        code,
        body: FaultBody::Raw("text/plain", ""),
        headers: vec![("location".to_owned(), address.clone())],
    };
    for (path, exit, statuses) in [("/whoami", 69, [301, 302]), ("/videos", 1, [307, 308])] {
        for status in statuses {
            let bed = TestBed::frozen(pages());
            bed.control.fault(Fault::on("GET", path, redirect(status)).forever());
            bed.sync(&[]).expect(exit).says("redirects are not followed");
        }
    }
    assert!(elsewhere.accept().is_err(), "the redirect was followed");
}

#[test]
fn converges_after_random_faults() {
    std::thread::scope(|scope| {
        for seed in [11, 12, 13] {
            scope.spawn(move || {
                let settings = SandboxSettings { seed, chaos: 0.2, accounts: 260, ..pages() };
                let bed = TestBed::frozen(settings);
                let done = (0..8).any(|_| bed.sync(&[]).code == Some(0));
                assert!(done, "seed {seed}: no sync was complete");
                bed.sync(&["--full"]);
                bed.control.clear_faults();
                pass_time(&bed, 24 * 3_600);
                bed.sync_ok(&[]);
                bed.compare();
                bed.check_integrity();
                let scraped = "SELECT count(*) FROM videos WHERE last_scrape_time IS NOT NULL";
                assert_eq!(bed.number("SELECT count(*) FROM video_history"), bed.number(scraped));
                assert_eq!(bed.removed(Kind::Video), 0);
            });
        }
    });
}

#[test]
fn logs_the_request_id_of_the_last_bad_page() {
    each([FaultKind::RepeatCursor(Repeat::Own), FaultKind::EarlyEnd], |bed, what| {
        bed.control.fault(on_third_page(what).forever());
        bed.sync(&[]).expect(1);
        let request_id = bed.log_of("/videos").last().unwrap().request_id.clone();
        let logged = "SELECT request_id FROM sync_log WHERE kind = 'video'";
        assert_eq!(bed.text(logged), request_id);
    });
}

/// A page of a firewall or proxy between the client and the API.
fn block_page(code: u16, kind: &'static str, text: &'static str) -> FaultKind {
    FaultKind::Status { code, body: FaultBody::Raw(kind, text), headers: Vec::new() }
}

#[test]
fn block_page_exits_69_not_77() {
    let html = ("text/html", "<html>Attention required!</html>");
    let gateway = ("application/json", r#"{"message":"Forbidden"}"#);
    let cases = [(401, html), (403, html), (403, gateway), (403, ("text/plain", "")), (404, html)];
    each(cases, |bed, (code, (kind, text))| {
        bed.control.fault(Fault::on("*", "/*", block_page(code, kind, text)).forever());
        bed.sync(&[]).expect(69).says("not a problem document").says("block page");
        assert!(bed.log_of("/whoami").len() > 1, "{code}: not retried");
        bed.control.clear_faults();
        bed.sync_ok(&[]);
        bed.compare();
    });
}

#[test]
fn block_page_does_not_mark_a_feature_unsupported() {
    let statuses = [400, 403, 404, 405, 422];
    each(statuses, |bed, code| {
        let page = block_page(code, "text/html", "<html>blocked</html>");
        bed.control.fault(Fault::on("GET", "/account-videos", page.clone()).forever());
        bed.control.fault(Fault::on("GET", "/overview", page).forever());
        bed.sync(&[]).expect(69);
        assert_eq!(bed.number("SELECT count(*) FROM unsupported_feature"), 0, "{code}");
        bed.compare_kind(Kind::Video);
        bed.control.clear_faults();
        pass_time(bed, 24 * 3_600);
        bed.sync_ok(&[]);
        bed.compare();
    });
}

#[test]
fn logs_the_request_id_of_a_malformed_page() {
    let shapes = SHAPES.map(FaultKind::WrongShape);
    each(shapes.into_iter().chain([FaultKind::TruncatedJson]), |bed, what| {
        bed.control.fault(on_third_page(what).forever());
        let run = bed.sync(&[]).expect(1);
        let request_id = bed.log_of("/videos").last().unwrap().request_id.clone();
        run.says(&request_id);
        let logged = "SELECT request_id FROM sync_log WHERE kind = 'video'";
        assert_eq!(bed.text(logged), request_id);
    });
}

/// Moves the retry times of paused resources into the past.
fn pass_time(bed: &TestBed, seconds: i64) {
    let micros = seconds * 1_000_000;
    let sql = format!("UPDATE backoff SET retry_at = retry_at - {micros}");
    bed.db_to_write().execute_batch(&sql).unwrap();
}

/// Runs `sync` every five minutes. Returns the exit code and the number of requests to `path` of each run.
fn by_cron(bed: &TestBed, runs: usize, path: &str) -> Vec<(i32, usize)> {
    let run = |_| {
        bed.control.clear_log();
        let code = bed.sync(&[]).code.unwrap();
        pass_time(bed, 300);
        (code, bed.log_of(path).len())
    };
    (0..runs).map(run).collect()
}

#[test]
fn wrong_total_count_does_not_relist_on_every_run() {
    let bed = TestBed::frozen(SandboxSettings { accounts: 500, videos: 40, ..unlimited() });
    bed.sync_ok(&[]);
    // The last page is missing, as if `total_count` were too large.
    bed.control.fault(Fault::on("GET", "/accounts", FaultKind::EarlyEnd).after(1).forever());
    bed.sync(&["--full", "--only", "accounts"]).expect(1).says("kind=account");
    pass_time(&bed, 300);
    let runs = by_cron(&bed, 36, "/accounts");
    let listings = runs.iter().filter(|(code, _)| *code == 1).count();
    // Pauses double from five minutes on; jitter takes at most half of each.
    assert!((3..=6).contains(&listings), "{runs:?}");
    assert!(runs.iter().all(|(code, requests)| *code == 1 || *requests <= 1), "{runs:?}");

    // The pause may have just ended; the next one is longer than the time until the run after this.
    bed.sync(&[]);
    let run = bed.sync_ok(&[]);
    assert!(run.stdout.contains("failures in a row; `sync --full` tries now"), "{run:#?}");
    let paused = bed.sync_ok(&["--json"]).json()["paused"].clone();
    assert_eq!((&paused[0]["kind"], &paused[0]["scope"]), (&"account".into(), &"listing".into()));
    let command = bed.command(&["status", "--json"]);
    let status = bed.start(command).wait().expect(0).json();
    assert_eq!(status["paused"], paused);
    let accounts = status["kinds"].as_array().unwrap().iter().find(|k| k["kind"] == "account");
    assert!(accounts.unwrap().to_string().contains(paused[0]["retry_at"].as_str().unwrap()));
    let check = bed.start(bed.command(&["check"])).wait();
    let line = check.stdout.lines().find(|line| line.contains(" listings ")).unwrap().to_owned();
    assert!(line.starts_with("warning") && line.contains("accounts incomplete"), "{line}");

    // `--full` ignores the pause, and a success ends it.
    bed.sync(&["--full", "--only", "accounts"]).expect(1);
    bed.control.clear_faults();
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.number("SELECT count(*) FROM backoff"), 0);
    bed.compare();
}

#[test]
fn backs_off_from_resources_that_keep_failing() {
    std::thread::scope(|scope| {
        for path in ["/overview", "/meta", "/creators"] {
            scope.spawn(move || {
                let bed = TestBed::frozen(SandboxSettings { videos: 40, ..unlimited() });
                bed.sync_ok(&[]);
                bed.control.fault(Fault::on("GET", path, FaultKind::status(500)).forever());
                bed.sync(&["--full"]).expect(69);
                let runs = by_cron(&bed, 8, path);
                let requests = runs.iter().filter(|(_, requests)| *requests > 0).count();
                assert!((2..=4).contains(&requests), "{path}: {runs:?}");
                assert!(
                    runs.iter().all(|(code, requests)| (*code == 69) == (*requests > 0)),
                    "{runs:?}"
                );
                bed.control.clear_faults();
                pass_time(&bed, 24 * 3_600);
                bed.sync_ok(&[]);
                assert_eq!(bed.number("SELECT count(*) FROM backoff"), 0);
                bed.compare();
            });
        }
    });
}

#[test]
fn listing_without_progress_is_paused() {
    let bed = TestBed::frozen(SandboxSettings { creators: 900, videos: 40, ..unlimited() });
    let fails = |after| {
        bed.control.clear_faults();
        bed.control.clear_log();
        let fault = Fault::on("GET", "/creators", FaultKind::status(500)).after(after).forever();
        bed.control.fault(fault);
    };
    for _ in 0..2 {
        fails(2);
        bed.sync(&[]).expect(69);
        assert!(bed.log_of("/creators").len() > 2, "two more pages were read");
    }
    fails(0);
    bed.sync(&[]).expect(69);
    bed.control.clear_log();
    bed.sync_ok(&[]);
    assert!(bed.log_of("/creators").is_empty());
    bed.control.clear_faults();
    pass_time(&bed, 24 * 3_600);
    bed.sync_ok(&[]);
    bed.compare();
}

#[test]
fn failing_account_feed_is_paused_alone() {
    let bed = TestBed::frozen(SandboxSettings { accounts: 12, account_videos: 900, ..unlimited() });
    bed.sync_ok(&[]);
    let ids = bed.control.ids(Kind::Account);
    let due = "INSERT OR REPLACE INTO account_list_due (account, since) SELECT row_id, row_id FROM account WHERE row_id <= 4";
    bed.db_to_write().execute_batch(due).unwrap();
    let bad = bed.text("SELECT id FROM account WHERE row_id = 1");
    assert!(ids.contains(&bad));
    let fault = Fault::on("GET", "/account-videos", FaultKind::status(500)).query(&bad).forever();
    bed.control.fault(fault);
    bed.sync(&["--only", "account-videos"]).expect(69);
    assert_eq!(bed.number("SELECT count(*) FROM account_list_due"), 1);
    bed.control.clear_log();
    bed.sync_ok(&["--only", "account-videos"]);
    assert!(bed.log_of("/account-videos").is_empty(), "{:?}", bed.log());
    bed.control.clear_faults();
    pass_time(&bed, 3_600);
    bed.sync_ok(&["--only", "account-videos"]);
    assert_eq!(bed.number("SELECT count(*) FROM account_list_due"), 0);
    assert_eq!(bed.number("SELECT count(*) FROM backoff"), 0);
}
