//! A model test of the outbox: random sequences of queued writes against a sandbox with four processes,
//! with lost answers, crashes, expired idempotency keys, deploys, rate limits, and copies that replace
//! the mirror. Finally every requested resource exists exactly once, and every entry has a correct
//! outcome.
//!
//! `OUTBOX_SCENARIOS` sets the number of scenarios and `OUTBOX_FIRST` the seed of the first; `OUTBOX_SEED` repeats one.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use creatormirror::api::Client;
use creatormirror::clock::Clock;
use creatormirror::fetch::fetcher::RequestSettings;
use creatormirror::fetch::{Fetcher, SyncContext};
use creatormirror::model::outbox::{Action, Draft, State};
use creatormirror::model::settings::ApiSettings;
use creatormirror::model::{Kind, Watcher, instant};
use creatormirror::outbox::{self, OutboxSettings, validate};
use creatormirror::report::outbox as report;
use creatormirror::store::backup::{self, IfExists};
use creatormirror::store::open::IfMissing;
use creatormirror::store::outbox::{self as stored, enqueue, manual};
use creatormirror::store::{Database, StoreError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use support::sandbox::{
    self, Control, Duplicates, Fault, FaultBody, FaultKind, RetryAfter, SandboxSettings,
};

/// Scenarios of an ordinary run. Each has 6 to 29 random events, and then runs until everything is
/// done.
const SCENARIOS: u64 = 150;
const THREADS_MAX: usize = 4;
/// Runs after which a scenario that is not finished has failed.
const RUNS_MAX: usize = 400;

fn start() -> DateTime<Utc> {
    "2026-03-04T12:00:00Z".parse().unwrap()
}

struct Scenario {
    seed: u64,
    random: ChaCha8Rng,
    clock: Clock,
    control: Control,
    base_url: String,
    database: std::path::PathBuf,
    ctx: Option<SyncContext>,
    /// Names of requested creators, with how often.
    creators: BTreeMap<String, usize>,
    accounts: BTreeSet<String>,
    videos: BTreeSet<u64>,
    /// Queued entries.
    entries: Vec<i64>,
    crashes: u64,
    /// How often a copy replaced the mirror.
    copies: u64,
}

#[test]
fn every_requested_resource_exists_exactly_once() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = match number("OUTBOX_SEED") {
        Some(seed) => vec![seed],
        None => {
            let first = number("OUTBOX_FIRST").unwrap_or(0);
            (first..first + number("OUTBOX_SCENARIOS").unwrap_or(SCENARIOS)).collect()
        }
    };
    let folder = folder();
    let template = folder.path().join("template.db");
    Database::open(&template, IfMissing::Create).unwrap().truncate_wal().unwrap();
    let totals = Mutex::new(Totals::default());
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // One scenario per thread is faster than moving tasks between threads.
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _seed = PrintSeed(*seed);
                    let one = runtime.block_on(run_scenario(*seed, &template));
                    totals.lock().unwrap().add(&one);
                }
            });
        }
    });
    println!("{:?}", totals.into_inner().unwrap());
}

/// Prints the seed of a scenario that panics.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("repeat it with OUTBOX_SEED={}", self.0);
        }
    }
}

/// Totals over all scenarios.
#[derive(Debug, Default)]
struct Totals {
    scenarios: u64,
    entries: usize,
    sends: i64,
    unknown_outcomes: i64,
    crashes: u64,
    copies: u64,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.scenarios += other.scenarios;
        self.entries += other.entries;
        self.sends += other.sends;
        self.unknown_outcomes += other.unknown_outcomes;
        self.crashes += other.crashes;
        self.copies += other.copies;
    }
}

/// A folder in memory if possible. The test crashes the program, not the machine, so nothing needs to
/// reach a disk.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

