//! Reads the schedule state of a kind and decides what to do about it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::fetch::context::SyncContext;
use crate::fetch::query;
use crate::model::{BackoffScope, Kind, Outcome, instant};
use crate::schedule::decision::{self, Decision, ScheduleState};
use crate::schedule::request_plan;
use crate::store::{StoreResult, backoff, due, listings, pages};
use crate::sync::options::{RunOptions, SyncSettings};

/// The most due rows that one run reads; the rest is left to the next.
const DUE_MAX: i64 = 100_000;

/// Decides what to do for `kind`.
pub async fn decide(
    ctx: &SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    kind: Kind,
    now: DateTime<Utc>,
) -> StoreResult<Decision> {
    let (refused, batch_delay_s) = (ctx.refused.clone(), batch_delay_s(options));
    let state = ctx.store.read(move |c| read(Some(c), &refused, batch_delay_s, kind, now)).await?;
    Ok(decide_on(state, options, settings, kind, now))
}

/// Decides what to do for `kind` without a run. `c` is `None` before the first run.
pub fn preview(
    c: Option<&Connection>,
    refused: &BTreeSet<String>,
    options: &RunOptions,
    settings: &SyncSettings,
    kind: Kind,
    now: DateTime<Utc>,
) -> StoreResult<Decision> {
    let state = read(c, refused, batch_delay_s(options), kind, now)?;
    Ok(decide_on(state, options, settings, kind, now))
}

fn decide_on(
    state: ScheduleState,
    options: &RunOptions,
    settings: &SyncSettings,
    kind: Kind,
    now: DateTime<Utc>,
) -> Decision {
    let full_sync = settings.full_syncs.get(&kind).and_then(Option::as_ref);
    decision::decide(kind, state, options.scope, full_sync, now, &settings.timezone)
}

fn batch_delay_s(options: &RunOptions) -> i64 {
    i64::try_from(options.batch_delay.as_secs()).unwrap_or(i64::MAX)
}

fn read(
    c: Option<&Connection>,
    refused: &BTreeSet<String>,
    batch_delay_s: i64,
    kind: Kind,
    at: DateTime<Utc>,
) -> StoreResult<ScheduleState> {
    let initial = ScheduleState {
        is_refused: refused.contains(&query::endpoint(kind)),
        cannot_sort_accounts: refused.contains(&query::account_sort_feature()),
        cannot_filter_by_account: refused.contains(&query::account_filter_feature()),
        ..ScheduleState::default()
    };
    let Some(c) = c else { return Ok(initial) };
    let now = at.timestamp();
    let state = listings::state(c, kind)?;
    let paused = backoff::active(c, instant::micros(at))?;
    let retry_at = |scope| {
        let found = paused.iter().find(|one| (one.kind, one.scope) == (kind, scope));
        found.map(|one| one.retry_at)
    };
    let ready_at = match due::is_scheduled(kind) {
        true => due::earliest(c, kind, batch_delay_s)?,
        false => None,
    };
    let due = match ready_at.is_some_and(|at| at <= now) {
        true => request_plan::ready_rows(due::find(c, kind, now, DUE_MAX)?, now, batch_delay_s),
        false => Vec::new(),
    };
    let account_lists = match kind {
        Kind::AccountVideo => due::account_lists(c, DUE_MAX)?,
        _ => Vec::new(),
    };
    Ok(ScheduleState {
        full_sync_due_after: state.full_sync_due_after,
        holds_removals: state.held_removals > 0,
        is_unfinished: state.last_outcome.is_some_and(Outcome::is_unfinished),
        has_open_listing: listings::open(c, kind)?.is_some(),
        pages: pages::count(c, kind)?,
        ready_at,
        due,
        account_lists,
        listing_retry_at: retry_at(BackoffScope::Listing),
        polls_retry_at: retry_at(BackoffScope::Poll),
        ..initial
    })
}
