//! Listings of the real binary: pagination, conditional requests, and resumption.

use std::time::Duration;

use crate::support::queries::CONTENT;
use crate::support::rewriting_proxy::RewritingProxy;
use crate::support::sandbox::{Fault, FaultKind, LoggedRequest, SandboxSettings};
use crate::support::{TestBed, unlimited, until};
use creatormirror::model::Kind;

/// Several pages of every list; the last page is never full.
fn some_pages() -> SandboxSettings {
    SandboxSettings {
        accounts: 230,
        creators: 210,
        videos: 857,
        account_videos: 620,
        ..unlimited()
    }
}

/// Several pages of videos, and few other rows.
fn many_videos(videos: usize) -> SandboxSettings {
    SandboxSettings { videos, ..unlimited() }
}

fn cursors(entries: &[LoggedRequest]) -> Vec<Option<String>> {
    entries.iter().map(|entry| entry.param("cursor").map(str::to_owned)).collect()
}

fn all_pages(bed: &TestBed) -> usize {
    Kind::LISTS.into_iter().map(|kind| bed.pages(kind)).sum()
}

#[test]
fn first_sync_uses_the_fewest_requests() {
    let bed = TestBed::frozen(some_pages());
    bed.sync_ok(&[]);
    for kind in Kind::LISTS {
        assert_eq!(bed.log_of(kind.path()).len(), bed.pages(kind), "{kind}");
    }
    assert_eq!(bed.log().len(), all_pages(&bed) + 3, "plus whoami, meta and overview");
    assert!(bed.log().iter().all(|entry| entry.status == Some(200)));
    bed.compare();
    bed.check_integrity();
    for kind in Kind::LISTS {
        let [rows, removed] = ["rows", "removed"].map(|column| {
            bed.number(&format!("SELECT {column} FROM coverage WHERE kind = '{}'", kind.name()))
        });
        assert_eq!((usize::try_from(rows).unwrap(), removed), (bed.control.count(kind), 0));
        assert_eq!(bed.last_outcome(kind), "complete");
        assert_eq!(bed.last_number(kind, "rows_seen"), rows);
    }
}

#[test]
fn sync_with_nothing_due_sends_one_request() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    bed.control.clear_log();
    bed.sync_ok(&[]);
    assert_eq!(bed.take_requests(), ["GET /whoami"]);
}

#[test]
fn unchanged_full_sync_gets_304_and_writes_no_row() {
    let bed = TestBed::frozen(some_pages());
    bed.sync_ok(&[]);
    let seen = |column: &str| {
        let all = ["accounts", "creators", "videos", "account_videos"];
        all.map(|view| bed.text(&format!("SELECT {column}(mirrored_at) FROM {view}")))
    };
    let latest_before = seen("max");
    let content = bed.content();
    spy_on_writes(&bed);
    bed.control.clear_log();
    bed.sync_ok(&["--full"]);
    let lists: Vec<LoggedRequest> =
        bed.log().into_iter().filter(|e| Kind::LISTS.iter().any(|k| k.path() == e.path)).collect();
    assert_eq!(lists.len(), all_pages(&bed));
    assert!(lists.iter().all(|entry| entry.status == Some(304)));
    assert_eq!(bed.number("SELECT count(*) FROM spy"), 0, "a row was rewritten");
    assert_eq!(bed.content(), content);
    for (before, after) in latest_before.into_iter().zip(seen("min")) {
        assert!(before < after, "a row was last confirmed {after}, before {before}");
    }
    // The triggers do record a change.
    let id = bed.control.ids(Kind::Video).remove(3);
    bed.control.set_member(Kind::Video, &id, "description", &"another".into());
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.number("SELECT count(*) FROM spy"), 1);
    bed.compare();
}

/// Records every write to mirrored rows with triggers.
fn spy_on_writes(bed: &TestBed) {
    let db = bed.db_to_write();
    db.execute_batch("CREATE TABLE spy (what TEXT)").unwrap();
    for table in CONTENT {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            db.execute_batch(&format!(
                "CREATE TRIGGER spy_{table}_{event} AFTER {event} ON {table}
                 BEGIN INSERT INTO spy VALUES ('{event} {table}'); END"
            ))
            .unwrap();
        }
    }
}

