//! Runs the daemon on a simulated clock and checks the resulting mirror.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use creatormirror::model::Kind;
use rusqlite::{Connection, OpenFlags};

use super::simulation::{Stage, begins_at, stage};
use crate::support::sandbox::SandboxSettings;

/// `freshness_target`.
const FRESHNESS: Duration = Duration::from_secs(900);
/// The longest time until a due row is polled when nothing is in the way: batch delay, lateness, and
/// another batch delay.
const SEEN_WITHIN: Duration = Duration::from_secs(3 * 900);
/// The longest that a row may be overdue when the simulation ends.
const LEFT_DUE: Duration = Duration::from_secs(1_800);
/// Pages of the list of videos.
const PAGES: usize = 2;

/// A duration in hours.
pub const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3_600)
}

/// A finished simulation. Times count from its beginning.
pub struct SimulatedDays {
    stage: Stage,
    booted: Duration,
    end: Duration,
    /// When the fault was over.
    over: Duration,
    /// The cursors of the pages that were due then, the longest overdue first.
    waiting: Vec<Option<String>>,
}

/// Runs the daemon until `end`. `plan` schedules faults, which last until `over`, and returns the base
/// URL for the daemon.
pub fn simulate(
    over: Duration,
    end: Duration,
    plan: impl FnOnce(&Stage) -> String,
) -> SimulatedDays {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stage = Stage::set(SandboxSettings {
            accounts: 6,
            creators: 2,
            videos: 220,
            account_videos: 40,
            rate_limit: 1_000_000,
            ..SandboxSettings::default()
        })
        .await;
        let booted = stage.clock.boot().elapsed;
        stage.base_url = plan(&stage);
        let waiting = Arc::<Mutex<Vec<_>>>::default();
        stage.clock.plan(over, {
            let (waiting, path, clock) =
                (Arc::clone(&waiting), stage.database(), stage.clock.clone());
            move || *waiting.lock().unwrap() = pages_due(&path, clock.now())
        });
        stage.clock.plan(end, stage.stop());
        stage.live(stage::settings(FRESHNESS)).await;
        let waiting = std::mem::take(&mut *waiting.lock().unwrap());
        SimulatedDays { stage, booted, end, over, waiting }
    })
}

fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn pages_due(path: &Path, now: DateTime<Utc>) -> Vec<Option<String>> {
    let sql = "SELECT p.cursor FROM video_due AS d JOIN video AS v ON v.row_id = d.video
               JOIN page AS p ON p.page = v.page
               WHERE d.due_at <= ?1 GROUP BY p.page ORDER BY min(d.due_at)";
    let db = open(path);
    let mut statement = db.prepare(sql).unwrap();
    let cursors = statement.query_map([now.timestamp()], |row| row.get(0)).unwrap();
    cursors.map(Result::unwrap).collect()
}

impl SimulatedDays {
    /// The status of each request sent in that time; `None` without an answer.
    pub fn sent(&self, from: Duration, until: Duration) -> impl Iterator<Item = Option<u16>> {
        let span = self.booted + from..self.booted + until;
        let sent = self.stage.sent.lock().unwrap().clone();
        sent.into_iter().filter(move |(at, _)| span.contains(at)).map(|(_, status)| status)
    }

    /// The exit code of the submitted job, if it is done.
    pub fn job_exit_code(&self) -> Option<i64> {
        let db = open(&self.stage.database());
        db.query_row("SELECT exit_code FROM job", [], |row| row.get(0)).unwrap()
    }

    /// The cursors of the video pages requested in that time.
    fn video_pages(&self, from: Duration, until: Duration) -> Vec<Option<String>> {
        let span = at(from)..at(until);
        let log = self.stage.control.log();
        let videos = log.iter().filter(|entry| entry.path == "/videos");
        let pages = videos.filter(|entry| span.contains(&entry.server_time.to_utc()));
        pages.map(|entry| entry.param("cursor").map(str::to_owned)).collect()
    }

    /// Whether the daemon reported a status with this prefix in that time.
    pub fn reported(&self, from: Duration, until: Duration, start: &str) -> bool {
        let span = at(from)..at(until);
        let statuses = self.stage.said.lock().unwrap();
        statuses.iter().any(|(when, text)| span.contains(when) && text.starts_with(start))
    }

    /// Asserts that the waiting pages were requested first, each once. They are in flight together, so
    /// they may arrive in any order.
    #[track_caller]
    pub fn expect_read_once(&self, by: Duration) {
        assert_eq!(self.waiting.len(), PAGES, "every page was due");
        let pages = self.video_pages(self.over, by);
        let sorted = |pages: &[Option<String>]| pages.iter().cloned().collect::<BTreeSet<_>>();
        let first = pages.get(..PAGES).unwrap_or_default();
        assert_eq!(sorted(first), sorted(&self.waiting), "{pages:#?}");
        assert_eq!(sorted(first).len(), PAGES, "{pages:#?}");
    }

