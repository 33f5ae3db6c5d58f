//! What a kind's turn came to: closing the listing, drawing its consequences, writing the log.

use crate::api::{Failure, Verdict};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::query;
use crate::model::KindOutcome;
use crate::model::Outcome;
use crate::model::shown::printable;
use crate::model::{BadRow, Kind};
use crate::store::due;
use crate::store::listings::{self, End};
use crate::store::removals::{self, Policy, Removals};
use crate::store::rows::{self, UnreadableScrapes};
use crate::store::runs::{self, KindCounts};
use crate::sync::listing_result::{IncompleteReason, ListingResult};

/// Longest part of an answer that is repeated in an outcome.
const NAMED_CHARS_MAX: usize = 80;

/// How many undecodable rows are named.
const NAMED_MAX: usize = 5;

/// Closes a listing, whole or flawed.
pub async fn listing(
    ctx: &mut SyncContext,
    listing_result: &ListingResult,
    policy: Policy,
) -> FetchResult<KindOutcome> {
    match &listing_result.reason {
        None => whole(ctx, listing_result, policy).await,
        Some(reason) => flawed(ctx, listing_result, reason).await,
    }
}

async fn whole(
    ctx: &mut SyncContext,
    listing_result: &ListingResult,
    policy: Policy,
) -> FetchResult<KindOutcome> {
    let listing = &listing_result.listing;
    // A row that could not be decoded may be any of those that seem to be absent.
    let is_evidence = listing.is_evidence && listing.rows_dropped == 0;
    let now = ctx.fetcher.stamp();
    let counters = ctx.counters(listing.kind);
    let of = listing.clone();
    let removals = ctx
        .store
        .write(move |tx| {
            let listing = &of;
            listings::end(tx, listing.listing, End::Complete, now)?;
            listings::record_complete(tx, listing.kind, listing.started_at)?;
            if listing.kind == Kind::AccountVideo {
                due::all_account_lists_read(tx, listing.started_at)?;
            }
            let removals = match is_evidence {
                true => removals::apply(tx, listing, policy, now)?,
                false => Removals::default(),
            };
            counters
                .close(tx, &KindCounts { removed: removals.removed, ..KindCounts::default() })?;
            Ok(removals)
        })
        .await?;
    if removals.held > 0 {
        return Ok(held(listing.kind, removals.held));
    }
    if listing.rows_dropped > 0 {
        return Ok(dropped(listing.rows_dropped, &listing_result.notes.bad));
    }
    let detail = (!listing_result.notes.repaired.is_empty()).then(|| {
        format!(
            "the JSON of {} rows was repaired: {}",
            listing_result.notes.repaired.len(),
            named(&listing_result.notes.repaired)
        )
    });
    Ok(KindOutcome { outcome: Outcome::Complete, detail, ..KindOutcome::of(Outcome::Complete) })
}

fn held(kind: Kind, rows: i64) -> KindOutcome {
    let detail = format!(
        "{rows} {} are gone from the API, more than max_removals allows; nothing was marked removed. \
         If that is right, run `creatormirror sync --accept-removals`",
        kind.plural()
    );
    KindOutcome {
        outcome: Outcome::RemovalsHeld,
        error_code: Some("removals_held".to_owned()),
        detail: Some(detail),
        request_id: None,
    }
}

/// A few of the rows, and what is wrong with each.
fn named(bad: &[BadRow]) -> String {
    // Those that can be found again come first.
    let (known, unknown): (Vec<_>, Vec<_>) = bad.iter().partition(|row| row.id.is_some());
    let named: Vec<String> = known
        .into_iter()
        .chain(unknown)
        .take(NAMED_MAX)
        .map(|row| match &row.id {
            Some(id) => format!("{id} ({})", row.reason),
            None => row.reason.to_owned(),
        })
        .collect();
    named.join("; ")
}

fn dropped(rows: i64, bad: &[BadRow]) -> KindOutcome {
    KindOutcome {
        outcome: Outcome::RowsDropped,
        error_code: Some("undecodable_rows".to_owned()),
        detail: Some(format!("{rows} rows could not be decoded: {}", named(bad))),
        request_id: None,
    }
}

