//! `sync` beside the daemon: handed over, followed, and its outcome relayed.

use std::time::{Duration, Instant};

use creatormirror::clock::Clock;
use creatormirror::model::Kind;

use super::stage::still;
use super::support::{Bed, calm, until};
use crate::support::sandbox::{Accident, Fault, RetryAfter, SandboxSettings};

#[test]
fn a_sync_is_done_by_the_daemon_and_its_answer_is_relayed() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    let alone = bed.sync_well(&[]);
    assert_eq!(bed.log().len(), 0, "nothing is due");
    assert!(!alone.stdout.is_empty(), "{alone:#?}");

    let document = bed.sync_well(&["--full", "--json"]).json();
    assert_eq!((&document["exit_code"], &document["outcome"]), (&0.into(), &"finished".into()));
    assert_eq!(document["requests"], bed.log().len());
    for kind in Kind::LISTS {
        assert_eq!(bed.log_of(kind.path()).len(), bed.pages(kind), "{kind}");
    }

    bed.control.clear_log();
    bed.sync_well(&["--full", "--only", "creators"]);
    assert_eq!((bed.log_of("/creators").len(), bed.log().len()), (1, 1));
    let quiet = bed.sync_well(&["--quiet"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    bed.compare();
    daemon.stop();
}

#[test]
fn a_job_that_does_not_go_well_ends_with_its_own_code_and_words() {
    let bed = still(SandboxSettings { videos: 420, ..calm() });
    let daemon = bed.idle_daemon();
    bed.control.fault(Fault::on("GET", "/videos", Accident::EarlyEnd).forever());
    let run = bed.sync(&["--full", "--only", "videos,creators"]).expect(1).says("the list ended");
    assert!(run.stdout.contains("creators") || run.stdout.contains("creator"), "{run:#?}");
    bed.control.clear_faults();
    bed.sync_well(&["--full", "--only", "videos"]);
    bed.compare();
    daemon.stop();
}

#[test]
fn a_job_that_the_daemon_cannot_read_fails_and_nothing_else_is_done_for_it() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    for request in
        ["no JSON", "[]", r#"{"only":["tags"]}"#, r#"{"restore":"/tmp/x.db","full":true}"#]
    {
        let sql = "INSERT INTO job (request, created_at) VALUES (?1, 0)";
        bed.db_to_write().execute(sql, [request]).unwrap();
    }
    until("they are answered", || bed.number("SELECT count(*) FROM job WHERE state = 'done'") == 4);
    assert_eq!(bed.number("SELECT count(*) FROM job WHERE exit_code = 1"), 4);
    let answer = bed.text("SELECT answer FROM job LIMIT 1");
    assert!(answer.contains("cannot read this job: not a JSON object"), "{answer}");
    assert_eq!(bed.log().len(), 0, "nothing was asked of the API");
    bed.sync_well(&["--full"]);
    daemon.stop();
}

#[test]
fn the_daemon_wakes_within_a_second_for_a_job() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    for round in 0..3 {
        bed.control.clear_log();
        let handed_over = Clock::System.boot().elapsed;
        let request = r#"{"full":true,"only":["overview"]}"#;
        let sql = "INSERT INTO job (request, created_at) VALUES (?1, 0)";
        bed.db_to_write().execute(sql, [request]).unwrap();
        until("it is done", || !bed.log_of("/overview").is_empty());
        let waited = bed.log()[0].received.saturating_sub(handed_over);
        assert!(waited < Duration::from_millis(1_500), "round {round}: {waited:?}");
    }
    daemon.stop();
}

#[test]
fn a_job_that_takes_longer_than_max_wait_is_75_and_goes_on() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    let slow = Accident::Slow(Duration::from_secs(4));
    bed.control.fault(Fault::on("GET", "/creators", slow));
    let begun = Instant::now();
    bed.sync(&["--full", "--max-wait", "1s"]).expect(75).says("within --max-wait");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    until("the job is done all the same", || {
        bed.number("SELECT count(*) FROM job WHERE state = 'done' AND exit_code = 0") == 1
    });
    daemon.stop();
}

/// A daemon that is stuck in a request for creators.
fn busy(bed: &Bed) -> super::stage::Daemon {
    let daemon = bed.idle_daemon();
    let slow = Accident::Slow(Duration::from_secs(600));
    bed.control.clear_log();
    bed.control.fault(Fault::on("GET", "/creators", slow));
    daemon
}

#[test]
fn the_job_of_a_daemon_that_died_over_it_is_done_by_the_sync_itself() {
    let bed = still(calm());
    let daemon = busy(&bed);
    let sync = bed.start_sync(&["--full"]);
    until("the daemon is at it", || !bed.log_of("/creators").is_empty());
    assert_eq!(daemon.process.kill().code, None);
    sync.wait().expect(0);
    bed.compare();
    bed.is_sound();
    assert_eq!(bed.number("SELECT count(*) FROM job WHERE state <> 'done'"), 0);
}

#[test]
fn a_job_that_waits_when_the_daemon_dies_is_done_by_the_sync_itself() {
    let bed = still(calm());
    let daemon = busy(&bed);
    let first = bed.start_sync(&["--full", "--max-wait", "1s"]);
    until("the daemon is at it", || !bed.log_of("/creators").is_empty());
    let second = bed.start_sync(&["--full", "--only", "videos"]);
    until("the second waits", || {
        bed.number("SELECT count(*) FROM job WHERE state = 'queued'") == 1
    });
    first.wait().expect(75);
    daemon.process.kill();
    second.wait().expect(0);
    bed.compare_kind(Kind::Video);
    // A daemon that starts later finds nothing that was done already.
    bed.idle_daemon().stop();
    bed.compare();
}

#[test]
fn a_job_that_a_stopped_daemon_left_is_done_by_the_sync_itself() {
    let bed = still(calm());
    let daemon = busy(&bed);
    let sync = bed.start_sync(&["--full"]);
    until("the daemon is at it", || !bed.log_of("/creators").is_empty());
    daemon.stop();
    sync.wait().expect(0);
    bed.compare();
}

#[test]
fn a_job_in_the_middle_of_a_rate_limit_waits_quietly_and_leaves_signals_to_be_heard() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    let refuse = Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(2_000) };
    bed.control.fault(Fault::on("GET", "/overview", refuse));
    bed.sync(&["--full", "--only", "overview"]).expect(75);
    daemon.news.wait_for_status("rate limited until");
    bed.control.clear_log();
    let ticks = super::idle::cpu_ticks(daemon.process.id());
    bed.sync(&["--full", "--max-wait", "2s"]).expect(75);
    let spent = super::idle::cpu_ticks(daemon.process.id()) - ticks;
    assert!(spent < 50, "{spent} hundredths of a second of work while there was nothing to do");
    assert_eq!(bed.log().len(), 0);
    daemon.stop();
}

#[test]
fn a_sync_beside_a_sync_is_75_also_after_a_daemon_was_killed() {
    let bed = still(calm());
    bed.idle_daemon().process.kill();
    let slow = Accident::Slow(Duration::from_secs(3));
    bed.control.fault(Fault::on("GET", "/creators", slow));
    bed.control.clear_log();
    let first = bed.start_sync(&["--full"]);
    until("the first is at work", || !bed.log_of("/creators").is_empty());
    let second = bed.sync(&[]).expect(75);
    assert!(second.took < Duration::from_secs(3), "{second:#?}");
    first.wait().expect(0);
}
