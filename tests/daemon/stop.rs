//! Signals: SIGTERM, SIGINT and SIGUSR1.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::quiet_bed;
use super::support::{unlimited, until};
use crate::support::sandbox::{Fault, FaultKind, RetryAfter, SandboxSettings};

#[test]
fn stops_cleanly_on_sigterm_and_sigint() {
    for signal in [Signal::TERM, Signal::INT] {
        let bed = quiet_bed(unlimited());
        let daemon = bed.idle_daemon();
        daemon.process.signal(signal);
        daemon.notify.wait_for("STOPPING=1");
        daemon.process.wait().expect(0).says("stopped");
        assert_eq!(bed.text("SELECT runner FROM instance"), "");
        assert_eq!(bed.number("SELECT count(*) FROM run WHERE finished_at IS NULL"), 0);
        bed.compare();
        bed.check_integrity();
    }
}

#[test]
fn stops_during_a_slow_request_and_resumes_at_that_page() {
    let bed = quiet_bed(SandboxSettings { videos: 900, ..unlimited() });
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/videos", slow).after(3));
    let daemon = bed.start_daemon();
    until("the fourth page is requested", || bed.log_of("/videos").len() == 4);
    until("the third page is stored", || bed.number("SELECT count(*) FROM video") == 600);
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
fn stops_while_whoami_is_slow() {
    let bed = quiet_bed(unlimited());
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/whoami", slow));
    let daemon = bed.start_daemon();
    until("whoami is requested", || bed.log().len() == 1);
    daemon.stop();
}

#[test]
fn stops_while_waiting_for_retry_after() {
    // A wait within the run, and a wait between runs.
    for seconds in [20, 2_000] {
        let bed = quiet_bed(unlimited());
        let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(seconds) };
        bed.control.fault(Fault::on("GET", "/videos", refuse));
        let daemon = bed.start_daemon();
        until("the request is rate limited", || !bed.log_of("/videos").is_empty());
        until("the rate limiter is stored", || {
            bed.text("SELECT rate_limiter FROM instance").contains("closed\":{")
        });
        daemon.stop();
        // The cooldown survives a restart.
        bed.control.clear_log();
        let again = bed.start_daemon();
        again.notify.wait_for(if seconds > 30 { "STATUS=rate limited until" } else { "WATCHDOG" });
        assert_eq!(bed.log().len(), 0, "a request before Retry-After was over");
        again.stop();
    }
}

/// Locks the database until the connection is dropped, like an open transaction in a shell.
fn hold(bed: &super::support::TestBed) -> rusqlite::Connection {
    let db = bed.db_to_write();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

#[test]
fn stops_within_5_s_with_a_locked_database() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    let held = hold(&bed);
    daemon.stop();
    drop(held);
    bed.idle_daemon().stop();
    bed.compare();
    bed.check_integrity();
}

#[test]
fn second_signal_stops_immediately() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    let held = hold(&bed);
    daemon.process.signal(Signal::TERM);
    daemon.notify.wait_for("STOPPING=1");
    let sent_at = Instant::now();
    daemon.process.signal(Signal::INT);
    let run = daemon.process.wait();
    assert!(sent_at.elapsed() < Duration::from_millis(1_500), "{:?}: {run:#?}", sent_at.elapsed());
    drop(held);
    bed.idle_daemon().stop();
    bed.check_integrity();
}

#[test]
fn sigusr1_logs_the_state_without_requests() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    daemon.process.signal(Signal::USR1);
    until("the state is logged", || daemon.process.stderr().contains("daemon summary"));
    assert_eq!(bed.log().len(), 0);
    daemon.stop();
}
