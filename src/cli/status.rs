//! `status`: shows the state of the mirror from the database alone. Needs neither key, network,
//! lock nor write access.

use chrono::{DateTime, Utc};
use clap::Args;

use crate::cli::context::Context;
use crate::fetch::query;
use crate::model::{BackoffScope, Outcome, instant};
use crate::report::rate::RateLimit;
use crate::report::status::{self as report, NextListing, Status};
use crate::report::{Answer, CliError};
use crate::schedule::FullSyncSchedule;
use crate::store::backoff::Backoff;
use crate::store::status::{self, KindStatus, Snapshot};
use crate::store::{Database, StoreResult, instance_lock};

/// Flags of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &StatusArgs, context: &Context) -> Result<Answer, CliError> {
    let status = read(context).map_err(|error| context.store_error(&error))?;
    Ok(Answer::of(args.json, || report::text(&status, context.width), || report::json(&status)))
}

fn read(context: &Context) -> StoreResult<Status> {
    let store = Database::open_to_read(&context.config.database)?;
    let (now, boot) = (context.clock.now(), context.clock.boot());
    // Checked before and after the log is read; else a run that starts or ends in between would
    // look killed.
    let was_running = instance_lock::is_locked(store.path());
    let snapshot = store.read(|c| status::read(c, instant::micros(now)))?;
    let is_running = was_running || instance_lock::is_locked(store.path());
    let full_syncs = context.config.full_syncs(snapshot.identity.seed());
    let next = |kind: &KindStatus| {
        let full_sync = full_syncs.get(&kind.kind).and_then(Option::as_ref);
        (kind.kind, next_listing(context, &snapshot, kind, full_sync, now))
    };
    Ok(Status {
        now,
        database: store.path().to_owned(),
        sizes: status::sizes(store.path()),
        is_running,
        rate: RateLimit::read(&snapshot.request_state, context.config.rate_share, now, &boot),
        listings: snapshot.kinds.iter().map(next).collect(),
        snapshot,
    })
}

/// Returns when a kind is listed next, by the rules of a run.
fn next_listing(
    context: &Context,
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
            match full_sync.next_after(due_after, context.config.timezone) {
                None => NextListing::Never,
                Some(due) if due <= now => NextListing::Now,
                Some(due) => NextListing::At(due),
            }
        }
    }
}
