//! Turns an answer into one transaction: rows, history, due times, counters, and the cursor after the page.

use rusqlite::Transaction;

use crate::api::Page;
use crate::fetch::request_state::RequestState;
use crate::model::due::DueRule;
use crate::model::{BadRow, Kind, Row};
use crate::store::pages::{self, NewPage, PageCounts};
use crate::store::rows::{RowWriter, Source};
use crate::store::runs::{self, KindCounts};
use crate::store::{Pending, Store, StoreResult, due, listings, removals};

/// Counters and facts written with each transaction of a run.
#[derive(Debug, Clone)]
pub struct RunCounters {
    /// `sync_log.run_id`.
    pub run_id: i64,
    /// The kind.
    pub kind: Kind,
    /// Requests since the last write.
    pub sent: KindCounts,
    /// The rate limiter, saved with each write.
    pub request_state: RequestState,
    /// When the counters were taken, microseconds.
    pub at: i64,
    /// Computes when a written row is due next.
    pub due: DueRule,
}

impl RunCounters {
    /// Adds the counters to the log, in the transaction they belong to.
    pub fn close(&self, tx: &Transaction<'_>, done: &KindCounts) -> StoreResult<()> {
        let mut total = self.sent;
        total.add(done);
        runs::count(tx, self.run_id, self.kind, &total)?;
        self.request_state.keep(tx)
    }
}

/// A page to be written.
#[derive(Debug)]
pub struct PageWrite {
    /// Path and query string.
    pub url: String,
    /// The cursor that opened it.
    pub cursor: Option<String>,
    /// Its ETag, if it may be used again.
    pub etag: Option<String>,
    /// Start of the request.
    pub as_of: i64,
    /// The listing it advances; `None` for a poll.
    pub listing: Option<i64>,
    /// The decoded page; empty after a 304.
    pub page: Page,
    /// Row id of the page that a 304 confirmed.
    pub confirmed: Option<i64>,
}

/// Result of writing a page.
#[derive(Debug, Default)]
pub struct PageWritten {
    /// Counts.
    pub counts: PageCounts,
    /// Rows that could not be decoded.
    pub bad: Vec<BadRow>,
    /// Rows that were kept after their JSON was repaired.
    pub repaired: Vec<BadRow>,
    /// The cursor of the next page.
    pub next_cursor: Option<String>,
    /// The server's `total_count`.
    pub total_count: Option<i64>,
}

/// Writes a page and the cursor after it in one transaction, which may have other pages, too.
pub fn page(store: &Store, counters: RunCounters, write: PageWrite) -> Pending<PageWritten> {
    store.write_grouped(move |tx| Ok(page_after(tx, &counters, write, |_, _| Ok(()))?.0))
}

