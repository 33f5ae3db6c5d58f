//! Simulates a week of a made-up organization: repeats the run of `sync` against the sandbox over
//! HTTP, on a clock that skips from one due time to the next.

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

/// Simulated days.
pub const DAYS: i64 = 7;

/// Shortest time between two runs.
const STEP_MIN: TimeDelta = TimeDelta::seconds(1);

/// `freshness_target` of the demo. Longer than the default, so that the week takes fewer runs; an
/// hourly video is still read before its next scrape.
pub const FRESHNESS: Duration = Duration::from_secs(30 * 60);

/// Age of the oldest posts. Young posts still grow.
const PAST_DAYS: u32 = 21;

/// Posts that each account publishes per day.
const NEW_POSTS_PER_DAY: f64 = 1.0;

/// URL of the post that is queued for tracking during the week.
pub const POST: &str = "https://www.tiktok.com/@night.owl/video/7311234567890123456";
/// How long before the end of the week it is queued.
const POST_BEFORE_END: TimeDelta = TimeDelta::hours(9);
/// Scraped hourly, so that the report has several scrapes to show.
const POST_INTERVAL_HOURS: u32 = 1;

/// Returns the sandbox settings of the made-up organization.
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

/// Progress of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoProgress {
    /// Simulated time.
    pub now: DateTime<Utc>,
    /// Simulated time since the start.
    pub elapsed: TimeDelta,
    /// Runs finished.
    pub runs: u64,
    /// Requests sent.
    pub requests: i64,
    /// Scrapes added to history.
    pub scrapes: i64,
    /// Outbox entry that tracks [`POST`], once queued.
    pub tracked: Option<i64>,
}

/// Simulates the time from `ctx`'s clock to the present of the `real` clock, and calls
/// `on_progress` after each run.
///
/// # Errors
/// Returns the report of the run that failed.
pub async fn simulate(
    ctx: &mut SyncContext,
    settings: &SyncSettings,
    real: &Clock,
    mut on_progress: impl FnMut(&DemoProgress),
) -> Result<DemoProgress, Box<Report>> {
    let clock = ctx.fetcher.clock().clone();
    let start = clock.now();
    let mut options =
        RunOptions { trigger: "demo", batch_delay: ctx.freshness, ..RunOptions::default() };
    let mut done = DemoProgress {
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
        on_progress(&done);
        if report.run_error.is_some() || !report.kinds.iter().all(|kind| kind.is_good()) {
            return Err(Box::new(report));
        }
        if is_last {
            return Ok(done);
        }
        let next = match sync::next_at(ctx, &options, settings, done.now).await {
            Ok(next) => next,
            Err(error) => return Err(Box::new(Report { run_error: Some(error.into()), ..report })),
        };
        // The real clock advances during each run, so only the last run reaches the present.
        let end = real.now();
        let next = next.unwrap_or(end).max(done.now + STEP_MIN);
        let is_time_to_track = done.tracked.is_none() && next >= track_at;
        let next = if is_time_to_track { track_at.max(done.now) } else { next };
        is_last = next >= end;
        let step = next.min(end) - done.now;
        clock.advance(step.to_std().unwrap_or_default());
        if is_time_to_track {
            match queue_post(ctx).await {
                Ok(entry) => done.tracked = Some(entry),
                Err(error) => {
                    return Err(Box::new(Report { run_error: Some(error.into()), ..report }));
                }
            }
        }
    }
}

/// Queues [`POST`] as `track video` does. The next run sends it.
async fn queue_post(ctx: &SyncContext) -> StoreResult<i64> {
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
        // Unreachable: `POST` is valid, which a test of the demo shows.
        Err(CheckError::Refused(_)) => Ok(0),
    };
    ctx.store.write_durably(queue).await
}

/// How many of one kind's scrapes in the week were mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Kind.
    pub kind: Kind,
    /// Scrapes in history.
    pub mirrored: usize,
    /// Scrapes that the API still shows and that will be read when due.
    pub to_come: usize,
    /// Scrapes that the API overwrote before they were read.
    pub missed: usize,
}

/// Compares history with the scrapes that the sandbox made after `since`.
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
                match held.contains(&(id.clone(), *at)) {
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

/// How often a script must read everything in the week to see each scrape within [`FRESHNESS`].
const READS: i64 = DAYS * 24 * 3_600 / FRESHNESS.as_secs().cast_signed();

/// Requests of a script that reads each video by itself, as fresh as the demo does.
pub const fn single_requests(videos: i64) -> i64 {
    videos.saturating_mul(READS)
}

/// Requests of a script that reads all lists, with these numbers of rows, and the overview, as fresh as the demo
/// does.
pub fn listing_requests(rows: impl IntoIterator<Item = i64>) -> i64 {
    const PAGE_ROWS: i64 = 200;
    let pages = rows.into_iter().map(|rows| (rows + PAGE_ROWS - 1) / PAGE_ROWS);
    pages.map(|pages| pages.max(1)).sum::<i64>().saturating_add(1).saturating_mul(READS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_requests_of_scripts_as_fresh_as_the_demo() {
        assert_eq!(single_requests(300), 2 * 50_400);
        // Two pages of videos, one empty page, four pages of account videos, and the overview.
        assert_eq!(listing_requests([300, 0, 800]), 2 * 168 * 8);
    }
}
