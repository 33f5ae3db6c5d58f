//! The outbox: queued writes to the API, and their results.
//!
//! [`enqueue`] adds entries, from any process. The process with the instance lock takes them through
//! [`queue`] (claim, retry, reconcile), [`finish`] (final result) and [`reread`] (resources to read again).
//! [`manual`] has the user's retry and discard, [`find`] looks up names; this file lists entries.

pub mod enqueue;
mod entry;
pub mod find;
pub mod finish;
pub mod manual;
pub mod queue;
pub mod reread;

use std::ops::RangeInclusive;

use rusqlite::Connection;

use crate::model::outbox::State;
use crate::store::error::StoreResult;
use crate::store::outbox::entry::{OPEN, select};
use crate::store::query::Query;

pub use entry::{Entry, one};

/// Number of entries by state, and the latest failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// States that occur, with the number of entries.
    pub counts: Vec<(State, i64)>,
    /// Up to five failed entries, the latest first.
    pub failed: Vec<Entry>,
}

/// Failed entries in a summary.
const FAILED_MAX: i64 = 5;

/// Returns the last `limit` entries in these states, or in all states if there are none, by number.
pub fn list(c: &Connection, states: &[State], limit: i64) -> StoreResult<Vec<Entry>> {
    let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
    let names = serde_json::to_string(&names).unwrap_or_default();
    let sql = select(
        "WHERE json_array_length(?1) = 0 OR state IN (SELECT value FROM json_each(?1))
         ORDER BY entry DESC LIMIT ?2",
    );
    let mut entries: Vec<Entry> = c.all(&sql, (names, limit), Entry::from_row)?;
    entries.reverse();
    Ok(entries)
}

/// Returns the entries with these numbers.
pub fn range(c: &Connection, entries: RangeInclusive<i64>) -> StoreResult<Vec<Entry>> {
    c.all(
        &select("WHERE entry BETWEEN ?1 AND ?2 ORDER BY entry"),
        (entries.start(), entries.end()),
        Entry::from_row,
    )
}

/// Entries that have not succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// Number of open ones.
    pub open: i64,
    /// Number of open and failed ones.
    pub count: i64,
    /// The numbers of the first.
    pub entries: Vec<i64>,
}

/// Returns which of these entries have not succeeded, with the numbers of the first `limit`.
pub fn undone(c: &Connection, entries: &RangeInclusive<i64>, limit: usize) -> StoreResult<Undone> {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE state IN {OPEN}), count(*) FROM outbox
         WHERE entry BETWEEN ?1 AND ?2 AND state <> 'succeeded'"
    );
    let bounds = (entries.start(), entries.end());
    let (open, count) = c.one(&sql, bounds, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "SELECT entry FROM outbox
               WHERE entry BETWEEN ?1 AND ?2 AND state <> 'succeeded' ORDER BY entry LIMIT ?3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let entries = c.all(sql, (entries.start(), entries.end(), limit), |row| row.get(0))?;
    Ok(Undone { open, count, entries })
}

/// Returns when the oldest open entry that is not held was queued, microseconds.
pub fn oldest_open(c: &Connection) -> StoreResult<Option<i64>> {
    let sql =
        format!("SELECT min(created_at) FROM outbox WHERE state IN {OPEN} AND state <> 'held'");
    c.value(&sql, [])
}

/// Returns the number of entries by state, and the latest failures.
pub fn summary(c: &Connection) -> StoreResult<Summary> {
    let sql = "SELECT state, count(*) FROM outbox GROUP BY state";
    let mut counts: Vec<(State, i64)> = c.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    counts.sort_unstable();
    let sql = select("WHERE state = 'failed' ORDER BY entry DESC LIMIT ?1");
    Ok(Summary { counts, failed: c.all(&sql, [FAILED_MAX], Entry::from_row)? })
}
