//! Rate limits: `Retry-After` is respected across runs and clock steps, and requests are paced.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::sandbox::{Fault, FaultKind, LoggedRequest, RetryAfter, SandboxSettings};
use crate::support::{KEY, TestBed, frozen_at, unlimited, until};
use chrono::TimeDelta;
use creatormirror::api::{Client, Request};
use creatormirror::clock::Clock;
use creatormirror::fetch::Fetcher;
use creatormirror::fetch::fetcher::RequestSettings;
use creatormirror::model::settings::ApiSettings;
use creatormirror::model::{Kind, Watcher};
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;

fn pages() -> SandboxSettings {
    SandboxSettings { videos: 700, accounts: 9, account_videos: 40, ..unlimited() }
}

fn refuse(code: u16, retry_after: RetryAfter) -> FaultKind {
    FaultKind::Refuse { code, retry_after }
}

fn seconds(n: u64) -> RetryAfter {
    RetryAfter::Seconds(n)
}

/// The time between a refused request and the next one that was not in flight already.
fn pause_after_refusal(log: &[LoggedRequest]) -> Duration {
    let refused = log.iter().position(|e| e.fault == Some("refuse")).expect("a refusal");
    let later = log[refused + 1..].iter().map(|e| e.received - log[refused].received);
    let (on_their_way, paused): (Vec<_>, Vec<_>) = later.partition(|t| *t < Duration::from_secs(1));
    assert!(on_their_way.len() <= 3, "{on_their_way:?}");
    paused[0]
}

#[test]
fn waits_as_retry_after_demands() {
    std::thread::scope(|scope| {
        let date = || RetryAfter::Date(Duration::from_secs(2));
        for (code, retry_after, hours_off) in [
            (429, seconds(2), 0),
            (503, seconds(2), 0),
            (429, date(), 0),
            (503, date(), 0),
            (429, date(), 5),
            (429, date(), -5),
            (429, seconds(2), -24),
        ] {
            scope.spawn(move || {
                let bed = TestBed::live(pages());
                bed.control.set_clock_offset(TimeDelta::hours(hours_off));
                let what = refuse(code, retry_after.clone());
                bed.control.fault(Fault::on("GET", "/videos", what).after(1));
                let run = bed.sync_ok(&[]);
                let pause = pause_after_refusal(&bed.log());
                let case = format!("{code} {retry_after:?} {hours_off}: {pause:?}, {run:#?}");
                assert!(pause >= Duration::from_secs(2), "too soon: {case}");
                assert!(pause < Duration::from_secs(8), "too late: {case}");
                assert!(run.stderr.contains("rate limited"), "{case}");
                bed.compare_lists();
            });
        }
    });
}

#[test]
fn backs_off_without_a_readable_retry_after() {
    for retry_after in [RetryAfter::Absent, RetryAfter::Raw("soon".to_owned())] {
        let bed = TestBed::live(pages());
        bed.control.fault(Fault::on("GET", "/videos", refuse(429, retry_after)).times(2));
        bed.sync_ok(&[]);
        assert_eq!(bed.control.faults_waiting(), 0);
        bed.compare_lists();
    }
}

#[test]
fn later_runs_respect_the_cooldown() {
    let bed = TestBed::live(pages());
    bed.control.fault(Fault::on("GET", "/videos", refuse(429, seconds(5))).after(1));
    bed.sync(&["--max-wait", "1s"]).expect(75).says("--max-wait");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 200, "stored pages are kept");
    assert_eq!(bed.last_outcome(Kind::Video), "rate_limited");
    let requests = bed.log();
    for _ in 0..2 {
        let run = bed.sync(&["--max-wait", "1s"]).expect(75);
        assert!(run.took < Duration::from_secs(3), "{run:#?}");
    }
    bed.start_sync(&["--full"]).kill();
    assert_eq!(bed.log().len(), requests.len(), "a request was sent");

    bed.sync_ok(&[]);
    let pause = pause_after_refusal(&bed.log());
    assert!(pause >= Duration::from_secs(5), "{pause:?}");
    let second_page = requests.iter().rfind(|entry| entry.path == "/videos").unwrap();
    let second_page = second_page.param("cursor").map(str::to_owned);
    let next = bed.log_of("/videos")[2].param("cursor").map(str::to_owned);
    assert_eq!(next, second_page, "the listing is resumed at the refused page");
    bed.compare_lists();
}

