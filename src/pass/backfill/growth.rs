//! The days that are asked for as they end, once there was a backfill.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use rusqlite::Connection;

use crate::model::{BackoffScope, Kind, Lot, instant};
use crate::pass::pauses;
use crate::plan::backfill::{self as plan, Task};
use crate::poll::Desk;
use crate::poll::metrics::endpoint;
use crate::store::{StoreResult, instance, metrics, refusals};

/// Days are asked for up to so many seconds after they have ended, so that many installations do not
/// strike together.
const SPREAD_S: u64 = 1_800;

/// What has ended or settled since the last backfill, and the server does not refuse.
pub fn due(c: &Connection, now: DateTime<Utc>, wanted: &[Kind]) -> StoreResult<Vec<Task>> {
    let refused = refusals::in_force(c, instant::micros(now))?;
    let today = (now - spread(c)?).date_naive();
    let mut tasks = Vec::new();
    for kind in wanted.iter().copied() {
        let state = metrics::growing(c, kind)?;
        let due = plan::growth(kind, state.from, &state.asked, &state.open, today);
        let is_refused = |task: &Task| refused.iter().any(|r| r.thing == endpoint(task.lot));
        tasks.extend(due.into_iter().filter(|task| !is_refused(task)));
    }
    // The newest days of all kinds come first.
    tasks.sort_by_key(|task| (std::cmp::Reverse(task.day), task.lot));
    Ok(tasks)
}

/// When days are to be asked for next: now, or when the present one has ended; `None` without a
/// backfill.
pub async fn next_at(desk: &Desk) -> StoreResult<Option<DateTime<Utc>>> {
    let now = desk.fetcher.clock().now();
    let paused = pauses::paused(desk, BackoffScope::Days, now).await?;
    desk.store
        .read(move |c| {
            let wanted: Vec<Kind> =
                Lot::KINDS.into_iter().filter(|kind| !paused.contains_key(kind)).collect();
            if !due(c, now, &wanted)?.is_empty() {
                return Ok(Some(now));
            }
            let mut is_growing = false;
            for kind in Lot::KINDS {
                is_growing |= metrics::growing(c, kind)?.from.is_some();
            }
            let spread = spread(c)?;
            let tomorrow = (now - spread).date_naive().checked_add_days(Days::new(1));
            let tomorrow = tomorrow.map(|day| day.and_time(NaiveTime::MIN).and_utc() + spread);
            let next = tomorrow.into_iter().chain(paused.into_values()).min();
            Ok(next.filter(|_| is_growing))
        })
        .await
}

fn spread(c: &Connection) -> StoreResult<TimeDelta> {
    let seconds = instance::identity(c)?.seed() % SPREAD_S;
    Ok(TimeDelta::seconds(seconds.cast_signed()))
}
