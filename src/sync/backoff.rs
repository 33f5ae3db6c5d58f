//! Backoff of a kind: a success ends it, another failure makes it longer.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::fetch::context::SyncContext;
use crate::model::backoff::PAUSE_MICROS_MAX;
use crate::model::{BackoffScope, Kind, Outcome, instant};
use crate::schedule::backoff::pause;
use crate::store::StoreResult;
use crate::store::backoff::{self, Backoff};
use crate::store::listings::{self, Listing};
use crate::sync::options::SyncSettings;

/// Records the outcome of a listing and its backoff. `before` is the listing that was open when it began.
pub async fn note_listing(
    ctx: &SyncContext,
    settings: &SyncSettings,
    kind: Kind,
    outcome: Outcome,
    before: Option<&Listing>,
) -> StoreResult<()> {
    let open = ctx.store.read(move |c| listings::open(c, kind)).await?;
    let has_advanced = before
        .zip(open.as_ref())
        .is_some_and(|(before, now)| before.listing == now.listing && before.pages < now.pages);
    let failed = match outcome.is_failure() {
        false => None,
        true => {
            let mut failed = next(ctx, settings, kind, BackoffScope::Listing).await?;
            if has_advanced {
                failed = Backoff { failures: 1, ..failed };
            }
            // After its first failure a listing with pages is resumed by the next run, without a pause.
            if failed.failures == 1 && open.is_some_and(|listing| listing.pages > 0) {
                failed.retry_at = 0;
            }
            Some(failed)
        }
    };
    let (began_at, run_id) = (ctx.kind_run_began_at, ctx.run_id);
    ctx.store
        .write(move |tx| {
            listings::record_outcome(tx, kind, outcome, began_at)?;
            match &failed {
                Some(failed) => backoff::record_failure(tx, failed, run_id),
                None => {
                    backoff::clear(tx, kind, BackoffScope::Listing)?;
                    backoff::clear(tx, kind, BackoffScope::Poll)
                }
            }
        })
        .await
}

/// Records the backoff after polls or daily metrics.
pub async fn note(
    ctx: &SyncContext,
    settings: &SyncSettings,
    kind: Kind,
    scope: BackoffScope,
    outcome: Outcome,
) -> StoreResult<()> {
    if !outcome.is_failure() {
        return ctx.store.write(move |tx| backoff::clear(tx, kind, scope)).await;
    }
    let failed = next(ctx, settings, kind, scope).await?;
    let run_id = ctx.run_id;
    ctx.store.write(move |tx| backoff::record_failure(tx, &failed, run_id)).await
}

/// Takes back the failures of the current run: the whole API is down, not one kind.
pub async fn take_back(ctx: &SyncContext) -> StoreResult<()> {
    let run_id = ctx.run_id;
    ctx.store.write(move |tx| backoff::undo_failures(tx, run_id)).await
}

/// Returns the kinds that are paused, and until when.
pub fn paused(
    c: &Connection,
    scope: BackoffScope,
    now: DateTime<Utc>,
) -> StoreResult<BTreeMap<Kind, DateTime<Utc>>> {
    let all = backoff::active(c, instant::micros(now))?.into_iter();
    let of_scope = all.filter(|one| one.scope == scope);
    Ok(of_scope.map(|one| (one.kind, instant::from_micros(one.retry_at))).collect())
}

/// Returns the backoff after one more failure.
async fn next(
    ctx: &SyncContext,
    settings: &SyncSettings,
    kind: Kind,
    scope: BackoffScope,
) -> StoreResult<Backoff> {
    let failures =
        ctx.store.read(move |c| backoff::failures(c, kind, scope)).await?.saturating_add(1);
    let now = ctx.fetcher.clock().now();
    let pause = pause(scope, failures, interval(settings, kind, now), ctx.fetcher.chance());
    let pause = i64::try_from(pause.as_micros()).unwrap_or(PAUSE_MICROS_MAX);
    let retry_at = instant::micros(now).saturating_add(pause);
    Ok(Backoff { kind, scope, failures, retry_at })
}

/// Returns the time between the next two full syncs of a kind.
fn interval(settings: &SyncSettings, kind: Kind, now: DateTime<Utc>) -> Option<Duration> {
    let full_sync = settings.full_syncs.get(&kind)?.as_ref()?;
    let first = full_sync.next_after(now, &settings.timezone)?;
    let second = full_sync.next_after(first, &settings.timezone)?;
    (second - first).to_std().ok()
}
