//! Reads the pages of a listing by their cursors: pages are written while the next ones are requested.

use std::collections::VecDeque;

use futures_util::FutureExt;

use crate::api::{Failure, Verdict};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::query::{self, Parameters};
use crate::fetch::write::{self, PageWrite, PageWritten};
use crate::model::{Event, Kind};
use crate::store::listings::{self, Listing};
use crate::store::pages;
use crate::store::{GROUP_MAX, Pending, StoreResult};
use crate::sync::guess_ahead::{Ahead, Guess};
use crate::sync::listing_result::{IncompleteReason, Notes, rows_max};
use crate::sync::page::{
    Guesses, PageResult, PageTarget, fetch_page, is_not_modified_valid, not_modified_page,
    page_target, request_ahead, url,
};
use crate::sync::page_size::{self, OversizedPage};

/// How often a page that repeats a cursor is requested again.
const REPEATS_MAX: u32 = 2;
/// The most successive pages without a new row; beyond them the server is taken for broken.
const FRUITLESS_PAGES_MAX: u32 = 10;

/// Why the reading of pages ended.
pub(super) enum PagesEnd {
    Complete,
    Incomplete(IncompleteReason),
    ParameterRefused(Vec<String>, Failure),
    /// Smaller pages are needed, and the server does not accept the cursor with another size.
    PageTooHeavy,
}

/// Reads pages until the list ends or something else must be done.
pub(super) async fn read_pages(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    notes: &mut Notes,
) -> FetchResult<PagesEnd> {
    if listings::has_last_page(listing) {
        return check_total(ctx, listing).await;
    }
    let parameters = query::parameters(listing.kind, &ctx.refused);
    let target = page_target(ctx, listing, &parameters, listing.next_cursor.clone()).await?;
    let mut reader = PageReader {
        // The next page is one of the requests that may be in flight.
        ahead: Ahead::new(ctx.fetcher.max_concurrent_requests() - 1),
        ctx,
        listing,
        notes,
        parameters,
        target,
        next: None,
        guess: None,
        writing: VecDeque::new(),
        rows_max: None,
        repeats: 0,
        fruitless: 0,
        recovered: 0,
    };
    loop {
        if let Some(end) = reader.read_page().await? {
            reader.ahead.give_up().await;
            return Ok(end);
        }
    }
}

/// Follows the cursors of a list.
struct PageReader<'a> {
    ctx: &'a mut SyncContext,
    listing: &'a mut Listing,
    notes: &'a mut Notes,
    parameters: Parameters,
    /// The page to read.
    target: PageTarget,
    /// The page after it, once its answer has named it.
    next: Option<NextPage>,
    /// The request for `target`, if it was sent ahead.
    guess: Option<Guess<PageTarget, PageResult>>,
    ahead: Guesses,
    /// The pages before, while they are written.
    writing: VecDeque<WritingPage>,
    rows_max: Option<i64>,
    /// Pages that repeated a cursor.
    repeats: u32,
    /// Successive pages without a new row.
    fruitless: u32,
    /// Pages that failed and then worked in their original size.
    recovered: u32,
}

/// A page that an answer names as the next one.
struct NextPage {
    target: PageTarget,
    /// Whether this listing has read it already.
    is_repeated: bool,
}

/// A page that is being written.
struct WritingPage {
    /// The cursor that opened it.
    cursor: Option<String>,
    rows: usize,
    written: Pending<PageWritten>,
}

