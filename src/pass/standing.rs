//! Reads where a kind stands, and asks the plan what to do about it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::model::{BackoffScope, Kind, Outcome, instant};
use crate::pass::order::{Order, PassSettings};
use crate::plan::cover;
use crate::plan::work::{self, Decision, Standing};
use crate::poll::{Desk, query};
use crate::store::{StoreResult, due, pages, pauses, walks};

/// The most due rows a pass takes up at once; what is left is found by the next.
const DUE_MAX: i64 = 100_000;

/// What to do for `kind` in this pass.
pub async fn decide(
    desk: &Desk,
    order: &Order,
    settings: &PassSettings,
    kind: Kind,
) -> StoreResult<Decision> {
    let now = desk.fetcher.clock().now();
    let standing = now_of(desk, order, kind, now).await?;
    Ok(weigh(&standing, order, settings, kind, now))
}

/// Where a kind stands.
pub async fn now_of(
    desk: &Desk,
    order: &Order,
    kind: Kind,
    now: DateTime<Utc>,
) -> StoreResult<Standing> {
    let (refused, order) = (desk.refused.clone(), order.clone());
    desk.store.read(move |c| read(Some(c), &refused, &order, kind, now)).await
}

/// The same from what was read already.
pub fn weigh(
    standing: &Standing,
    order: &Order,
    settings: &PassSettings,
    kind: Kind,
    now: DateTime<Utc>,
) -> Decision {
    let sweep = settings.sweeps.get(&kind).and_then(Option::as_ref);
    work::decide(kind, standing, order.wish, sweep, now, settings.timezone)
}

/// Where a kind stands. Without a database: at the very beginning.
pub fn read(
    c: Option<&Connection>,
    refused: &BTreeSet<String>,
    order: &Order,
    kind: Kind,
    at: DateTime<Utc>,
) -> StoreResult<Standing> {
    let beginning = Standing {
        is_refused: refused.contains(&query::endpoint(kind)),
        cannot_follow: refused.contains(&query::follow_thing()),
        cannot_feed: refused.contains(&query::feed_thing()),
        ..Standing::default()
    };
    let Some(c) = c else { return Ok(beginning) };
    let (now, patience_s) =
        (at.timestamp(), i64::try_from(order.patience.as_secs()).unwrap_or(i64::MAX));
    let state = walks::state(c, kind)?;
    let paused = pauses::in_force(c, instant::micros(at))?;
    let retry_at = |scope| {
        let found = paused.iter().find(|one| (one.kind, one.scope) == (kind, scope));
        found.map(|one| one.retry_at)
    };
    let ripe_at = match due::is_scheduled(kind) {
        true => due::earliest(c, kind, patience_s)?,
        false => None,
    };
    let due = match ripe_at.is_some_and(|at| at <= now) {
        true => cover::ripe(due::find(c, kind, now, DUE_MAX)?, now, patience_s),
        false => Vec::new(),
    };
    let feeds = match kind {
        Kind::AccountVideo => due::feeds(c, DUE_MAX)?,
        _ => Vec::new(),
    };
    Ok(Standing {
        full_sync_due_after: state.full_sync_due_after,
        holds_removals: state.held_removals > 0,
        is_unfinished: state.last_outcome.is_some_and(Outcome::is_unfinished),
        has_open_walk: walks::open(c, kind)?.is_some(),
        pages: pages::count(c, kind)?,
        ripe_at,
        due,
        feeds,
        listing_retry_at: retry_at(BackoffScope::Listing),
        polls_retry_at: retry_at(BackoffScope::Poll),
        ..beginning
    })
}
