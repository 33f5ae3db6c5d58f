//! The API goes away and comes back.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use creatormirror::clock::Clock;
use creatormirror::model::Kind;

use super::stage::{Wire, still};
use super::support::{Bed, calm, until};
use crate::support::sandbox::{Accident, Fault, FaultBody, SandboxSettings};

#[test]
fn an_outage_is_said_and_outlived() {
    let mut bed = still(calm());
    let mut wire = Wire::to(&mut bed);
    let daemon = bed.idle_daemon();
    wire.cut();
    bed.sync(&["--full"]).expect(69).says("the API is unreachable");
    daemon.news.wait_for_status("the API is unreachable");
    wire.repair();
    // A job is an attempt of its own: it does not wait for the next one.
    bed.sync_well(&["--full"]);
    daemon.news.wait_for_status("idle until");
    bed.compare();
    daemon.stop();
}

#[test]
fn one_list_that_fails_holds_up_nothing_else() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    let broken = Accident::Status { code: 500, body: FaultBody::Problem, headers: Vec::new() };
    bed.control.fault(Fault::on("GET", "/overview", broken).forever());
    bed.sync(&["--full", "--only", "overview"]).expect(69).says("the API keeps failing");
    assert!(!daemon.news.status().contains("fail"), "{}", daemon.news.status());
    bed.start(bed.command(&["track", "creator", "somebody new", "--wait=20s"])).wait().expect(0);
    bed.sync_well(&["--full", "--only", "creators,videos"]);
    daemon.stop();
}

#[test]
fn what_was_scraped_during_an_outage_is_caught_up_with_after_it() {
    // The world is two hours behind, so that what it does next was due long ago.
    let behind = Duration::from_secs(2 * 3_600);
    let world = Clock::manual(Utc::now() - TimeDelta::from_std(behind).unwrap());
    let settings = SandboxSettings { videos: 420, account_videos: 0, accounts: 0, ..calm() };
    let mut bed = Bed::new(settings, world.clone());
    bed.set("CREATORMIRROR_FRESHNESS_TARGET", "1s");
    let mut wire = Wire::to(&mut bed);
    let daemon = bed.start_daemon();
    daemon.news.wait_for("READY=1");
    let whole = "SELECT complete_as_of IS NOT NULL FROM coverage WHERE kind = 'video'";
    until("all is mirrored", || bed.number(whole) == 1);
    wire.cut();
    daemon.news.wait_for_status("the API is unreachable");
    world.advance(behind);
    bed.control.clear_log();
    wire.repair();
    let scraped_now = |bed: &Bed| {
        let truth = bed.control.rows(Kind::Video);
        let newest = truth.iter().filter_map(|row| row["last_scrape_time"].as_str());
        newest.max().unwrap().to_owned()
    };
    let newest = scraped_now(&bed);
    until("the newest scrape is seen", || {
        bed.text("SELECT max(last_scrape_time) FROM videos") == newest
    });
    until("all is seen", || {
        bed.number("SELECT count(*) FROM video_due WHERE due_at <= unixepoch()") == 0
    });
    bed.compare_kind(Kind::Video);
    let pages = bed.log_of("/videos").len();
    assert!(pages <= 4 * bed.pages(Kind::Video), "a stampede of {pages} requests");
    daemon.stop();
}

#[test]
fn a_sync_during_an_outage_is_told_at_once_rather_than_kept_waiting() {
    let mut bed = still(calm());
    let mut wire = Wire::to(&mut bed);
    wire.cut();
    let daemon = bed.start_daemon();
    daemon.news.wait_for("READY=1");
    // Before the first answer ever, and again when the pauses have grown.
    for _ in 0..4 {
        let begun = std::time::Instant::now();
        bed.sync(&["--max-wait", "5m"]).expect(69);
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
    }
    wire.repair();
    bed.sync_well(&["--full"]);
    bed.compare();
    daemon.stop();
}
