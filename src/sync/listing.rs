//! Reads a list endpoint page by page (cursor pagination), from its first page or from where the last run
//! stopped.
//!
//! A listing is complete when every page had the documented shape, no cursor came twice, the last page
//! said `has_next: false`, and the rows seen reach `total_count` where it is given. Pages are written while
//! the next ones are requested. A page's rows and the cursor after it are one transaction, so that a listing can
//! be resumed after a crash.

use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::query;
use crate::model::{Event, Kind};
use crate::store::listings::{self, End, Listing};
use crate::sync::listing_result::{IncompleteReason, ListingResult, Notes};
use crate::sync::page_reader::{PagesEnd, clear_evidence, read_pages};

/// A listing resumed later than this after its last page is no evidence of removals, microseconds.
const EVIDENCE_MICROS_MAX: i64 = 3_600 * 1_000_000;
/// How often a listing starts over because its cursor was refused or it ended short.
const RESTARTS_MAX: u32 = 2;

/// The most rows that leave a list while it is read. A server whose totals differ more counts otherwise.
const ROWS_LEFT_MAX: i64 = 10;

/// Where a listing starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingStart {
    /// At the first page.
    FirstPage,
    /// Where an open listing stopped, if there is one.
    Resume,
    /// At the first page, without sending ETags.
    WithoutEtags,
}

/// Reads a list to its end. Starts over where that may help.
pub async fn list(
    ctx: &mut SyncContext,
    kind: Kind,
    listing_start: ListingStart,
) -> FetchResult<ListingResult> {
    let mut restarts = 0;
    let mut notes = Notes::default();
    let mut listing = open(ctx, kind, listing_start).await?;
    let resumed_at = (listing.pages > 0).then_some(listing.pages);
    loop {
        let end = read_pages(ctx, &mut listing, &mut notes).await;
        // A page that fails right after a resume is likely to fail after the next resume as well. The next
        // listing starts at the first page, so that the pages before it are read again.
        if matches!(end, Err(FetchError::Api(_))) && resumed_at == Some(listing.pages) {
            let now = ctx.fetcher.stamp();
            let number = listing.listing;
            ctx.store.write(move |tx| listings::end(tx, number, End::Incomplete, now)).await?;
        }
        let reason = match end? {
            PagesEnd::Complete => None,
            PagesEnd::Incomplete(reason) => Some(reason),
            PagesEnd::ParameterRefused(names, failure) => {
                for name in &names {
                    ctx.remember_unsupported(&query::feature(kind, name), &failure).await?;
                }
                listing = start(ctx, kind, listing.is_clean).await?;
                continue;
            }
            // The page size was lowered.
            PagesEnd::PageTooHeavy => {
                listing = start(ctx, kind, listing.is_clean).await?;
                continue;
            }
        };
        match reason {
            // Start over without ETags. A cursor may be refused for its age or by another replica, and a
            // list that ended short may be a passing fault.
            Some(IncompleteReason::CursorRefused(_)) if restarts < RESTARTS_MAX => {}
            Some(IncompleteReason::EndedShort { .. }) if restarts == 0 => {}
            None if restarts == 0 && may_have_moved(&listing, &notes) => {}
            _ => return Ok(ListingResult { listing, reason, notes }),
        }
        restarts += 1;
        tracing::info!(%kind, ?reason, "listing starts over");
        notes = Notes::default();
        listing = start(ctx, kind, true).await?;
    }
}

/// Whether a row that left the list meanwhile may have moved another one to a page read before.
fn may_have_moved(listing: &Listing, notes: &Notes) -> bool {
    let last_total = listing.total_count.unwrap_or(notes.total_max);
    let left = notes.total_max.saturating_sub(last_total);
    listing.rows_seen < notes.total_max && (1..=ROWS_LEFT_MAX).contains(&left)
}

async fn open(
    ctx: &mut SyncContext,
    kind: Kind,
    listing_start: ListingStart,
) -> FetchResult<Listing> {
    let query = query::line(&query::parameters(kind, &ctx.refused));
    let now = ctx.fetcher.stamp();
    let open = ctx.store.read(move |c| listings::open(c, kind)).await?;
    if listing_start == ListingStart::Resume
        && let Some(mut listing) = open
        && listing.query == query
    {
        if listing.is_evidence
            && now.saturating_sub(listing.last_page_at).saturating_abs() > EVIDENCE_MICROS_MAX
        {
            clear_evidence(ctx, &mut listing).await?;
        }
        let resumed_pages = u64::try_from(listing.pages).unwrap_or(0);
        ctx.tell(&Event::Started { kind, resumed_pages });
        return Ok(listing);
    }
    ctx.tell(&Event::Started { kind, resumed_pages: 0 });
    start(ctx, kind, listing_start == ListingStart::WithoutEtags).await
}

async fn start(ctx: &mut SyncContext, kind: Kind, is_clean: bool) -> FetchResult<Listing> {
    let query = query::line(&query::parameters(kind, &ctx.refused));
    let now = ctx.fetcher.stamp();
    Ok(ctx.store.write(move |tx| listings::start(tx, kind, &query, now, is_clean)).await?)
}
