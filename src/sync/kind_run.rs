//! The turn of one kind within a run: the work, its outcome in the log, and what follows from it.

use crate::api::Verdict;
use crate::fetch::context::SyncContext;
use crate::fetch::error::FetchError;
use crate::fetch::query;
use crate::model::{BackoffScope, Event, Kind, KindOutcome, Outcome};
use crate::schedule::decision::Work;
use crate::store::removals::Policy;
use crate::store::{StoreResult, listings};
use crate::sync::listing::Begin;
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::poll::Polled;
use crate::sync::run_error::RunError;
use crate::sync::{backoff, identify};
use crate::sync::{documents, finish, listing, poll, poll_accounts};

/// The code of a poll that could only go on as a listing, which is paused.
const LIST_PAUSED: &str = "list_paused";

/// Begins a run in the log, once it is settled whose key it is.
pub(super) async fn begin(
    ctx: &mut SyncContext,
    trigger: &str,
    is_identified: bool,
) -> Result<(), RunError> {
    if is_identified {
        return Ok(ctx.begin(trigger).await?);
    }
    let identified = identify::identify(ctx).await;
    // With another organization's key, not even the log is written.
    if let Err(stop @ RunError::OtherOrganization { .. }) = identified {
        return Err(stop);
    }
    ctx.begin(trigger).await?;
    if let Err(stop) = identified {
        end_kind_run(ctx, Kind::Meta, &stop.kind_outcome()).await?;
        return Err(stop);
    }
    Ok(())
}

/// A kind's turn. An error of its own is logged with it; an error of everybody's ends the run. Returns
/// whether the list was read, or at least begun.
pub(super) async fn kind_run(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    kind: Kind,
    work: Work,
) -> Result<bool, RunError> {
    let trigger = match &work {
        Work::Unavailable if options.scope.full => {
            unconfirmed(ctx, kind).await?;
            return Ok(false);
        }
        Work::Nothing | Work::Unavailable => return Ok(false),
        Work::Resume => "resume",
        Work::Listing(reason) => reason.name(),
        Work::Poll(_) | Work::RecentAccounts(_) | Work::AccountLists(_) => "due",
    };
    ctx.begin_kind_run(kind, trigger).await?;
    let before = ctx.store.read(move |c| listings::open(c, kind)).await?;
    let mut is_listing = !work.is_for_dues();
    let result = carry_out(ctx, options, settings, kind, work).await;
    // A database that fails is not asked for anything more: each further try may take as long.
    if let Err(FetchError::Store(error)) = result {
        return Err(RunError::Store(error));
    }
    // A poll that was refused became a listing.
    is_listing |= result.as_ref().is_ok_and(|kind_outcome| {
        kind_outcome.outcome != Outcome::Polled
            && kind_outcome.error_code.as_deref() != Some(LIST_PAUSED)
    });
    let kind_outcome = match &result {
        Ok(kind_outcome) => {
            finish::with_unreadable_scrapes(ctx, kind, kind_outcome.clone()).await?
        }
        Err(error) => finish::error(error),
    };
    end_kind_run(ctx, kind, &kind_outcome).await?;
    let is_fatal = result.as_ref().is_err_and(FetchError::is_fatal);
    match is_listing {
        // What stops the whole run is no kind's own failure.
        true if is_fatal => note_listing_outcome(ctx, kind, &kind_outcome).await?,
        true => {
            backoff::note_listing(ctx, settings, kind, kind_outcome.outcome, before.as_ref())
                .await?
        }
        false if is_fatal => {}
        false => {
            backoff::note(ctx, settings, kind, BackoffScope::Poll, kind_outcome.outcome).await?
        }
    }
    match result {
        Err(error) if error.is_fatal() => Err(RunError::from(error)),
        Err(FetchError::Api(failure)) => {
            ctx.note_failure(kind, &failure);
            Ok(is_listing)
        }
        _ => Ok(is_listing),
    }
}

/// Everything was wanted, and a list that is mirrored cannot be had: its rows stay unconfirmed.
async fn unconfirmed(ctx: &mut SyncContext, kind: Kind) -> Result<(), RunError> {
    let was_mirrored =
        ctx.store.read(move |c| listings::state(c, kind)).await?.complete_as_of.is_some();
    if !was_mirrored {
        return Ok(());
    }
    ctx.begin_kind_run(kind, "full").await?;
    let detail = "the server refuses this list; what is mirrored of it could not be confirmed";
    let kind_outcome = KindOutcome {
        outcome: Outcome::Unconfirmed,
        error_code: Some(Outcome::Unavailable.name().to_owned()),
        detail: Some(detail.to_owned()),
        request_id: None,
    };
    end_kind_run(ctx, kind, &kind_outcome).await
}

