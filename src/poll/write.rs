//! Where an answer becomes a transaction: decode, upsert, schedule, count, and move the walk on.

use bytes::Bytes;
use rusqlite::Transaction;

use super::fetch::Traffic;
use crate::api::{ListPage, decode};
use crate::model::row::{Row, Value};
use crate::model::{BadRow, Instant, Kind};
use crate::plan::due::{self, Facts, Seen};
use crate::store::due::{Due, DueVideo};
use crate::store::pages::{self, NewPage, PageCounts};
use crate::store::passes::{self, Tally};
use crate::store::rows::{RowWriter, Scrape, Source, State, Written};
use crate::store::{Store, StoreError, StoreResult, instance, removals, walks};

/// What every write of a pass carries along.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// The pass.
    pub pass: i64,
    /// The kind being worked on.
    pub kind: Kind,
    /// Requests since the last write.
    pub sent: Tally,
    /// The rate gate and stamp.
    pub traffic: Traffic,
    /// Unix seconds.
    pub now: i64,
    /// How long a due video may wait, seconds.
    pub freshness_s: i64,
}

impl Ledger {
    /// Adds what was done to the log, in the transaction that did it.
    pub fn close(&self, tx: &Transaction<'_>, done: &Tally) -> StoreResult<()> {
        let mut tally = self.sent;
        tally.add(done);
        passes::count(tx, self.pass, self.kind, &tally)?;
        instance::keep_traffic(tx, &self.traffic.gate, self.traffic.stamp)
    }
}

/// What a page was answered with.
#[derive(Debug)]
pub enum Content {
    /// A body to decode.
    Body(Bytes),
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
}

/// Writes a page in one transaction, the cursor after it included.
pub fn page(store: &Store, ledger: &Ledger, write: &PageWrite) -> StoreResult<PageDone> {
    let (rows, bad) = match &write.content {
        Content::Body(body) => decode_rows(ledger.kind, body),
        Content::Confirmed(_) => (Vec::new(), Vec::new()),
    };
    let counts = store.write(|tx| {
        let (page, counts) = match write.content {
            Content::Body(_) => write_rows(tx, ledger, write, &rows, bad.len())?,
            Content::Confirmed(page) => confirm(tx, write, page)?,
        };
        if ledger.kind == Kind::Video {
            postpone(tx, due_on(tx, page, ledger)?, ledger)?;
        }
        if let Some(walk) = write.walk {
            let next = write.next_cursor.as_deref();
            walks::advance(tx, walk, next, &counts, write.total_count, ledger.traffic.stamp)?;
        }
        ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
        Ok(counts)
    })?;
    Ok(PageDone { counts, bad })
}

/// Writes one resource that was asked for by its id.
pub fn item(store: &Store, ledger: &Ledger, row: &Row<'_>, as_of: i64) -> StoreResult<Written> {
    store.write(|tx| {
        let written = RowWriter::new(tx, ledger.kind)?.write(row, Source { page: None, as_of })?;
        schedule(tx, ledger, row, written)?;
        if ledger.kind == Kind::Video && written.state == State::Same {
            postpone(tx, crate::store::due::one(tx, written.key)?.into_iter().collect(), ledger)?;
        }
        let mut counts = PageCounts { rows_seen: 1, ..PageCounts::default() };
        counts.count(row, written);
        ledger.close(tx, &Tally { page: counts, ..Tally::default() })?;
        Ok(written)
    })
}

/// Notes that a resource asked for by its id is not there.
pub fn not_found(store: &Store, ledger: &Ledger, key: i64, at: i64) -> StoreResult<()> {
    store.write(|tx| {
        let removed = removals::not_found(tx, ledger.kind, key, at)?;
        postpone(tx, crate::store::due::one(tx, key)?.into_iter().collect(), ledger)?;
        ledger.close(tx, &Tally { removed: i64::from(removed), ..Tally::default() })
    })
}

/// Runs a write where it may block, and gives back what came of it.
pub async fn off_thread<T: Send + 'static>(
    write: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    tokio::task::spawn_blocking(write).await.map_err(|_| StoreError::Interrupted)?
}

fn decode_rows(kind: Kind, body: &Bytes) -> (Vec<Row<'_>>, Vec<BadRow>) {
    // The envelope was found good when the answer came in.
    let listed = ListPage::parse(body).map(|page| page.rows).unwrap_or_default();
    let (mut rows, mut bad) = (Vec::with_capacity(listed.len()), Vec::new());
    for raw in listed {
        match decode::row(kind, raw) {
            Ok(row) => rows.push(row),
            Err(row) => bad.push(row),
        }
    }
    (rows, bad)
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
    pages::write(tx, &new, rows, |row, written| schedule(tx, ledger, row, written))
}

fn confirm(tx: &Transaction<'_>, write: &PageWrite, page: i64) -> StoreResult<(i64, PageCounts)> {
    let rows = i64::try_from(pages::members(tx, page)?.len()).unwrap_or(i64::MAX);
    pages::confirm(tx, page, write.walk, write.as_of)?;
    Ok((page, PageCounts { rows_seen: rows, rows_new_to_walk: rows, ..PageCounts::default() }))
}

/// Sets the next poll of a video whose row was written.
fn schedule(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    row: &Row<'_>,
    written: Written,
) -> StoreResult<()> {
    if ledger.kind != Kind::Video {
        return Ok(());
    }
    let before = match written.state {
        State::New => None,
        State::Changed => crate::store::due::one(tx, written.key)?.map(|video| video.due),
        State::Same | State::Outdated => return Ok(()),
    };
    let seen = if written.scrape == Scrape::Added { Seen::News } else { Seen::Nothing };
    let due = due::next(facts(row), before, seen, ledger.now, ledger.freshness_s);
    if before.is_none() && due.is_none() && written.state == State::New {
        return Ok(());
    }
    crate::store::due::set(tx, written.key, due)
}

/// Videos that were looked at and had not moved are asked again later.
fn postpone(tx: &Transaction<'_>, videos: Vec<DueVideo>, ledger: &Ledger) -> StoreResult<()> {
    for video in videos.into_iter().filter(|video| video.due.due_at <= ledger.now) {
        let seconds =
            |text: &Option<String>| text.as_deref().and_then(Instant::parse).map(|at| at.seconds);
        let facts = Facts {
            is_idle: false,
            interval_hours: video.interval_hours,
            last_scrape: seconds(&video.last_scrape_time),
            added_at: seconds(&video.added_at),
        };
        let due: Option<Due> =
            due::next(facts, Some(video.due), Seen::Nothing, ledger.now, ledger.freshness_s);
        crate::store::due::set(tx, video.key, due)?;
    }
    Ok(())
}

fn due_on(tx: &Transaction<'_>, page: i64, ledger: &Ledger) -> StoreResult<Vec<DueVideo>> {
    crate::store::due::on_page(tx, page, ledger.now)
}

fn facts(row: &Row<'_>) -> Facts {
    let flag = |name| row.value(Kind::Video, name).as_integer();
    Facts {
        is_idle: flag("is_active") == Some(0) || flag("is_unavailable") == Some(1),
        interval_hours: flag("scrape_interval_hours"),
        last_scrape: row.scraped_at.map(|at| at.seconds),
        added_at: match row.value(Kind::Video, "added_at") {
            Value::Text(text) => Instant::parse(text).map(|at| at.seconds),
            _ => None,
        },
    }
}
