//! Reads where a kind stands, and asks the plan what to do about it.

use super::{Order, PassSettings};
use crate::model::Kind;
use crate::plan::work::{self, Standing, Work};
use crate::poll::settle::outcome;
use crate::poll::{Desk, query};
use crate::store::{Store, StoreResult, due, pages, walks};

/// The most due videos a pass takes up at once; what is left is found by the next.
const DUE_MAX: i64 = 100_000;

/// What to do for `kind` in this pass.
pub fn decide(
    desk: &Desk,
    order: &Order,
    settings: &PassSettings,
    kind: Kind,
) -> StoreResult<Work> {
    let now = desk.fetcher.clock().now();
    let mut standing = read(&desk.store, kind, now.timestamp())?;
    standing.is_refused = desk.refused.contains(&query::endpoint(kind));
    let sweep = settings.sweeps.get(&kind).and_then(Option::as_ref);
    Ok(work::decide(kind, &standing, order.wish, sweep, now, settings.timezone))
}

/// Where a kind stands at `now`, Unix seconds.
pub fn read(store: &Store, kind: Kind, now: i64) -> StoreResult<Standing> {
    store.read(|c| {
        let state = walks::state(c, kind)?;
        let is_unfinished = outcome::is_unfinished(state.last_outcome.as_deref());
        let due = if kind == Kind::Video { due::find(c, now, DUE_MAX)? } else { Vec::new() };
        Ok(Standing {
            is_unfinished,
            has_open_walk: walks::open(c, kind)?.is_some(),
            is_refused: false,
            due,
            pages: pages::count(c, kind)?,
            state,
        })
    })
}
