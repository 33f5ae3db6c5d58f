//! Reads a list endpoint, from its first page or from where the last run stopped.
//!
//! A listing is a chain: each page is opened by the cursor of the one before. It is complete when every
//! page was of the documented shape, no cursor came twice, the last page said so, and the rows met
//! reach the number the server gives. Page n is written while page n+1 is on its way; a page's rows
//! and the cursor after it are one transaction, so a listing that dies goes on where it stopped.

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
    Asked, Guesses, Target, aim, ask, look_ahead, still_vouches, unchanged, url,
};
use crate::sync::page_size::{self, Heavy, Smaller};

/// A listing taken up again later than this after its last page says nothing about removals.
const EVIDENCE_MICROS_MAX: i64 = 3_600 * 1_000_000;
/// How often a listing starts over because its cursor was refused or it ended short.
const RESTARTS_MAX: u32 = 2;
/// How often a page that repeats a cursor is asked for again.
const REPEATS_MAX: u32 = 2;
/// Pages on end without a row that the listing had not met; a server that goes on is broken.
const FRUITLESS_PAGES_MAX: u32 = 10;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first page.
    Afresh,
    /// Where an open listing stopped, if there is one.
    Resume,
    /// With the first page, and without the validators that are held.
    Clean,
}

/// How one run over the list ended.
enum Ended {
    Whole,
    Flawed(IncompleteReason),
    CursorRefused(Failure),
    ParameterRefused(Vec<String>, Failure),
    /// Its pages are too heavy, and the cursor is not good for smaller ones.
    TooHeavy,
}

/// Listings a list to its end, starting over where that can help.
pub async fn listing(
    ctx: &mut SyncContext,
    kind: Kind,
    begin: Begin,
) -> FetchResult<ListingResult> {
    let mut restarts = 0;
    let mut notes = Notes::default();
    let mut listing = open(ctx, kind, begin).await?;
    let resumed_at = (listing.pages > 0).then_some(listing.pages);
    loop {
        let ended = run(ctx, &mut listing, &mut notes).await;
        // A page that fails again right after a resume would fail the next time as well, and keep
        // the pages before it from ever being read anew.
        if matches!(ended, Err(FetchError::Api(_))) && resumed_at == Some(listing.pages) {
            let now = ctx.fetcher.stamp();
            let number = listing.listing;
            ctx.store.write(move |tx| listings::end(tx, number, End::Incomplete, now)).await?;
        }
        let reason = match ended? {
            Ended::Whole => None,
            Ended::Flawed(reason) => Some(reason),
            Ended::ParameterRefused(names, failure) => {
                for name in &names {
                    ctx.remember_unsupported(&query::feature(kind, name), &failure).await?;
                }
                listing = start(ctx, kind, listing.is_clean).await?;
                continue;
            }
            // Each time with smaller pages.
            Ended::TooHeavy => {
                listing = start(ctx, kind, listing.is_clean).await?;
                continue;
            }
            Ended::CursorRefused(failure) => Some(IncompleteReason::CursorRefused(failure)),
        };
        match reason {
            // Worth another try from the first page, and without the validators that led here. A
            // cursor is refused for age or by another replica; a short end may be a passing fault.
            Some(IncompleteReason::CursorRefused(_)) if restarts < RESTARTS_MAX => {}
            Some(IncompleteReason::EndedShort { .. }) if restarts == 0 => {}
            _ => return Ok(ListingResult { listing, reason, notes }),
        }
        restarts += 1;
        tracing::info!(%kind, ?reason, "starting the listing over");
        notes = Notes::default();
        listing = start(ctx, kind, true).await?;
    }
}

async fn open(ctx: &mut SyncContext, kind: Kind, begin: Begin) -> FetchResult<Listing> {
    let line = query::line(&query::parameters(kind, &ctx.refused));
    let now = ctx.fetcher.stamp();
    let open = ctx.store.read(move |c| listings::open(c, kind)).await?;
    if begin == Begin::Resume
        && let Some(mut listing) = open
        && listing.query == line
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
    start(ctx, kind, begin == Begin::Clean).await
}

async fn start(ctx: &mut SyncContext, kind: Kind, is_clean: bool) -> FetchResult<Listing> {
    let line = query::line(&query::parameters(kind, &ctx.refused));
    let now = ctx.fetcher.stamp();
    Ok(ctx.store.write(move |tx| listings::start(tx, kind, &line, now, is_clean)).await?)
}