#[test]
fn only_reads_the_given_kinds() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&["--only", "creators,overview"]);
    let mut paths: Vec<String> = bed.log().into_iter().map(|entry| entry.path).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/creators", "/overview", "/whoami"]);
    bed.compare_kind(Kind::Creator);
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 0);
    bed.sync_ok(&[]);
    bed.compare();
}

#[test]
fn dry_run_prints_the_requests_of_the_run() {
    let bed = TestBed::frozen(some_pages());
    let first = bed.sync_ok(&["--dry-run"]);
    assert!(first.stdout.contains("GET /whoami\n"), "{first:#?}");
    assert!(!bed.database().exists(), "a dry run creates no file");
    assert!(bed.log().is_empty(), "a dry run sends no request");
    bed.sync_ok(&[]);
    for arguments in [&["--full"][..], &[], &["--full", "--only", "videos"]] {
        bed.control.clear_log();
        let before = bed.everything();
        let run = bed.sync_ok(&[&["--dry-run"], arguments].concat());
        assert_eq!((bed.log().len(), bed.everything() == before), (0, true));
        bed.sync_ok(arguments);
        let printed: Vec<&str> = run.stdout.lines().collect();
        let made = bed.take_requests();
        // Concurrent requests have no fixed order, and the dry run does not print the overview's
        // `period`.
        let mut made: Vec<&str> =
            made.iter().map(|line| line.trim_end_matches("?period=7d")).collect();
        let mut printed: Vec<&str> =
            printed.iter().map(|line| line.trim_end_matches("?period=7d")).collect();
        made.sort_unstable();
        printed.sort_unstable();
        assert_eq!(printed, made, "{arguments:?}");
    }
}

