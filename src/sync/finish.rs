//! Finishes a listing: completeness, removals, and the outcome of the kind.

use crate::fetch::context::SyncContext;
use crate::fetch::error::FetchResult;
use crate::fetch::kind_outcome::{explained, of_failure};
use crate::model::shown::{counted, printable};
use crate::model::{BadRow, Kind, KindOutcome, Outcome};
use crate::store::due;
use crate::store::listings::{self, End};
use crate::store::removals::{self, Policy, Removals};
use crate::store::rows::{self, UnreadableScrapes};
use crate::store::runs::KindCounts;
use crate::sync::listing_result::{IncompleteReason, ListingResult};

/// Longest part of an answer that a detail repeats, characters.
const SHOWN_CHARS_MAX: usize = 80;

/// The most undecodable rows that a detail names.
const NAMED_MAX: usize = 5;

/// Records the end of a listing. Only a complete one removes rows.
pub async fn finish_listing(
    ctx: &mut SyncContext,
    listing_result: &ListingResult,
    policy: Policy,
) -> FetchResult<KindOutcome> {
    match &listing_result.reason {
        None => complete(ctx, listing_result, policy).await,
        Some(reason) => incomplete(ctx, listing_result, reason).await,
    }
}

async fn complete(
    ctx: &mut SyncContext,
    listing_result: &ListingResult,
    policy: Policy,
) -> FetchResult<KindOutcome> {
    let listing = listing_result.listing.clone();
    let (kind, rows_dropped) = (listing.kind, listing.rows_dropped);
    // A row that could not be decoded may be any of those that seem to be absent.
    let is_evidence = listing.is_evidence && rows_dropped == 0;
    let now = ctx.fetcher.stamp();
    let counters = ctx.counters(kind);
    let removals = ctx
        .store
        .write(move |tx| {
            listings::end(tx, listing.listing, End::Complete, now)?;
            listings::record_complete(tx, kind, listing.started_at)?;
            if kind == Kind::AccountVideo {
                due::all_account_lists_read(tx, listing.started_at)?;
            }
            let removals = match is_evidence {
                true => removals::apply(tx, &listing, policy, now)?,
                false => Removals::default(),
            };
            counters
                .close(tx, &KindCounts { removed: removals.removed, ..KindCounts::default() })?;
            Ok(removals)
        })
        .await?;
    let notes = &listing_result.notes;
    if removals.held > 0 {
        let detail = format!(
            "{} {} are gone from the API, more than `max_removals` allows; none was marked removed. \
             If that is right, run `creatormirror sync --accept-removals`",
            removals.held,
            kind.plural()
        );
        return Ok(explained(Outcome::RemovalsHeld, "removals_held", detail));
    }
    if rows_dropped > 0 {
        let detail =
            format!("{} could not be decoded: {}", counted(rows_dropped, "row"), named(&notes.bad));
        return Ok(explained(Outcome::RowsDropped, "undecodable_rows", detail));
    }
    let (count, repaired) = (notes.repaired.len(), named(&notes.repaired));
    let detail = (count > 0)
        .then(|| format!("the JSON of {} was repaired: {repaired}", counted(count as u64, "row")));
    Ok(KindOutcome { detail, ..KindOutcome::of(Outcome::Complete) })
}

/// Names a few of the rows and what is wrong with each.
fn named(bad: &[BadRow]) -> String {
    // Rows with an id come first, since they can be looked up.
    let (known, unknown): (Vec<_>, Vec<_>) = bad.iter().partition(|row| row.id.is_some());
    let named = known.into_iter().chain(unknown).map(|row| match &row.id {
        Some(id) => format!("{id} ({})", row.reason),
        None => row.reason.to_owned(),
    });
    let mut named: Vec<_> = named.collect();
    named.dedup();
    named.truncate(NAMED_MAX);
    named.join("; ")
}

async fn incomplete(
    ctx: &mut SyncContext,
    listing_result: &ListingResult,
    reason: &IncompleteReason,
) -> FetchResult<KindOutcome> {
    let (kind, pages) = (listing_result.listing.kind, listing_result.listing.pages);
    let (listing, now) = (listing_result.listing.listing, ctx.fetcher.stamp());
    ctx.store.write(move |tx| listings::end(tx, listing, End::Incomplete, now)).await?;
    let (error_code, detail) = match reason {
        IncompleteReason::CursorRepeated => {
            ("cursor_repeated", format!("a cursor came twice after {}", counted(pages, "page")))
        }
        IncompleteReason::Endless => {
            ("endless", format!("many of its {pages} pages showed no new rows"))
        }
        IncompleteReason::TooLong { seen, expected } => (
            "endless",
            format!(
                "the list continues after {}; at most {expected} were expected",
                counted(*seen, "row")
            ),
        ),
        IncompleteReason::Filtered(names) => (
            "filtered",
            format!("the API applied filters that were not requested: {}", names.join(", ")),
        ),
        IncompleteReason::EndedShort { seen, total } => {
            let seen = counted(*seen, "row");
            ("ended_short", format!("the list ended after {seen}, but the API counts {total}"))
        }
        IncompleteReason::CursorRefused(failure) => {
            return Ok(of_failure(Outcome::Incomplete, failure));
        }
        IncompleteReason::EndpointRefused(failure) => {
            ctx.endpoint_refused(kind, failure).await?;
            return Ok(of_failure(Outcome::Unavailable, failure));
        }
    };
    let request_id = listing_result.notes.request_id.clone();
    Ok(KindOutcome { request_id, ..explained(Outcome::Incomplete, error_code, detail) })
}

/// Adds to an outcome that scrape times cannot be read. Without other errors it becomes
/// `scrapes_unreadable`, since history would stop unseen.
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
            request_id: kind_outcome.request_id,
            ..explained(Outcome::ScrapesUnreadable, "last_scrape_time", detail)
        },
        false => KindOutcome { detail: Some(detail), ..kind_outcome },
    })
}

/// Explains that scrape times cannot be read, with an example.
pub fn unreadable_text(kind: Kind, found: &UnreadableScrapes) -> String {
    let UnreadableScrapes { rows, id, given } = found;
    let given = given.as_ref().map(|given| format!("`{}`", printable(given, SHOWN_CHARS_MAX)));
    format!(
        "last_scrape_time of {rows} {} cannot be read, so their history stops: {} has {}",
        kind.plural(),
        printable(id, SHOWN_CHARS_MAX),
        given.unwrap_or_else(|| "no text".to_owned())
    )
}
