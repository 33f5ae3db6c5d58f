//! Reads a list endpoint page by page (cursor pagination), from its first page or from where the last run
//! stopped.
//!
//! A listing is complete when every page had the documented shape, no cursor came twice, the last page
//! said `has_next: false`, and the rows seen reach `total_count` where it is given. Page n is written while
//! page n+1 is requested. A page's rows and the cursor after it are one transaction, so that a listing can
//! be resumed after a crash.

use crate::api::{Failure, Verdict};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::query;
use crate::fetch::write::{self, PageWrite, PageWritten};
use crate::model::{Event, Kind};
use crate::store::listings::{self, End, Listing};
use crate::store::pages;
use crate::store::{Pending, StoreResult};
use crate::sync::guess_ahead::{Ahead, Guess};
use crate::sync::listing_result::{IncompleteReason, ListingResult, Notes, rows_max};
use crate::sync::page::{
    Guesses, PageResult, PageTarget, fetch_page, is_not_modified_valid, not_modified_page,
    page_target, request_ahead, url,
};
use crate::sync::page_size::{self, OversizedPage, SmallerPage};

/// A listing resumed later than this after its last page is no evidence of removals, microseconds.
const EVIDENCE_MICROS_MAX: i64 = 3_600 * 1_000_000;
/// How often a listing starts over because its cursor was refused or it ended short.
const RESTARTS_MAX: u32 = 2;
/// How often a page that repeats a cursor is requested again.
const REPEATS_MAX: u32 = 2;
/// The most successive pages without a new row; beyond them the server is taken for broken.
const FRUITLESS_PAGES_MAX: u32 = 10;

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

/// Why the reading of pages ended.
enum PagesEnd {
    Complete,
    Incomplete(IncompleteReason),
    CursorRefused(Failure),
    ParameterRefused(Vec<String>, Failure),
    /// Smaller pages are needed, and the server does not accept the cursor with another size.
    PageTooHeavy,
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
        // A page that fails right after a resume is likely to fail after the next one as well. The next
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
            PagesEnd::CursorRefused(failure) => Some(IncompleteReason::CursorRefused(failure)),
        };
        match reason {
            // Start over without ETags. A cursor may be refused for its age or by another replica, and a
            // list that ended short may be a passing fault.
            Some(IncompleteReason::CursorRefused(_)) if restarts < RESTARTS_MAX => {}
            Some(IncompleteReason::EndedShort { .. }) if restarts == 0 => {}
            _ => return Ok(ListingResult { listing, reason, notes }),
        }
        restarts += 1;
        tracing::info!(%kind, ?reason, "listing starts over");
        notes = Notes::default();
        listing = start(ctx, kind, true).await?;
    }
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
            let number = listing.listing;
            ctx.store.write(move |tx| listings::clear_evidence(tx, number)).await?;
            listing.is_evidence = false;
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

/// Reads pages until the list ends or something else must be done.
async fn read_pages(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    notes: &mut Notes,
) -> FetchResult<PagesEnd> {
    if listings::is_at_its_end(listing) {
        return check_total(ctx, listing).await;
    }
    // The next page is one of the requests that may be in flight.
    let mut ahead = Ahead::new(ctx.fetcher.max_concurrent_requests() - 1);
    let end = follow_cursors(ctx, listing, notes, &mut ahead).await?;
    ahead.give_up().await;
    Ok(end)
}