async fn flawed(
    ctx: &mut SyncContext,
    listing_result: &ListingResult,
    reason: &IncompleteReason,
) -> FetchResult<KindOutcome> {
    let listing = &listing_result.listing;
    let (number, now) = (listing.listing, ctx.fetcher.stamp());
    ctx.store.write(move |tx| listings::end(tx, number, End::Incomplete, now)).await?;
    let incomplete = |code: &str, detail: String| KindOutcome {
        outcome: Outcome::Incomplete,
        error_code: Some(code.to_owned()),
        detail: Some(detail),
        request_id: listing_result.notes.request_id.clone(),
    };
    Ok(match reason {
        IncompleteReason::CursorRepeated => incomplete(
            "cursor_repeated",
            format!("a cursor came twice after {} pages", listing.pages),
        ),
        IncompleteReason::Endless => {
            incomplete("endless", format!("nothing new for many of its {} pages", listing.pages))
        }
        IncompleteReason::TooLong { seen, expected } => incomplete(
            "endless",
            format!(
                "the list goes on after {seen} rows, though at most {expected} were to be expected"
            ),
        ),
        IncompleteReason::Filtered(names) => incomplete(
            "filtered",
            format!(
                "the API left rows out by filters that were not asked for: {}",
                names.join(", ")
            ),
        ),
        IncompleteReason::EndedShort { seen, total } => incomplete(
            "ended_short",
            format!("the list ended after {seen} rows, but the API counts {total}"),
        ),
        IncompleteReason::CursorRefused(failure) => {
            let mut kind_outcome = api(Outcome::Incomplete, failure);
            kind_outcome.error_code.get_or_insert_with(|| "cursor_refused".to_owned());
            kind_outcome
        }
        IncompleteReason::EndpointRefused(failure) => {
            ctx.remember_unsupported(&query::endpoint(listing.kind), failure).await?;
            api(Outcome::Unavailable, failure)
        }
    })
}

/// A turn that went well all the same fails where scrapes cannot enter history, which nobody would notice.
pub async fn with_unreadable_scrapes(
    ctx: &SyncContext,
    kind: Kind,
    kind_outcome: KindOutcome,
) -> FetchResult<KindOutcome> {
    let Some(found) = ctx.store.read(move |c| rows::unreadable_scrapes(c, kind)).await? else {
        return Ok(kind_outcome);
    };
    let detail = unreadable_text(kind, &found);
    let detail = match &kind_outcome.detail {
        Some(before) => format!("{before}; {detail}"),
        None => detail,
    };
    Ok(match kind_outcome.outcome.is_good() {
        true => KindOutcome {
            outcome: Outcome::ScrapesUnreadable,
            error_code: Some("last_scrape_time".to_owned()),
            detail: Some(detail),
            request_id: kind_outcome.request_id,
        },
        false => KindOutcome { detail: Some(detail), ..kind_outcome },
    })
}

/// What it means that scrape times cannot be read, for people.
pub fn unreadable_text(kind: Kind, found: &UnreadableScrapes) -> String {
    let UnreadableScrapes { rows, id, given } = found;
    let given = given.as_ref().map(|given| format!(" `{}`", printable(given, NAMED_CHARS_MAX)));
    format!(
        "last_scrape_time of {rows} {} cannot be read, so their history stops: {} has{}",
        kind.plural(),
        printable(id, NAMED_CHARS_MAX),
        given.unwrap_or_else(|| " no text".to_owned())
    )
}

/// The ending of a kind whose turn broke off with an error.
pub fn error(error: &FetchError) -> KindOutcome {
    match error {
        // The API answers, but not with what a list is made of.
        FetchError::Api(failure)
            if matches!(failure.verdict, Verdict::Malformed | Verdict::Cut | Verdict::TooLarge) =>
        {
            api(Outcome::Incomplete, failure)
        }
        FetchError::Api(failure)
        | FetchError::Outage(failure)
        | FetchError::KeyRefused(failure) => api(Outcome::Failed, failure),
        FetchError::RateLimited(_) => KindOutcome {
            outcome: Outcome::RateLimited,
            error_code: Some("rate_limited".to_owned()),
            detail: Some(error.to_string()),
            request_id: None,
        },
        FetchError::Store(_) => KindOutcome {
            outcome: Outcome::Failed,
            error_code: Some("database".to_owned()),
            detail: Some(error.to_string()),
            request_id: None,
        },
    }
}

fn api(outcome: Outcome, failure: &Failure) -> KindOutcome {
    KindOutcome {
        outcome,
        error_code: Some(failure.code.clone().unwrap_or_else(|| failure.verdict.name().to_owned())),
        detail: Some(failure.to_string()),
        request_id: failure.request_id.clone(),
    }
}

/// Writes the end of a kind's turn, with the requests that no page has accounted for.
pub async fn end(ctx: &mut SyncContext, kind: Kind, kind_outcome: &KindOutcome) -> FetchResult<()> {
    let now = ctx.fetcher.stamp();
    let counters = ctx.counters(kind);
    let (run_id, kind_outcome) = (ctx.run_id, kind_outcome.clone());
    ctx.store
        .write(move |tx| {
            counters.close(tx, &KindCounts::default())?;
            runs::end_kind(tx, run_id, kind, &kind_outcome, now)
        })
        .await?;
    Ok(())
}
