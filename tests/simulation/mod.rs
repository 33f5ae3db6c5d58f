//! A simulator for the request planner: the real daemon over real HTTP against the sandbox, both on one
//! simulated clock, so that days pass in seconds; and which scrapes the daemon caught.

// Each test and bench uses a part of this module.
#![allow(dead_code)]

mod figures;
mod settings;
pub mod stage;
mod truth;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use creatormirror::model::Kind;
use rusqlite::Connection;

use crate::support::sandbox::{Control, SandboxSettings};

#[allow(unused_imports, reason = "the simulations print them, other tests do not")]
pub use figures::{Figures, fairness_table, table};
pub use stage::{Stage, begins_at};
pub use truth::Truth;

/// Parameters of a simulation.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Videos of the organization.
    pub videos: usize,
    /// Simulated days.
    pub days: u32,
    /// Scrape intervals, hours, assigned to videos in turn.
    pub intervals: Vec<u32>,
    /// `freshness_target`.
    pub freshness: Duration,
    /// Requests per window of the rate limit.
    pub rate_limit: u32,
    /// Length of the window.
    pub rate_window: Duration,
}

/// A rate limit that is never reached.
pub const AMPLE: u32 = 10_000_000;

impl Default for Scenario {
    fn default() -> Self {
        Self {
            videos: 1_000,
            days: 2,
            intervals: vec![1, 3, 6, 12, 24, 24, 24, 48],
            freshness: Duration::from_secs(300),
            rate_limit: AMPLE,
            rate_window: Duration::from_secs(3_600),
        }
    }
}

/// Results of a simulation.
#[derive(Debug)]
pub struct Outcome {
    /// What happened in the sandbox.
    pub truth: Truth,
    /// Results of the daemon.
    pub ours: Figures,
    /// Requests by route, counted by the server.
    pub by_route: BTreeMap<String, u64>,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Runs of the daemon.
    pub runs: i64,
    /// Longest `batch_delay`.
    pub batch_delay_max: Duration,
    /// Real time of the simulation.
    pub took: Duration,
}

/// Maximum ratio of requests to the lower bound.
const BOUND_TIMES_MAX: f64 = 1.5;
/// With an ample budget, maximum staleness as a multiple of the freshness target: a scrape may be late
/// and need another poll.
const FRESHNESS_TIMES_MAX: i64 = 3;
/// Maximum difference between the fraction of scrapes that a video misses and the mean of its interval.
const UNEVEN_MAX: f64 = 0.2;
/// Maximum time beyond its interval that a video goes without a new scrape, hours.
const ROUND_HOURS_MAX: f64 = 12.0;

impl Outcome {
    /// Checks the goals for a budget that covers all polls.
    #[track_caller]
    pub fn check_ample(&self) {
        let (ours, truth) = (&self.ours, &self.truth);
        assert!(ours.happened > truth.videos.len(), "too little happened to prove anything");
        assert_eq!(ours.missed, 0, "scrapes were missed");
        assert_eq!(ours.caught + ours.pending, ours.happened);
        let bound = truth.lower_bound() as f64;
        let times = ours.requests as f64 / bound;
        assert!(times <= BOUND_TIMES_MAX, "{times:.2} times the requests of the lower bound");
        let stalest = ours.percentile(99) * 1_000;
        assert!(stalest <= FRESHNESS_TIMES_MAX * truth.freshness, "{stalest} ms stale");
        assert_eq!(self.by_status.keys().filter(|status| **status >= 400).count(), 0);
    }

    /// Checks the goals for a smaller budget: videos of the same interval are treated alike, and none
    /// starves.
    #[track_caller]
    pub fn check_scarce(&self) {
        assert_eq!(self.by_status.get(&429), None, "the budget was overdrawn");
        for even in self.ours.fairness() {
            let (luckiest, unluckiest) = even.missed_p05_p95;
            let hours = even.hours;
            assert!(unluckiest - even.missed <= UNEVEN_MAX, "{hours} h: {even:?}");
            assert!(even.missed - luckiest <= UNEVEN_MAX, "{hours} h: {even:?}");
            let beyond = (even.gap_max - 1.0) * hours as f64;
            assert!(
                beyond <= ROUND_HOURS_MAX,
                "{hours} h: no new scrape for {beyond:.1} h beyond it"
            );
        }
    }
}

