//! A week in the life of a made-up organization: the same run as in `sync`, again and again on a
//! clock that leaps from one due time to the next, against the sandbox over real HTTP.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, Transaction};

use serde_json::json;

use crate::clock::Clock;
use crate::fetch::SyncContext;
use crate::model::outbox::{Action, Draft};
use crate::model::{Instant, Kind, instant};
use crate::outbox::validate::{CheckError, check};
use crate::sandbox::{Control, SandboxSettings};
use crate::store::outbox::enqueue;
use crate::store::{StoreResult, analysis};
use crate::sync::{self, Report, RunOptions, SyncSettings};

/// How long the simulation lasts.
pub const DAYS: i64 = 7;

/// A run comes at least this much after the one before.
const STEP_MIN: TimeDelta = TimeDelta::seconds(1);

/// How long due videos wait for each other. Longer than by default, so that the week passes in
/// seconds; an hourly video is still read well before its next scrape.
pub const FRESHNESS: Duration = Duration::from_secs(15 * 60);

/// A young organization, so that most of what it tracks still grows.
const PAST_DAYS: u32 = 21;

/// Posts that each account publishes per day.
const NEW_POSTS_PER_DAY: f64 = 1.0;

/// The post that is tracked while the week goes on, and how long before its end.
pub const POST: &str = "https://www.tiktok.com/@night.owl/video/7311234567890123456";
const POST_BEFORE_END: TimeDelta = TimeDelta::hours(9);
/// It is scraped every hour, so that the report has something to tell of it.
const POST_INTERVAL_HOURS: u32 = 1;

/// The organization that is mirrored.
pub fn organization(seed: u64) -> SandboxSettings {
    SandboxSettings {
        accounts: 24,
        creators: 8,
        videos: 300,
        account_videos: 600,
        past_days: PAST_DAYS,
        new_posts_per_day: NEW_POSTS_PER_DAY,
        seed,
        ..SandboxSettings::default()
    }
}

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Where the simulated clock stands.
    pub now: DateTime<Utc>,
    /// How much of the week is over.
    pub elapsed: TimeDelta,
    /// Passes run.
    pub runs: u64,
    /// Requests sent.
    pub requests: i64,
    /// Scrapes added to the history.
    pub scrapes: i64,
    /// The entry of the outbox by which [`POST`] is tracked, once it is queued.
    pub tracked: Option<i64>,
}

/// Lives through the time from where `ctx`'s clock stands until the real clock's now. `Err` is the
/// pass that did not go well.
pub async fn live(
    ctx: &mut SyncContext,
    settings: &SyncSettings,
    real: &Clock,
    mut tell: impl FnMut(&Progress),
) -> Result<Progress, Box<Report>> {
    let clock = ctx.fetcher.clock().clone();
    let start = clock.now();
    let mut options =
        RunOptions { trigger: "demo", batch_delay: ctx.freshness, ..RunOptions::default() };
    let mut done = Progress {
        now: start,
        elapsed: TimeDelta::zero(),
        runs: 0,
        requests: 0,
        scrapes: 0,
        tracked: None,
    };
    let track_at = start + TimeDelta::days(DAYS) - POST_BEFORE_END;
    let mut is_last = false;
    loop {
        let report = sync::run(ctx, &options, settings).await;
        options.is_identified = true;
        done.now = clock.now();
        done.elapsed = done.now - start;
        done.runs += 1;
        done.requests += report.requests();
        done.scrapes +=
            report.kinds.iter().map(|kind| kind.kind_run.counts.page.snapshots_added).sum::<i64>();
        tell(&done);
        let is_good = report.run_error.is_none() && report.kinds.iter().all(|kind| kind.is_good());
        if !is_good {
            return Err(Box::new(report));
        }
        if is_last {
            return Ok(done);
        }
        let next = match sync::next_at(ctx, &options, settings, done.now).await {
            Ok(next) => next,
            Err(error) => return Err(Box::new(Report { run_error: Some(error.into()), ..report })),
        };
        // The real clock goes on during each run, so its now is caught up with once, by the last.
        let end = real.now();
        let next = next.unwrap_or(end).max(done.now + STEP_MIN);
        let is_time_to_track = done.tracked.is_none() && next >= track_at;
        let next = if is_time_to_track { track_at.max(done.now) } else { next };
        is_last = next >= end;
        let step = next.min(end) - done.now;
        clock.advance(step.to_std().unwrap_or_default());
        if is_time_to_track {
            match track(ctx).await {
                Ok(entry) => done.tracked = Some(entry),
                Err(error) => {
                    return Err(Box::new(Report { run_error: Some(error.into()), ..report }));
                }
            }
        }
    }
}

