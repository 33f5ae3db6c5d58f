//! Startup up to READY=1, or to a failure.

use std::time::{Duration, Instant};

use super::harness::{NotifySocket, Wire, quiet_bed};
use super::support::{KEY, unlimited, until};
use crate::support::sandbox::{Fault, FaultBody, FaultKind, RetryAfter};

#[test]
fn ready_after_whoami_answers() {
    let bed = quiet_bed(unlimited());
    let slow = Duration::from_millis(1_500);
    bed.control.fault(Fault::on("GET", "/whoami", FaultKind::Slow(slow)));
    let started = Instant::now();
    let daemon = bed.start_daemon();
    daemon.notify.wait_for("READY=1");
    assert!(started.elapsed() >= slow, "ready after {:?}", started.elapsed());
    assert!(!daemon.notify.lines().iter().any(|line| line.contains("unreachable")));
    daemon.notify.wait_for("STATUS=idle until");
    bed.compare();
    daemon.stop();
}

#[test]
fn notifies_an_abstract_socket() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.start_daemon_on(bed.command(&["run"]), NotifySocket::bind_abstract());
    daemon.notify.wait_for("READY=1");
    daemon.notify.wait_for("STATUS=idle until");
    assert!(!daemon.stop().stderr.contains("cannot notify"));
}

#[test]
fn warns_once_about_a_missing_notify_socket() {
    let bed = quiet_bed(unlimited());
    let mut command = bed.command(&["run"]);
    command.env("NOTIFY_SOCKET", "@creatormirror-no-listener");
    let process = bed.start(command);
    until("the first run has finished", || {
        process.stderr().contains("cannot notify") && !bed.log_of("/meta").is_empty()
    });
    process.signal(rustix::process::Signal::TERM);
    let run = process.wait().expect(0);
    assert_eq!(run.stderr.matches("cannot notify the service manager").count(), 1, "{run:#?}");
}

#[test]
fn starts_during_an_outage_and_syncs_after_it() {
    let mut bed = quiet_bed(unlimited());
    let mut wire = Wire::to(&mut bed);
    wire.cut();
    let daemon = bed.start_daemon();
    daemon.notify.wait_for("READY=1");
    let lines = daemon.notify.lines();
    let (ready, status) = (at(&lines, "READY=1"), at(&lines, "STATUS=the API is unreachable"));
    assert!(status < ready, "STATUS does not name the reason: {lines:#?}");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 0);
    wire.repair();
    daemon.notify.wait_for("STATUS=idle until");
    bed.compare();
    daemon.stop();
}

#[test]
fn ready_while_rate_limited() {
    // Longer than `max_wait`, and a wait that a run would accept.
    for seconds in [3_600, 120] {
        let bed = quiet_bed(unlimited());
        let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(seconds) };
        bed.control.fault(Fault::on("GET", "/whoami", refuse));
        let daemon = bed.start_daemon();
        daemon.notify.wait_for("READY=1");
        let lines = daemon.notify.lines();
        assert!(at(&lines, "STATUS=rate limited until") < at(&lines, "READY=1"), "{lines:#?}");
        assert_eq!(bed.log().len(), 1, "no request before Retry-After is over");
        daemon.stop();
    }
}

#[test]
fn block_page_at_start_is_an_outage() {
    for code in [401, 403] {
        let bed = quiet_bed(unlimited());
        let body = FaultBody::Raw("text/html", "<html>Attention required!</html>");
        let page = FaultKind::Status { code, body, headers: Vec::new() };
        bed.control.fault(Fault::on("*", "/*", page).forever());
        let daemon = bed.start_daemon();
        daemon.notify.wait_for("READY=1");
        bed.control.clear_faults();
        daemon.notify.wait_for("STATUS=idle until");
        bed.compare();
        daemon.stop();
    }
}

fn at(lines: &[String], start: &str) -> usize {
    let found = lines.iter().position(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("no `{start}` in {lines:#?}"))
}

#[test]
fn refused_key_at_start_exits_77() {
    let bed = quiet_bed(unlimited());
    bed.control.set_key_enabled(KEY, false);
    for disabled in [true, false] {
        if !disabled {
            bed.control.rotate_key(KEY, "another");
        }
        let daemon = bed.start_daemon();
        let run = daemon.process.wait().expect(77).says("the API refuses the key");
        assert!(!daemon.notify.has("READY=1"), "{run:#?}");
        assert!(!run.stderr.contains(KEY), "{run:#?}");
    }
}

#[test]
fn key_of_another_organization_exits_77_without_writing() {
    let bed = quiet_bed(unlimited());
    bed.idle_daemon().stop();
    let before = bed.content();
    bed.control.set_key_organization(KEY, "another-organization");
    let daemon = bed.start_daemon();
    daemon.process.wait().expect(77).says("belongs to organization another-organization");
    assert!(!daemon.notify.has("READY=1"));
    assert_eq!(bed.content(), before);
}

#[test]
fn second_daemon_exits_75_without_requests() {
    let bed = quiet_bed(unlimited());
    let first = bed.idle_daemon();
    bed.control.clear_log();
    let second = bed.start_daemon();
    second.process.wait().expect(75);
    assert!(!second.notify.has("READY=1"));
    assert_eq!(bed.log().len(), 0);
    first.stop();
    // The first daemon's lock is released.
    let third = bed.start_daemon();
    until("the third daemon is ready", || third.notify.has("READY=1"));
    third.stop();
}
