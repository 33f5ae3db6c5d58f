//! Outages of the API.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use creatormirror::clock::Clock;
use creatormirror::model::Kind;

use super::harness::{Wire, quiet_bed};
use super::support::{TestBed, unlimited, until};
use crate::support::sandbox::{Fault, FaultBody, FaultKind, SandboxSettings};

#[test]
fn reports_and_survives_an_outage() {
    let mut bed = quiet_bed(unlimited());
    let mut wire = Wire::to(&mut bed);
    let daemon = bed.idle_daemon();
    wire.cut();
    bed.sync(&["--full"]).expect(69).says("the API is unreachable");
    daemon.notify.wait_for_status("the API is unreachable");
    wire.repair();
    // A job is attempted immediately, without waiting for the next retry.
    bed.sync_ok(&["--full"]);
    daemon.notify.wait_for_status("idle until");
    bed.compare();
    daemon.stop();
}

#[test]
fn failing_endpoint_does_not_block_others() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    let broken = FaultKind::Status { code: 500, body: FaultBody::Problem, headers: Vec::new() };
    bed.control.fault(Fault::on("GET", "/overview", broken).forever());
    bed.sync(&["--full", "--only", "overview"]).expect(69).says("the API keeps failing");
    assert!(!daemon.notify.status().contains("fail"), "{}", daemon.notify.status());
    bed.start(bed.command(&["track", "creator", "New Creator", "--wait=20s"])).wait().expect(0);
    bed.sync_ok(&["--full", "--only", "creators,videos"]);
    daemon.stop();
}

#[test]
fn catches_up_after_an_outage() {
    // The sandbox's clock is two hours behind, so its next scrapes are overdue.
    let behind = Duration::from_secs(2 * 3_600);
    let world = Clock::manual(Utc::now() - TimeDelta::from_std(behind).unwrap());
    let settings = SandboxSettings { videos: 420, account_videos: 0, accounts: 0, ..unlimited() };
    let mut bed = TestBed::new(settings, world.clone());
    bed.set("CREATORMIRROR_FRESHNESS_TARGET", "1s");
    let mut wire = Wire::to(&mut bed);
    let daemon = bed.start_daemon();
    daemon.notify.wait_for("READY=1");
    let whole = "SELECT complete_as_of IS NOT NULL FROM coverage WHERE kind = 'video'";
    until("everything is mirrored", || bed.number(whole) == 1);
    wire.cut();
    daemon.notify.wait_for_status("the API is unreachable");
    world.advance(behind);
    bed.control.clear_log();
    wire.repair();
    let scraped_now = |bed: &TestBed| {
        let truth = bed.control.rows(Kind::Video);
        let newest = truth.iter().filter_map(|row| row["last_scrape_time"].as_str());
        newest.max().unwrap().to_owned()
    };
    let newest = scraped_now(&bed);
    until("the newest scrape is mirrored", || {
        bed.text("SELECT max(last_scrape_time) FROM videos") == newest
    });
    until("no video is due", || {
        bed.number("SELECT count(*) FROM video_due WHERE due_at <= unixepoch()") == 0
    });
    bed.compare_kind(Kind::Video);
    let pages = bed.log_of("/videos").len();
    assert!(pages <= 4 * bed.pages(Kind::Video), "a burst of {pages} requests");
    daemon.stop();
}

#[test]
fn sync_during_an_outage_fails_without_waiting() {
    let mut bed = quiet_bed(unlimited());
    let mut wire = Wire::to(&mut bed);
    wire.cut();
    let daemon = bed.start_daemon();
    daemon.notify.wait_for("READY=1");
    // Before the first answer, and again when the backoff has grown.
    for _ in 0..4 {
        let begun = std::time::Instant::now();
        bed.sync(&["--max-wait", "5m"]).expect(69);
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
    }
    wire.repair();
    bed.sync_ok(&["--full"]);
    bed.compare();
    daemon.stop();
}