async fn follow_cursors(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    notes: &mut Notes,
    ahead: &mut Guesses,
) -> FetchResult<PagesEnd> {
    let mut parameters = query::parameters(listing.kind, &ctx.refused);
    let mut target = page_target(ctx, listing, &parameters, listing.next_cursor.clone()).await?;
    let mut guess: Option<Guess<PageTarget, PageResult>> = None;
    let mut writing: Option<Pending<PageWritten>> = None;
    let mut repeats = 0;
    let mut fruitless = 0;
    let mut recovered = 0;
    let mut expected = None;
    loop {
        request_ahead(
            ctx,
            listing,
            &parameters,
            guess.as_ref().map_or(&target, |g| &g.page),
            ahead,
        )
        .await?;
        let guessed = match guess.take() {
            Some(guess) => {
                target.known = guess.page.known.clone();
                ahead.during(guess.answer()).await.ok()
            }
            None => None,
        };
        let fetched = match guessed {
            Some(fetched) => Ok(fetched),
            None => ahead.during(fetch_page(&ctx.fetcher, listing, &target, &parameters)).await,
        };
        // The page before is written before anything is concluded from this one.
        if let Some(task) = writing.take() {
            let rows_before = listing.rows_seen;
            ahead.during(page_written(ctx, listing, task, notes)).await?;
            fruitless = if listing.rows_seen > rows_before { 0 } else { fruitless + 1 };
        }
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(FetchError::Api(failure)) if failure.is_heavy() => {
                ahead.give_up().await;
                let cursor = target.cursor.as_deref();
                let (kind, parameters_sent) = (listing.kind, &parameters);
                let page =
                    OversizedPage { kind, cursor, parameters: parameters_sent, failure: &failure };
                let found = page_size::find(&ctx.fetcher, page).await?;
                if found.too_heavy.is_empty() {
                    recovered += 1;
                }
                if recovered > REPEATS_MAX {
                    return Err(FetchError::Api(failure));
                }
                keep_page_size(ctx, listing, &found, &failure).await?;
                if found.is_cursor_refused {
                    return Ok(PagesEnd::PageTooHeavy);
                }
                parameters = found.parameters;
                target = page_target(ctx, listing, &parameters, target.cursor).await?;
                continue;
            }
            Err(FetchError::Api(failure)) => {
                return page_refused(listing, &target, &parameters, failure);
            }
            Err(error) => return Err(error),
        };
        notes.request_id.clone_from(&fetched.head.request_id);
        if fetched.value.is_none() && !is_not_modified_valid(ctx, &target).await? {
            target.known = None;
            continue;
        }
        let known = target.known.as_ref();
        let confirmed = known.filter(|_| fetched.value.is_none()).map(|page| page.page);
        let mut page = fetched.value.unwrap_or_else(|| not_modified_page(known));
        if !page.ignored.is_empty() {
            ctx.note_ignored(listing.kind, &page.ignored).await?;
            // In another order than requested, rows may have been missed.
            let number = listing.listing;
            ctx.store.write(move |tx| listings::clear_evidence(tx, number)).await?;
            listing.is_evidence = false;
        }
        let expected = match expected {
            Some(expected) => expected,
            None => *expected.insert(rows_expected(ctx, listing, page.total_count).await?),
        };
        let next = match &page.next_cursor {
            None => None,
            Some(cursor) => {
                Some(page_target(ctx, listing, &parameters, Some(cursor.clone())).await?)
            }
        };
        let is_repeated = next.as_ref().is_some_and(|next| {
            next.cursor == target.cursor
                || next.known.as_ref().is_some_and(|page| page.listing == Some(listing.listing))
        });
        if is_repeated && repeats < REPEATS_MAX {
            repeats += 1;
            target.known = None;
            continue;
        }
        let unasked = std::mem::take(&mut page.unasked);
        let page = PageWrite {
            url: url(&target.request),
            cursor: target.cursor.clone(),
            // A 304 must not confirm a page that repeats a cursor.
            etag: fetched.head.etag.filter(|_| !is_repeated),
            as_of: fetched.as_of,
            listing: Some(listing.listing),
            page,
            confirmed,
        };
        let task = write::page(&ctx.store, ctx.counters(listing.kind), page);
        match next {
            _ if !unasked.is_empty() => {
                page_written(ctx, listing, task, notes).await?;
                return Ok(PagesEnd::Incomplete(IncompleteReason::Filtered(unasked)));
            }
            Some(next)
                if !is_repeated
                    && fruitless < FRUITLESS_PAGES_MAX
                    && listing.rows_seen <= expected =>
            {
                writing = Some(task);
                guess = ahead.claim(next.cursor.as_deref()).await;
                target = next;
            }
            Some(_) => {
                page_written(ctx, listing, task, notes).await?;
                return Ok(PagesEnd::Incomplete(match is_repeated {
                    true => IncompleteReason::CursorRepeated,
                    false if fruitless >= FRUITLESS_PAGES_MAX => IncompleteReason::Endless,
                    false => IncompleteReason::TooLong { seen: listing.rows_seen, expected },
                }));
            }
            None => {
                page_written(ctx, listing, task, notes).await?;
                return check_total(ctx, listing).await;
            }
        }
    }
}

