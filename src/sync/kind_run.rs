//! One kind's share of a run: its work, its outcome in the log, and the backoff that follows.

use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::kind_outcome::{explained, of_error};
use crate::model::{BackoffScope, Event, Kind, KindOutcome, Outcome};
use crate::schedule::decision::{Reason, Work};
use crate::store::removals::Policy;
use crate::store::runs::{KindCounts, KindRun};
use crate::store::{StoreResult, due, listings};
use crate::sync::listing::ListingStart;
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::poll::Polled;
use crate::sync::run_error::RunError;
use crate::sync::{backoff, documents, finish, identify, listing, poll, poll_accounts};

/// Begins a run in the log, after the key's organization was checked.
pub(super) async fn begin_run(
    ctx: &mut SyncContext,
    trigger: &str,
    is_identified: bool,
) -> Result<(), RunError> {
    if is_identified {
        return Ok(ctx.begin(trigger).await?);
    }
    let identified = identify::identify(ctx).await;
    // With the key of another organization, nothing is written, not even the log.
    if let Err(error @ RunError::OtherOrganization { .. }) = identified {
        return Err(error);
    }
    ctx.begin(trigger).await?;
    if let Err(error) = &identified {
        end_kind_run(ctx, Kind::Meta, &error.kind_outcome()).await?;
    }
    identified
}

/// Ends a run in the log. Returns its kind runs, and what ended it: `run_error`, or a failure to write.
pub(super) async fn end_run(
    ctx: &mut SyncContext,
    settings: &SyncSettings,
    run_error: Option<RunError>,
) -> (Vec<KindRun>, Option<RunError>) {
    let outcome = run_error.as_ref().map_or("finished", RunError::name);
    let detail = run_error.as_ref().map(ToString::to_string);
    let (runs_kept, changes_kept) = (settings.log_retention, settings.change_log_retention);
    match ctx.end(outcome, detail.as_deref(), runs_kept, changes_kept).await {
        Ok(kind_runs) => (kind_runs, run_error),
        Err(error) => (Vec::new(), run_error.or(Some(RunError::Store(error)))),
    }
}

/// Does the work of one kind. An error of this kind alone is recorded; one that concerns all kinds ends
/// the run. Returns whether the list was read, or at least begun.
pub(super) async fn kind_run(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    kind: Kind,
    work: Work,
) -> Result<bool, RunError> {
    let trigger = match &work {
        Work::Nothing | Work::Unavailable => return Ok(false),
        Work::Resume => "resume",
        Work::Listing(reason) => reason.name(),
        Work::Poll(_) | Work::RecentAccounts(_) | Work::AccountLists(_) => "due",
    };
    ctx.begin_kind_run(kind, trigger).await?;
    let before = ctx.store.read(move |c| listings::open(c, kind)).await?;
    let is_poll = work.is_poll();
    let result = carry_out(ctx, options, settings, kind, work).await;
    // After a database error nothing more is written: each attempt may take as long to fail.
    if let Err(FetchError::Store(error)) = result {
        return Err(RunError::Store(error));
    }
    // A poll that was refused became a listing.
    let is_listing = result.as_ref().map_or(!is_poll, |(_, is_listing)| *is_listing);
    let mut kind_outcome = match &result {
        Ok((kind_outcome, _)) => kind_outcome.clone(),
        Err(error) => of_error(error),
    };
    let is_unavailable = kind_outcome.outcome == Outcome::Unavailable;
    if is_unavailable && options.scope.full && ctx.was_mirrored(kind).await? {
        // The user asked for all rows, and the mirrored ones could not be confirmed.
        kind_outcome.outcome = Outcome::Unconfirmed;
    }
    if result.is_ok() {
        kind_outcome = finish::with_unreadable_scrapes(ctx, kind, kind_outcome).await?;
    }
    end_kind_run(ctx, kind, &kind_outcome).await?;
    let (outcome, began_at) = (kind_outcome.outcome, ctx.kind_run_began_at);
    match result {
        // An error that ends the whole run causes no backoff of one kind.
        Err(error) if error.is_fatal() => {
            if is_listing {
                // A cron time after the begin is left to another full sync.
                ctx.store
                    .write(move |tx| listings::record_outcome(tx, kind, outcome, began_at))
                    .await?;
            }
            return Err(RunError::from(error));
        }
        Err(FetchError::Api(failure)) => ctx.note_failure(kind, &failure),
        _ => {}
    }
    match is_listing {
        true => backoff::note_listing(ctx, settings, kind, outcome, before.as_ref()).await?,
        false => backoff::note(ctx, settings, kind, BackoffScope::Poll, outcome).await?,
    }
    Ok(is_listing)
}

