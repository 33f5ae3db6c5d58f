//! A model of the outbox: random lives of queued writes against the sandbox's four processes, with
//! lost answers, crashes, forgotten keys, deploys, rate limits, and copies that take the mirror's
//! place. When all is quiet, each thing that was wanted exists exactly once, and each entry has a true
//! end.
//!
//! `OUTBOX_LIVES` sets how many lives are lived, `OUTBOX_SEED` relives one.

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
    self, Accident, Control, Duplicates, Fault, FaultBody, RetryAfter, SandboxSettings,
};

/// Lives of an ordinary run. Each is a case of its own: 6 to 29 random events, and the rest after them.
const LIVES: u64 = 500;
const THREADS_MAX: usize = 4;
/// Passes after which a life that has not come to rest is wrong.
const RUNS_MAX: usize = 400;

fn start() -> DateTime<Utc> {
    "2026-03-04T12:00:00Z".parse().unwrap()
}

struct Life {
    seed: u64,
    random: ChaCha8Rng,
    clock: Clock,
    control: Control,
    base_url: String,
    database: std::path::PathBuf,
    ctx: Option<SyncContext>,
    /// Names of creators that were asked for, with how often.
    creators: BTreeMap<String, usize>,
    accounts: BTreeSet<String>,
    videos: BTreeSet<u64>,
    /// Entries that were queued.
    entries: Vec<i64>,
    crashes: u64,
    /// How often a copy took the place of the mirror.
    copies: u64,
}

#[test]
fn each_thing_that_was_wanted_exists_exactly_once() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = match number("OUTBOX_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("OUTBOX_LIVES").unwrap_or(LIVES)).collect(),
    };
    let folder = folder();
    let template = folder.path().join("template.db");
    Database::open(&template, IfMissing::Create).unwrap().truncate_wal().unwrap();
    let lived = Mutex::new(Lived::default());
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // A whole life on one thread costs less than handing it from one to another.
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _told = Told(*seed);
                    let one = runtime.block_on(live(*seed, &template));
                    lived.lock().unwrap().add(&one);
                }
            });
        }
    });
    println!("{:?}", lived.into_inner().unwrap());
}

/// Tells the seed of a life that ends in a panic.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("relive it with OUTBOX_SEED={}", self.0);
        }
    }
}

/// What was lived through, in numbers.
#[derive(Debug, Default)]
struct Lived {
    lives: u64,
    entries: usize,
    sends: i64,
    unknown_outcomes: i64,
    crashes: u64,
    copies: u64,
}

impl Lived {
    fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.entries += other.entries;
        self.sends += other.sends;
        self.unknown_outcomes += other.unknown_outcomes;
        self.crashes += other.crashes;
        self.copies += other.copies;
    }
}

/// Where nothing waits for a disk, if there is such a place: what is lost here is lost by crashes of
/// the program, not of the machine.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

