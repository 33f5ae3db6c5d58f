//! Pages of lists: their ETags, their rows, and what a 304 (not modified) confirms.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction};

use crate::model::row::DECODER_VERSION;
use crate::model::{Kind, Row};
use crate::store::error::StoreResult;
use crate::store::history::Scrape;
use crate::store::late_indexes;
use crate::store::query::{Query, from_row};
use crate::store::rows::{RowState, RowWriter, Source, Written};

/// A page that was read before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPage {
    /// Its number.
    pub page: i64,
    /// Its ETag, if a 304 would confirm its rows as mirrored.
    pub etag: Option<String>,
    /// The API's `next_cursor`; `None` on the last page.
    pub next_cursor: Option<String>,
    /// The API's `total_count`.
    pub total_count: Option<i64>,
    /// The listing that last read it.
    pub listing: Option<i64>,
}

from_row!(KnownPage: page, etag, next_cursor, total_count, listing);

/// A page that was just read.
#[derive(Debug)]
pub struct NewPage<'a> {
    /// Which kind it lists.
    pub kind: Kind,
    /// Path and query string, cursor included.
    pub url: &'a str,
    /// Its own cursor; `None` for the first page.
    pub cursor: Option<&'a str>,
    /// Its ETag.
    pub etag: Option<&'a str>,
    /// The API's `next_cursor`; `None` on the last page.
    pub next_cursor: Option<&'a str>,
    /// The API's `total_count`.
    pub total_count: Option<i64>,
    /// Start of the request.
    pub as_of: i64,
    /// The listing it belongs to; `None` for a poll.
    pub listing: Option<i64>,
    /// Rows that could not be decoded.
    pub dropped: u32,
}

/// Counters of a page that was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PageCounts {
    /// Rows on the page.
    pub rows_seen: i64,
    /// Rows that this listing had not seen yet.
    #[serde(skip)]
    pub rows_new_to_listing: i64,
    /// Rows that were new, changed, or removed before.
    pub rows_changed: i64,
    /// Rows with a member of an undocumented type.
    pub type_mismatches: i64,
    /// Rows that could not be decoded.
    pub rows_dropped: i64,
    /// Scrapes added to history.
    pub snapshots_added: i64,
    /// Scrapes whose counts were revised.
    pub snapshots_revised: i64,
}

from_row!(PageCounts: rows_seen, rows_new_to_listing, rows_changed, type_mismatches, rows_dropped, snapshots_added,
    snapshots_revised);

impl PageCounts {
    /// Counts a row that was written.
    pub fn count(&mut self, row: &Row, written: Written) {
        self.rows_changed += i64::from(matches!(written.state, RowState::New | RowState::Changed));
        self.type_mismatches += i64::from(row.is_type_mismatch);
        self.snapshots_added += i64::from(written.scrape == Scrape::Added);
        self.snapshots_revised += i64::from(written.scrape == Scrape::Revised);
    }
}

/// Returns the page at `url`, if it was read before. An ETag saved by another decoder version is left out.
pub fn find(c: &Connection, url: &str) -> StoreResult<Option<KnownPage>> {
    let sql =
        "SELECT page, CASE WHEN decoder = ?2 THEN etag END AS etag, next_cursor, total_count, listing
               FROM page WHERE url = ?1";
    c.optional(sql, (url, DECODER_VERSION), KnownPage::from_row)
}

/// How to request a page again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAddress {
    /// Its own cursor; `None` for the first page.
    pub cursor: Option<String>,
    /// Path and query string of its last request.
    pub url: String,
}

from_row!(PageAddress: cursor, url);

/// Returns how to request a page again, if it is still part of its list.
pub fn address(c: &Connection, page: i64) -> StoreResult<Option<PageAddress>> {
    c.optional("SELECT cursor, url FROM page WHERE page = ?1", [page], PageAddress::from_row)
}

/// Returns the number of pages of a kind in the last complete listing.
pub fn count(c: &Connection, kind: Kind) -> StoreResult<i64> {
    c.value("SELECT count(*) FROM page WHERE kind = ?1", [kind.name()])
}

