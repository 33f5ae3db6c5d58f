//! The batch delay for the remaining rate budget; see [`crate::schedule::batch_delay`].

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::fetch::context::SyncContext;
use crate::model::{Kind, RateBudget};
use crate::schedule::batch_delay::{self, Upcoming};
use crate::store::{StoreResult, due, listings, pages};
use crate::sync::next_run;
use crate::sync::options::SyncSettings;

/// A batch delay, and until when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchDelay {
    /// How long due rows of one page wait for each other.
    pub batch_delay: Duration,
    /// End of the rate-limit window; `None` if the budget suffices.
    pub until: Option<DateTime<Utc>>,
}

/// Returns the batch delay for the remaining budget.
pub async fn batch_delay(
    ctx: &SyncContext,
    settings: &SyncSettings,
    now: DateTime<Utc>,
) -> StoreResult<BatchDelay> {
    let target = ctx.freshness;
    let shortest = BatchDelay { batch_delay: target, until: None };
    let Some(window) = ctx.fetcher.remaining() else { return Ok(shortest) };
    let mut remaining = batch_delay::within_horizon(window);
    let horizon = now + TimeDelta::from_std(remaining.time).unwrap_or_default();
    let accounts =
        ctx.store.read(move |c| due::count_until(c, Kind::Account, horizon.timestamp())).await?;
    let videos =
        ctx.store.read(move |c| due::count_until(c, Kind::Video, horizon.timestamp())).await?;
    // Forecast only where the budget might be short.
    if accounts.saturating_add(videos).saturating_mul(2) < remaining.requests {
        return Ok(shortest);
    }
    remaining.requests = poll_requests(
        remaining,
        accounts.saturating_add(full_syncs(ctx, settings, horizon).await?),
    );
    let mut upcoming = Vec::new();
    for kind in [Kind::Account, Kind::Video] {
        let rows = ctx.store.read(move |c| due::until(c, kind, horizon.timestamp())).await?;
        upcoming.extend(rows.into_iter().map(|(page, due_at)| Upcoming { page, due_at }));
    }
    let batch_delay = batch_delay::affordable(&upcoming, now.timestamp(), remaining, target);
    let until =
        (batch_delay > target).then(|| now + TimeDelta::from_std(window.time).unwrap_or_default());
    Ok(BatchDelay { batch_delay, until })
}

/// The requests left for polls beside those that cannot wait for each other; at least half.
fn poll_requests(remaining: RateBudget, others: u64) -> u64 {
    remaining.requests.saturating_sub(others).max(remaining.requests / 2)
}

/// Requests of the full syncs that begin before `before`.
async fn full_syncs(
    ctx: &SyncContext,
    settings: &SyncSettings,
    before: DateTime<Utc>,
) -> StoreResult<u64> {
    let mut requests = 0;
    for kind in Kind::ALL {
        let state = ctx.store.read(move |c| listings::state(c, kind)).await?;
        let at = next_run::full_sync_at(state.full_sync_due_after, settings, kind);
        if at.is_some_and(|at| at <= before) {
            let pages = ctx.store.read(move |c| pages::count(c, kind)).await?;
            requests += pages.max(1).unsigned_abs();
        }
    }
    Ok(requests)
}