/// One run along the chain.
async fn run(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    notes: &mut Notes,
) -> FetchResult<Ended> {
    if listings::has_last_page(listing) {
        return finish(ctx, listing).await;
    }
    // The page in front is one of those that may be in flight.
    let mut ahead = Ahead::new(ctx.fetcher.max_concurrent_requests() - 1);
    let ended = follow(ctx, listing, notes, &mut ahead).await?;
    ahead.give_up().await;
    Ok(ended)
}

async fn follow(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    notes: &mut Notes,
    ahead: &mut Guesses,
) -> FetchResult<Ended> {
    let mut parameters = query::parameters(listing.kind, &ctx.refused);
    let mut target = aim(ctx, listing, &parameters, listing.next_cursor.clone()).await?;
    let mut guess: Option<Guess<Target, Asked>> = None;
    let mut writing: Option<Pending<PageWritten>> = None;
    // The cursor of the page that is being written.
    let mut before = None;
    let mut repeats = 0;
    let mut fruitless = 0;
    let mut recovered = 0;
    let mut expected = None;
    loop {
        look_ahead(ctx, listing, &parameters, guess.as_ref().map_or(&target, |g| &g.page), ahead)
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
            None => ahead.during(ask(&ctx.fetcher, listing, &target, &parameters)).await,
        };
        let named = fetched.as_ref().ok().and_then(|fetched| match &fetched.value {
            Some(page) => page.next_cursor.clone(),
            None => target.known.as_ref()?.next_cursor.clone(),
        });
        // The page after this one is looked up while the page before it is written.
        let next = match named {
            None => None,
            Some(cursor) => Some(ahead.during(aim(ctx, listing, &parameters, Some(cursor))).await?),
        };
        // The page before is in before anything is concluded from this one.
        if let Some(task) = writing.take() {
            let met = listing.rows_seen;
            ahead.during(join(ctx, listing, task, notes)).await?;
            fruitless = if listing.rows_seen > met { 0 } else { fruitless + 1 };
        }
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(FetchError::Api(failure)) if failure.is_heavy() => {
                ahead.give_up().await;
                let cursor = target.cursor.as_deref();
                let heavy = Heavy {
                    kind: listing.kind,
                    cursor,
                    parameters: &parameters,
                    failure: &failure,
                };
                let found = page_size::find(&ctx.fetcher, heavy).await?;
                if found.too_heavy.is_empty() {
                    recovered += 1;
                }
                if recovered > REPEATS_MAX {
                    return Err(FetchError::Api(failure));
                }
                keep_to(ctx, listing, &found, &failure).await?;
                if found.is_cursor_refused {
                    return Ok(Ended::TooHeavy);
                }
                parameters = found.parameters;
                target = aim(ctx, listing, &parameters, target.cursor).await?;
                continue;
            }
            Err(FetchError::Api(failure)) => {
                return refused(listing, &target, &parameters, failure);
            }
            Err(error) => return Err(error),
        };
        notes.request_id.clone_from(&fetched.head.request_id);
        if fetched.value.is_none() && !still_vouches(ctx, &target).await? {
            target.known = None;
            continue;
        }
        let known = target.known.as_ref();
        let confirmed = known.filter(|_| fetched.value.is_none()).map(|page| page.page);
        let mut page = fetched.value.unwrap_or_else(|| unchanged(known));
        if !page.ignored.is_empty() {
            ctx.note_ignored(listing.kind, &page.ignored).await?;
            // In another order than was thought, rows may have slipped by.
            let number = listing.listing;
            ctx.store.write(move |tx| listings::clear_evidence(tx, number)).await?;
            listing.is_evidence = false;
        }
        let expected = match expected {
            Some(expected) => expected,
            None => *expected.insert(rows_expected(ctx, listing, page.total_count).await?),
        };
        let is_repeated = next.as_ref().is_some_and(|next| {
            next.cursor == target.cursor
                || next.cursor == before
                || next.known.as_ref().is_some_and(|page| page.listing == Some(listing.listing))
        });
        if is_repeated && repeats < REPEATS_MAX {
            repeats += 1;
            target.known = None;
            continue;
        }
        // A page that leads in a circle must not be vouched for by a 304 later.
        let unasked = std::mem::take(&mut page.unasked);
        let page = PageWrite {
            url: url(&target.request),
            cursor: target.cursor.clone(),
            etag: fetched.head.etag.filter(|_| !is_repeated),
            as_of: fetched.as_of,
            listing: Some(listing.listing),
            page,
            confirmed,
        };
        let task = write::page(&ctx.store, ctx.counters(listing.kind), page);
        match next {
            _ if !unasked.is_empty() => {
                join(ctx, listing, task, notes).await?;
                return Ok(Ended::Flawed(IncompleteReason::Filtered(unasked)));
            }
            Some(next)
                if !is_repeated
                    && fruitless < FRUITLESS_PAGES_MAX
                    && listing.rows_seen <= expected =>
            {
                writing = Some(task);
                guess = ahead.claim(next.cursor.as_deref()).await;
                before = std::mem::replace(&mut target, next).cursor;
            }
            Some(_) => {
                join(ctx, listing, task, notes).await?;
                return Ok(Ended::Flawed(match is_repeated {
                    true => IncompleteReason::CursorRepeated,
                    false if fruitless >= FRUITLESS_PAGES_MAX => IncompleteReason::Endless,
                    false => IncompleteReason::TooLong { seen: listing.rows_seen, expected },
                }));
            }
            None => {
                join(ctx, listing, task, notes).await?;
                return finish(ctx, listing).await;
            }
        }
    }
}

