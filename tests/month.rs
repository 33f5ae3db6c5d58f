//! A month of the real daemon on a simulated clock: memory stays flat, and nothing but history grows.
//!
//! The sandbox runs in the same process; its request log is cleared every day.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod simulation;
mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::model::Kind;
use rusqlite::Connection;
use support::sandbox::{Control, SandboxSettings};

use simulation::{Stage, stage};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const DAYS: u32 = 30;
/// Days until full syncs and pruning have happened and the cache of every connection is full.
const SETTLED_DAYS: u32 = 12;
/// `log_retention` of this test, days.
const LOG_DAYS: u32 = 3;
/// Maximum growth of memory: the allocator, and slightly more cached database pages.
const GROWTH_KIB_MAX: u64 = 1_024;
/// Maximum size of the write-ahead log before a checkpoint.
const WAL_BYTES_MAX: u64 = 17 * 1_024 * 1_024;
/// Additional simulated time per half-second sleep of the daemon, to save real time.
const STRIDE: Duration = Duration::from_secs(30);

/// Measurements after a day.
#[derive(Debug)]
struct Reading {
    rss_kib: u64,
    wal_bytes: u64,
    runs: i64,
    kind_runs: i64,
    listings: i64,
    pages: i64,
    history: i64,
}

#[test]
fn memory_stays_flat_and_only_history_grows() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let readings = runtime.block_on(month());
    for (day, reading) in (1..).zip(&readings) {
        println!("day {day}: {reading:?}");
    }
    let (settled, last) = (&readings[SETTLED_DAYS as usize - 1], readings.last().unwrap());
    assert_eq!(readings.len(), DAYS as usize);

    let growth = last.rss_kib.saturating_sub(settled.rss_kib);
    assert!(growth <= GROWTH_KIB_MAX, "{growth} KiB more after a month than after some days");
    for reading in &readings {
        assert!(
            reading.wal_bytes <= WAL_BYTES_MAX,
            "a write-ahead log of {} bytes",
            reading.wal_bytes
        );
    }
    // The log is pruned to the retention, so its size is constant.
    assert!(settled.runs > 100, "too little happened to prove anything");
    for (before, after) in [
        (settled.runs, last.runs),
        (settled.kind_runs, last.kind_runs),
        (settled.listings, last.listings),
        (settled.pages, last.pages),
    ] {
        assert!(after <= before + before / 5 + 5, "{before} rows grew to {after}");
    }
    // History grows with every scrape.
    assert!(last.history > 2 * settled.history, "{} scrapes", last.history);
}

async fn month() -> Vec<Reading> {
    let stage = Stage::set(SandboxSettings {
        accounts: 5,
        creators: 2,
        videos: 40,
        account_videos: 30,
        rate_limit: 1_000_000,
        ..SandboxSettings::default()
    })
    .await;
    for (n, id) in stage.control.ids(Kind::Video).iter().enumerate() {
        stage.control.set_interval(Kind::Video, id, [12, 24, 48][n % 3]);
    }
    let readings = Arc::<Mutex<Vec<Reading>>>::default();
    for day in 1..=DAYS {
        let (control, path) = (stage.control.clone(), stage.database());
        let readings = Arc::clone(&readings);
        let (said, sent) = (Arc::clone(&stage.said), Arc::clone(&stage.sent));
        stage.clock.plan(DAY * day, move || {
            // The test's own records must not count as memory of the daemon.
            *said.lock().unwrap() = Vec::new();
            *sent.lock().unwrap() = Vec::new();
            readings.lock().unwrap().push(read(&control, &path));
        });
    }
    stage.clock.plan(DAY * DAYS + STRIDE, stage.stop());
    skip_time(stage.clock.clone());
    let mut settings = stage::settings(Duration::from_secs(900));
    settings.sync_settings.log_retention = DAY * LOG_DAYS;
    stage.live(settings).await;
    std::mem::take(&mut *readings.lock().unwrap())
}

/// Lengthens every sleep by `STRIDE`.
fn skip_time(clock: Clock) {
    let handle = clock.clone();
    clock.plan(Duration::from_millis(500), move || {
        handle.advance(STRIDE);
        skip_time(handle);
    });
}

fn read(control: &Control, path: &Path) -> Reading {
    control.clear_log();
    let db = Connection::open(path).unwrap();
    let count = |table: &str| {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    Reading {
        rss_kib: rss_kib(),
        wal_bytes: std::fs::metadata(path.with_extension("db-wal")).unwrap().len(),
        runs: count("run"),
        kind_runs: count("kind_run"),
        listings: count("listing"),
        pages: count("page"),
        history: count("video_history"),
    }
}

/// Resident memory of this process.
fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