    /// Asserts that everything was caught up `by` then without a burst of requests, and that history
    /// has no gap or duplicate, except for scrapes visible only in the `dark` time.
    #[track_caller]
    pub fn expect_caught_up(&self, by: Duration, dark: Option<(Duration, Duration)>) {
        let pages: BTreeSet<_> = self.video_pages(self.over, by).into_iter().collect();
        assert_eq!(pages.len(), PAGES, "not every page was read in time");
        let soon = self.over + Duration::from_secs(1_800);
        let (videos, all) =
            (self.video_pages(self.over, soon).len(), self.sent(self.over, soon).count());
        assert!(videos <= 4 * PAGES, "{videos} pages in half an hour");
        assert!(all <= 4 * PAGES + 30, "{all} requests in half an hour");
        self.check_history(dark);
        self.check_schedule();
    }

    /// Asserts that the request rate was at most 1.5 times the rate before.
    #[track_caller]
    pub fn expect_usual_request_rate(&self, from: Duration, until: Duration) {
        let usual = self.sent(hours(1), from).count() as f64 / (from - hours(1)).as_secs_f64();
        let now = self.sent(from, until).count() as f64 / (until - from).as_secs_f64();
        assert!(
            now <= 1.5 * usual,
            "{:.1} requests an hour, before {:.1}",
            now * 3_600.0,
            usual * 3_600.0
        );
    }

    /// Asserts that history holds every scrape that could be seen, and no other.
    #[track_caller]
    fn check_history(&self, dark: Option<(Duration, Duration)>) {
        let db = open(&self.stage.database());
        let mut held = BTreeMap::<String, BTreeMap<DateTime<Utc>, i64>>::new();
        let sql = "SELECT video_id, scraped_at, view_count FROM video_history";
        let mut statement = db.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let of_video = held.entry(row.get(0).unwrap()).or_default();
            let scraped_at = row.get::<_, String>(1).unwrap().parse().unwrap();
            let doubled = of_video.insert(scraped_at, row.get(2).unwrap());
            assert_eq!(doubled, None, "duplicate scrape");
        }
        let dark = dark.map(|(from, until)| (at(from), at(until)));
        let (mut happened, mut missing) = (0, Vec::new());
        for (video, scrapes) in self.stage.control.all_scrapes(Kind::Video) {
            let mut of_video = held.remove(&video).unwrap_or_default();
            for (n, scrape) in scrapes.iter().enumerate() {
                let since: DateTime<Utc> = scrape.scraped_at.parse().unwrap();
                let next = scrapes.get(n + 1).map(|next| next.scraped_at.parse().unwrap());
                let until = next.unwrap_or(at(self.end)).min(at(self.end));
                match of_video.remove(&since) {
                    Some(views) => assert_eq!(views, scrape.view_count, "{video}"),
                    None if visible(since.max(at(Duration::ZERO)), until, dark)
                        > delta(SEEN_WITHIN) =>
                    {
                        missing.push((video.clone(), scrape.scraped_at.clone()));
                    }
                    None => {}
                }
                happened += usize::from(since >= at(Duration::ZERO));
            }
            assert!(of_video.is_empty(), "{video} was never scraped at {of_video:?}");
        }
        assert!(happened > 400, "only {happened} scrapes");
        assert!(
            missing.is_empty(),
            "{} of {happened} are missing: {:?}",
            missing.len(),
            &missing[..1]
        );
        assert!(held.is_empty(), "unknown videos");
    }

    /// Asserts that no video is long overdue, and none is scheduled too far ahead.
    #[track_caller]
    fn check_schedule(&self) {
        let now = self.stage.clock.now().timestamp();
        let (late, far) = (now - LEFT_DUE.as_secs().cast_signed(), now + 48 * 3_600 + 120);
        let sql = "SELECT count(*), sum(due_at < ?1), sum(due_at > ?2) FROM video_due";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let counts: (i64, i64, i64) =
            open(&self.stage.database()).query_row(sql, (late, far), read).unwrap();
        assert!(counts.0 > 150, "{counts:?}");
        assert_eq!((counts.1, counts.2), (0, 0), "overdue or too far ahead: {counts:?}");
    }
}

/// The server's time at this offset from the beginning.
fn at(length: Duration) -> DateTime<Utc> {
    begins_at() + delta(length)
}

fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap()
}

/// The longest part of `since..until` outside of the dark time.
fn visible(
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    dark: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> TimeDelta {
    let Some((from, to)) = dark else { return until - since };
    // Seen either before or after the dark time.
    let before = from.min(until) - since;
    let after = until - to.max(since);
    before.max(after)
}
