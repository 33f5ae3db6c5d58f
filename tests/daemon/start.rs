//! Up to READY, or not.

use std::time::{Duration, Instant};

use super::stage::{ServiceState, Wire, still};
use super::support::{KEY, calm, until};
use crate::support::sandbox::{Accident, Fault, FaultBody, RetryAfter};

#[test]
fn it_is_ready_once_whoami_has_answered() {
    let bed = still(calm());
    let slow = Duration::from_millis(1_500);
    bed.control.fault(Fault::on("GET", "/whoami", Accident::Slow(slow)));
    let started = Instant::now();
    let daemon = bed.start_daemon();
    daemon.news.wait_for("READY=1");
    assert!(started.elapsed() >= slow, "ready after {:?}", started.elapsed());
    assert!(!daemon.news.lines().iter().any(|line| line.contains("unreachable")));
    daemon.news.wait_for("STATUS=idle until");
    bed.compare();
    daemon.stop();
}

#[test]
fn an_abstract_notify_socket_is_told_that_it_is_ready() {
    let bed = still(calm());
    let daemon = bed.start_daemon_told(bed.command(&["run"]), ServiceState::listen_abstractly());
    daemon.news.wait_for("READY=1");
    daemon.news.wait_for("STATUS=idle until");
    assert!(!daemon.stop().stderr.contains("cannot notify"));
}

#[test]
fn a_notify_socket_that_is_not_there_is_warned_about_once() {
    let bed = still(calm());
    let mut command = bed.command(&["run"]);
    command.env("NOTIFY_SOCKET", "@creatormirror-nobody-listens");
    let process = bed.start(command);
    until("it has synced", || {
        process.stderr().contains("cannot notify") && !bed.log_of("/meta").is_empty()
    });
    process.signal(rustix::process::Signal::TERM);
    let run = process.wait().expect(0);
    assert_eq!(run.stderr.matches("cannot notify the service manager").count(), 1, "{run:#?}");
}

#[test]
fn a_boot_during_an_outage_succeeds_and_the_mirror_fills_when_it_is_over() {
    let mut bed = still(calm());
    let mut wire = Wire::to(&mut bed);
    wire.cut();
    let daemon = bed.start_daemon();
    daemon.news.wait_for("READY=1");
    let lines = daemon.news.lines();
    let (ready, status) = (at(&lines, "READY=1"), at(&lines, "STATUS=the API is unreachable"));
    assert!(status < ready, "STATUS does not say why: {lines:#?}");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 0);
    wire.repair();
    daemon.news.wait_for("STATUS=idle until");
    bed.compare();
    daemon.stop();
}

#[test]
fn a_rate_limit_at_the_start_is_no_reason_not_to_be_ready() {
    // Longer than anybody waits, and one that a run would sit out.
    for seconds in [3_600, 120] {
        let bed = still(calm());
        let refuse = Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(seconds) };
        bed.control.fault(Fault::on("GET", "/whoami", refuse));
        let daemon = bed.start_daemon();
        daemon.news.wait_for("READY=1");
        let lines = daemon.news.lines();
        assert!(at(&lines, "STATUS=rate limited until") < at(&lines, "READY=1"), "{lines:#?}");
        assert_eq!(bed.log().len(), 1, "nothing is asked before Retry-After is over");
        daemon.stop();
    }
}

#[test]
fn a_block_page_at_the_start_is_an_outage_and_no_refused_key() {
    for code in [401, 403] {
        let bed = still(calm());
        let body = FaultBody::Raw("text/html", "<html>Attention required!</html>");
        let page = Accident::Status { code, body, headers: Vec::new() };
        bed.control.fault(Fault::on("*", "/*", page).forever());
        let daemon = bed.start_daemon();
        daemon.news.wait_for("READY=1");
        bed.control.clear_faults();
        daemon.news.wait_for("STATUS=idle until");
        bed.compare();
        daemon.stop();
    }
}

fn at(lines: &[String], start: &str) -> usize {
    let found = lines.iter().position(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("no `{start}` in {lines:#?}"))
}

#[test]
fn a_key_that_is_refused_at_the_start_is_77() {
    let bed = still(calm());
    bed.control.set_key_enabled(KEY, false);
    for disabled in [true, false] {
        if !disabled {
            bed.control.rotate_key(KEY, "another");
        }
        let daemon = bed.start_daemon();
        let run = daemon.process.wait().expect(77).says("the API refuses the key");
        assert!(!daemon.news.has("READY=1"), "{run:#?}");
        assert!(!run.stderr.contains(KEY), "{run:#?}");
    }
}

#[test]
fn a_key_of_another_organization_at_the_start_is_77_and_nothing_is_written() {
    let bed = still(calm());
    bed.idle_daemon().stop();
    let before = bed.content();
    bed.control.set_key_organization(KEY, "another-organization");
    let daemon = bed.start_daemon();
    daemon.process.wait().expect(77).says("belongs to organization another-organization");
    assert!(!daemon.news.has("READY=1"));
    assert_eq!(bed.content(), before);
}

#[test]
fn a_second_daemon_is_told_to_try_again_and_asks_nothing() {
    let bed = still(calm());
    let first = bed.idle_daemon();
    bed.control.clear_log();
    let second = bed.start_daemon();
    second.process.wait().expect(75);
    assert!(!second.news.has("READY=1"));
    assert_eq!(bed.log().len(), 0);
    first.stop();
    // The lock went with the first.
    let third = bed.start_daemon();
    until("the third is ready", || third.news.has("READY=1"));
    third.stop();
}