/// Queues the post as `track video` does. The next run finds it and sends it.
async fn track(ctx: &SyncContext) -> StoreResult<i64> {
    let body = json!({
        "platform": "tiktok",
        "identifier": POST,
        "scrape_interval_hours": POST_INTERVAL_HOURS,
    });
    let body = Some(body.to_string());
    let draft =
        Draft { kind: Kind::Video, action: Action::Track, subject: None, account: None, body };
    let at = instant::micros(ctx.fetcher.clock().now());
    let queue = move |tx: &Transaction<'_>| match check(tx, &draft) {
        Ok(checked) => enqueue::add(tx, &draft, &checked, at),
        Err(CheckError::Store(error)) => Err(error),
        // It is a post: a test tracks it.
        Err(CheckError::Refused(_)) => Ok(0),
    };
    ctx.store.write_durably(queue).await
}

/// What became of the scrapes of one kind that happened in the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Which kind.
    pub kind: Kind,
    /// Scrapes that are mirrored.
    pub mirrored: usize,
    /// Scrapes that the API still shows, to be read when they are due.
    pub to_come: usize,
    /// Scrapes that the API overwrote before they were read.
    pub missed: usize,
}

/// Compares the mirror's history with what really happened after `since`, by the sandbox's truth.
pub fn coverage(
    c: &Connection,
    control: &Control,
    since: DateTime<Utc>,
) -> StoreResult<Vec<Coverage>> {
    let since = Instant::from(since);
    let compare = |kind| {
        let held = analysis::scrapes(c, kind)?;
        let mut coverage = Coverage { kind, mirrored: 0, to_come: 0, missed: 0 };
        let scrapes = control.world(|world| {
            let rows = world.all(kind).map(|row| (world.id_text(row), world.scrapes(row)));
            rows.collect::<Vec<_>>()
        });
        for (id, scrapes) in scrapes {
            let times = scrapes.iter().map(|scrape| Instant::from(scrape.at.to_utc()));
            let times: Vec<_> = times.filter(|at| *at > since).collect();
            for at in &times {
                let is_held = held.contains(&(id.clone(), *at));
                match is_held {
                    true => coverage.mirrored += 1,
                    false if times.last() == Some(at) => coverage.to_come += 1,
                    false => coverage.missed += 1,
                }
            }
        }
        Ok(coverage)
    };
    [Kind::Account, Kind::Video, Kind::AccountVideo].into_iter().map(compare).collect()
}

/// Requests of a script that asks for each of so many videos once an hour of the week.
pub const fn naive_requests(videos: i64) -> i64 {
    videos.saturating_mul(DAYS * 24)
}

/// Requests of a script that lists the lists of so many rows, and reads the overview, once an hour.
pub fn listing_requests(rows: impl IntoIterator<Item = i64>) -> i64 {
    const PAGE_ROWS: i64 = 200;
    let pages = rows.into_iter().map(|rows| (rows + PAGE_ROWS - 1) / PAGE_ROWS);
    pages.map(|pages| pages.max(1)).sum::<i64>().saturating_add(1).saturating_mul(DAYS * 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ways_are_counted_by_the_hour() {
        assert_eq!(naive_requests(300), 50_400);
        // Two pages of videos, one of nothing, four of account videos, and the overview.
        assert_eq!(listing_requests([300, 0, 800]), 168 * 8);
    }
}