#[test]
fn cooldown_survives_kill_9() {
    let bed = TestBed::live(pages());
    bed.control.fault(Fault::on("GET", "/videos", refuse(429, seconds(4))).after(2));
    let run = bed.start_sync(&[]);
    let limiter = "SELECT json_extract(rate_limiter, '$.closed.length.secs') FROM instance";
    until("the rate limiter is closed in the database", || {
        bed.log_of("/videos").len() == 3
            && bed.text(&format!("SELECT CAST(({limiter}) AS TEXT)")) == "4"
    });
    run.kill();
    bed.sync_ok(&[]);
    let pause = pause_after_refusal(&bed.log());
    assert!(pause >= Duration::from_secs(4), "{pause:?}");
    bed.compare_lists();
}

#[test]
fn cooldown_survives_unreadable_limiter_state() {
    let bed = TestBed::live(pages());
    bed.control.fault(Fault::on("GET", "/videos", refuse(429, seconds(600))).after(2));
    bed.sync(&["--max-wait", "1s"]).expect(75);
    for unreadable in ["no JSON", "", "[]", r#"{"cooldown":{"until":7}}"#] {
        let sql = "UPDATE instance SET rate_limiter = ?1";
        bed.db_to_write().execute(sql, [unreadable]).unwrap();
        bed.control.clear_log();
        bed.sync(&["--max-wait", "1s"]).expect(75).says("rate limited");
        assert_eq!(bed.log().len(), 0, "{unreadable}");
        let status = bed.start(bed.command(&["status"])).wait().expect(0);
        assert!(status.stdout.contains("closed by the API until"), "{status:#?}");
    }
}

#[test]
fn excessive_retry_after_ends_the_run() {
    for retry_after in ["7200", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let bed = TestBed::live(pages());
        let what = refuse(429, RetryAfter::Raw(retry_after.to_owned()));
        bed.control.fault(Fault::on("GET", "/videos", what).after(2));
        let run = bed.sync(&[]).expect(75);
        assert!(run.took < Duration::from_secs(30), "{run:#?}");
        assert_eq!(bed.number("SELECT count(*) FROM videos"), 400);
        bed.compare_kind(Kind::Account);
    }
}

/// Requests that count against the limit, by window of the server's clock.
fn by_window(log: &[LoggedRequest], window: Duration) -> BTreeMap<u128, usize> {
    let mut windows = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.has_authorization) {
        let at = u128::from(entry.server_time.0.unsigned_abs());
        *windows.entry(at / window.as_millis()).or_default() += 1;
    }
    windows
}

#[test]
fn small_budget_is_paced_without_a_429() {
    std::thread::scope(|scope| {
        for (share, most, hours_off) in [("0.9", 9, 0), ("0.5", 5, 0), ("0.9", 9, 7)] {
            scope.spawn(move || {
                let window = Duration::from_secs(2);
                let settings = SandboxSettings {
                    videos: if share == "0.5" { 2_000 } else { 4_400 },
                    rate_limit: 10,
                    rate_window: window,
                    ..SandboxSettings::default()
                };
                let mut bed = TestBed::live(settings);
                bed.control.set_clock_offset(TimeDelta::hours(hours_off));
                bed.set("CREATORMIRROR_RATE_SHARE", share);
                let run = bed.sync_ok(&[]);
                let log = bed.log();
                assert!(log.iter().all(|entry| entry.status != Some(429)), "{log:#?}");
                let windows = by_window(&log, window);
                assert!(windows.len() >= 3, "{windows:?}");
                assert!(windows.values().all(|requests| *requests <= most), "{windows:?}");
                // Rounding may cost one window, not two.
                let needed = log.len().div_ceil(most);
                assert!(run.took < window * (2 * needed as u32 + 2), "{run:#?} {windows:?}");
                bed.control.set_rate_limit(1_000_000, window);
                bed.compare_lists();
            });
        }
    });
}

