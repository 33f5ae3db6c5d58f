//! Model test: concurrent runs against sequential ones, over seeded sequences of changes, delayed and
//! reordered answers, faults, and kills between any two steps. A completed concurrent run stores what a
//! sequential run stores.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "simulation/settings.rs"]
mod settings;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::fetch::fetcher::RequestSettings;
use creatormirror::fetch::{Fetcher, SyncContext};
use creatormirror::model::{Kind, Watcher};
use creatormirror::schedule::decision::RunScope;
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use creatormirror::sync::{self, Report, RunOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use settings::{client, sync_settings};
use support::rewriting_proxy::RewritingProxy;
use support::sandbox::{Fault, FaultKind, Mutation, Platform, RetryAfter, SandboxSettings};
use support::{TestBed, frozen_at, unlimited};
use tokio::runtime::Runtime;

/// Rounds of changes, each followed by runs.
const STEPS: usize = 5;
/// Longest delay of an answer, milliseconds.
const LATE_MS_MAX: u64 = 8;

/// The compared views and their keys.
const SHOWN: [(&str, &str); 7] = [
    ("accounts", "id"),
    ("creators", "id"),
    ("videos", "id"),
    ("account_videos", "platform, id"),
    ("account_history", "account_id, scraped_at"),
    ("video_history", "video_id, scraped_at"),
    ("account_video_history", "platform, account_video_id, scraped_at"),
];
const MIRROR_TIMES: [&str; 3] = ["first_mirrored_at", "mirrored_at", "observed_at"];

/// A mirror, and how many requests its runs may have in flight.
struct Mirror {
    database: PathBuf,
    max_concurrent_requests: u32,
    base_url: String,
}

struct Simulation {
    seed: u64,
    bed: TestBed,
    random: ChaCha8Rng,
    runtime: Runtime,
    concurrent: Mirror,
    sequential: Mirror,
    deleted: Vec<(Kind, String)>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let settings = SandboxSettings {
            seed,
            accounts: 20,
            creators: 5,
            videos: 620,
            account_videos: 410,
            new_posts_per_day: 0.1,
            null_sort_first: seed.is_multiple_of(2),
            ..unlimited()
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut bed = TestBed::new(settings, Clock::simulated(frozen_at()));
        let direct = bed.base_url.clone();
        let requests = AtomicU64::new(seed);
        RewritingProxy::on(&mut bed, move |_, _| {
            let mut late = ChaCha8Rng::seed_from_u64(requests.fetch_add(1, Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(late.random_range(0..=LATE_MS_MAX)));
        });
        let concurrent = Mirror {
            database: bed.database(),
            max_concurrent_requests: random.random_range(2..=8),
            base_url: bed.base_url.clone(),
        };
        let sequential = Mirror {
            database: bed.folder().join("sequential.db"),
            max_concurrent_requests: 1,
            base_url: direct,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { seed, bed, random, runtime, concurrent, sequential, deleted: Vec::new() }
    }

    fn run_all(mut self) {
        for step in 0..STEPS {
            for _ in 0..self.random.random_range(0..6) {
                self.change();
            }
            let hours = self.random.random_range(0..9);
            self.bed.clock.advance(Duration::from_secs(hours * 3_600));
            for _ in 0..self.random.random_range(0..3) {
                self.add_faults();
                self.run_and_maybe_kill();
                self.check_history();
            }
            self.bed.control.clear_faults();
            // A removal needs two listings.
            for _ in 0..2 {
                for mirror in [&self.concurrent, &self.sequential] {
                    self.run_ok(mirror);
                }
            }
            self.bed.compare_lists();
            self.compare_mirrors(step);
        }
        self.check_history();
        for mirror in [&self.concurrent, &self.sequential] {
            check_change_log(&Connection::open(&mirror.database).unwrap(), self.seed);
        }
    }

    fn id(&mut self, kind: Kind) -> String {
        self.bed.any_id(kind, &mut self.random)
    }

    fn change(&mut self) {
        let kind = Kind::LISTS[self.random.random_range(0..4)];
        let id = self.id(kind);
        let control = &self.bed.control;
        match self.random.random_range(0..8) {
            0 | 1 => _ = control.add_video(Platform::Tiktok),
            2 => _ = control.add_creator("Aaron Newcomer"),
            3 | 4 => {
                control.delete(kind, &id);
                self.deleted.push((kind, id));
            }
            5 => {
                if let Some((kind, id)) = self.deleted.pop() {
                    control.restore(kind, &id);
                }
            }
            6 => _ = control.pause(kind, &id),
            _ => _ = control.resume(kind, &id),
        }
    }

    fn add_faults(&mut self) {
        for _ in 0..self.random.random_range(0..4) {
            let kind = Kind::LISTS[self.random.random_range(0..4)];
            let refuse = |code, retry_after| FaultKind::Refuse { code, retry_after };
            let fault_kind = match self.random.random_range(0..9) {
                0 => FaultKind::ResetBefore,
                1 => FaultKind::ResetAfter,
                2 => FaultKind::Truncated,
                3 => FaultKind::status(500),
                4 => refuse(429, RetryAfter::Seconds(2)),
                5 => refuse(503, RetryAfter::Absent),
                6 => FaultKind::RefuseCursor,
                7 => FaultKind::Mutate(Mutation::DeleteBorder),
                _ => FaultKind::EarlyEnd,
            };
            let (skip, times) = (self.random.random_range(0..6), self.random.random_range(1..4));
            let fault = Fault::on("GET", &format!("{}*", kind.path()), fault_kind);
            self.bed.control.fault(fault.after(skip).times(times));
        }
    }

    /// A run with faults; half of them are killed.
    fn run_and_maybe_kill(&mut self) {
        let full = self.random.random_bool(0.5);
        let polls_max = match self.random.random_bool(0.5) {
            true => self.random.random_range(1..400),
            false => u32::MAX,
        };
        let _ = self.run(&self.concurrent, full, polls_max);
    }

    fn run_ok(&self, mirror: &Mirror) {
        let report = self.run(mirror, true, u32::MAX).unwrap();
        let is_good = report.run_error.is_none() && report.kinds.iter().all(|kind| kind.is_good());
        assert!(is_good, "seed {}: {report:#?}", self.seed);
    }

    /// Runs with a new database connection, as a new process would. `None` if it was killed.
    fn run(&self, mirror: &Mirror, full: bool, polls_max: u32) -> Option<Report> {
        let clock = self.bed.clock.clone();
        let request_settings = RequestSettings {
            rate_share: 0.9,
            max_wait: Duration::from_secs(3_600),
            max_concurrent_requests: mirror.max_concurrent_requests,
            seed: self.seed,
        };
        let database = Database::open(&mirror.database, IfMissing::Create).unwrap();
        let client = client(&mirror.base_url, &clock);
        let fetcher =
            Fetcher::open(client, database, clock, Watcher::silent(), request_settings).unwrap();
        let mut ctx = SyncContext::new(fetcher, Duration::from_secs(300));
        let scope = RunScope { full, accept_removals: true };
        let options = RunOptions { trigger: "test", scope, ..RunOptions::default() };
        let settings = sync_settings(|_| "@yearly");
        let mut run = Box::pin(sync::run(&mut ctx, &options, &settings));
        let mut polls = 0;
        self.runtime.block_on(poll_fn(|context| {
            polls += 1;
            match run.as_mut().poll(context) {
                Poll::Ready(report) => Poll::Ready(Some(report)),
                Poll::Pending if polls >= polls_max => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        }))
    }

    /// Asserts that rows of both mirrors are equal. A scrape, or a row that existed only between two runs,
    /// may be in one of them alone.
    fn compare_mirrors(&self, step: usize) {
        let [one, other] = [&self.concurrent, &self.sequential].map(|mirror| {
            let db = Connection::open(&mirror.database).unwrap();
            SHOWN.map(|(view, key)| shown(&db, view, key))
        });
        for (((view, _), one), other) in SHOWN.iter().zip(one).zip(other) {
            let is_history = view.ends_with("_history");
            for (key, row) in &one {
                let same = other.get(key).is_none_or(|of_other| of_other == row);
                assert!(
                    same,
                    "seed {}, step {step}, {view} {key:?}: {row:?}, not {:?}",
                    self.seed, other[key]
                );
            }
            let present = |rows: &BTreeMap<String, BTreeMap<String, Sql>>| -> BTreeSet<String> {
                let is_present =
                    |row: &BTreeMap<String, Sql>| row.get("removed_at") == Some(&Sql::Null);
                rows.iter().filter(|(_, row)| is_present(row)).map(|(key, _)| key.clone()).collect()
            };
            assert!(
                is_history || present(&one) == present(&other),
                "seed {}, step {step}: {view}",
                self.seed
            );
        }
    }

    fn check_history(&self) {
        for kind in [Kind::Account, Kind::Video, Kind::AccountVideo] {
            self.bed.check_scrapes(kind, &BTreeSet::new());
        }
    }
}

/// Asserts that the log of changes leads to the current state: each old value is the new value before, and the
/// last new value is in the row.
fn check_change_log(db: &Connection, seed: u64) {
    let sql = "SELECT kind, id, field, old_value, new_value FROM change_log ORDER BY change";
    let mut statement = db.prepare(sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        let key: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((key, row.get::<_, Sql>(3)?, row.get::<_, Sql>(4)?))
    };
    let mut last: BTreeMap<(String, String, String), Sql> = BTreeMap::new();
    for change in statement.query_map([], read).unwrap() {
        let (key, old, new) = change.unwrap();
        assert_ne!(old, new, "seed {seed}: {key:?}");
        if let Some(before) = last.insert(key.clone(), new) {
            assert_eq!(before, old, "seed {seed}: {key:?}");
        }
    }
    let sql = "SELECT sum(removed) FROM coverage";
    let removed: i64 = db.query_row(sql, [], |row| row.get(0)).unwrap();
    let logged =
        last.iter().filter(|((.., field), value)| field == "removed_at" && **value != Sql::Null);
    assert_eq!(i64::try_from(logged.count()).unwrap(), removed, "seed {seed}");
    assert!(!last.is_empty(), "seed {seed}");
    for ((kind, id, field), value) in last {
        let key = if kind == "account_video" { "platform || ':' || id" } else { "id" };
        let sql = format!("SELECT {field} FROM {kind}s WHERE {key} = ?1");
        let shown: Sql = db.query_row(&sql, [&id], |row| row.get(0)).unwrap();
        assert_eq!(shown, value, "seed {seed}: {kind} {id} {field}");
    }
}

/// The rows of a view by key, column to value. Of `removed_at` only whether it is set.
fn shown(db: &Connection, view: &str, key: &str) -> BTreeMap<String, BTreeMap<String, Sql>> {
    let mut statement = db.prepare(&format!("SELECT * FROM {view} ORDER BY {key}")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let row_of = |row: &rusqlite::Row<'_>| {
        let mut values = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            let value = match row.get(at)? {
                Sql::Text(_) if name == "removed_at" => Sql::Text("removed".to_owned()),
                value => value,
            };
            values.insert(name.clone(), value);
        }
        Ok(values)
    };
    let rows: Vec<BTreeMap<String, Sql>> =
        statement.query_map([], row_of).unwrap().map(Result::unwrap).collect();
    let keyed = rows.into_iter().map(|mut row| {
        let key: Vec<String> = key.split(", ").map(|column| format!("{:?}", row[column])).collect();
        row.retain(|name, _| !MIRROR_TIMES.contains(&name.as_str()));
        (key.join(" "), row)
    });
    keyed.collect()
}

#[test]
fn concurrent_runs_match_sequential_runs() {
    let seeds = match std::env::var("MODEL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..2).collect(),
    };
    for seed in seeds {
        println!("repeat with MODEL_SEED={seed}");
        Simulation::new(seed).run_all();
    }
}
