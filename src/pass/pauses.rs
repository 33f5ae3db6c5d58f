//! Notes how an attempt went: a success ends the pause, a failure makes it longer.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::model::pause::PAUSE_MICROS_MAX;
use crate::model::{BackoffScope, Kind, Outcome, instant};
use crate::pass::order::PassSettings;
use crate::plan::pauses::pause;
use crate::poll::Desk;
use crate::store::StoreResult;
use crate::store::pauses::{self, Backoff};
use crate::store::walks::{self, Walk};

/// Notes the outcome of a listing, together with what the next run goes by. `before` is the listing
/// that was open when it began.
pub async fn note_listing(
    desk: &Desk,
    settings: &PassSettings,
    kind: Kind,
    outcome: Outcome,
    before: Option<&Walk>,
) -> StoreResult<()> {
    let open = desk.store.read(move |c| walks::open(c, kind)).await?;
    let has_gone_on = before
        .zip(open.as_ref())
        .is_some_and(|(before, now)| before.walk == now.walk && before.pages < now.pages);
    let failed = match outcome.is_failure() {
        false => None,
        true => {
            let mut failed = next(desk, settings, kind, BackoffScope::Listing).await?;
            if has_gone_on {
                failed = Backoff { failures: 1, ..failed };
            }
            // A listing that came somewhere goes on there with the next run, once.
            if failed.failures == 1 && open.is_some_and(|walk| walk.pages > 0) {
                failed.retry_at = 0;
            }
            Some(failed)
        }
    };
    let began = desk.turn_began_at;
    let run = desk.pass;
    desk.store
        .write(move |tx| {
            walks::note_outcome(tx, kind, outcome)?;
            walks::swept(tx, kind, began)?;
            match &failed {
                Some(failed) => pauses::note(tx, failed, run),
                None => {
                    pauses::clear(tx, kind, BackoffScope::Listing)?;
                    pauses::clear(tx, kind, BackoffScope::Poll)
                }
            }
        })
        .await
}

/// Notes the outcome of work that is no listing.
pub async fn note(
    desk: &Desk,
    settings: &PassSettings,
    kind: Kind,
    scope: BackoffScope,
    outcome: Outcome,
) -> StoreResult<()> {
    if !outcome.is_failure() {
        return desk.store.write(move |tx| pauses::clear(tx, kind, scope)).await;
    }
    let failed = next(desk, settings, kind, scope).await?;
    let run = desk.pass;
    desk.store.write(move |tx| pauses::note(tx, &failed, run)).await
}

/// Takes back what the present run noted as failures: the whole API is down, no kind is to blame.
pub async fn take_back(desk: &Desk) -> StoreResult<()> {
    let run = desk.pass;
    desk.store.write(move |tx| pauses::take_back(tx, run)).await
}

/// The pauses of a scope that are in force, by kind: when each ends.
pub async fn paused(
    desk: &Desk,
    scope: BackoffScope,
    now: DateTime<Utc>,
) -> StoreResult<BTreeMap<Kind, DateTime<Utc>>> {
    let all = desk.store.read(move |c| pauses::in_force(c, instant::micros(now))).await?;
    let of_scope = all.into_iter().filter(|one| one.scope == scope);
    Ok(of_scope.map(|one| (one.kind, instant::from_micros(one.retry_at))).collect())
}

/// The state after one failure more.
async fn next(
    desk: &Desk,
    settings: &PassSettings,
    kind: Kind,
    scope: BackoffScope,
) -> StoreResult<Backoff> {
    let failures =
        desk.store.read(move |c| pauses::failures(c, kind, scope)).await?.saturating_add(1);
    let now = desk.fetcher.clock().now();
    let pause = pause(scope, failures, interval(settings, kind, now), desk.fetcher.chance());
    let pause = i64::try_from(pause.as_micros()).unwrap_or(PAUSE_MICROS_MAX);
    let retry_at = instant::micros(now).saturating_add(pause);
    Ok(Backoff { kind, scope, failures, retry_at })
}

/// The time between the next two full syncs of a kind.
fn interval(settings: &PassSettings, kind: Kind, now: DateTime<Utc>) -> Option<Duration> {
    let sweep = settings.sweeps.get(&kind)?.as_ref()?;
    let first = sweep.next_after(now, settings.timezone)?;
    let second = sweep.next_after(first, settings.timezone)?;
    (second - first).to_std().ok()
}
