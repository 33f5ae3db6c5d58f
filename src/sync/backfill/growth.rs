//! Daily metrics of days that end after a backfill.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use rusqlite::Connection;

use crate::fetch::context::SyncContext;
use crate::model::{BackoffScope, Kind, SubjectKind, instant};
use crate::schedule::backfill::{self as plan, Task};
use crate::store::{StoreResult, instance, metrics, unsupported};
use crate::sync::backoff;
use crate::sync::daily_metrics::endpoint;

/// The most seconds between the end of a day and its requests, so that installations do not all send at
/// midnight.
const SPREAD_S: u64 = 1_800;

/// Returns the tasks of days that ended or became final since the last backfill, of kinds that are not
/// paused. `only` limits the kinds unless it is empty.
pub fn due(c: &Connection, now: DateTime<Utc>, only: &[Kind]) -> StoreResult<Vec<Task>> {
    let refused = unsupported::active(c, instant::micros(now))?;
    let paused = backoff::paused(c, BackoffScope::Days, now)?;
    let today = (now - spread(c)?).date_naive();
    let mut tasks = Vec::new();
    for kind in SubjectKind::KINDS {
        if (!only.is_empty() && !only.contains(&kind)) || paused.contains_key(&kind) {
            continue;
        }
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

/// Returns when daily metrics are due next: now, or after the end of today; `None` without a backfill.
pub async fn next_at(ctx: &SyncContext) -> StoreResult<Option<DateTime<Utc>>> {
    let now = ctx.fetcher.clock().now();
    let next_at = move |c: &Connection| {
        if !due(c, now, &[])?.is_empty() {
            return Ok(Some(now));
        }
        let mut had_backfill = false;
        for kind in SubjectKind::KINDS {
            had_backfill |= metrics::requested_days(c, kind)?.from.is_some();
        }
        let spread = spread(c)?;
        let tomorrow = (now - spread).date_naive().checked_add_days(Days::new(1));
        let tomorrow = tomorrow.map(|day| day.and_time(NaiveTime::MIN).and_utc() + spread);
        let paused = backoff::paused(c, BackoffScope::Days, now)?;
        let next = tomorrow.into_iter().chain(paused.into_values()).min();
        Ok(next.filter(|_| had_backfill))
    };
    ctx.store.read(next_at).await
}

fn spread(c: &Connection) -> StoreResult<TimeDelta> {
    let seconds = instance::identity(c)?.seed() % SPREAD_S;
    Ok(TimeDelta::seconds(seconds.cast_signed()))
}
