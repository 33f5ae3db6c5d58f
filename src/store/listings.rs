//! State of listings (pagination): start, resume, advance with each page, end.

use rusqlite::{Connection, Transaction};

use crate::model::named::named;
use crate::model::{Kind, Outcome};
use crate::store::error::StoreResult;
use crate::store::pages::PageCounts;
use crate::store::query::{Query, from_row};

/// An open listing. Times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its number.
    pub listing: i64,
    /// Which kind it lists.
    pub kind: Kind,
    /// Query parameters of its pages, without the cursor.
    pub query: String,
    /// Its start, a stamp.
    pub started_at: i64,
    /// When its last page was written.
    pub last_page_at: i64,
    /// Cursor of its next page; `None` for the first page.
    pub next_cursor: Option<String>,
    /// Pages written.
    pub pages: i64,
    /// Distinct rows seen.
    pub rows_seen: i64,
    /// Rows that could not be decoded.
    pub rows_dropped: i64,
    /// The API's `total_count` on the last page.
    pub total_count: Option<i64>,
    /// Whether absence from it counts as evidence of removal.
    pub is_evidence: bool,
    /// Whether it ignores stored ETags.
    pub is_clean: bool,
}

from_row!(Listing: listing, kind, query, started_at, last_page_at, next_cursor, pages, rows_seen, rows_dropped,
    total_count, is_evidence, is_clean);

named! {
    /// How a listing ended.
    pub enum End {
        /// Every page was read.
        Complete = "complete",
        /// It failed and cannot be resumed; the next one starts from the first page.
        Incomplete = "incomplete",
        /// Another listing replaced it.
        Abandoned = "abandoned",
    }
}

/// Starts a listing at the first page and abandons an open one of the kind.
pub fn start(
    tx: &Transaction<'_>,
    kind: Kind,
    query: &str,
    at: i64,
    is_clean: bool,
) -> StoreResult<Listing> {
    if let Some(open) = open(tx, kind)? {
        end(tx, open.listing, End::Abandoned, at)?;
    }
    tx.execute("UPDATE kind_state SET last_full_sync_at = ?2 WHERE kind = ?1", (kind, at))?;
    let sql = "INSERT INTO listing (kind, query, started_at, last_page_at, is_clean)
               VALUES (?1, ?2, ?3, ?3, ?4) RETURNING *";
    tx.one(sql, (kind, query, at, is_clean), Listing::from_row)
}

/// Returns the open listing of a kind.
pub fn open(c: &Connection, kind: Kind) -> StoreResult<Option<Listing>> {
    c.optional(
        "SELECT * FROM listing WHERE kind = ?1 AND state = 'open'",
        [kind],
        Listing::from_row,
    )
}

/// Marks a listing as no evidence of removal, because it was resumed after a long pause.
pub fn clear_evidence(tx: &Transaction<'_>, listing: i64) -> StoreResult<()> {
    tx.exec("UPDATE listing SET is_evidence = 0 WHERE listing = ?1", [listing])
}

/// Sets the query parameters of the next pages.
pub fn set_query(tx: &Transaction<'_>, listing: i64, query: &str) -> StoreResult<()> {
    tx.exec("UPDATE listing SET query = ?2 WHERE listing = ?1", (listing, query))
}

/// Returns the number of rows that the last complete listing of a kind saw.
pub fn last_rows(c: &Connection, kind: Kind) -> StoreResult<Option<i64>> {
    let sql = "SELECT rows_seen FROM listing WHERE kind = ?1 AND state = 'complete' ORDER BY listing DESC LIMIT 1";
    c.optional(sql, [kind], |row| row.get(0))
}

/// Records a page that was read; `next_cursor` is `None` after the last one.
pub fn advance(
    tx: &Transaction<'_>,
    listing: i64,
    next_cursor: Option<&str>,
    counts: &PageCounts,
    total_count: Option<i64>,
    at: i64,
) -> StoreResult<()> {
    let sql = "UPDATE listing
               SET next_cursor = ?2, pages = pages + 1, rows_seen = rows_seen + ?3,
                   rows_dropped = rows_dropped + ?4, total_count = ?5, last_page_at = ?6
               WHERE listing = ?1";
    tx.exec(
        sql,
        (listing, next_cursor, counts.rows_new_to_listing, counts.rows_dropped, total_count, at),
    )
}

/// Whether the last page has been read, so that only the listing's end is to be recorded.
pub fn has_last_page(listing: &Listing) -> bool {
    listing.pages > 0 && listing.next_cursor.is_none()
}

/// Ends a listing.
pub fn end(tx: &Transaction<'_>, listing: i64, end: End, at: i64) -> StoreResult<()> {
    tx.exec(
        "UPDATE listing SET state = ?2, finished_at = ?3 WHERE listing = ?1",
        (listing, end.name(), at),
    )
}

/// Records that a listing started at `started_at` confirmed every row of the kind.
pub fn record_complete(tx: &Transaction<'_>, kind: Kind, started_at: i64) -> StoreResult<()> {
    let sql = "UPDATE kind_state SET complete_as_of = max(coalesce(complete_as_of, 0), ?2) WHERE kind = ?1";
    tx.exec(sql, (kind.name(), started_at))
}

/// Records that a request started at `started_at` read a single document.
pub fn record_document(tx: &Transaction<'_>, kind: Kind, started_at: i64) -> StoreResult<()> {
    tx.execute(
        "UPDATE kind_state SET last_full_sync_at = ?2 WHERE kind = ?1",
        (kind.name(), started_at),
    )?;
    record_complete(tx, kind, started_at)
}

/// When a kind was last listed, and how that ended. Times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindState {
    /// Start of the last complete listing.
    pub complete_as_of: Option<i64>,
    /// Start of the last listing.
    pub last_full_sync_at: Option<i64>,
    /// The kind is due for a full sync at the first cron time after this.
    pub full_sync_due_after: Option<i64>,
    /// Rows whose removal the ceiling holds back.
    pub held_removals: i64,
    /// Outcome of the last listing or document request.
    pub last_outcome: Option<Outcome>,
}

from_row!(KindState: complete_as_of, last_full_sync_at, full_sync_due_after, held_removals, last_outcome);

/// Returns the state of a kind.
pub fn state(c: &Connection, kind: Kind) -> StoreResult<KindState> {
    let sql = "SELECT * FROM kind_state WHERE kind = ?1";
    Ok(c.optional(sql, [kind], KindState::from_row)?.unwrap_or_default())
}

/// Returns how many rows of a kind are present and how many are removed.
pub fn counts(c: &Connection, kind: Kind) -> StoreResult<(i64, i64)> {
    let sql = "SELECT rows, removed FROM coverage WHERE kind = ?1";
    c.one(sql, [kind], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Records the outcome of the last listing or document request of a kind, which began at `began_at`: its full sync is
/// due again at the first cron time after that.
pub fn record_outcome(
    tx: &Transaction<'_>,
    kind: Kind,
    outcome: Outcome,
    began_at: i64,
) -> StoreResult<()> {
    let sql = "UPDATE kind_state SET last_outcome = ?2, full_sync_due_after = ?3 WHERE kind = ?1";
    tx.exec(sql, (kind.name(), outcome, began_at))
}

/// Deletes listings that ended before `before` and that no page refers to.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<()> {
    let sql = "DELETE FROM listing
               WHERE state <> 'open' AND finished_at < ?1
                 AND listing NOT IN (SELECT listing FROM page WHERE listing IS NOT NULL)";
    tx.exec(sql, [before])
}
