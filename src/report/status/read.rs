//! Reads the state of the mirror from the database and the settings.

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::config::Config;
use crate::fetch::query;
use crate::model::{BackoffScope, Outcome, instant};
use crate::report::rate::RateLimit;
use crate::report::status::facts::{NextListing, Status};
use crate::schedule::FullSyncSchedule;
use crate::store::backoff::Backoff;
use crate::store::status::{self, KindStatus, Snapshot};
use crate::store::{Database, StoreResult, instance_lock};

/// Reads the state of the mirror. Needs neither key, network nor lock.
pub fn read(config: &Config, clock: &Clock) -> StoreResult<Status> {
    let store = Database::open_to_read(&config.database)?;
    let (now, boot) = (clock.now(), clock.boot());
    // Checked before and after the log is read; else a run that starts or ends in between would
    // look killed.
    let was_running = instance_lock::is_locked(store.path());
    let snapshot = store.read(|c| status::read(c, instant::micros(now)))?;
    let is_running = was_running || instance_lock::is_locked(store.path());
    let full_syncs = config.full_syncs(snapshot.identity.seed());
    let next = |kind: &KindStatus| {
        let full_sync = full_syncs.get(&kind.kind).and_then(Option::as_ref);
        (kind.kind, next_listing(config, &snapshot, kind, full_sync, now))
    };
    Ok(Status {
        now,
        database: store.path().to_owned(),
        sizes: status::sizes(store.path()),
        is_running,
        rate: RateLimit::read(&snapshot.request_state, config.rate_share, now, &boot),
        listings: snapshot.kinds.iter().map(next).collect(),
        snapshot,
    })
}

/// Returns when a kind is listed next, by the rules of a run.
fn next_listing(
    config: &Config,
    snapshot: &Snapshot,
    kind: &KindStatus,
    full_sync: Option<&FullSyncSchedule>,
    now: DateTime<Utc>,
) -> NextListing {
    let endpoint = query::endpoint(kind.kind);
    if snapshot.unsupported.iter().any(|feature| feature.feature == endpoint) {
        return NextListing::Never;
    }
    let mut backoffs = snapshot.paused.iter();
    let is_listing = |b: &&Backoff| b.scope == BackoffScope::Listing && b.kind == kind.kind;
    if let Some(backoff) = backoffs.find(is_listing) {
        return NextListing::At(instant::from_micros(backoff.retry_at));
    }
    if kind.open_listing.is_some() || kind.state.last_outcome.is_some_and(Outcome::is_unfinished) {
        return NextListing::Now;
    }
    match (full_sync, kind.state.full_sync_due_after) {
        (None, _) => NextListing::Never,
        (Some(_), None) => NextListing::Now,
        (Some(full_sync), Some(due_after)) => {
            let due_after = instant::from_micros(due_after);
            match full_sync.next_after(due_after, &config.timezone) {
                None => NextListing::Never,
                Some(due) if due <= now => NextListing::Now,
                Some(due) => NextListing::At(due),
            }
        }
    }
}