/// Writes a page in an open transaction, after calling `look` with the decoded rows.
pub fn page_after<T>(
    tx: &Transaction<'_>,
    counters: &RunCounters,
    write: PageWrite,
    look: impl FnOnce(&Transaction<'_>, &[Row]) -> StoreResult<T>,
) -> StoreResult<(PageWritten, T)> {
    let seen = look(tx, &write.page.rows)?;
    let (page, counts) = match write.confirmed {
        None => write_rows(tx, counters, &write)?,
        Some(page) => confirm(tx, &write, page)?,
    };
    due::page_read(tx, &counters.due, counters.kind, page)?;
    if let Some(listing) = write.listing {
        let next = write.page.next_cursor.as_deref();
        listings::advance(tx, listing, next, &counts, write.page.total_count, counters.at)?;
    }
    counters.close(tx, &KindCounts { page: counts, ..KindCounts::default() })?;
    let Page { bad, repaired, next_cursor, total_count, .. } = write.page;
    warn_of_repaired(counters.kind, &repaired);
    Ok((PageWritten { counts, bad, repaired, next_cursor, total_count }, seen))
}

/// Writes one resource that was read by its id.
pub fn item(
    tx: &Transaction<'_>,
    counters: &RunCounters,
    row: &Row,
    as_of: i64,
) -> StoreResult<()> {
    let page = uncounted_item(tx, &counters.due, counters.kind, row, as_of)?;
    counters.close(tx, &KindCounts { page, ..KindCounts::default() })
}

/// The same without adding to the log. Returns what is to be added.
pub fn uncounted_item(
    tx: &Transaction<'_>,
    rule: &DueRule,
    kind: Kind,
    row: &Row,
    as_of: i64,
) -> StoreResult<PageCounts> {
    let written = RowWriter::new(tx, kind)?.write(row, Source { page: None, as_of })?;
    due::row_written(tx, rule, kind, (row, written), as_of)?;
    due::row_read(tx, rule, kind, written.row_id)?;
    let mut counts = PageCounts { rows_seen: 1, ..PageCounts::default() };
    counts.count(row, written);
    Ok(counts)
}

/// Writes rows that were not read as a page of a listing; stored pages are not changed.
pub fn unlisted(store: &Store, counters: RunCounters, page: Page, as_of: i64) -> Pending<()> {
    store.write(move |tx| unlisted_after(tx, &counters, &page, as_of, |_, _| Ok(())))
}

/// The same in an open transaction, after calling `look` with the decoded rows.
pub fn unlisted_after<T>(
    tx: &Transaction<'_>,
    counters: &RunCounters,
    page: &Page,
    as_of: i64,
    look: impl FnOnce(&Transaction<'_>, &[Row]) -> StoreResult<T>,
) -> StoreResult<T> {
    let seen = look(tx, &page.rows)?;
    let mut writer = RowWriter::new(tx, counters.kind)?;
    let dropped = i64::try_from(page.bad.len()).unwrap_or(i64::MAX);
    let mut counts = PageCounts {
        rows_seen: i64::try_from(page.rows.len()).unwrap_or(i64::MAX).saturating_add(dropped),
        rows_dropped: dropped,
        type_mismatches: dropped,
        ..PageCounts::default()
    };
    for row in &page.rows {
        let written = writer.write(row, Source { page: None, as_of })?;
        counts.count(row, written);
        due::row_written(tx, &counters.due, counters.kind, (row, written), as_of)?;
    }
    drop(writer);
    counters.close(tx, &KindCounts { page: counts, ..KindCounts::default() })?;
    warn_of_repaired(counters.kind, &page.repaired);
    Ok(seen)
}

/// Records that a resource read by its id was not found. Returns whether it is now removed.
pub fn not_found(store: &Store, counters: RunCounters, row_id: i64) -> Pending<bool> {
    store.write(move |tx| {
        let removed = removals::not_found(tx, counters.kind, row_id, counters.at)?;
        due::row_read(tx, &counters.due, counters.kind, row_id)?;
        counters.close(tx, &KindCounts { removed: i64::from(removed), ..KindCounts::default() })?;
        Ok(removed)
    })
}

fn warn_of_repaired(kind: Kind, repaired: &[BadRow]) {
    if let Some(first) = repaired.first() {
        let (rows, id) = (repaired.len(), first.id.as_deref());
        tracing::warn!(%kind, rows, id, reason = first.reason, "rows with invalid JSON were repaired");
    }
}

fn write_rows(
    tx: &Transaction<'_>,
    counters: &RunCounters,
    write: &PageWrite,
) -> StoreResult<(i64, PageCounts)> {
    let new = NewPage {
        kind: counters.kind,
        url: &write.url,
        cursor: write.cursor.as_deref(),
        etag: write.etag.as_deref(),
        next_cursor: write.page.next_cursor.as_deref(),
        total_count: write.page.total_count,
        as_of: write.as_of,
        listing: write.listing,
        dropped: u32::try_from(write.page.bad.len()).unwrap_or(u32::MAX),
    };
    let as_of = write.as_of;
    let schedule = |row: &Row, written| {
        due::row_written(tx, &counters.due, counters.kind, (row, written), as_of)
    };
    pages::write(tx, &new, &write.page.rows, schedule)
}

fn confirm(tx: &Transaction<'_>, write: &PageWrite, page: i64) -> StoreResult<(i64, PageCounts)> {
    let rows = pages::confirm(tx, page, write.listing, write.as_of)?;
    Ok((page, PageCounts { rows_seen: rows, rows_new_to_listing: rows, ..PageCounts::default() }))
}