impl PageReader<'_> {
    /// Reads a page and starts to write it. Returns why the reading ends, if it does.
    async fn read_page(&mut self) -> FetchResult<Option<PagesEnd>> {
        let fetched = match self.fetch().await? {
            Err(FetchError::Api(failure)) if failure.is_heavy() => {
                return self.find_smaller_page(&failure).await;
            }
            Err(FetchError::Api(failure)) => {
                let (listing, target) = (&*self.listing, &self.target);
                return page_refused(listing, target, &self.parameters, failure).map(Some);
            }
            fetched => fetched?,
        };
        self.notes.request_id.clone_from(&fetched.head.request_id);
        if fetched.value.is_none() && !is_not_modified_valid(self.ctx, &self.target).await? {
            self.target.known = None;
            return Ok(None);
        }
        let known = self.target.known.as_ref();
        let confirmed = known.filter(|_| fetched.value.is_none()).map(|page| page.page);
        let mut page = fetched.value.unwrap_or_else(|| not_modified_page(known));
        if !page.ignored.is_empty() {
            self.ctx.note_ignored(self.listing.kind, &page.ignored).await?;
            // In another order than requested, rows may have been missed.
            clear_evidence(self.ctx, self.listing).await?;
        }
        let rows_max = self.rows_max(page.total_count).await?;
        let next = self.next.take();
        let is_repeated = next.as_ref().is_some_and(|next| next.is_repeated);
        if is_repeated && self.repeats < REPEATS_MAX {
            self.repeats += 1;
            self.target.known = None;
            return Ok(None);
        }
        let unasked = std::mem::take(&mut page.unasked);
        let page = PageWrite {
            url: url(&self.target.request),
            cursor: self.target.cursor.clone(),
            // A 304 must not confirm a page that repeats a cursor.
            etag: fetched.head.etag.filter(|_| !is_repeated),
            as_of: fetched.as_of,
            listing: Some(self.listing.listing),
            page,
            confirmed,
        };
        let rows = page.page.rows.len().saturating_add(page.page.bad.len());
        let written = write::page(&self.ctx.store, self.ctx.counters(self.listing.kind), page);
        self.writing.push_back(WritingPage { cursor: self.target.cursor.clone(), rows, written });
        let is_endless = self.fruitless >= FRUITLESS_PAGES_MAX;
        let is_too_long = self.listing.rows_seen > rows_max;
        let is_last = match next {
            Some(next) if !is_repeated && !is_endless && !is_too_long && unasked.is_empty() => {
                self.guess = self.ahead.claim(next.target.cursor.as_deref()).await;
                self.target = next.target;
                return Ok(None);
            }
            next => next.is_none(),
        };
        self.await_writes(0).await?;
        let seen = self.listing.rows_seen;
        Ok(Some(PagesEnd::Incomplete(if !unasked.is_empty() {
            IncompleteReason::Filtered(unasked)
        } else if is_last {
            return check_total(self.ctx, self.listing).await.map(Some);
        } else if is_repeated {
            IncompleteReason::CursorRepeated
        } else if is_endless {
            IncompleteReason::Endless
        } else {
            IncompleteReason::TooLong { seen, expected: rows_max }
        })))
    }

    /// Requests the page. Before anything but new rows is concluded from its answer, the pages before are written.
    async fn fetch(&mut self) -> FetchResult<PageResult> {
        let last = self.guess.as_ref().map_or(&self.target, |guess| &guess.page);
        request_ahead(self.ctx, self.listing, &self.parameters, last, &mut self.ahead).await?;
        let guessed = match self.guess.take() {
            Some(guess) => {
                self.target.known = guess.page.known.clone();
                self.ahead.during(guess.answer()).await.ok()
            }
            None => None,
        };
        let fetched = match guessed {
            Some(fetched) => Ok(fetched),
            None => {
                let (fetcher, listing) = (&self.ctx.fetcher, &*self.listing);
                let request = fetch_page(fetcher, listing, &self.target, &self.parameters);
                self.ahead.during(request).await
            }
        };
        let next_cursor = fetched.as_ref().ok().and_then(|fetched| match &fetched.value {
            Some(page) => page.next_cursor.clone(),
            None => self.target.known.as_ref()?.next_cursor.clone(),
        });
        self.next = match next_cursor {
            None => None,
            cursor => Some(self.next_page(cursor).await?),
        };
        let has_rows = fetched.as_ref().is_ok_and(|fetched| fetched.value.is_some());
        let rest = if has_rows && !self.may_be_over() { GROUP_MAX - 1 } else { 0 };
        self.await_writes(rest).await?;
        Ok(fetched)
    }

    /// Looks up the page that `cursor` opens, while the pages before are written.
    async fn next_page(&mut self, cursor: Option<String>) -> StoreResult<NextPage> {
        // Pages leave `writing` after they can be looked up.
        let mut is_repeated =
            cursor == self.target.cursor || self.writing.iter().any(|page| page.cursor == cursor);
        let target = page_target(self.ctx, self.listing, &self.parameters, cursor);
        let target = self.ahead.during(target).await?;
        let read_by = target.known.as_ref().and_then(|page| page.listing);
        is_repeated |= read_by == Some(self.listing.listing);
        Ok(NextPage { target, is_repeated })
    }

    /// Whether the pages that are being written may be too many rows, or one page too many without a new row.
    fn may_be_over(&self) -> bool {
        let rows = self.writing.iter().map(|page| i64::try_from(page.rows).unwrap_or(i64::MAX));
        let rows = rows.fold(self.listing.rows_seen, i64::saturating_add);
        let pages = u32::try_from(self.writing.len()).unwrap_or(u32::MAX);
        self.rows_max.is_some_and(|rows_max| rows > rows_max)
            || self.fruitless.saturating_add(pages) >= FRUITLESS_PAGES_MAX
    }

    /// Takes the results of the pages that were written, and waits until at most `rest` are left.
    async fn await_writes(&mut self, rest: usize) -> FetchResult<()> {
        while let Some(mut page) = self.writing.pop_front() {
            let written = match (&mut page.written).now_or_never() {
                Some(written) => written?,
                None if self.writing.len() < rest => {
                    self.writing.push_front(page);
                    break;
                }
                None => self.ahead.during(page.written).await?,
            };
            let is_fruitless = written.counts.rows_new_to_listing == 0;
            self.fruitless = if is_fruitless { self.fruitless + 1 } else { 0 };
            page_written(self.ctx, self.listing, written, self.notes);
        }
        Ok(())
    }

    /// Continues with a page size that the server can serve, also for the next pages and after a resume.
    async fn find_smaller_page(&mut self, failure: &Failure) -> FetchResult<Option<PagesEnd>> {
        self.ahead.give_up().await;
        let (kind, cursor) = (self.listing.kind, self.target.cursor.clone());
        let parameters = &self.parameters;
        let page = OversizedPage { kind, cursor: cursor.as_deref(), parameters, failure };
        let found = page_size::find(&self.ctx.fetcher, page).await?;
        self.recovered += u32::from(found.too_heavy.is_empty());
        if self.recovered > REPEATS_MAX {
            return Err(FetchError::Api(failure.clone()));
        }
        for size in &found.too_heavy {
            let feature = query::page_size_feature(kind, *size);
            self.ctx.remember_unsupported(&feature, failure).await?;
        }
        self.listing.query = query::line(&found.parameters);
        let (number, query) = (self.listing.listing, self.listing.query.clone());
        self.ctx.store.write(move |tx| listings::set_query(tx, number, &query)).await?;
        if found.is_cursor_refused {
            return Ok(Some(PagesEnd::PageTooHeavy));
        }
        self.parameters = found.parameters;
        self.target = page_target(self.ctx, self.listing, &self.parameters, cursor).await?;
        Ok(None)
    }

    /// The most rows that the list may have, fixed at the first page.
    async fn rows_max(&mut self, total_count: Option<i64>) -> StoreResult<i64> {
        if let Some(rows_max) = self.rows_max {
            return Ok(rows_max);
        }
        let kind = self.listing.kind;
        let last = self.ctx.store.read(move |c| listings::last_rows(c, kind)).await?;
        Ok(*self.rows_max.insert(rows_max(self.listing.total_count.or(total_count), last)))
    }
}