/// Runs a simulation.
pub fn run(scenario: &Scenario) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(simulate(scenario))
}

async fn simulate(scenario: &Scenario) -> Outcome {
    let begun = std::time::Instant::now();
    let stage = Stage::set(world(scenario)).await;
    let control = &stage.control;
    assign_intervals(control, &scenario.intervals);
    let spy = Spy::set(&stage.database());
    let length = Duration::from_secs(u64::from(scenario.days) * 24 * 3_600);
    stage.clock.plan(length, stage.stop());
    stage.live(stage::settings(scenario.freshness)).await;

    let end = begins_at() + TimeDelta::from_std(length).unwrap();
    let counters = control.counters();
    let truth = Truth::read(control, begins_at(), end, scenario.freshness);
    let requests = counters
        .by_route
        .iter()
        .filter(|(route, _)| route.starts_with("GET /videos"))
        .map(|(_, requests)| *requests);
    let ours = Figures::of("ours", requests.sum(), &truth, &spy.seen());
    Outcome {
        ours,
        truth,
        by_route: counters.by_route,
        by_status: counters.by_status,
        runs: spy.number("SELECT max(run_id) FROM run"),
        batch_delay_max: Duration::from_secs(
            spy.number("SELECT coalesce(max(batch_delay_s), 0) FROM spy_batch_delay")
                .unsigned_abs(),
        ),
        took: begun.elapsed(),
    }
}

fn world(scenario: &Scenario) -> SandboxSettings {
    SandboxSettings {
        accounts: 0,
        creators: 0,
        videos: scenario.videos,
        account_videos: 0,
        rate_limit: scenario.rate_limit,
        rate_window: scenario.rate_window,
        ..SandboxSettings::default()
    }
}

/// Assigns intervals in turn, unless they are the sandbox's own.
fn assign_intervals(control: &Control, intervals: &[u32]) {
    if intervals == Scenario::default().intervals {
        return;
    }
    for (n, id) in control.ids(Kind::Video).iter().enumerate() {
        control.set_interval(Kind::Video, id, intervals[n % intervals.len()]);
    }
}

/// Records the start of the request that added each scrape to the history.
struct Spy(Connection);

impl Spy {
    fn set(path: &Path) -> Self {
        let db = Connection::open(path).unwrap();
        db.execute_batch(
            "CREATE TABLE spy (video INTEGER, at_s INTEGER, at_ns INTEGER, seen_at INTEGER);
             CREATE INDEX spy_unstamped ON spy (video) WHERE seen_at IS NULL;
             CREATE TABLE spy_batch_delay (batch_delay_s INTEGER PRIMARY KEY);
             CREATE TRIGGER spy_scrape AFTER INSERT ON post_scrape WHEN new.source > 0
             BEGIN INSERT INTO spy VALUES (new.source, new.at_s, new.at_ns, NULL); END;
             -- A request's stamp is stored in the transaction that writes its answer.
             CREATE TRIGGER spy_stamp AFTER UPDATE OF last_stamp ON instance
             BEGIN UPDATE spy SET seen_at = new.last_stamp WHERE seen_at IS NULL; END;
             CREATE TRIGGER spy_batch_delay AFTER UPDATE OF batch_delay_s ON instance
             BEGIN INSERT OR IGNORE INTO spy_batch_delay VALUES (new.batch_delay_s); END;",
        )
        .unwrap();
        Self(db)
    }

    fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// When each scrape of a video was seen; all times in milliseconds.
    fn seen(&self) -> BTreeMap<(String, i64), i64> {
        let sql = "SELECT v.id, s.at_s * 1000 + s.at_ns / 1000000, s.seen_at / 1000
                   FROM spy AS s JOIN video AS v ON v.row_id = s.video";
        let mut statement = self.0.prepare(sql).unwrap();
        let rows =
            statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}
