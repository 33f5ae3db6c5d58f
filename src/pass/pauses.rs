//! Notes how an attempt went: a success ends the pause, a failure makes it longer.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::model::Outcome;
use crate::model::{Kind, instant};
use crate::pass::PassSettings;
use crate::plan::pauses::pause;
use crate::poll::Desk;
use crate::store::StoreResult;
use crate::store::pauses::{self, Backoff, BackoffScope};
use crate::store::walks::{self, Walk};

/// Notes the outcome of a listing, together with what the next run goes by. `before` is the listing
/// that was open when it began.
pub fn note_listing(
    desk: &Desk,
    settings: &PassSettings,
    kind: Kind,
    outcome: Outcome,
    before: Option<&Walk>,
) -> StoreResult<()> {
    let open = desk.store.database().read(|c| walks::open(c, kind))?;
    let has_gone_on = before
        .zip(open.as_ref())
        .is_some_and(|(before, now)| before.walk == now.walk && before.pages < now.pages);
    let failed = match outcome.is_failure() {
        false => None,
        true => {
            let mut failed = next(desk, settings, kind, BackoffScope::Listing)?;
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
    desk.store.database().write(|tx| {
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
}

/// Notes the outcome of work that is no listing.
pub fn note(
    desk: &Desk,
    settings: &PassSettings,
    kind: Kind,
    scope: BackoffScope,
    outcome: Outcome,
) -> StoreResult<()> {
    if !outcome.is_failure() {
        return desk.store.database().write(|tx| pauses::clear(tx, kind, scope));
    }
    let failed = next(desk, settings, kind, scope)?;
    desk.store.database().write(|tx| pauses::note(tx, &failed, desk.pass))
}

/// Takes back what the present run noted as failures: the whole API is down, no kind is to blame.
pub fn take_back(desk: &Desk) -> StoreResult<()> {
    desk.store.database().write(|tx| pauses::take_back(tx, desk.pass))
}

/// The pauses of a scope that are in force, by kind: when each ends.
pub fn paused(
    desk: &Desk,
    scope: BackoffScope,
    now: DateTime<Utc>,
) -> StoreResult<BTreeMap<Kind, DateTime<Utc>>> {
    let all = desk.store.database().read(|c| pauses::in_force(c, instant::micros(now)))?;
    let of_scope = all.into_iter().filter(|one| one.scope == scope);
    Ok(of_scope.map(|one| (one.kind, instant::from_micros(one.retry_at))).collect())
}

/// The state after one failure more.
fn next(
    desk: &Desk,
    settings: &PassSettings,
    kind: Kind,
    scope: BackoffScope,
) -> StoreResult<Backoff> {
    let failures =
        desk.store.database().read(|c| pauses::failures(c, kind, scope))?.saturating_add(1);
    let now = desk.fetcher.clock().now();
    let pause = pause(scope, failures, interval(settings, kind, now), desk.fetcher.chance());
    let pause = i64::try_from(pause.as_micros()).unwrap_or(pauses::PAUSE_MICROS_MAX);
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
