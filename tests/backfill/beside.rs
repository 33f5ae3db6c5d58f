//! `backfill` beside the daemon: handed over, done in slices while nothing else is due, followed to its
//! end, also over a restart.

use std::time::{Duration, Instant};

use creatormirror::clock::Clock;
use creatormirror::model::Kind;

use super::stage::still;
use super::support::{Bed, calm, until};
use super::truth::nothing_twice;
use crate::support::sandbox::{Accident, Fault, SandboxSettings, Switch};

fn settings() -> SandboxSettings {
    SandboxSettings { accounts: 12, videos: 230, account_videos: 90, past_days: 20, ..calm() }
}

#[test]
fn a_backfill_is_done_by_the_daemon_and_its_answer_is_relayed() {
    let bed = still(settings());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    let document = bed.backfill_well(6);
    let days = Bed::days_of(&document);
    assert_eq!(bed.log().len(), bed.fewest(&days, 200), "and nothing else is asked for");
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
fn what_is_more_urgent_does_not_wait_for_a_long_backfill_nor_does_a_stop() {
    let bed = still(settings());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    bed.control.set_latency(Duration::from_millis(40));
    let follower = bed.start_backfill(&["--days", "150", "--max-wait", "10m", "--json"]);
    until("it is under way", || bed.asked().len() > 5);
    let begun = Instant::now();
    bed.sync_well(&["--full", "--only", "creators"]);
    assert_eq!(bed.log_of("/creators").len(), 1);
    let track = bed.command(&["track", "creator", "Ada", "--wait=30s"]);
    bed.start(track).wait().expect(0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let asked = bed.asked().len();
    until("it goes on after that", || bed.asked().len() > asked + 5);
    let heard = daemon.news.times("WATCHDOG=1").len();
    daemon.news.wait_for_more("WATCHDOG=1", heard + 2);
    assert!(daemon.news.status().contains("requesting daily metrics"), "{}", daemon.news.status());
    daemon.process.signal(rustix::process::Signal::HUP);
    daemon.news.wait_for("RELOADING=1");
    daemon.stop();

    // The next daemon goes on with it, and the one that waits sees its end.
    let asked = bed.asked().len();
    bed.control.set_latency(Duration::ZERO);
    let daemon = bed.start_daemon();
    let run = follower.wait().expect(0);
    let days = Bed::days_of(&run.json());
    assert!(days.len() == 150 && bed.asked().len() > asked + 100);
    assert!(run.stderr.contains("daily metrics of 150 days: "), "{run:#?}");
    // What was on its way when the daemon was stopped was asked for again.
    assert!(bed.asked().len() <= bed.fewest(&days, 200) + 2);
    bed.compare_days(&days);
    daemon.stop();
    bed.is_sound();
}

#[test]
fn a_job_outlives_a_daemon_that_was_killed_and_a_follower_that_went_away() {
    let bed = still(settings());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    bed.control.set_latency(Duration::from_millis(30));
    let follower = bed.start_backfill(&["--days", "60", "--max-wait", "3s"]);
    until("it is under way", || bed.asked().len() > 20);
    daemon.process.kill();
    follower.wait().expect(75).says("within --max-wait");
    bed.control.set_latency(Duration::ZERO);
    let daemon = bed.start_daemon();
    until("the next daemon has done it", || {
        bed.number("SELECT count(*) FROM job WHERE state = 'done' AND exit_code = 0") == 1
    });
    let answered = bed.asked();
    let days = Bed::days_of(&bed.backfill_well(60));
    assert!(answered.len() <= bed.fewest(&days, 200) + 1);
    bed.compare_days(&days);
    daemon.stop();
}

#[test]
fn a_part_of_the_budget_is_left_for_what_falls_due() {
    let window = Duration::from_secs(3);
    let bed = still(SandboxSettings { rate_limit: 60, rate_window: window, ..settings() });
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    let document = bed.backfill_well(24);
    let mut windows = std::collections::BTreeMap::<i64, usize>::new();
    for entry in bed.log() {
        *windows.entry(entry.server_time.0 / 3_000).or_default() += 1;
        assert_ne!(entry.status, Some(429));
    }
    // Of 60 requests 54 are ours, and seven tenths of these are for days; at the border of two windows
    // one may count in either.
    assert!(windows.len() > 2 && windows.values().all(|count| *count <= 38), "{windows:?}");
    bed.compare_days(&Bed::days_of(&document));
    daemon.stop();
}

#[test]
fn a_daemon_that_is_never_idle_does_it_all_the_same() {
    let bed = Bed::new(settings(), Clock::System);
    bed.sync_well(&[]);
    // Whatever is put off is due again at once.
    let always_due = "UPDATE video_due SET due_at = 0;
        CREATE TRIGGER always_due AFTER UPDATE ON video_due WHEN new.due_at <> 0
        BEGIN UPDATE video_due SET due_at = 0 WHERE video = new.video; END;
        CREATE TRIGGER always_due_anew AFTER INSERT ON video_due WHEN new.due_at <> 0
        BEGIN UPDATE video_due SET due_at = 0 WHERE video = new.video; END;";
    bed.db_to_write().execute_batch(always_due).unwrap();
    bed.control.set_latency(Duration::from_millis(20));
    let daemon = bed.start_daemon();
    until("it is busy", || bed.log_of("/videos").len() > 20);
    let document = bed.backfill_well(4);
    bed.compare_days(&Bed::days_of(&document));
    let polls = bed.log_of("/videos").len();
    until("it is still busy", || bed.log_of("/videos").len() > polls + 5);
    daemon.stop();
}

#[test]
fn without_a_daemon_the_lock_of_a_sync_is_not_waited_for() {
    let bed = still(settings());
    bed.sync_well(&[]);
    bed.control.clear_log();
    let slow = Accident::Slow(Duration::from_secs(15));
    bed.control.fault(Fault::on("GET", Kind::Creator.path(), slow));
    let sync = bed.start_sync(&["--full"]);
    until("it is at work", || !bed.log_of(Kind::Creator.path()).is_empty());
    bed.backfill(&["--days", "2"]).expect(75);
    sync.wait().expect(0);
    nothing_twice(&bed.asked());
}
