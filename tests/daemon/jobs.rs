//! `sync` beside the daemon: submitted as a job, followed, its result relayed.

use std::time::{Duration, Instant};

use creatormirror::clock::Clock;
use creatormirror::model::Kind;

use super::harness::quiet_bed;
use super::support::{TestBed, unlimited, until};
use crate::support::sandbox::{Fault, FaultKind, RetryAfter, SandboxSettings};

#[test]
fn daemon_runs_the_sync_and_relays_its_result() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    let alone = bed.sync_ok(&[]);
    assert_eq!(bed.log().len(), 0, "nothing is due");
    assert!(!alone.stdout.is_empty(), "{alone:#?}");

    let document = bed.sync_ok(&["--full", "--json"]).json();
    assert_eq!((&document["exit_code"], &document["outcome"]), (&0.into(), &"finished".into()));
    assert_eq!(document["requests"], bed.log().len());
    for kind in Kind::LISTS {
        assert_eq!(bed.log_of(kind.path()).len(), bed.pages(kind), "{kind}");
    }

    bed.control.clear_log();
    bed.sync_ok(&["--full", "--only", "creators"]);
    // The organization is asked for, too.
    assert_eq!((bed.log_of("/creators").len(), bed.log().len()), (1, 2));
    let quiet = bed.sync_ok(&["--quiet"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    bed.compare();
    daemon.stop();
}

#[test]
fn failed_job_relays_its_exit_code_and_message() {
    let bed = quiet_bed(SandboxSettings { videos: 420, ..unlimited() });
    let daemon = bed.idle_daemon();
    bed.control.fault(Fault::on("GET", "/videos", FaultKind::EarlyEnd).forever());
    let run = bed.sync(&["--full", "--only", "videos,creators"]).expect(1).says("the list ended");
    assert!(run.stdout.contains("creators") || run.stdout.contains("creator"), "{run:#?}");
    bed.control.clear_faults();
    bed.sync_ok(&["--full", "--only", "videos"]);
    bed.compare();
    daemon.stop();
}

#[test]
fn unreadable_job_fails_without_side_effects() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    for request in
        ["no JSON", "[]", r#"{"only":["tags"]}"#, r#"{"restore":"/tmp/x.db","full":true}"#]
    {
        let sql = "INSERT INTO job (request, created_at) VALUES (?1, 0)";
        bed.db_to_write().execute(sql, [request]).unwrap();
    }
    until("the jobs are done", || bed.number("SELECT count(*) FROM job WHERE state = 'done'") == 4);
    assert_eq!(bed.number("SELECT count(*) FROM job WHERE exit_code = 1"), 4);
    let answer = bed.text("SELECT answer FROM job LIMIT 1");
    assert!(answer.contains("cannot read this job: not a JSON object"), "{answer}");
    assert_eq!(bed.log().len(), 0, "no request to the API");
    bed.sync_ok(&["--full"]);
    daemon.stop();
}

#[test]
fn daemon_wakes_within_a_second_for_a_job() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    for round in 0..3 {
        bed.control.clear_log();
        let handed_over = Clock::System.boot().elapsed;
        let request = r#"{"full":true,"only":["overview"]}"#;
        let sql = "INSERT INTO job (request, created_at) VALUES (?1, 0)";
        bed.db_to_write().execute(sql, [request]).unwrap();
        until("the job is done", || !bed.log_of("/overview").is_empty());
        let waited = bed.log()[0].received.saturating_sub(handed_over);
        assert!(waited < Duration::from_millis(1_500), "round {round}: {waited:?}");
    }
    daemon.stop();
}

#[test]
fn follower_exits_75_after_max_wait_and_the_job_continues() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    let slow = FaultKind::Slow(Duration::from_secs(4));
    bed.control.fault(Fault::on("GET", "/creators", slow));
    let begun = Instant::now();
    bed.sync(&["--full", "--max-wait", "1s"]).expect(75).says("within --max-wait");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    until("the job is done nevertheless", || {
        bed.number("SELECT count(*) FROM job WHERE state = 'done' AND exit_code = 0") == 1
    });
    daemon.stop();
}

/// A daemon that blocks on its next request for creators.
fn busy(bed: &TestBed) -> super::harness::Daemon {
    let daemon = bed.idle_daemon();
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.clear_log();
    bed.control.fault(Fault::on("GET", "/creators", slow));
    daemon
}

#[test]
fn sync_takes_over_a_running_job_of_a_dead_daemon() {
    let bed = quiet_bed(unlimited());
    let daemon = busy(&bed);
    let sync = bed.start_sync(&["--full"]);
    until("the daemon runs the job", || !bed.log_of("/creators").is_empty());
    assert_eq!(daemon.process.kill().code, None);
    sync.wait().expect(0);
    bed.compare();
    bed.check_integrity();
    assert_eq!(bed.number("SELECT count(*) FROM job WHERE state <> 'done'"), 0);
}

#[test]
fn sync_takes_over_a_queued_job_of_a_dead_daemon() {
    let bed = quiet_bed(unlimited());
    let daemon = busy(&bed);
    let first = bed.start_sync(&["--full", "--max-wait", "1s"]);
    until("the daemon runs the job", || !bed.log_of("/creators").is_empty());
    let second = bed.start_sync(&["--full", "--only", "videos"]);
    until("the second job is queued", || {
        bed.number("SELECT count(*) FROM job WHERE state = 'queued'") == 1
    });
    first.wait().expect(75);
    daemon.process.kill();
    second.wait().expect(0);
    bed.compare_kind(Kind::Video);
    // A daemon that starts later does not repeat finished work.
    bed.idle_daemon().stop();
    bed.compare();
}

#[test]
fn sync_takes_over_a_job_of_a_stopped_daemon() {
    let bed = quiet_bed(unlimited());
    let daemon = busy(&bed);
    let sync = bed.start_sync(&["--full"]);
    until("the daemon runs the job", || !bed.log_of("/creators").is_empty());
    daemon.stop();
    sync.wait().expect(0);
    bed.compare();
}

#[test]
fn job_during_a_rate_limit_waits_without_using_the_cpu() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(2_000) };
    bed.control.fault(Fault::on("GET", "/overview", refuse));
    bed.sync(&["--full", "--only", "overview"]).expect(75);
    daemon.notify.wait_for_status("rate limited until");
    bed.control.clear_log();
    let ticks = super::idle::cpu_ticks(daemon.process.id());
    bed.sync(&["--full", "--max-wait", "2s"]).expect(75);
    let spent = super::idle::cpu_ticks(daemon.process.id()) - ticks;
    assert!(spent < 50, "{spent} ticks of CPU time while waiting");
    assert_eq!(bed.log().len(), 0);
    daemon.stop();
}

#[test]
fn sync_beside_a_sync_exits_75_after_a_killed_daemon() {
    let bed = quiet_bed(unlimited());
    bed.idle_daemon().process.kill();
    let slow = FaultKind::Slow(Duration::from_secs(3));
    bed.control.fault(Fault::on("GET", "/creators", slow));
    bed.control.clear_log();
    let first = bed.start_sync(&["--full"]);
    until("the first sync has started", || !bed.log_of("/creators").is_empty());
    let second = bed.sync(&[]).expect(75);
    assert!(second.took < Duration::from_secs(3), "{second:#?}");
    first.wait().expect(0);
}