/// From here on the listing is no evidence of removals.
pub(super) async fn clear_evidence(ctx: &SyncContext, listing: &mut Listing) -> StoreResult<()> {
    listing.is_evidence = false;
    let number = listing.listing;
    ctx.store.write(move |tx| listings::clear_evidence(tx, number)).await
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

fn page_written(
    ctx: &mut SyncContext,
    listing: &mut Listing,
    written: PageWritten,
    notes: &mut Notes,
) {
    listing.pages = listing.pages.saturating_add(1);
    listing.next_cursor = written.next_cursor;
    listing.total_count = written.total_count;
    listing.rows_seen = listing.rows_seen.saturating_add(written.counts.rows_new_to_listing);
    listing.rows_dropped = listing.rows_dropped.saturating_add(written.counts.rows_dropped);
    notes.add(written.bad, written.repaired);
    notes.total_max = notes.total_max.max(written.total_count.unwrap_or(0));
    ctx.tell(&Event::Page {
        kind: listing.kind,
        pages: u64::try_from(listing.pages).unwrap_or(0),
        rows: u64::try_from(listing.rows_seen).unwrap_or(0),
        total: listing.total_count.and_then(|total| u64::try_from(total).ok()),
    });
}

/// Tells from a refusal whether it is about the cursor, a parameter or the list.
fn page_refused(
    listing: &Listing,
    target: &PageTarget,
    parameters: &[(String, String)],
    failure: Failure,
) -> FetchResult<PagesEnd> {
    let has_cursor = target.cursor.is_some();
    // The other lists are documented, so that a refusal means that the address is wrong; and a list that has
    // answered exists.
    let may_be_missing = listing.kind == Kind::AccountVideo && !has_cursor;
    let names = match failure.verdict {
        Verdict::Invalid => query::blamed(parameters, &failure),
        // Some servers answer 400 for a parameter that they do not know.
        Verdict::BadRequest => query::named(parameters, &failure),
        _ => Vec::new(),
    };
    Ok(match failure.verdict {
        Verdict::Invalid | Verdict::BadRequest if has_cursor && query::blames_cursor(&failure) => {
            PagesEnd::Incomplete(IncompleteReason::CursorRefused(failure))
        }
        Verdict::NotFound if has_cursor => {
            PagesEnd::Incomplete(IncompleteReason::CursorRefused(failure))
        }
        _ if !names.is_empty() => PagesEnd::ParameterRefused(names, failure),
        Verdict::ScopeMissing => PagesEnd::Incomplete(IncompleteReason::EndpointRefused(failure)),
        _ if may_be_missing && failure.is_refusal_or_not_found() => {
            PagesEnd::Incomplete(IncompleteReason::EndpointRefused(failure))
        }
        _ => return Err(FetchError::Api(failure)),
    })
}