#[test]
fn json_answer_agrees_with_sync_log() {
    let bed = TestBed::frozen(some_pages());
    let document = bed.sync_ok(&["--json"]).json();
    assert_eq!(document["exit_code"], 0);
    assert_eq!(document["outcome"], "finished");
    assert_eq!(document["requests"], bed.log().len());
    let kinds = document["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 6);
    for kind in kinds {
        let name = kind["kind"].as_str().unwrap();
        for column in ["requests", "rows_seen", "rows_changed", "snapshots_added"] {
            let logged =
                bed.number(&format!("SELECT {column} FROM sync_log WHERE kind = '{name}'"));
            assert_eq!(kind[column], logged, "{name} {column}");
        }
    }
    let quiet = bed.sync_ok(&["--quiet"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn resumes_at_the_failed_page() {
    let bed = TestBed::frozen(many_videos(900));
    bed.control.fault(Fault::on("GET", "/videos", FaultKind::status(500)).after(3).forever());
    bed.sync(&[]).expect(69);
    let failed = bed.log_of("/videos");
    let page = failed.last().unwrap().param("cursor").unwrap().to_owned();
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 600, "stored pages are kept");
    assert_eq!(bed.last_outcome(Kind::AccountVideo), "complete", "other kinds are still read");

    bed.control.clear_faults();
    bed.control.clear_log();
    bed.sync_ok(&[]);
    let resumed = cursors(&bed.log_of("/videos"));
    assert_eq!(resumed.len(), 2, "the failed page and the one after it");
    assert_eq!(resumed[0].as_ref(), Some(&page));
    assert_eq!(bed.log().len(), 3, "plus whoami");
    bed.compare();
}

#[test]
fn resumes_at_the_page_of_a_kill_9() {
    let bed = TestBed::frozen(many_videos(1_700));
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/videos", slow).after(5));
    let run = bed.start_sync(&[]);
    until("the sixth page is requested", || bed.log_of("/videos").len() == 6);
    // The fifth page is written while the sixth is in flight.
    until("the fifth page is stored", || bed.number("SELECT count(*) FROM video") == 1_000);
    let page = bed.log_of("/videos")[5].param("cursor").unwrap().to_owned();
    assert_eq!(run.kill().code, None);

    bed.control.clear_log();
    bed.sync_ok(&[]);
    let resumed = cursors(&bed.log_of("/videos"));
    assert_eq!(resumed.len(), 9 - 5);
    assert_eq!(resumed[0], Some(page));
    assert!(bed.log_of("/accounts").is_empty(), "complete lists are not read again");
    bed.compare();
    bed.check_integrity();
    let interrupted = "SELECT outcome FROM sync_log WHERE kind = 'video' ORDER BY run_id LIMIT 1";
    assert_eq!(bed.text(interrupted), "interrupted");
}

#[test]
fn second_concurrent_sync_exits_75() {
    let bed = TestBed::frozen(unlimited());
    bed.control.fault(Fault::on("GET", "/videos", FaultKind::Slow(Duration::from_secs(2))));
    let first = bed.start_sync(&[]);
    until("the first sync is reading videos", || !bed.log_of("/videos").is_empty());
    bed.sync(&[]).expect(75).says("another creatormirror is working on");
    assert_eq!(bed.log_of("/whoami").len(), 1, "the second sync sent no request");
    first.wait().expect(0);
    bed.sync_ok(&[]);
    bed.compare();
}

#[test]
fn resumes_after_sigterm() {
    let bed = TestBed::frozen(many_videos(1_300));
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/videos", slow).after(4));
    let run = bed.start_sync(&[]);
    until("the fifth page is requested", || bed.log_of("/videos").len() == 5);
    let page = bed.log_of("/videos")[4].param("cursor").unwrap().to_owned();
    run.terminate();
    let run = run.wait();
    assert!(run.took < Duration::from_secs(30), "{run:#?}");
    run.expect(1).says("interrupted; the next run resumes here");
    assert_eq!(bed.number("SELECT count(*) FROM run WHERE outcome = 'interrupted'"), 1);
    assert_eq!(bed.last_outcome(Kind::Video), "interrupted");

    bed.control.clear_log();
    bed.sync_ok(&[]);
    assert_eq!(cursors(&bed.log_of("/videos"))[0], Some(page));
    assert_eq!(bed.log_of("/videos").len(), 7 - 4);
    bed.compare();
}

#[test]
fn sigterm_stops_commands_waiting_for_the_database() {
    for (command, expected) in
        [(&["sync", "--full"][..], 1), (&["backfill", "--days", "3"], 1), (&["run"], 0)]
    {
        let bed = TestBed::live(many_videos(1_300));
        bed.sync_ok(&[]);
        bed.control.clear_log();
        bed.control.set_latency(Duration::from_millis(300));
        let run = bed.start(bed.command(command));
        until("the command sends requests", || !bed.log().is_empty());
        let db = bed.db_to_write();
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        // The command waits for the database now or soon; without a signal for half a minute.
        std::thread::sleep(Duration::from_millis(700));
        run.terminate();
        let signalled = std::time::Instant::now();
        let run = run.wait();
        assert!(
            signalled.elapsed() < Duration::from_secs(15),
            "{command:?} {:?}",
            signalled.elapsed()
        );
        drop(db);
        run.expect(expected);
        bed.sync_ok(&["--full"]);
        bed.compare_lists();
        bed.check_integrity();
    }
}

#[test]
fn listing_starts_over_if_total_count_shrinks_below_the_rows_missed() {
    // With offsets, a row deleted from the first page moves one of the second page onto it. A server whose first total
    // is far too large counts otherwise.
    for (first_total, requests) in [(451, 6), (999, 3)] {
        let mut bed = TestBed::frozen(many_videos(450));
        let proxy = RewritingProxy::on(&mut bed, move |path, reply| {
            if path.starts_with("/videos?") && !path.contains("cursor=") {
                let total = format!("\"total_count\":{first_total}");
                reply.replace("\"total_count\":450", total.as_bytes());
            }
        });
        bed.sync_ok(&[]);
        let paths = proxy.take_paths();
        let lists = paths.iter().filter(|path| path.starts_with("/videos?")).count();
        assert_eq!(lists, requests, "{first_total}");
        bed.compare_kind(Kind::Video);
    }
}