async fn carry_out(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    kind: Kind,
    work: Work,
) -> Result<KindOutcome, FetchError> {
    let polled = match &work {
        Work::Poll(request_plan) => Some(poll::poll(ctx, kind, request_plan).await?),
        Work::RecentAccounts(due) => Some(poll_accounts::accounts(ctx, due).await?),
        Work::AccountLists(account_lists) => {
            Some(poll_accounts::account_lists(ctx, account_lists).await?)
        }
        _ => None,
    };
    let begin = match (polled, work) {
        (Some(Polled::Done), _) => {
            return Ok(KindOutcome::of(Outcome::Polled));
        }
        (Some(Polled::Refused), _) => match is_listing_paused(ctx, kind).await? {
            true => return Ok(list_paused()),
            false => Begin::Clean,
        },
        (None, Work::Resume) => Begin::Resume,
        (None, _) => Begin::Afresh,
    };
    match kind {
        Kind::Meta | Kind::Overview => document(ctx, kind).await,
        _ => {
            let policy = match options.scope.accept_removals {
                true => Policy::Accept,
                false => Policy::Ceiling(settings.max_removals),
            };
            let listing_result = listing::listing(ctx, kind, begin).await?;
            let mut kind_outcome = finish::listing(ctx, &listing_result, policy).await?;
            if options.scope.full && kind_outcome.outcome == Outcome::Unavailable {
                let was_mirrored =
                    ctx.store.read(move |c| listings::state(c, kind)).await?.complete_as_of;
                kind_outcome.outcome =
                    was_mirrored.map_or(kind_outcome.outcome, |_| Outcome::Unconfirmed);
            }
            Ok(kind_outcome)
        }
    }
}

async fn is_listing_paused(ctx: &SyncContext, kind: Kind) -> StoreResult<bool> {
    Ok(backoff::paused(ctx, BackoffScope::Listing, ctx.fetcher.clock().now())
        .await?
        .contains_key(&kind))
}

/// The ending of a poll that would have become a listing, which failed lately.
fn list_paused() -> KindOutcome {
    let detail = "the server refuses a kept cursor or a shortcut, and the list, which failed lately, \
                  is not read again yet";
    KindOutcome {
        outcome: Outcome::Incomplete,
        error_code: Some(LIST_PAUSED.to_owned()),
        detail: Some(detail.to_owned()),
        request_id: None,
    }
}

async fn document(ctx: &mut SyncContext, kind: Kind) -> Result<KindOutcome, FetchError> {
    ctx.tell(&Event::Started { kind, resumed_pages: 0 });
    let read = match kind {
        Kind::Meta => documents::meta(ctx).await,
        _ => documents::overview(ctx).await,
    };
    match read {
        Err(FetchError::Api(failure))
            if matches!(
                failure.verdict,
                Verdict::NotFound | Verdict::Invalid | Verdict::BadRequest
            ) =>
        {
            ctx.remember_unsupported(&query::endpoint(kind), &failure).await?;
            Ok(KindOutcome {
                outcome: Outcome::Unavailable,
                detail: Some(failure.to_string()),
                ..KindOutcome::of(Outcome::Complete)
            })
        }
        Err(error) => Err(error),
        Ok(()) => Ok(KindOutcome::of(Outcome::Complete)),
    }
}

pub(super) async fn end_kind_run(
    ctx: &mut SyncContext,
    kind: Kind,
    kind_outcome: &KindOutcome,
) -> Result<(), RunError> {
    finish::end(ctx, kind, kind_outcome).await?;
    ctx.tell_finished(kind, kind_outcome.outcome);
    if !kind_outcome.outcome.is_good() {
        tracing::warn!(%kind, outcome = %kind_outcome.outcome, detail = kind_outcome.detail, "not all went well");
    }
    Ok(())
}

/// The full sync is answered for as of the turn's begin: what fires after that is another's.
async fn note_listing_outcome(
    ctx: &SyncContext,
    kind: Kind,
    kind_outcome: &KindOutcome,
) -> StoreResult<()> {
    let (began, outcome) = (ctx.kind_run_began_at, kind_outcome.outcome);
    ctx.store
        .write(move |tx| {
            listings::set_last_outcome(tx, kind, outcome)?;
            listings::record_full_sync(tx, kind, began)
        })
        .await
}