async fn run_scenario(seed: u64, template: &Path) -> Totals {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let clock = Clock::simulated(start());
    let settings = SandboxSettings {
        accounts: random.random_range(0..6),
        creators: random.random_range(0..4),
        // Mostly few enough for one page.
        videos: match random.random_bool(0.15) {
            true => random.random_range(195..230),
            false => random.random_range(0..12),
        },
        account_videos: 0,
        seed,
        duplicates: if random.random_bool(0.5) {
            Duplicates::Conflict
        } else {
            Duplicates::Existing
        },
        rate_limit: 1_000_000,
        ..SandboxSettings::default()
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let sandbox = sandbox::start(settings, clock.clone(), listen).await.unwrap();
    let folder = folder();
    let database = folder.path().join("mirror.db");
    std::fs::copy(template, &database).unwrap();
    let control = sandbox.control();
    control.set_replicas(4);
    let named = control.rows(Kind::Creator);
    let mut creators = BTreeMap::new();
    for row in named {
        *creators.entry(row["name"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let mut scenario = Scenario {
        seed,
        random,
        clock,
        control,
        base_url: sandbox.base_url(),
        database,
        ctx: None,
        creators,
        accounts: BTreeSet::new(),
        videos: BTreeSet::new(),
        entries: Vec::new(),
        crashes: 0,
        copies: 0,
    };
    for _ in 0..scenario.random.random_range(6..30) {
        scenario.event().await;
    }
    scenario.finish().await;
    scenario.check();
    let totals = scenario.count();
    drop(scenario);
    sandbox.stop().await;
    totals
}

impl Scenario {
    /// Runs a random event.
    async fn event(&mut self) {
        match self.random.random_range(0..25) {
            0..=7 => self.enqueue(),
            8 => self.switch_to_copy().await,
            _ => self.accident().await,
        }
    }

    /// Runs a random event that queues nothing.
    async fn accident(&mut self) {
        match self.random.random_range(4..12) {
            4..=6 => self.add_fault(),
            7 => self.control.deploy(),
            8 => {
                let replica = self.random.random_range(0..4);
                self.control.pin_replica((replica > 0).then_some(replica));
            }
            9 => {
                let seconds = self.random.random_range(0..900);
                self.clock.advance(Duration::from_secs(seconds));
            }
            10 => self.crash_in_a_run().await,
            _ => self.sync().await,
        }
    }

    fn enqueue(&mut self) {
        let (kind, body) = match self.random.random_range(0..4) {
            // Few names, so that many are requested more than once.
            0 | 1 => {
                let name = format!("Creator {}", self.random.random_range(0..3));
                *self.creators.entry(name.clone()).or_insert(0) += 1;
                (Kind::Creator, json!({ "name": name }))
            }
            2 => {
                let name = format!("user.{}", self.random.random_range(0..3));
                self.accounts.insert(name.clone());
                (Kind::Account, json!({ "platform": "tiktok", "username": format!("@{name}") }))
            }
            _ => {
                let number = 7_300_000_000_000_000_001 + self.random.random_range(0..3_u64);
                self.videos.insert(number);
                let identifier = match self.random.random_bool(0.5) {
                    true => number.to_string(),
                    false => format!("https://www.tiktok.com/@x/video/{number}"),
                };
                (Kind::Video, json!({ "platform": "tiktok", "identifier": identifier }))
            }
        };
        let body = Some(body.to_string());
        let draft = Draft { kind, action: Action::Track, subject: None, account: None, body };
        self.add(&draft);
        // Sometimes a change that depends on the creation.
        if kind == Kind::Creator && self.random.random_bool(0.3) {
            let last = self.entries.last().copied().unwrap();
            let draft = Draft {
                kind,
                action: Action::Set,
                subject: Some(format!("@{last}")),
                account: None,
                body: Some(json!({ "is_active": false }).to_string()),
            };
            self.add(&draft);
        }
    }

    fn add(&mut self, draft: &Draft) {
        let at = instant::micros(self.clock.now());
        let store = Database::open_without_lock(&self.database).unwrap();
        let entry = store
            .write_durably(|tx| {
                let checked = validate::check(tx, draft).unwrap();
                enqueue::add(tx, draft, &checked, at)
            })
            .unwrap();
        self.entries.push(entry);
    }

    fn add_fault(&mut self) {
        let html = FaultKind::Status {
            code: 503,
            body: FaultBody::Raw("text/html", "x"),
            headers: Vec::new(),
        };
        let fault_kind = match self.random.random_range(0..10) {
            0 | 1 => FaultKind::ResetAfter,
            2 => FaultKind::ResetBefore,
            3 => FaultKind::Truncated,
            4 => FaultKind::TruncatedJson,
            5 => FaultKind::status(500),
            6 => FaultKind::status(502),
            7 => html,
            8 => FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(3) },
            _ => FaultKind::Html,
        };
        let method = ["POST", "POST", "POST", "PATCH", "GET"][self.random.random_range(0..5)];
        let skip = self.random.random_range(0..3);
        let times = self.random.random_range(1..4);
        self.control.fault(Fault::on(method, "/*", fault_kind).after(skip).times(times));
    }

    fn ctx(&mut self) -> &mut SyncContext {
        if self.ctx.is_none() {
            self.ctx = Some(open(&self.base_url, &self.clock, &self.database, self.seed));
        }
        self.ctx.as_mut().unwrap()
    }

    async fn sync(&mut self) {
        let settings = settings(self.random.random_bool(0.5));
        let ctx = self.ctx();
        ctx.fetcher.reset_wait();
        ctx.begin("test").await.unwrap();
        // The next run retries what fails in this one.
        let _ = outbox::push(ctx, settings).await;
    }

    /// Drops a run in the middle, as if the process had died.
    async fn crash_in_a_run(&mut self) {
        let polls = self.random.random_range(1..150);
        let settings = settings(false);
        let ctx = self.ctx();
        ctx.fetcher.reset_wait();
        ctx.begin("test").await.unwrap();
        {
            let mut run = Box::pin(outbox::push(ctx, settings));
            let mut left = polls;
            std::future::poll_fn(|context| {
                left -= 1;
                match run.as_mut().poll(context) {
                    std::task::Poll::Ready(_) => std::task::Poll::Ready(()),
                    std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(()),
                    std::task::Poll::Pending => std::task::Poll::Pending,
                }
            })
            .await;
        }
        self.ctx = None;
        self.crashes += 1;
    }

    /// Makes a copy, lets the original run for a while, and replaces the original by the copy, which
    /// does not know what was sent meanwhile.
    async fn switch_to_copy(&mut self) {
        let (copy, now) =
            (self.database.with_extension(format!("{}.db", self.copies)), self.clock.now());
        let store = Database::open_without_lock(&self.database).unwrap();
        let made =
            backup::copy(&store, &copy, IfExists::Keep, instant::micros(now), |_| true).unwrap();
        drop(store);
        for _ in 0..self.random.random_range(0..5) {
            self.accident().await;
        }
        self.ctx = None;
        self.database = copy;
        self.copies += 1;
        let now = instant::micros(self.clock.now());
        let store = Database::open_without_lock(&self.database).unwrap();
        let held = store.read(|c| stored::list(c, &[State::Held], i64::MAX)).unwrap();
        assert_eq!(held.len(), made.held, "seed {}", self.seed);
        self.sync().await;
        let after = store.read(|c| stored::list(c, &[State::Held], i64::MAX)).unwrap();
        assert_eq!(held, after, "seed {}: held entries must not change", self.seed);
        store
            .write(|tx| {
                held.iter().try_for_each(|entry| manual::retry(tx, entry.entry, now).map(drop))
            })
            .unwrap();
    }

    /// Ends all faults, and runs until every entry has succeeded.
    async fn finish(&mut self) {
        self.control.clear_faults();
        for _ in 0..RUNS_MAX {
            let now = instant::micros(self.clock.now());
            let store = Database::open_without_lock(&self.database).unwrap();
            let entries = store.read(|c| stored::list(c, &[], i64::MAX)).unwrap();
            if entries.iter().all(|entry| entry.state == State::Succeeded) {
                return;
            }
            // Entries that failed during the faults are retried manually.
            for entry in entries.iter().filter(|entry| entry.state == State::Failed) {
                store.write(|tx| manual::retry(tx, entry.entry, now)).unwrap();
            }
            self.sync().await;
            self.clock.advance(Duration::from_secs(60));
        }
        let store = Database::open_without_lock(&self.database).unwrap();
        let entries = store.read(|c| stored::list(c, &[], i64::MAX)).unwrap();
        panic!("seed {}: unfinished entries: {entries:#?}", self.seed);
    }

    /// The request log, for failure messages.
    fn requests(&self) -> Vec<String> {
        let log = self.control.log();
        log.iter()
            .map(|entry| {
                format!(
                    "{} {} {} {} -> {:?} {}",
                    entry.server_time,
                    entry.method,
                    entry.path,
                    entry.body,
                    entry.status,
                    entry.fault.unwrap_or_default()
                )
            })
            .collect()
    }

    fn count(&mut self) -> Totals {
        let store = Database::open_without_lock(&self.database).unwrap();
        let entries = store.read(|c| stored::list(c, &[], i64::MAX)).unwrap();
        Totals {
            scenarios: 1,
            entries: entries.len(),
            sends: entries.iter().map(|entry| entry.attempts).sum(),
            unknown_outcomes: entries.iter().map(|entry| entry.fails).sum(),
            crashes: self.crashes,
            copies: self.copies,
        }
    }

    fn check(&mut self) {
        let seed = self.seed;
        let mut found = BTreeMap::new();
        for row in self.control.rows(Kind::Creator) {
            *found.entry(row["name"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        let store = Database::open_without_lock(&self.database).unwrap();
        let entries = store.read(|c| stored::list(c, &[], i64::MAX)).unwrap();
        let record: Vec<String> = entries.iter().map(report::line).collect();
        assert_eq!(found, self.creators, "seed {seed}: {record:#?}\n{:#?}", self.requests());
        let count = |kind: Kind, member: &str, value: &str| {
            let rows = self.control.rows(kind);
            rows.iter().filter(|row| row[member] == value).count()
        };
        for name in &self.accounts {
            assert_eq!(count(Kind::Account, "username", name), 1, "seed {seed}: {name}");
        }
        for number in &self.videos {
            let number = number.to_string();
            assert_eq!(count(Kind::Video, "external_id", &number), 1, "seed {seed}: {number}");
        }
        let store = Database::open_without_lock(&self.database).unwrap();
        let mut owners = BTreeMap::new();
        for entry in store.read(|c| stored::list(c, &[], i64::MAX)).unwrap() {
            let result = entry.result_id.clone().unwrap();
            let row = self.control.row(entry.kind, &result);
            let row = row.unwrap_or_else(|| panic!("seed {seed}: {entry:#?} does not exist"));
            if entry.action == Action::Set {
                assert_eq!(row["is_active"], false, "seed {seed}: {entry:#?}");
            } else if entry.kind == Kind::Creator {
                let other = owners.insert(result, entry.entry);
                assert_eq!(other, None, "seed {seed}: two entries have one result: {entry:#?}");
            }
        }
    }
}

fn settings(waits_for_outcome: bool) -> OutboxSettings {
    OutboxSettings {
        reconcile_after: Duration::from_secs(5),
        retention: Duration::from_secs(90 * 86_400),
        waits_for_outcome,
    }
}

/// Opens the database. A write in progress when its run was dropped still holds the lock for a while.
fn reopen(database: &Path) -> Database {
    for _ in 0..1_000 {
        match Database::open(database, IfMissing::Create) {
            Err(StoreError::Locked(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the database is still locked");
}

fn open(base_url: &str, clock: &Clock, database: &Path, seed: u64) -> SyncContext {
    let settings = ApiSettings {
        base_url: base_url.parse().unwrap(),
        key: "sandbox-key".to_owned().into(),
        ca_file: None,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(30),
    };
    let client = Client::new(&settings).unwrap().with_clock(clock.clone());
    let request_settings = RequestSettings {
        rate_share: 1.0,
        max_wait: Duration::from_secs(600),
        max_concurrent_requests: 4,
        seed,
    };
    let fetcher =
        Fetcher::open(client, reopen(database), clock.clone(), Watcher::silent(), request_settings)
            .unwrap();
    SyncContext::new(fetcher, Duration::from_secs(300))
}