/// The pages to come are asked for in the size that was found, also after a restart.
async fn keep_to(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    found: &Smaller,
    failure: &Failure,
) -> StoreResult<()> {
    for size in &found.too_heavy {
        ctx.remember_unsupported(&query::page_size_feature(listing.kind, *size), failure).await?;
    }
    listing.query = query::line(&found.parameters);
    let (number, query) = (listing.listing, listing.query.clone());
    ctx.store.write(move |tx| listings::set_query(tx, number, &query)).await
}

/// How many rows the list may have, whatever it says later on.
async fn rows_expected(
    ctx: &SyncContext,
    listing: &Listing,
    total_count: Option<i64>,
) -> StoreResult<i64> {
    let kind = listing.kind;
    let last = ctx.store.read(move |c| listings::last_rows(c, kind)).await?;
    Ok(rows_max(listing.total_count.or(total_count), last))
}

/// The last page is in: were all rows there?
async fn finish(ctx: &SyncContext, listing: &Listing) -> FetchResult<Ended> {
    match listing.total_count {
        Some(total) if listing.rows_seen < total => {
            let number = listing.listing;
            ctx.store.write(move |tx| pages::clear_last_etag(tx, number)).await?;
            Ok(Ended::Flawed(IncompleteReason::EndedShort { seen: listing.rows_seen, total }))
        }
        _ => Ok(Ended::Whole),
    }
}

async fn join(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    task: Pending<PageWritten>,
    notes: &mut Notes,
) -> FetchResult<()> {
    let done = task.await?;
    listing.pages = listing.pages.saturating_add(1);
    listing.next_cursor = done.next_cursor;
    listing.total_count = done.total_count;
    listing.rows_seen = listing.rows_seen.saturating_add(done.counts.rows_new_to_listing);
    listing.rows_dropped = listing.rows_dropped.saturating_add(done.counts.rows_dropped);
    notes.add(done.bad, done.repaired);
    ctx.tell(&Event::Page {
        kind: listing.kind,
        pages: u64::try_from(listing.pages).unwrap_or(0),
        rows: u64::try_from(listing.rows_seen).unwrap_or(0),
        total: listing.total_count.and_then(|total| u64::try_from(total).ok()),
    });
    Ok(())
}

/// A page was refused for good: because of its cursor, a parameter, or the list itself?
fn refused(
    listing: &Listing,
    target: &Target,
    parameters: &[(String, String)],
    failure: Failure,
) -> FetchResult<Ended> {
    let has_cursor = target.cursor.is_some();
    let ended = match failure.verdict {
        Verdict::Invalid | Verdict::BadRequest if has_cursor && query::blames_cursor(&failure) => {
            Ended::CursorRefused(failure)
        }
        Verdict::NotFound if has_cursor => Ended::CursorRefused(failure),
        Verdict::Invalid => {
            let names = query::blamed(parameters, &failure);
            match names.is_empty() {
                false => Ended::ParameterRefused(names, failure),
                true if listing.kind == Kind::AccountVideo => {
                    Ended::Flawed(IncompleteReason::EndpointRefused(failure))
                }
                true => return Err(FetchError::Api(failure)),
            }
        }
        Verdict::ScopeMissing => Ended::Flawed(IncompleteReason::EndpointRefused(failure)),
        // The other lists are documented: without them the address is wrong, not the server.
        Verdict::NotFound | Verdict::BadRequest if listing.kind == Kind::AccountVideo => {
            Ended::Flawed(IncompleteReason::EndpointRefused(failure))
        }
        _ => return Err(FetchError::Api(failure)),
    };
    Ok(ended)
}