async fn live(seed: u64, template: &Path) -> Lived {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let clock = Clock::simulated(start());
    let settings = SandboxSettings {
        accounts: random.random_range(0..6),
        creators: random.random_range(0..4),
        // Mostly so few that a page holds them all.
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
    let mut life = Life {
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
    for _ in 0..life.random.random_range(6..30) {
        life.event().await;
    }
    life.come_to_rest().await;
    life.is_as_wanted();
    let lived = life.count();
    drop(life);
    sandbox.stop().await;
    lived
}

impl Life {
    /// Something happens.
    async fn event(&mut self) {
        match self.random.random_range(0..25) {
            0..=7 => self.enqueue(),
            8 => self.go_on_with_a_copy().await,
            _ => self.accident().await,
        }
    }

    /// Something happens that queues nothing.
    async fn accident(&mut self) {
        match self.random.random_range(4..12) {
            4..=6 => self.trouble(),
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
            _ => self.run_id().await,
        }
    }

    fn enqueue(&mut self) {
        let (kind, body) = match self.random.random_range(0..4) {
            // Few names, so that many are wanted more than once.
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
        // Some more that hangs on the first.
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

    fn trouble(&mut self) {
        let html = Accident::Status {
            code: 503,
            body: FaultBody::Raw("text/html", "x"),
            headers: Vec::new(),
        };
        let accident = match self.random.random_range(0..10) {
            0 | 1 => Accident::ResetAfter,
            2 => Accident::ResetBefore,
            3 => Accident::Truncated,
            4 => Accident::TruncatedJson,
            5 => Accident::status(500),
            6 => Accident::status(502),
            7 => html,
            8 => Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(3) },
            _ => Accident::Html,
        };
        let method = ["POST", "POST", "POST", "PATCH", "GET"][self.random.random_range(0..5)];
        let skip = self.random.random_range(0..3);
        let times = self.random.random_range(1..4);
        self.control.fault(Fault::on(method, "/*", accident).after(skip).times(times));
    }

    fn ctx(&mut self) -> &mut SyncContext {
        if self.ctx.is_none() {
            self.ctx = Some(open(&self.base_url, &self.clock, &self.database, self.seed));
        }
        self.ctx.as_mut().unwrap()
    }

    async fn run_id(&mut self) {
        let settings = settings(self.random.random_bool(0.5));
        let ctx = self.ctx();
        ctx.fetcher.reset_wait();
        ctx.begin("test").await.unwrap();
        // What goes wrong in a run is the next one's to mend.
        let _ = outbox::push(ctx, settings).await;
    }

    /// A process that dies somewhere in a run: nothing it would have done after that is done.
    async fn crash_in_a_run(&mut self) {
        let polls = self.random.random_range(1..150);
        let settings = settings(false);
        let ctx = self.ctx();
        ctx.fetcher.reset_wait();
        ctx.begin("test").await.unwrap();
        {
            let mut run_id = Box::pin(outbox::push(ctx, settings));
            let mut left = polls;
            std::future::poll_fn(|context| {
                left -= 1;
                match run_id.as_mut().poll(context) {
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

    /// A copy is made; the original works on for a while, and is lost; the copy takes its place, not
    /// knowing what the original has sent.
    async fn go_on_with_a_copy(&mut self) {
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
        self.run_id().await;
        let after = store.read(|c| stored::list(c, &[State::Held], i64::MAX)).unwrap();
        assert_eq!(held, after, "seed {}: what is held is left alone", self.seed);
        store
            .write(|tx| {
                held.iter().try_for_each(|entry| manual::retry(tx, entry.entry, now).map(drop))
            })
            .unwrap();
    }

    /// The API is well again, and runs follow until nothing is left to do.
    async fn come_to_rest(&mut self) {
        self.control.clear_faults();
        for _ in 0..RUNS_MAX {
            let now = instant::micros(self.clock.now());
            let store = Database::open_without_lock(&self.database).unwrap();
            let entries = store.read(|c| stored::list(c, &[], i64::MAX)).unwrap();
            if entries.iter().all(|entry| entry.state == State::Succeeded) {
                return;
            }
            // What was given up while the API was ill is taken up again by hand.
            for entry in entries.iter().filter(|entry| entry.state == State::Failed) {
                store.write(|tx| manual::retry(tx, entry.entry, now)).unwrap();
            }
            self.run_id().await;
            self.clock.advance(Duration::from_secs(60));
        }
        let store = Database::open_without_lock(&self.database).unwrap();
        let entries = store.read(|c| stored::list(c, &[], i64::MAX)).unwrap();
        panic!("seed {}: no rest: {entries:#?}", self.seed);
    }

    /// What the sandbox was asked, for people.
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

    fn count(&mut self) -> Lived {
        let store = Database::open_without_lock(&self.database).unwrap();
        let entries = store.read(|c| stored::list(c, &[], i64::MAX)).unwrap();
        Lived {
            lives: 1,
            entries: entries.len(),
            sends: entries.iter().map(|entry| entry.attempts).sum(),
            unknown_outcomes: entries.iter().map(|entry| entry.fails).sum(),
            crashes: self.crashes,
            copies: self.copies,
        }
    }

    fn is_as_wanted(&mut self) {
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

fn settings(stays: bool) -> OutboxSettings {
    OutboxSettings {
        reconcile_after: Duration::from_secs(5),
        retention: Duration::from_secs(90 * 86_400),
        stays,
    }
}

/// A write that was under way when its run was dropped goes on to its end, and holds the lock until then.
fn reopen(database: &Path) -> Database {
    for _ in 0..1_000 {
        match Database::open(database, IfMissing::Create) {
            Err(StoreError::Locked(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("the database stays locked");
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
