//! Notes how an attempt went: a success ends the pause, a failure makes it longer.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::fetch::context::SyncContext;
use crate::model::backoff::PAUSE_MICROS_MAX;
use crate::model::{BackoffScope, Kind, Outcome, instant};
use crate::schedule::backoff::pause;
use crate::store::StoreResult;
use crate::store::backoff::{self, Backoff};
use crate::store::listings::{self, Listing};
use crate::sync::options::SyncSettings;

/// Notes the outcome of a listing, together with what the next run goes by. `before` is the listing
/// that was open when it began.
pub async fn note_listing(
    ctx: &SyncContext,
    settings: &SyncSettings,
    kind: Kind,
    outcome: Outcome,
    before: Option<&Listing>,
) -> StoreResult<()> {
    let open = ctx.store.read(move |c| listings::open(c, kind)).await?;
    let has_gone_on = before
        .zip(open.as_ref())
        .is_some_and(|(before, now)| before.listing == now.listing && before.pages < now.pages);
    let failed = match outcome.is_failure() {
        false => None,
        true => {
            let mut failed = next(ctx, settings, kind, BackoffScope::Listing).await?;
            if has_gone_on {
                failed = Backoff { failures: 1, ..failed };
            }
            // A listing that came somewhere goes on there with the next run, once.
            if failed.failures == 1 && open.is_some_and(|listing| listing.pages > 0) {
                failed.retry_at = 0;
            }
            Some(failed)
        }
    };
    let began = ctx.kind_run_began_at;
    let run = ctx.run_id;
    ctx.store
        .write(move |tx| {
            listings::set_last_outcome(tx, kind, outcome)?;
            listings::record_full_sync(tx, kind, began)?;
            match &failed {
                Some(failed) => backoff::record_failure(tx, failed, run),
                None => {
                    backoff::clear(tx, kind, BackoffScope::Listing)?;
                    backoff::clear(tx, kind, BackoffScope::Poll)
                }
            }
        })
        .await
}

/// Notes the outcome of work that is no listing.
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
    let run = ctx.run_id;
    ctx.store.write(move |tx| backoff::record_failure(tx, &failed, run)).await
}

/// Takes back what the present run noted as failures: the whole API is down, no kind is to blame.
pub async fn take_back(ctx: &SyncContext) -> StoreResult<()> {
    let run = ctx.run_id;
    ctx.store.write(move |tx| backoff::undo_failures(tx, run)).await
}

/// The pauses of a scope that are in force, by kind: when each ends.
pub async fn paused(
    ctx: &SyncContext,
    scope: BackoffScope,
    now: DateTime<Utc>,
) -> StoreResult<BTreeMap<Kind, DateTime<Utc>>> {
    let all = ctx.store.read(move |c| backoff::active(c, instant::micros(now))).await?;
    let of_scope = all.into_iter().filter(|one| one.scope == scope);
    Ok(of_scope.map(|one| (one.kind, instant::from_micros(one.retry_at))).collect())
}

/// The state after one failure more.
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

/// The time between the next two full syncs of a kind.
fn interval(settings: &SyncSettings, kind: Kind, now: DateTime<Utc>) -> Option<Duration> {
    let full_sync = settings.full_syncs.get(&kind)?.as_ref()?;
    let first = full_sync.next_after(now, settings.timezone)?;
    let second = full_sync.next_after(first, settings.timezone)?;
    (second - first).to_std().ok()
}
