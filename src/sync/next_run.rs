//! The next due time: when the scheduler starts the next run.

use chrono::{DateTime, TimeDelta, Utc};

use crate::fetch::context::SyncContext;
use crate::model::{Kind, instant};
use crate::outbox;
use crate::schedule::decision::Work;
use crate::store::StoreResult;
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::schedule_state;

/// Returns when the next run has something to do: `now` if it already has, `None` if nothing will ever
/// be due, because all full syncs are off and no row is on the schedule.
pub async fn next_at(
    ctx: &SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    now: DateTime<Utc>,
) -> StoreResult<Option<DateTime<Utc>>> {
    let mut candidates = vec![outbox::next_at(ctx, now).await?];
    for kind in Kind::ALL.into_iter().filter(|kind| options.wants(*kind)) {
        let decision = schedule_state::decide(ctx, options, settings, kind, now).await?;
        if decision.is_any() {
            return Ok(Some(now));
        }
        if decision.listing == Work::Unavailable {
            continue;
        }
        let state = decision.state;
        candidates.push(match state.listing_retry_at {
            Some(at) => Some(instant::from_micros(at)),
            None => full_sync_at(state.full_sync_due_after, settings, kind),
        });
        candidates.push(match state.polls_retry_at {
            Some(at) => Some(instant::from_micros(at)),
            None => state.ready_at.map(|at| after(now, at)),
        });
    }
    Ok(candidates.into_iter().flatten().min())
}

/// Returns the next full sync of a kind; `None` if it was never listed or its schedule is off.
pub fn full_sync_at(
    due_after: Option<i64>,
    settings: &SyncSettings,
    kind: Kind,
) -> Option<DateTime<Utc>> {
    let full_sync = settings.full_syncs.get(&kind)?.as_ref()?;
    full_sync.next_after(instant::from_micros(due_after?), &settings.timezone)
}

/// Converts Unix seconds to an instant from `now` on and within a year of it.
fn after(now: DateTime<Utc>, at: i64) -> DateTime<Utc> {
    now + TimeDelta::seconds(at.saturating_sub(now.timestamp()).clamp(0, 366 * 86_400))
}