/// Returns the outcome, and whether the list was read.
async fn carry_out(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    kind: Kind,
    work: Work,
) -> FetchResult<(KindOutcome, bool)> {
    let polled = match &work {
        Work::Poll(request_plan) => Some(poll::poll(ctx, kind, request_plan).await?),
        Work::RecentAccounts(due) => Some(poll_accounts::accounts(ctx, due).await?),
        Work::AccountLists(account_lists) => {
            Some(poll_accounts::account_lists(ctx, account_lists).await?)
        }
        _ => None,
    };
    let is_for_due_rows = matches!(work, Work::Listing(Reason::DueRows));
    let start = match (polled, work) {
        (Some(Polled::Done), _) => return Ok((KindOutcome::of(Outcome::Polled), false)),
        (Some(Polled::Refused), _) => {
            let now = ctx.fetcher.clock().now();
            let paused = move |c: &_| backoff::paused(c, BackoffScope::Listing, now);
            if ctx.store.read(paused).await?.contains_key(&kind) {
                let detail = "the server refuses a kept cursor or a filter, and the list, which failed \
                              lately, is not read again yet";
                return Ok((explained(Outcome::Incomplete, "list_paused", detail), false));
            }
            ListingStart::WithoutEtags
        }
        (None, Work::Resume) => ListingStart::Resume,
        (None, _) => ListingStart::FirstPage,
    };
    if matches!(kind, Kind::Meta | Kind::Overview) {
        return Ok((document(ctx, kind).await?, true));
    }
    let policy = match options.scope.accept_removals {
        true => Policy::Accept,
        false => Policy::Ceiling(settings.max_removals),
    };
    let listing_result = listing::list(ctx, kind, start).await?;
    let kind_outcome = finish::finish_listing(ctx, &listing_result, policy).await?;
    if is_for_due_rows && listing_result.reason.is_none() {
        let counters = ctx.counters(kind);
        ctx.store
            .write(move |tx| {
                due::absent_read(tx, &counters.due, kind)?;
                counters.close(tx, &KindCounts::default())
            })
            .await?;
    }
    Ok((kind_outcome, true))
}

async fn document(ctx: &mut SyncContext, kind: Kind) -> FetchResult<KindOutcome> {
    ctx.tell(&Event::Started { kind, resumed_pages: 0 });
    let read = match kind {
        Kind::Meta => documents::meta(ctx).await,
        _ => documents::overview(ctx).await,
    };
    match read {
        Err(FetchError::Api(failure)) if failure.is_unsupported() => {
            ctx.endpoint_refused(kind, &failure).await?;
            let detail = Some(failure.to_string());
            Ok(KindOutcome { detail, ..KindOutcome::of(Outcome::Unavailable) })
        }
        read => read.map(|()| KindOutcome::of(Outcome::Complete)),
    }
}

/// Ends a kind run: records, reports and logs its outcome.
pub(super) async fn end_kind_run(
    ctx: &mut SyncContext,
    kind: Kind,
    kind_outcome: &KindOutcome,
) -> StoreResult<()> {
    ctx.end_kind_run(kind, kind_outcome).await?;
    ctx.tell_finished(kind, kind_outcome.outcome);
    warn_of(kind, kind_outcome);
    Ok(())
}

/// Logs an outcome with errors.
pub(super) fn warn_of(kind: Kind, kind_outcome: &KindOutcome) {
    let KindOutcome { outcome, error_code, detail, request_id } = kind_outcome;
    if !outcome.is_good() {
        tracing::warn!(%kind, %outcome, error_code, detail, request_id, "run finished with errors");
    }
}
