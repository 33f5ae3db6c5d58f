//! How long dues may have to wait for each other, for the budget to carry them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Kind, Means};
use crate::pass::next;
use crate::pass::order::PassSettings;
use crate::plan::patience::{self, Upcoming};
use crate::poll::Desk;
use crate::store::{StoreResult, due, pages, walks};

/// A patience, and until when it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// How long what is due on one page waits for more.
    pub patience: Duration,
    /// When the budget is another; `None` if it carries everything.
    pub until: Option<DateTime<Utc>>,
}

/// The patience that the budget asks for now.
pub async fn stretch(
    desk: &Desk,
    settings: &PassSettings,
    now: DateTime<Utc>,
) -> StoreResult<Stretch> {
    let target = desk.freshness;
    let unstretched = Stretch { patience: target, until: None };
    let Some(window) = desk.fetcher.means() else { return Ok(unstretched) };
    let mut means = patience::within_horizon(window);
    let horizon = now + TimeDelta::from_std(means.time).unwrap_or_default();
    let accounts =
        desk.store.read(move |c| due::count_until(c, Kind::Account, horizon.timestamp())).await?;
    let videos =
        desk.store.read(move |c| due::count_until(c, Kind::Video, horizon.timestamp())).await?;
    // Looking ahead is only worth it where the budget might be short.
    if accounts.saturating_add(videos).saturating_mul(2) < means.requests {
        return Ok(unstretched);
    }
    means.requests =
        dues_share(means, accounts.saturating_add(sweeps(desk, settings, horizon).await?));
    let mut upcoming = Vec::new();
    for kind in [Kind::Account, Kind::Video] {
        let rows = desk.store.read(move |c| due::until(c, kind, horizon.timestamp())).await?;
        upcoming.extend(rows.into_iter().map(|(page, due_at)| Upcoming { page, due_at }));
    }
    let patience = patience::affordable(&upcoming, now.timestamp(), means, target);
    let until =
        (patience > target).then(|| now + TimeDelta::from_std(window.time).unwrap_or_default());
    Ok(Stretch { patience, until })
}

/// What is left for the dues besides requests that cannot wait for each other: half at least.
fn dues_share(means: Means, others: u64) -> u64 {
    means.requests.saturating_sub(others).max(means.requests / 2)
}

/// Requests of the sweeps that begin before then.
async fn sweeps(desk: &Desk, settings: &PassSettings, before: DateTime<Utc>) -> StoreResult<u64> {
    let mut requests = 0;
    for kind in Kind::ALL {
        let state = desk.store.read(move |c| walks::state(c, kind)).await?;
        let at = next::sweep_at(state.full_sync_due_after, settings, kind);
        if at.is_some_and(|at| at <= before) {
            let pages = desk.store.read(move |c| pages::count(c, kind)).await?;
            requests += pages.max(1).unsigned_abs();
        }
    }
    Ok(requests)
}