/// Writes a page and its rows, and calls `each` with every row, to update the schedule.
pub fn write(
    tx: &Transaction<'_>,
    new: &NewPage<'_>,
    rows: &[Row],
    mut each: impl FnMut(&Row, Written) -> StoreResult<()>,
) -> StoreResult<(i64, PageCounts)> {
    let (page, former) = find_or_insert(tx, new)?;
    let source = Source { page: Some(page), as_of: new.as_of };
    let mut counts = PageCounts {
        rows_seen: i64::try_from(rows.len()).unwrap_or(i64::MAX) + i64::from(new.dropped),
        rows_new_to_listing: i64::from(new.dropped),
        rows_dropped: i64::from(new.dropped),
        type_mismatches: i64::from(new.dropped),
        ..PageCounts::default()
    };
    let mut writer = RowWriter::new(tx, new.kind)?;
    let mut members = BTreeSet::new();
    let mut is_held = new.dropped == 0;
    for row in rows {
        let written = writer.write(row, source)?;
        is_held &= written.state != RowState::Outdated;
        counts.count(row, written);
        let is_first = members.insert(written.row_id);
        let is_new_to_listing =
            written.last_listing.is_none() || written.last_listing != new.listing;
        counts.rows_new_to_listing += i64::from(is_first && is_new_to_listing);
        each(row, written)?;
    }
    drop(writer);
    let left: Vec<i64> = former.difference(&members).copied().collect();
    detach(tx, new.kind, page, &left)?;
    // A 304 would not confirm a row that was dropped, or that a newer answer has changed.
    let etag = new.etag.filter(|_| is_held);
    update_page(tx, page, new, etag, &members)?;
    late_indexes::create(tx, late_indexes::POSTS_MAX)?;
    Ok((page, counts))
}

/// Records that a 304 confirmed a page. Returns the number of its rows.
pub fn confirm(
    tx: &Transaction<'_>,
    page: i64,
    listing: Option<i64>,
    as_of: i64,
) -> StoreResult<i64> {
    let sql =
        "UPDATE page SET as_of = max(as_of, ?2), listing = coalesce(?3, listing) WHERE page = ?1
               RETURNING json_array_length(members)";
    tx.value(sql, (page, as_of, listing))
}

/// Returns the `row_id`s of the rows on a page.
pub fn members(c: &Connection, page: i64) -> StoreResult<BTreeSet<i64>> {
    let sql = "SELECT j.value FROM page AS p, json_each(p.members) AS j WHERE p.page = ?1";
    c.all(sql, [page], |row| row.get(0))
}

/// Clears the ETag of the page of a resource, so that the page is read in full the next time.
pub fn clear_etag(tx: &Transaction<'_>, kind: Kind, row_id: i64) -> StoreResult<()> {
    let sql = format!(
        "UPDATE page SET etag = NULL WHERE page = (SELECT page FROM {} WHERE row_id = ?1)",
        kind.name()
    );
    tx.exec(&sql, [row_id])
}

/// Clears the ETags of all pages of a kind.
pub fn clear_etags(tx: &Transaction<'_>, kind: Kind) -> StoreResult<()> {
    tx.exec("UPDATE page SET etag = NULL WHERE kind = ?1", [kind])
}

/// Clears the ETag of a listing's last page.
pub fn clear_last_etag(tx: &Transaction<'_>, listing: i64) -> StoreResult<()> {
    tx.exec("UPDATE page SET etag = NULL WHERE listing = ?1 AND next_cursor IS NULL", [listing])
}

/// Returns the number of a page, which is inserted if it is new, and its former rows.
fn find_or_insert(tx: &Transaction<'_>, new: &NewPage<'_>) -> StoreResult<(i64, BTreeSet<i64>)> {
    if let Some(known) = find(tx, new.url)? {
        return Ok((known.page, members(tx, known.page)?));
    }
    // `update_page` sets as_of and listing, after the rows are written.
    let sql = "INSERT INTO page (kind, url, cursor, decoder, as_of) VALUES (?1, ?2, ?3, ?4, 0)";
    let page =
        tx.prepare_cached(sql)?.insert((new.kind.name(), new.url, new.cursor, DECODER_VERSION))?;
    Ok((page, BTreeSet::new()))
}

/// Detaches rows from a page that no longer lists them, and keeps the page's confirmation of them.
fn detach(tx: &Transaction<'_>, kind: Kind, page: i64, row_ids: &[i64]) -> StoreResult<()> {
    if row_ids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE {}
         SET page = NULL, as_of = max(as_of, (SELECT p.as_of FROM page AS p WHERE p.page = ?1))
         WHERE row_id = ?2 AND page = ?1",
        kind.name()
    );
    let mut statement = tx.prepare_cached(&sql)?;
    for row_id in row_ids {
        statement.execute((page, row_id))?;
    }
    Ok(())
}

fn update_page(
    tx: &Transaction<'_>,
    page: i64,
    new: &NewPage<'_>,
    etag: Option<&str>,
    members: &BTreeSet<i64>,
) -> StoreResult<()> {
    let members = serde_json::Value::from_iter(members.iter().copied()).to_string();
    let sql = "UPDATE page
               SET etag = ?2, decoder = ?3, next_cursor = ?4, total_count = ?5,
                   as_of = max(as_of, ?6), listing = coalesce(?7, listing), members = ?8
               WHERE page = ?1";
    tx.exec(
        sql,
        (
            page,
            etag,
            DECODER_VERSION,
            new.next_cursor,
            new.total_count,
            new.as_of,
            new.listing,
            members,
        ),
    )
}
