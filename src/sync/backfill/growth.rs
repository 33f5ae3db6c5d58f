//! The days that are asked for as they end, once there was a backfill.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use rusqlite::Connection;

use crate::fetch::context::SyncContext;
use crate::model::{BackoffScope, Kind, SubjectKind, instant};
use crate::schedule::backfill::{self as plan, Task};
use crate::store::{StoreResult, instance, metrics, unsupported};
use crate::sync::backoff;
use crate::sync::daily_metrics::endpoint;

/// Days are asked for up to so many seconds after they have ended, so that many installations do not
/// strike together.
const SPREAD_S: u64 = 1_800;

/// What has ended or settled since the last backfill, and the server does not refuse.
pub fn due(c: &Connection, now: DateTime<Utc>, wanted: &[Kind]) -> StoreResult<Vec<Task>> {
    let refused = unsupported::active(c, instant::micros(now))?;
    let today = (now - spread(c)?).date_naive();
    let mut tasks = Vec::new();
    for kind in wanted.iter().copied() {
        let state = metrics::requested_days(c, kind)?;
        let due = plan::growth(kind, state.from, &state.asked, &state.open, today);
        let is_refused =
            |task: &Task| refused.iter().any(|r| r.feature == endpoint(task.subject_kind));
        tasks.extend(due.into_iter().filter(|task| !is_refused(task)));
    }
    // The newest days of all kinds come first.
    tasks.sort_by_key(|task| (std::cmp::Reverse(task.day), task.subject_kind));
    Ok(tasks)
}

/// When days are to be asked for next: now, or when the present one has ended; `None` without a
/// backfill.
pub async fn next_at(ctx: &SyncContext) -> StoreResult<Option<DateTime<Utc>>> {
    let now = ctx.fetcher.clock().now();
    let paused = backoff::paused(ctx, BackoffScope::Days, now).await?;
    ctx.store
        .read(move |c| {
            let wanted: Vec<Kind> =
                SubjectKind::KINDS.into_iter().filter(|kind| !paused.contains_key(kind)).collect();
            if !due(c, now, &wanted)?.is_empty() {
                return Ok(Some(now));
            }
            let mut is_growing = false;
            for kind in SubjectKind::KINDS {
                is_growing |= metrics::requested_days(c, kind)?.from.is_some();
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
