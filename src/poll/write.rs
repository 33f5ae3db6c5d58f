//! Where an answer becomes a transaction: upsert, schedule, count, and move the walk on.

use rusqlite::Transaction;

use crate::api::Page;
use crate::model::due::DueRule;
use crate::model::{BadRow, Kind, Row};
use crate::poll::traffic::Traffic;
use crate::store::pages::{self, NewPage, PageCounts};
use crate::store::passes::{self, Tally};
use crate::store::rows::{RowWriter, Source, Written};
use crate::store::{Pending, Store, StoreResult, due, removals, walks};

/// What every write of a pass carries along.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// The pass.
    pub pass: i64,
    /// The kind being worked on.
    pub kind: Kind,
    /// Requests since the last write.
    pub sent: Tally,
    /// The rate gate and the stamps.
    pub traffic: Traffic,
    /// When this was put together, a stamp.
    pub at: i64,
    /// When what is written is due next.
    pub due: DueRule,
}

impl Ledger {
    /// Adds what was done to the log, in the transaction that did it.
    pub fn close(&self, tx: &Transaction<'_>, done: &Tally) -> StoreResult<()> {
        let mut tally = self.sent;
        tally.add(done);
        passes::count(tx, self.pass, self.kind, &tally)?;
        self.traffic.keep(tx)
    }
}

/// A page on its way into the database.
#[derive(Debug)]
pub struct PageWrite {
    /// Path and query string.
    pub url: String,
    /// The cursor that opened it.
    pub cursor: Option<String>,
    /// Its validator, if it may be used.
    pub etag: Option<String>,
    /// Start of the request.
    pub as_of: i64,
    /// The walk it moves on; `None` for a poll.
    pub walk: Option<i64>,
    /// What came; without rows after a 304.
    pub page: Page,
    /// The key of the page that a 304 confirmed.
    pub confirmed: Option<i64>,
}

/// What came of writing a page.
#[derive(Debug, Default)]
pub struct PageDone {
    /// In numbers.
    pub counts: PageCounts,
    /// Rows that could not be decoded.
    pub bad: Vec<BadRow>,
    /// Rows that were kept after their JSON was repaired.
    pub repaired: Vec<BadRow>,
    /// The cursor of the page after it.
    pub next_cursor: Option<String>,
    /// How many rows the server says there are.
    pub total_count: Option<i64>,
}

/// Writes a page in one transaction, the cursor after it included.
pub fn page(store: &Store, ledger: Ledger, write: PageWrite) -> Pending<PageDone> {
    store.write(move |tx| Ok(page_after(tx, &ledger, write, |_, _| Ok(()))?.0))
}

/// The same in a transaction that is open, after `look` was shown the decoded rows.
pub fn page_after<T>(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    write: PageWrite,
    look: impl FnOnce(&Transaction<'_>, &[Row]) -> StoreResult<T>,
) -> StoreResult<(PageDone, T)> {
    let seen = look(tx, &write.page.rows)?;
    let (page, counts) = match write.confirmed {
        None => write_rows(tx, ledger, &write)?,
        Some(page) => confirm(tx, &write, page)?,
    };
    due::page_read(tx, &ledger.due, ledger.kind, page)?;
    if let Some(walk) = write.walk {
        let next = write.page.next_cursor.as_deref();
        walks::advance(tx, walk, next, &counts, write.page.total_count, ledger.at)?;
    }
    ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
    Ok((done(ledger.kind, counts, write.page), seen))
}

/// Writes one resource that was asked for by its id.
pub fn item(tx: &Transaction<'_>, ledger: &Ledger, row: &Row, as_of: i64) -> StoreResult<Written> {
    let written = RowWriter::new(tx, ledger.kind)?.write(row, Source { page: None, as_of })?;
    due::row_written(tx, &ledger.due, ledger.kind, (row, written), as_of)?;
    due::row_read(tx, &ledger.due, ledger.kind, written.key)?;
    let mut counts = PageCounts { rows_seen: 1, ..PageCounts::default() };
    counts.count(row, written);
    ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
    Ok(written)
}

/// Writes rows that came neither with a walk nor by id: their pages stay what they are.
pub fn loose(store: &Store, ledger: Ledger, page: Page, as_of: i64) -> Pending<PageDone> {
    store.write(move |tx| Ok(loose_after(tx, &ledger, page, as_of, |_, _| Ok(()))?.0))
}

/// The same in a transaction that is open, after `look` was shown the decoded rows.
pub fn loose_after<T>(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    page: Page,
    as_of: i64,
    look: impl FnOnce(&Transaction<'_>, &[Row]) -> StoreResult<T>,
) -> StoreResult<(PageDone, T)> {
    let seen = look(tx, &page.rows)?;
    let mut writer = RowWriter::new(tx, ledger.kind)?;
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
        due::row_written(tx, &ledger.due, ledger.kind, (row, written), as_of)?;
    }
    drop(writer);
    ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
    Ok((done(ledger.kind, counts, page), seen))
}

/// Notes that a resource asked for by its id is not there. Returns whether that made it removed.
pub fn not_found(store: &Store, ledger: Ledger, key: i64, at: i64) -> Pending<bool> {
    store.write(move |tx| {
        let removed = removals::not_found(tx, ledger.kind, key, at)?;
        due::row_read(tx, &ledger.due, ledger.kind, key)?;
        ledger.close(tx, &Tally { removed: i64::from(removed), ..Tally::default() })?;
        Ok(removed)
    })
}

fn done(kind: Kind, counts: PageCounts, page: Page) -> PageDone {
    let Page { bad, repaired, next_cursor, total_count, .. } = page;
    if let Some(first) = repaired.first() {
        let (rows, id) = (repaired.len(), first.id.as_deref());
        tracing::warn!(%kind, rows, id, reason = first.reason, "rows with invalid JSON were repaired");
    }
    PageDone { counts, bad, repaired, next_cursor, total_count }
}

fn write_rows(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    write: &PageWrite,
) -> StoreResult<(i64, PageCounts)> {
    let new = NewPage {
        kind: ledger.kind,
        url: &write.url,
        cursor: write.cursor.as_deref(),
        etag: write.etag.as_deref(),
        next_cursor: write.page.next_cursor.as_deref(),
        total_count: write.page.total_count,
        as_of: write.as_of,
        walk: write.walk,
        dropped: u32::try_from(write.page.bad.len()).unwrap_or(u32::MAX),
    };
    let as_of = write.as_of;
    let schedule =
        |row: &Row, written| due::row_written(tx, &ledger.due, ledger.kind, (row, written), as_of);
    pages::write(tx, &new, &write.page.rows, schedule)
}

fn confirm(tx: &Transaction<'_>, write: &PageWrite, page: i64) -> StoreResult<(i64, PageCounts)> {
    let rows = pages::confirm(tx, page, write.walk, write.as_of)?;
    Ok((page, PageCounts { rows_seen: rows, rows_new_to_walk: rows, ..PageCounts::default() }))
}
