//! Where an answer becomes a transaction: decode, upsert, schedule, count, and move the walk on.

use rusqlite::Transaction;

use crate::api::{Damage, ListedRow, decode};
use crate::model::due::DueRule;
use crate::model::shown::printable;
use crate::model::{BadRow, Kind, Row};
use crate::poll::traffic::Traffic;
use crate::store::pages::{self, NewPage, PageCounts};
use crate::store::passes::{self, Tally};
use crate::store::rows::{RowWriter, Source, Written};
use crate::store::{Pending, Store, StoreResult, due, removals, walks};

/// Longest id that is named in an outcome.
const ID_CHARS_MAX: usize = 80;

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

/// What a page was answered with.
#[derive(Debug)]
pub enum Content {
    /// Rows to decode.
    Rows(Vec<ListedRow>),
    /// A 304: the page of this key holds still.
    Confirmed(i64),
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
    /// The cursor of the page after it.
    pub next_cursor: Option<String>,
    /// How many rows the server says there are.
    pub total_count: Option<i64>,
    /// Start of the request.
    pub as_of: i64,
    /// The walk it moves on; `None` for a poll.
    pub walk: Option<i64>,
    /// What came.
    pub content: Content,
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
    store.write(move |tx| Ok(page_after(tx, &ledger, &write, |_, _| Ok(()))?.0))
}

/// The same in a transaction that is open, after `look` was shown the decoded rows.
pub fn page_after<T>(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    write: &PageWrite,
    look: impl FnOnce(&Transaction<'_>, &[Row<'_>]) -> StoreResult<T>,
) -> StoreResult<(PageDone, T)> {
    let (rows, bad, repaired) = match &write.content {
        Content::Rows(rows) => decode_rows(ledger.kind, rows),
        Content::Confirmed(_) => (Vec::new(), Vec::new(), Vec::new()),
    };
    let seen = look(tx, &rows)?;
    let (page, counts) = match write.content {
        Content::Rows(_) => write_rows(tx, ledger, write, &rows, bad.len())?,
        Content::Confirmed(page) => confirm(tx, write, page)?,
    };
    due::page_read(tx, &ledger.due, ledger.kind, page)?;
    if let Some(walk) = write.walk {
        let next = write.next_cursor.as_deref();
        walks::advance(tx, walk, next, &counts, write.total_count, ledger.at)?;
    }
    ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
    let next_cursor = write.next_cursor.clone();
    Ok((PageDone { counts, bad, repaired, next_cursor, total_count: write.total_count }, seen))
}

/// Writes one resource that was asked for by its id.
pub fn item(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    row: &Row<'_>,
    as_of: i64,
) -> StoreResult<Written> {
    let written = RowWriter::new(tx, ledger.kind)?.write(row, Source { page: None, as_of })?;
    due::row_written(tx, &ledger.due, ledger.kind, (row, written), as_of)?;
    due::row_read(tx, &ledger.due, ledger.kind, written.key)?;
    let mut counts = PageCounts { rows_seen: 1, ..PageCounts::default() };
    counts.count(row, written);
    ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
    Ok(written)
}

/// Writes rows that came neither with a walk nor by id: their pages stay what they are.
pub fn loose(
    store: &Store,
    ledger: Ledger,
    listed: Vec<ListedRow>,
    as_of: i64,
) -> Pending<PageDone> {
    store.write(move |tx| Ok(loose_after(tx, &ledger, &listed, as_of, |_, _| Ok(()))?.0))
}

/// The same in a transaction that is open, after `look` was shown the decoded rows.
pub fn loose_after<T>(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    listed: &[ListedRow],
    as_of: i64,
    look: impl FnOnce(&Transaction<'_>, &[Row<'_>]) -> StoreResult<T>,
) -> StoreResult<(PageDone, T)> {
    let (rows, bad, repaired) = decode_rows(ledger.kind, listed);
    let seen = look(tx, &rows)?;
    let mut writer = RowWriter::new(tx, ledger.kind)?;
    let dropped = i64::try_from(bad.len()).unwrap_or(i64::MAX);
    let mut counts = PageCounts {
        rows_seen: i64::try_from(rows.len()).unwrap_or(i64::MAX).saturating_add(dropped),
        rows_dropped: dropped,
        type_mismatches: dropped,
        ..PageCounts::default()
    };
    for row in &rows {
        let written = writer.write(row, Source { page: None, as_of })?;
        counts.count(row, written);
        due::row_written(tx, &ledger.due, ledger.kind, (row, written), as_of)?;
    }
    drop(writer);
    ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
    Ok((PageDone { counts, bad, repaired, ..PageDone::default() }, seen))
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

/// The rows, those that cannot be decoded, and of the former those that were repaired.
fn decode_rows(kind: Kind, listed: &[ListedRow]) -> (Vec<Row<'_>>, Vec<BadRow>, Vec<BadRow>) {
    let (mut rows, mut bad, mut repaired) =
        (Vec::with_capacity(listed.len()), Vec::new(), Vec::new());
    for json in listed {
        match decode::listed(kind, json) {
            Ok(row) => {
                if let Some(Damage::Repaired(reason)) = json.damage {
                    repaired.push(BadRow { id: Some(printable(&row.id, ID_CHARS_MAX)), reason });
                }
                rows.push(row);
            }
            Err(row) => bad.push(row),
        }
    }
    if let Some(first) = repaired.first() {
        let (rows, id) = (repaired.len(), first.id.as_deref());
        tracing::warn!(%kind, rows, id, reason = first.reason, "rows with invalid JSON were repaired");
    }
    (rows, bad, repaired)
}

fn write_rows(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    write: &PageWrite,
    rows: &[Row<'_>],
    dropped: usize,
) -> StoreResult<(i64, PageCounts)> {
    let new = NewPage {
        kind: ledger.kind,
        url: &write.url,
        cursor: write.cursor.as_deref(),
        etag: write.etag.as_deref(),
        next_cursor: write.next_cursor.as_deref(),
        total_count: write.total_count,
        as_of: write.as_of,
        walk: write.walk,
        dropped: u32::try_from(dropped).unwrap_or(u32::MAX),
    };
    let as_of = write.as_of;
    pages::write(tx, &new, rows, |row, written| {
        due::row_written(tx, &ledger.due, ledger.kind, (row, written), as_of)
    })
}

fn confirm(tx: &Transaction<'_>, write: &PageWrite, page: i64) -> StoreResult<(i64, PageCounts)> {
    let rows = pages::confirm(tx, page, write.walk, write.as_of)?;
    Ok((page, PageCounts { rows_seen: rows, rows_new_to_walk: rows, ..PageCounts::default() }))
}
