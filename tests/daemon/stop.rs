//! Signals that end the daemon, and one that only asks how it is.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::stage::still;
use super::support::{calm, until};
use crate::support::sandbox::{Accident, Fault, RetryAfter, SandboxSettings};

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let bed = still(calm());
        let daemon = bed.idle_daemon();
        daemon.process.signal(signal);
        daemon.news.wait_for("STOPPING=1");
        daemon.process.wait().expect(0).says("stopped");
        assert_eq!(bed.text("SELECT runner FROM instance"), "");
        assert_eq!(bed.number("SELECT count(*) FROM run WHERE finished_at IS NULL"), 0);
        bed.compare();
        bed.is_sound();
    }
}

#[test]
fn a_stop_in_the_middle_of_a_slow_request_abandons_it_and_the_next_start_goes_on_there() {
    let bed = still(SandboxSettings { videos: 900, ..calm() });
    let slow = Accident::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/videos", slow).after(3));
    let daemon = bed.start_daemon();
    until("the fourth page is asked for", || bed.log_of("/videos").len() == 4);
    until("the third is in", || bed.number("SELECT count(*) FROM video") == 600);
    let page = bed.log_of("/videos")[3].param("cursor").unwrap().to_owned();
    daemon.stop();
    assert_eq!(bed.number("SELECT count(*) FROM run WHERE outcome = 'interrupted'"), 1);
    bed.control.clear_log();
    let daemon = bed.idle_daemon();
    assert_eq!(bed.log_of("/videos")[0].param("cursor"), Some(page.as_str()));
    bed.compare();
    daemon.stop();
}

#[test]
fn a_stop_is_heard_while_whoami_is_slow_before_anything_has_begun() {
    let bed = still(calm());
    let slow = Accident::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/whoami", slow));
    let daemon = bed.start_daemon();
    until("whoami is asked", || bed.log().len() == 1);
    daemon.stop();
}

#[test]
fn a_stop_is_heard_while_it_waits_for_retry_after() {
    // One that is waited for in the run, and one that the loop waits for.
    for seconds in [20, 2_000] {
        let bed = still(calm());
        let refuse = Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(seconds) };
        bed.control.fault(Fault::on("GET", "/videos", refuse));
        let daemon = bed.start_daemon();
        until("it is limited", || !bed.log_of("/videos").is_empty());
        until("the rate limiter is kept", || {
            bed.text("SELECT rate_limiter FROM instance").contains("closed\":{")
        });
        daemon.stop();
        // The rate limiter outlives the run.
        bed.control.clear_log();
        let again = bed.start_daemon();
        again.news.wait_for(if seconds > 30 { "STATUS=rate limited until" } else { "WATCHDOG" });
        assert_eq!(bed.log().len(), 0, "a request before Retry-After was over");
        again.stop();
    }
}

/// Holds the database as a careless shell might. It is let go when the connection is dropped.
fn hold(bed: &super::support::Bed) -> rusqlite::Connection {
    let db = bed.db_to_write();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

#[test]
fn a_database_that_somebody_holds_does_not_hold_up_the_end() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    let held = hold(&bed);
    daemon.stop();
    drop(held);
    bed.idle_daemon().stop();
    bed.compare();
    bed.is_sound();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    let held = hold(&bed);
    daemon.process.signal(Signal::TERM);
    daemon.news.wait_for("STOPPING=1");
    let asked = Instant::now();
    daemon.process.signal(Signal::INT);
    let run = daemon.process.wait();
    assert!(asked.elapsed() < Duration::from_millis(1_500), "{:?}: {run:#?}", asked.elapsed());
    drop(held);
    bed.idle_daemon().stop();
    bed.is_sound();
}

#[test]
fn sigusr1_asks_how_things_stand_and_changes_nothing() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    daemon.process.signal(Signal::USR1);
    until("it says so", || daemon.process.stderr().contains("daemon summary"));
    assert_eq!(bed.log().len(), 0);
    daemon.stop();
}
