//! Pages of lists: what they were answered with, whose rows they hold, and what a 304 confirms.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction};

use crate::model::row::DECODER_VERSION;
use crate::model::{Kind, Row};
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};
use crate::store::rows::{RowWriter, Scrape, Source, State, Written};

/// A page as the mirror knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPage {
    /// Its key.
    pub page: i64,
    /// Its validator, where a 304 to it would confirm what is held.
    pub etag: Option<String>,
    /// The cursor it gave for the page after it; `None` on the last page.
    pub next_cursor: Option<String>,
    /// The number of resources it said there are.
    pub total_count: Option<i64>,
    /// The listing that last passed here.
    pub listing: Option<i64>,
}

from_row!(KnownPage: page, etag, next_cursor, total_count, listing);

/// A page as it was just answered.
#[derive(Debug)]
pub struct NewPage<'a> {
    /// What it lists.
    pub kind: Kind,
    /// Path and query string, cursor included.
    pub url: &'a str,
    /// The cursor that opened it; `None` for the first page.
    pub cursor: Option<&'a str>,
    /// The validator it came with.
    pub etag: Option<&'a str>,
    /// The cursor it gave for the page after it.
    pub next_cursor: Option<&'a str>,
    /// The number of resources it said there are.
    pub total_count: Option<i64>,
    /// Start of the request.
    pub as_of: i64,
    /// The listing it belongs to; `None` for a poll by kept cursor.
    pub listing: Option<i64>,
    /// Rows that could not be decoded.
    pub dropped: u32,
}

/// What writing a page did, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct PageCounts {
    /// Rows on the page.
    pub rows_seen: i64,
    /// Rows of it that this listing had not seen yet.
    #[serde(skip)]
    pub rows_new_to_listing: i64,
    /// Rows that were new, changed, or came back.
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
        self.rows_changed += i64::from(matches!(written.state, State::New | State::Changed));
        self.type_mismatches += i64::from(row.is_type_mismatch);
        self.snapshots_added += i64::from(written.scrape == Scrape::Added);
        self.snapshots_revised += i64::from(written.scrape == Scrape::Revised);
    }
}

/// The page at `url`, if it was seen before. A validator taken by another decoder does not count.
pub fn find(c: &Connection, url: &str) -> StoreResult<Option<KnownPage>> {
    let sql =
        "SELECT page, CASE WHEN decoder = ?2 THEN etag END AS etag, next_cursor, total_count, listing
               FROM page WHERE url = ?1";
    c.optional(sql, (url, DECODER_VERSION), KnownPage::from_row)
}

/// How a page is asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAddress {
    /// The cursor that opened it; `None` for the first page.
    pub cursor: Option<String>,
    /// Path and query string it was asked for with.
    pub url: String,
}

from_row!(PageAddress: cursor, url);

/// How to ask for the page of this key again, if it is still part of its list.
pub fn address(c: &Connection, page: i64) -> StoreResult<Option<PageAddress>> {
    c.optional("SELECT cursor, url FROM page WHERE page = ?1", [page], PageAddress::from_row)
}

/// How many pages the last complete listing of a kind had.
pub fn count(c: &Connection, kind: Kind) -> StoreResult<i64> {
    c.value("SELECT count(*) FROM page WHERE kind = ?1", [kind.name()])
}

/// Writes a page and its rows. `each` is told of every row, to keep the schedule.
pub fn write(
    tx: &Transaction<'_>,
    new: &NewPage<'_>,
    rows: &[Row],
    mut each: impl FnMut(&Row, Written) -> StoreResult<()>,
) -> StoreResult<(i64, PageCounts)> {
    let (page, former) = place(tx, new)?;
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
        is_held &= written.state != State::Outdated;
        counts.count(row, written);
        let is_first = members.insert(written.row_id);
        let is_new_to_listing =
            written.last_listing.is_none() || written.last_listing != new.listing;
        counts.rows_new_to_listing += i64::from(is_first && is_new_to_listing);
        each(row, written)?;
    }
    drop(writer);
    let left: Vec<i64> = former.difference(&members).copied().collect();
    release(tx, new.kind, page, &left)?;
    // A 304 could not vouch for a row that was dropped, or of which a newer state is held.
    let etag = new.etag.filter(|_| is_held);
    settle(tx, page, new, etag, &members)?;
    Ok((page, counts))
}

/// Records that the API confirmed a page by a 304. Returns how many rows that confirms.
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

/// The keys of the rows on a page.
pub fn members(c: &Connection, page: i64) -> StoreResult<BTreeSet<i64>> {
    let sql = "SELECT j.value FROM page AS p, json_each(p.members) AS j WHERE p.page = ?1";
    c.all(sql, [page], |row| row.get(0))
}

/// Clears the ETag of the page that a resource stands on, so that the page is read in full the next time.
pub fn clear_etag(tx: &Transaction<'_>, kind: Kind, row_id: i64) -> StoreResult<()> {
    let sql = format!(
        "UPDATE page SET etag = NULL WHERE page = (SELECT page FROM {} WHERE row_id = ?1)",
        kind.name()
    );
    tx.exec(&sql, [row_id])
}

/// Takes the validator of a listing's last page away.
pub fn clear_last_etag(tx: &Transaction<'_>, listing: i64) -> StoreResult<()> {
    tx.exec("UPDATE page SET etag = NULL WHERE listing = ?1 AND next_cursor IS NULL", [listing])
}

/// The page's key, made if it was never seen, and the rows that stood on it until now.
fn place(tx: &Transaction<'_>, new: &NewPage<'_>) -> StoreResult<(i64, BTreeSet<i64>)> {
    if let Some(known) = find(tx, new.url)? {
        return Ok((known.page, members(tx, known.page)?));
    }
    // Its as_of and listing are set when its rows are in: until then it has confirmed nothing.
    let sql = "INSERT INTO page (kind, url, cursor, decoder, as_of) VALUES (?1, ?2, ?3, ?4, 0)";
    let page =
        tx.prepare_cached(sql)?.insert((new.kind.name(), new.url, new.cursor, DECODER_VERSION))?;
    Ok((page, BTreeSet::new()))
}

/// Rows that left a page keep the confirmation they had there, and wait for another page.
fn release(tx: &Transaction<'_>, kind: Kind, page: i64, row_ids: &[i64]) -> StoreResult<()> {
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

fn settle(
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