/// Stores the page size that was found, for the next pages and for a resume.
async fn keep_page_size(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    found: &SmallerPage,
    failure: &Failure,
) -> StoreResult<()> {
    for size in &found.too_heavy {
        ctx.remember_unsupported(&query::page_size_feature(listing.kind, *size), failure).await?;
    }
    listing.query = query::line(&found.parameters);
    let (number, query) = (listing.listing, listing.query.clone());
    ctx.store.write(move |tx| listings::set_query(tx, number, &query)).await
}

/// The most rows that the list may have.
async fn rows_expected(
    ctx: &SyncContext,
    listing: &Listing,
    total_count: Option<i64>,
) -> StoreResult<i64> {
    let kind = listing.kind;
    let last = ctx.store.read(move |c| listings::last_rows(c, kind)).await?;
    Ok(rows_max(listing.total_count.or(total_count), last))
}

/// Checks after the last page that the rows seen reach the total.
async fn check_total(ctx: &SyncContext, listing: &Listing) -> FetchResult<PagesEnd> {
    match listing.total_count {
        Some(total) if listing.rows_seen < total => {
            let number = listing.listing;
            ctx.store.write(move |tx| pages::clear_last_etag(tx, number)).await?;
            Ok(PagesEnd::Incomplete(IncompleteReason::EndedShort {
                seen: listing.rows_seen,
                total,
            }))
        }
        _ => Ok(PagesEnd::Complete),
    }
}

async fn page_written(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    writing: Pending<PageWritten>,
    notes: &mut Notes,
) -> FetchResult<()> {
    let written = writing.await?;
    listing.pages = listing.pages.saturating_add(1);
    listing.next_cursor = written.next_cursor;
    listing.total_count = written.total_count;
    listing.rows_seen = listing.rows_seen.saturating_add(written.counts.rows_new_to_listing);
    listing.rows_dropped = listing.rows_dropped.saturating_add(written.counts.rows_dropped);
    notes.add(written.bad, written.repaired);
    ctx.tell(&Event::Page {
        kind: listing.kind,
        pages: u64::try_from(listing.pages).unwrap_or(0),
        rows: u64::try_from(listing.rows_seen).unwrap_or(0),
        total: listing.total_count.and_then(|total| u64::try_from(total).ok()),
    });
    Ok(())
}

/// Tells from a refusal whether it is about the cursor, a parameter or the list.
fn page_refused(
    listing: &Listing,
    target: &PageTarget,
    parameters: &[(String, String)],
    failure: Failure,
) -> FetchResult<PagesEnd> {
    let has_cursor = target.cursor.is_some();
    Ok(match failure.verdict {
        Verdict::Invalid | Verdict::BadRequest if has_cursor && query::blames_cursor(&failure) => {
            PagesEnd::CursorRefused(failure)
        }
        Verdict::NotFound if has_cursor => PagesEnd::CursorRefused(failure),
        Verdict::Invalid => {
            let names = query::blamed(parameters, &failure);
            match names.is_empty() {
                false => PagesEnd::ParameterRefused(names, failure),
                true if listing.kind == Kind::AccountVideo => {
                    PagesEnd::Incomplete(IncompleteReason::EndpointRefused(failure))
                }
                true => return Err(FetchError::Api(failure)),
            }
        }
        Verdict::ScopeMissing => PagesEnd::Incomplete(IncompleteReason::EndpointRefused(failure)),
        // The other lists are documented, so a 404 for them means that the address is wrong.
        Verdict::NotFound | Verdict::BadRequest if listing.kind == Kind::AccountVideo => {
            PagesEnd::Incomplete(IncompleteReason::EndpointRefused(failure))
        }
        _ => return Err(FetchError::Api(failure)),
    })
}