#[test]
fn respects_requests_of_other_clients() {
    let window = Duration::from_secs(3);
    let settings = SandboxSettings { rate_limit: 20, rate_window: window, ..pages() };
    let bed = TestBed::live(settings);
    bed.control.spend(KEY, 20);
    let run = bed.sync_ok(&[]);
    let refused = bed.log().iter().filter(|entry| entry.status == Some(429)).count();
    assert!(refused <= 1, "more than one 429: {run:#?}");
    bed.control.set_rate_limit(1_000_000, window);
    bed.compare_lists();
}

/// Sends requests on a manual clock, with a database for the limiter state.
struct Sender {
    bed: TestBed,
    clock: Clock,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl Sender {
    /// The server refuses the first request for ten minutes.
    fn new() -> Self {
        let bed = TestBed::frozen(unlimited());
        bed.control.fault(Fault::on("GET", "/whoami", refuse(429, seconds(600))));
        let folder = tempfile::tempdir().unwrap();
        drop(Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        Self { bed, clock: Clock::manual(frozen_at()), runtime, folder }
    }

    /// Sends one request as a new run would.
    fn send(&self) -> tokio::task::JoinHandle<bool> {
        let settings = ApiSettings {
            base_url: self.bed.base_url.parse().unwrap(),
            key: KEY.into(),
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
        };
        let client = Client::new(&settings).unwrap().with_clock(self.clock.clone());
        let request_settings = RequestSettings {
            rate_share: 0.9,
            max_wait: Duration::from_secs(7_200),
            max_concurrent_requests: 4,
            seed: 1,
        };
        let database = Database::open_without_lock(&self.database()).unwrap();
        let fetcher = Fetcher::open(
            client,
            database,
            self.clock.clone(),
            Watcher::silent(),
            request_settings,
        );
        let (fetcher, _) = fetcher.unwrap();
        self.runtime
            .spawn(async move { fetcher.fetch(&Request::get("/whoami"), |_| Ok(())).await.is_ok() })
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("m.db")
    }

    fn wait_for_refusal(&self) {
        let sql = "SELECT rate_limiter FROM instance";
        until("the refusal is stored", || {
            let database = Database::open_to_read(&self.database()).unwrap();
            let limiter =
                database.read(|c| Ok(c.query_row(sql, [], |row| row.get::<_, String>(0))?));
            limiter.unwrap().contains("\"secs\":600")
        });
        std::thread::sleep(Duration::from_millis(50));
    }

    /// Advances the clock second by second. Returns the number of seconds until the next request.
    fn seconds_until_request(&self) -> u64 {
        let requests = self.bed.log().len();
        for second in 1..=700 {
            self.clock.advance(Duration::from_secs(1));
            // Gives requests time to arrive where they are expected.
            let is_near = [0, 395, 595].iter().any(|from| (*from..from + 50).contains(&second));
            std::thread::sleep(Duration::from_millis(if is_near { 20 } else { 1 }));
            if self.bed.log().len() > requests {
                return second;
            }
        }
        panic!("no request in 700 seconds");
    }
}

#[test]
fn clock_step_does_not_change_the_cooldown() {
    for hours in [-30, 30] {
        let sender = Sender::new();
        let sending = sender.send();
        sender.wait_for_refusal();
        sender.clock.step_wall(TimeDelta::hours(hours));
        let waited = sender.seconds_until_request();
        assert!((600..=640).contains(&waited), "{hours}: {waited}");
        assert!(sender.runtime.block_on(sending).unwrap());
    }
}

#[test]
fn reboot_keeps_the_rest_of_the_cooldown() {
    // Off for 200 s; then a clock that lost or gained a month.
    let month = TimeDelta::days(30);
    for (step, least, most) in
        [(TimeDelta::seconds(200), 400, 440), (-month, 600, 640), (month, 1, 40)]
    {
        let sender = Sender::new();
        let sending = sender.send();
        sender.wait_for_refusal();
        sending.abort();
        sender.clock.reboot();
        sender.clock.step_wall(step);
        let sending = sender.send();
        std::thread::sleep(Duration::from_millis(50));
        let waited = if sender.bed.log().len() > 1 { 1 } else { sender.seconds_until_request() };
        assert!((least..=most).contains(&waited), "{step}: {waited}");
        assert!(sender.runtime.block_on(sending).unwrap());
    }
}
