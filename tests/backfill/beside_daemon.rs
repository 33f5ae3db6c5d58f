//! `backfill` beside the daemon: submitted as a job, run in slices while nothing else is due, and
//! followed until it is done, also across a restart.

use std::time::{Duration, Instant};

use creatormirror::clock::Clock;
use creatormirror::model::Kind;

use super::harness::quiet_bed;
use super::support::{TestBed, unlimited, until};
use super::truth::expect_no_repeats;
use crate::support::sandbox::{Fault, FaultKind, SandboxSettings, Switch};

fn settings() -> SandboxSettings {
    SandboxSettings { accounts: 12, videos: 230, account_videos: 90, past_days: 20, ..unlimited() }
}

#[test]
fn daemon_runs_the_backfill_and_relays_its_result() {
    let bed = quiet_bed(settings());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    let document = bed.backfill_well(6);
    let days = TestBed::days_of(&document);
    assert_eq!(bed.log().len(), bed.fewest(&days, 200), "no other requests");
    bed.compare_days(&days);
    let again = bed.backfill(&["--days", "6"]).expect(0);
    assert!(again.stdout.starts_with("backfill of 6 days, "), "{again:#?}");
    let quiet = bed.backfill(&["--days", "6", "--quiet"]).expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let (method, path) = ("POST".to_owned(), "/videos/metrics".to_owned());
    bed.control.switch_off(Switch::Endpoint { method, path, status: 404 });
    bed.backfill(&["--days", "7"]).expect(1).says("video: ");
    assert_eq!(bed.number("SELECT count(*) FROM job WHERE state <> 'done'"), 0);
    daemon.stop();
}

#[test]
fn long_backfill_delays_neither_urgent_work_nor_a_stop() {
    let bed = quiet_bed(settings());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    bed.control.set_latency(Duration::from_millis(40));
    let follower = bed.start_backfill(&["--days", "150", "--max-wait", "10m", "--json"]);
    until("the backfill is running", || bed.metrics_requests().len() > 5);
    let begun = Instant::now();
    bed.sync_ok(&["--full", "--only", "creators"]);
    assert_eq!(bed.log_of("/creators").len(), 1);
    let track = bed.command(&["track", "creator", "Ada", "--wait=30s"]);
    bed.start(track).wait().expect(0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let requests = bed.metrics_requests().len();
    until("the backfill continues", || bed.metrics_requests().len() > requests + 5);
    let seen = daemon.notify.times("WATCHDOG=1").len();
    daemon.notify.wait_for_more("WATCHDOG=1", seen + 2);
    assert!(
        daemon.notify.status().contains("requesting daily metrics"),
        "{}",
        daemon.notify.status()
    );
    daemon.process.signal(rustix::process::Signal::HUP);
    daemon.notify.wait_for("RELOADING=1");
    daemon.stop();

    // The next daemon resumes the job, and the waiting command reports its result.
    let requests = bed.metrics_requests().len();
    bed.control.set_latency(Duration::ZERO);
    let daemon = bed.start_daemon();
    let run = follower.wait().expect(0);
    let days = TestBed::days_of(&run.json());
    assert!(days.len() == 150 && bed.metrics_requests().len() > requests + 100);
    assert!(run.stderr.contains("daily metrics of 150 days: "), "{run:#?}");
    // Only requests in flight when the daemon stopped were sent again.
    assert!(bed.metrics_requests().len() <= bed.fewest(&days, 200) + 2);
    bed.compare_days(&days);
    daemon.stop();
    bed.check_integrity();
}

#[test]
fn job_survives_a_killed_daemon_and_a_gone_follower() {
    let bed = quiet_bed(settings());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    bed.control.set_latency(Duration::from_millis(30));
    let follower = bed.start_backfill(&["--days", "60", "--max-wait", "3s"]);
    until("the backfill is running", || bed.metrics_requests().len() > 20);
    daemon.process.kill();
    follower.wait().expect(75).says("within --max-wait");
    bed.control.set_latency(Duration::ZERO);
    let daemon = bed.start_daemon();
    until("the next daemon has finished the job", || {
        bed.number("SELECT count(*) FROM job WHERE state = 'done' AND exit_code = 0") == 1
    });
    let answered = bed.metrics_requests();
    let days = TestBed::days_of(&bed.backfill_well(60));
    assert!(answered.len() <= bed.fewest(&days, 200) + 1);
    bed.compare_days(&days);
    daemon.stop();
}

#[test]
fn leaves_part_of_the_budget_for_due_rows() {
    let window = Duration::from_secs(3);
    let bed = quiet_bed(SandboxSettings { rate_limit: 60, rate_window: window, ..settings() });
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    let document = bed.backfill_well(24);
    let mut windows = std::collections::BTreeMap::<i64, usize>::new();
    for entry in bed.log() {
        *windows.entry(entry.server_time.0 / 3_000).or_default() += 1;
        assert_ne!(entry.status, Some(429));
    }
    // 54 of 60 requests are our share, and 70 % of those are for past days. One more may count in
    // either window at the border.
    assert!(windows.len() > 2 && windows.values().all(|count| *count <= 38), "{windows:?}");
    bed.compare_days(&TestBed::days_of(&document));
    daemon.stop();
}

#[test]
fn runs_on_a_daemon_that_is_never_idle() {
    let bed = TestBed::new(settings(), Clock::System);
    bed.sync_ok(&[]);
    // Keep every video due.
    let always_due = "UPDATE video_due SET due_at = 0;
        CREATE TRIGGER always_due AFTER UPDATE ON video_due WHEN new.due_at <> 0
        BEGIN UPDATE video_due SET due_at = 0 WHERE video = new.video; END;
        CREATE TRIGGER always_due_anew AFTER INSERT ON video_due WHEN new.due_at <> 0
        BEGIN UPDATE video_due SET due_at = 0 WHERE video = new.video; END;";
    bed.db_to_write().execute_batch(always_due).unwrap();
    bed.control.set_latency(Duration::from_millis(20));
    let daemon = bed.start_daemon();
    until("the daemon is polling", || bed.log_of("/videos").len() > 20);
    let document = bed.backfill_well(4);
    bed.compare_days(&TestBed::days_of(&document));
    let polls = bed.log_of("/videos").len();
    until("the daemon is still polling", || bed.log_of("/videos").len() > polls + 5);
    daemon.stop();
}

#[test]
fn exits_75_beside_a_sync_without_a_daemon() {
    let bed = quiet_bed(settings());
    bed.sync_ok(&[]);
    bed.control.clear_log();
    let slow = FaultKind::Slow(Duration::from_secs(15));
    bed.control.fault(Fault::on("GET", Kind::Creator.path(), slow));
    let sync = bed.start_sync(&["--full"]);
    until("the sync has started", || !bed.log_of(Kind::Creator.path()).is_empty());
    bed.backfill(&["--days", "2"]).expect(75);
    sync.wait().expect(0);
    expect_no_repeats(&bed.metrics_requests());
}
