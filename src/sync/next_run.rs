//! When the next run is worth running.

use chrono::{DateTime, TimeDelta, Utc};

use crate::fetch::context::SyncContext;
use crate::model::{Kind, instant};
use crate::outbox;
use crate::schedule::decision::Work;
use crate::store::StoreResult;
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::schedule_state;

/// When the next run has something to do; `now` when it has already, `None` when nothing is ever
/// due, because all full syncs are off and nothing is on the schedule.
pub async fn next_at(
    ctx: &SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    now: DateTime<Utc>,
) -> StoreResult<Option<DateTime<Utc>>> {
    let mut next: Option<DateTime<Utc>> = None;
    let mut consider = |at: Option<DateTime<Utc>>| {
        if let Some(at) = at {
            next = Some(next.map_or(at, |next| next.min(at)));
        }
    };
    consider(outbox::next_at(ctx, now).await?);
    for kind in Kind::ALL.into_iter().filter(|kind| options.wants(*kind)) {
        let schedule_state = schedule_state::now_of(ctx, options, kind, now).await?;
        let decision = schedule_state::weigh(&schedule_state, options, settings, kind, now);
        if decision.is_any() {
            return Ok(Some(now));
        }
        if decision.listing == Work::Unavailable {
            continue;
        }
        // What is paused is nothing to wake up for before its time.
        match schedule_state.listing_retry_at {
            Some(at) => consider(Some(instant::from_micros(at))),
            None => consider(full_sync_at(schedule_state.full_sync_due_after, settings, kind)),
        }
        match schedule_state.polls_retry_at {
            Some(at) => consider(Some(instant::from_micros(at))),
            None => consider(schedule_state.ready_at.map(|at| after(now, at))),
        }
    }
    Ok(next)
}

/// The next full sync of a kind; `None` if it was never listed or its schedule is off.
pub fn full_sync_at(
    due_after: Option<i64>,
    settings: &SyncSettings,
    kind: Kind,
) -> Option<DateTime<Utc>> {
    let full_sync = settings.full_syncs.get(&kind)?.as_ref()?;
    full_sync.next_after(instant::from_micros(due_after?), settings.timezone)
}

/// An instant, given in Unix seconds, that is not before `now` and within a year of it.
fn after(now: DateTime<Utc>, at: i64) -> DateTime<Utc> {
    now + TimeDelta::seconds(at.saturating_sub(now.timestamp()).clamp(0, 366 * 86_400))
}
