//! Listings over a list: opening, resuming, advancing with every page, ending.

use rusqlite::{Connection, Transaction};

use crate::model::named::named;
use crate::model::{Kind, Outcome};
use crate::store::error::StoreResult;
use crate::store::pages::PageCounts;
use crate::store::query::{Query, from_row};

/// A listing that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its key.
    pub listing: i64,
    /// What it lists.
    pub kind: Kind,
    /// The parameters of its pages, cursor aside.
    pub query: String,
    /// Its start, a stamp.
    pub started_at: i64,
    /// When its last page was written.
    pub last_page_at: i64,
    /// Opens its next page; `None` for the first.
    pub next_cursor: Option<String>,
    /// Pages written.
    pub pages: i64,
    /// Rows seen, each once.
    pub rows_seen: i64,
    /// Rows that could not be decoded.
    pub rows_dropped: i64,
    /// How many rows the server says there are, by the last page.
    pub total_count: Option<i64>,
    /// Whether absence from it would be a sign of removal.
    pub is_evidence: bool,
    /// Whether stored validators are left out.
    pub is_clean: bool,
}

from_row!(Listing: listing, kind, query, started_at, last_page_at, next_cursor, pages, rows_seen, rows_dropped,
    total_count, is_evidence, is_clean);

named! {
    /// How a listing ended.
    pub enum End {
        /// Every page was there.
        Complete = "complete",
        /// It broke off for good; the next one starts from the first page.
        Incomplete = "incomplete",
        /// Another listing takes its place.
        Abandoned = "abandoned",
    }
}

/// Opens a listing at the first page. An open one of the kind is abandoned.
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

/// The listing of this kind that is under way.
pub fn open(c: &Connection, kind: Kind) -> StoreResult<Option<Listing>> {
    c.optional(
        "SELECT * FROM listing WHERE kind = ?1 AND state = 'open'",
        [kind],
        Listing::from_row,
    )
}

/// A listing taken up again after a long pause says nothing about removals any more.
pub fn clear_evidence(tx: &Transaction<'_>, listing: i64) -> StoreResult<()> {
    tx.exec("UPDATE listing SET is_evidence = 0 WHERE listing = ?1", [listing])
}

/// The pages to come are asked for with these parameters.
pub fn set_query(tx: &Transaction<'_>, listing: i64, query: &str) -> StoreResult<()> {
    tx.exec("UPDATE listing SET query = ?2 WHERE listing = ?1", (listing, query))
}

/// How many rows the last complete listing of a kind met, as far as that is known.
pub fn last_rows(c: &Connection, kind: Kind) -> StoreResult<Option<i64>> {
    let sql = "SELECT rows_seen FROM listing WHERE kind = ?1 AND state = 'complete' ORDER BY listing DESC LIMIT 1";
    c.optional(sql, [kind], |row| row.get(0))
}

/// Moves on to the page that `next_cursor` opens, or past the last one.
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

/// Whether the last page is in already, and only the end of the listing is missing.
pub fn is_at_its_end(listing: &Listing) -> bool {
    listing.pages > 0 && listing.next_cursor.is_none()
}

/// Closes a listing.
pub fn end(tx: &Transaction<'_>, listing: i64, end: End, at: i64) -> StoreResult<()> {
    tx.exec(
        "UPDATE listing SET state = ?2, finished_at = ?3 WHERE listing = ?1",
        (listing, end.name(), at),
    )
}

/// Notes that everything of the kind was confirmed by a listing that began at `started_at`.
pub fn complete(tx: &Transaction<'_>, kind: Kind, started_at: i64) -> StoreResult<()> {
    let sql = "UPDATE kind_state SET complete_as_of = max(coalesce(complete_as_of, 0), ?2) WHERE kind = ?1";
    tx.exec(sql, (kind.name(), started_at))
}

/// Notes that a single document was answered, by a request that began at `started_at`.
pub fn answered(tx: &Transaction<'_>, kind: Kind, started_at: i64) -> StoreResult<()> {
    tx.execute(
        "UPDATE kind_state SET last_full_sync_at = ?2 WHERE kind = ?1",
        (kind.name(), started_at),
    )?;
    complete(tx, kind, started_at)
}

/// When a kind's last full sync was answered for, and whether it was ever complete; times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindState {
    /// Start of the last complete listing.
    pub complete_as_of: Option<i64>,
    /// Start of the last listing.
    pub last_full_sync_at: Option<i64>,
    /// A cron time after this makes the kind due.
    pub full_sync_due_after: Option<i64>,
    /// Rows whose removal is held back.
    pub held_removals: i64,
    /// How the last turn came out.
    pub last_outcome: Option<Outcome>,
}

from_row!(KindState: complete_as_of, last_full_sync_at, full_sync_due_after, held_removals, last_outcome);

/// Where a kind stands.
pub fn state(c: &Connection, kind: Kind) -> StoreResult<KindState> {
    let sql = "SELECT * FROM kind_state WHERE kind = ?1";
    Ok(c.optional(sql, [kind], KindState::from_row)?.unwrap_or_default())
}

/// How many rows of a kind the API lists, as far as the mirror knows, and how many are removed.
pub fn counts(c: &Connection, kind: Kind) -> StoreResult<(i64, i64)> {
    let sql = "SELECT rows, removed FROM coverage WHERE kind = ?1";
    c.one(sql, [kind], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Notes how the last listing of a kind, or the last reading of a document, came out.
pub fn note_outcome(tx: &Transaction<'_>, kind: Kind, outcome: Outcome) -> StoreResult<()> {
    tx.exec("UPDATE kind_state SET last_outcome = ?2 WHERE kind = ?1", (kind.name(), outcome))
}

/// Notes that a kind's full sync is answered for, up to `at`.
pub fn fully_synced(tx: &Transaction<'_>, kind: Kind, at: i64) -> StoreResult<()> {
    tx.exec("UPDATE kind_state SET full_sync_due_after = ?2 WHERE kind = ?1", (kind.name(), at))
}

/// Deletes listings that ended before `before` and that no page remembers.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<()> {
    let sql = "DELETE FROM listing
               WHERE state <> 'open' AND finished_at < ?1
                 AND listing NOT IN (SELECT listing FROM page WHERE listing IS NOT NULL)";
    tx.exec(sql, [before])
}
