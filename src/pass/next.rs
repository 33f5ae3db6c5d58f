//! When the next pass is worth running.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Kind, instant};
use crate::pass::order::{Order, PassSettings};
use crate::pass::standing;
use crate::plan::work::Work;
use crate::poll::Desk;
use crate::push;
use crate::store::StoreResult;

/// When the next pass has something to do; `now` when it has already, `None` when nothing is ever
/// due, because all sweeps are off and nothing is on the schedule.
pub async fn next_at(
    desk: &Desk,
    order: &Order,
    settings: &PassSettings,
    now: DateTime<Utc>,
) -> StoreResult<Option<DateTime<Utc>>> {
    let mut next: Option<DateTime<Utc>> = None;
    let mut consider = |at: Option<DateTime<Utc>>| {
        if let Some(at) = at {
            next = Some(next.map_or(at, |next| next.min(at)));
        }
    };
    consider(push::next_at(desk, now).await?);
    for kind in Kind::ALL.into_iter().filter(|kind| order.wants(*kind)) {
        let standing = standing::now_of(desk, order, kind, now).await?;
        let decision = standing::weigh(&standing, order, settings, kind, now);
        if decision.is_any() {
            return Ok(Some(now));
        }
        if decision.listing == Work::Unavailable {
            continue;
        }
        // What is paused is nothing to wake up for before its time.
        match standing.listing_retry_at {
            Some(at) => consider(Some(instant::from_micros(at))),
            None => consider(sweep_at(standing.full_sync_due_after, settings, kind)),
        }
        match standing.polls_retry_at {
            Some(at) => consider(Some(instant::from_micros(at))),
            None => consider(standing.ripe_at.map(|at| after(now, at))),
        }
    }
    Ok(next)
}

/// When a kind is swept next; `None` where it never was, or never is.
pub fn sweep_at(
    due_after: Option<i64>,
    settings: &PassSettings,
    kind: Kind,
) -> Option<DateTime<Utc>> {
    let sweep = settings.sweeps.get(&kind)?.as_ref()?;
    sweep.next_after(instant::from_micros(due_after?), settings.timezone)
}

/// An instant, given in Unix seconds, that is not before `now` and within a year of it.
fn after(now: DateTime<Utc>, at: i64) -> DateTime<Utc> {
    now + TimeDelta::seconds(at.saturating_sub(now.timestamp()).clamp(0, 366 * 86_400))
}
