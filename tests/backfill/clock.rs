//! Days that end and settle while time passes: in-process, on a simulated clock.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use creatormirror::clock::Clock;
use creatormirror::daemon::{
    self, DaemonHooks, DaemonSettings, Heartbeat, JobAnswer, ServiceState, Signal,
};
use creatormirror::fetch::fetcher::RequestSettings;
use creatormirror::fetch::{Fetcher, SyncContext};
use creatormirror::model::{Kind, Watcher};
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use creatormirror::sync::backfill::{self, Backfill, BackfillReport};
use creatormirror::sync::{self, Report, RunOptions};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::settings::{client, sync_settings};
use super::support::{TestBed, unlimited};
use super::truth::day;
use crate::support::sandbox::{SandboxSettings, Switch};

/// A Monday noon.
fn begins_at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_452_800, 0).unwrap()
}

fn settings() -> SandboxSettings {
    SandboxSettings { accounts: 8, videos: 230, account_videos: 60, past_days: 30, ..unlimited() }
}

/// A [`TestBed`] that runs the library in this process instead of the binary.
struct InProcess {
    bed: TestBed,
    runtime: Runtime,
}

impl InProcess {
    fn new(settings: SandboxSettings) -> Self {
        let bed = TestBed::new(settings, Clock::simulated(begins_at()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { bed, runtime }
    }

    fn ctx(&self) -> SyncContext {
        let clock = self.bed.clock.clone();
        let client = client(&self.bed.base_url, &clock);
        let database = Database::open(&self.bed.database(), IfMissing::Create).unwrap();
        let fetcher =
            Fetcher::open(client, database, clock, Watcher::silent(), request_settings()).unwrap();
        SyncContext::new(fetcher, Duration::from_secs(300))
    }

    /// Same as the command `sync`.
    fn sync(&self) -> Report {
        let mut ctx = self.ctx();
        let options =
            RunOptions { trigger: "sync", waits_for_outcome: true, ..RunOptions::default() };
        let report = self.runtime.block_on(sync::run_and_grow(
            &mut ctx,
            &options,
            &sync_settings(|_| "@daily"),
        ));
        assert!(report.run_error.is_none(), "{:?}", report.run_error);
        report
    }

    /// Same as the command `backfill`.
    fn backfill(&self, days: u32) -> BackfillReport {
        let (mut ctx, mut work) = (self.ctx(), Backfill::of_days(days));
        let settings = sync_settings(|_| "@daily");
        let course = backfill::run(&mut ctx, &mut work, &settings, false, async |_| false);
        let stop = self.runtime.block_on(course);
        work.report(stop)
    }

    /// Same as the command `run`, terminated after `length`.
    fn daemon(&self, length: TimeDelta) {
        let clock = self.bed.clock.clone();
        let end = clock.now() + length;
        let (sender, signals) = mpsc::channel(1);
        let notify = move |_: &ServiceState| {
            if clock.now() >= end {
                // A full channel means that the signal was already sent.
                let _ = sender.try_send(Signal::Terminate);
            }
        };
        let nothing = || JobAnswer {
            exit_code: 0,
            json: serde_json::Value::Null,
            text: String::new(),
            error: None,
            hints: Vec::new(),
        };
        let hooks = DaemonHooks {
            signals,
            notify: Box::new(notify),
            on_run: Box::new(|_, _| ()),
            reload: Box::new(|| Err("nothing to read".to_owned())),
            answer: Box::new(move |_| nothing()),
            answer_backfill: Box::new(move |_| nothing()),
            heartbeat: Heartbeat::new(self.bed.clock.clone()),
        };
        let settings = DaemonSettings {
            sync_settings: sync_settings(|_| "@hourly"),
            request_settings: request_settings(),
            freshness_target: Duration::from_secs(300),
        };
        self.runtime.block_on(daemon::run(self.ctx(), settings, hooks)).unwrap();
    }

    fn today(&self) -> NaiveDate {
        self.bed.clock.now().date_naive()
    }

    fn ago(&self, days: u64) -> NaiveDate {
        self.today().checked_sub_days(Days::new(days)).unwrap()
    }

    /// The days from `first` to yesterday.
    fn since(&self, first: NaiveDate) -> Vec<NaiveDate> {
        let today = self.today();
        first.iter_days().take_while(|day| *day < today).collect()
    }

    /// The number of requests per day since the previous call.
    fn requests_by_day(&self) -> BTreeMap<NaiveDate, usize> {
        let mut days = BTreeMap::new();
        for entry in self.bed.metrics_requests() {
            *days.entry(day(&entry).parse().unwrap()).or_default() += 1;
        }
        self.bed.control.clear_log();
        days
    }

    /// The number of requests that these days take, each requested this many times.
    fn expected(&self, days: &[(NaiveDate, usize)]) -> BTreeMap<NaiveDate, usize> {
        days.iter().map(|(day, times)| (*day, times * self.bed.fewest(&[*day], 200))).collect()
    }

    fn days_pass(&self, days: u64) {
        self.bed.clock.advance(Duration::from_secs(days * 24 * 3_600));
    }
}

fn request_settings() -> RequestSettings {
    RequestSettings {
        rate_share: 0.9,
        max_wait: Duration::from_secs(300),
        max_concurrent_requests: 4,
        seed: 7,
    }
}

/// A video whose last scrape was on this day.
fn scraped_on(lab: &InProcess, day: NaiveDate) -> String {
    let rows = lab.bed.control.rows(Kind::Video);
    let is_of_day = |row: &&serde_json::Value| {
        row["last_scrape_time"].as_str().is_some_and(|at| at.starts_with(&day.to_string()))
    };
    rows.iter().find(is_of_day).unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn requests_a_settling_day_exactly_once_more() {
    let lab = InProcess::new(settings());
    lab.sync();
    lab.requests_by_day();
    let first = lab.ago(5);
    lab.backfill(5);
    assert_eq!(
        lab.requests_by_day(),
        lab.expected(&lab.since(first).iter().map(|d| (*d, 1)).collect::<Vec<_>>())
    );
    // Repeated immediately: nothing has settled yet.
    lab.backfill(5);
    assert_eq!(lab.requests_by_day(), BTreeMap::new());
    // The API revises yesterday's figures.
    let video = scraped_on(&lab, lab.ago(1));
    lab.bed.control.revise(Kind::Video, &video, |counts| counts.view += 1_000);

    lab.days_pass(1);
    lab.backfill(6);
    assert_eq!(lab.requests_by_day(), lab.expected(&[(lab.ago(1), 1), (lab.ago(3), 1)]));
    lab.days_pass(1);
    lab.backfill(7);
    assert_eq!(lab.requests_by_day(), lab.expected(&[(lab.ago(1), 1), (lab.ago(3), 1)]));
    lab.bed.compare_days(&lab.since(first));
    lab.backfill(7);
    assert_eq!(lab.requests_by_day(), BTreeMap::new());
    lab.days_pass(9);
    lab.backfill(16);
    let new: Vec<_> = (1..=11).map(|ago| (lab.ago(ago), 1)).collect();
    assert_eq!(lab.requests_by_day(), lab.expected(&new), "two of them the second time");
    lab.bed.compare_days(&lab.since(first));
    assert_eq!(lab.bed.number("SELECT count(*) FROM metric_day WHERE asked_at IS NULL"), 0);
}

#[test]
fn sync_adds_new_days_only_after_a_backfill() {
    let lab = InProcess::new(settings());
    lab.sync();
    lab.days_pass(2);
    assert!(lab.sync().daily.is_none());
    assert_eq!(lab.requests_by_day(), BTreeMap::new(), "no backfill was made");
    let first = lab.ago(3);
    lab.backfill(3);
    lab.requests_by_day();
    assert!(lab.sync().daily.is_none());
    for _ in 0..4 {
        lab.days_pass(1);
        let report = lab.sync();
        let daily = report.daily.as_ref().unwrap();
        assert_eq!(lab.requests_by_day(), lab.expected(&[(lab.ago(1), 1), (lab.ago(3), 1)]));
        assert_eq!(daily.requests, lab.bed.fewest(&[lab.ago(1), lab.ago(3)], 200) as i64);
        assert!(lab.sync().daily.is_none(), "once a day");
        assert_eq!(lab.requests_by_day(), BTreeMap::new());
        lab.bed.compare_days(&lab.since(first));
    }
    // Catches up after several days without a sync.
    lab.days_pass(6);
    lab.sync();
    assert_eq!(lab.requests_by_day().len(), 8);
    lab.bed.compare_days(&lab.since(first));
    assert_eq!(lab.bed.last_outcome(Kind::Video), "complete");
}

/// Lets the daemon run over the next midnight, when a day ends.
fn over_midnight(lab: &InProcess) {
    let midnight = lab.today().succ_opt().unwrap().and_time(chrono::NaiveTime::MIN).and_utc();
    let evening = midnight - TimeDelta::minutes(10);
    lab.bed.clock.advance((evening - lab.bed.clock.now()).to_std().unwrap());
    lab.daemon(TimeDelta::minutes(50));
}

#[test]
fn daemon_adds_each_day_after_it_ends() {
    let lab = InProcess::new(SandboxSettings { videos: 40, ..settings() });
    over_midnight(&lab);
    assert_eq!(lab.requests_by_day(), BTreeMap::new(), "no backfill was made");
    let first = lab.ago(4);
    lab.backfill(4);
    lab.requests_by_day();
    for _ in 0..4 {
        over_midnight(&lab);
        assert_eq!(lab.requests_by_day(), lab.expected(&[(lab.ago(1), 1), (lab.ago(3), 1)]));
        lab.bed.compare_days(&lab.since(first));
    }
    let runs = lab.bed.number("SELECT count(*) FROM run WHERE trigger = 'daily'");
    assert!((4..=12).contains(&runs), "{runs} runs in four days");
}

#[test]
fn daemon_catches_up_and_skips_an_unsupported_endpoint() {
    let lab = InProcess::new(SandboxSettings { videos: 40, account_videos: 20, ..settings() });
    lab.sync();
    let first = lab.ago(2);
    lab.backfill(2);
    lab.requests_by_day();
    let (method, path) = ("POST".to_owned(), "/videos/metrics".to_owned());
    lab.bed.control.switch_off(Switch::Endpoint { method, path, status: 404 });
    lab.days_pass(3);
    over_midnight(&lab);
    let refused = lab.bed.log_of("/videos/metrics").len();
    assert_eq!(refused, 1, "the result is remembered");
    assert!(lab.bed.log_of("/accounts/metrics").len() > 4, "the other kinds continue");
    lab.bed.control.switch_all_on();
    lab.days_pass(7);
    over_midnight(&lab);
    lab.bed.compare_days(&lab.since(first));
}
