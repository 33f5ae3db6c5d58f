//! The outbox: writes that wait for the API, and what came of them.
//!
//! [`enqueue`] adds entries, from any process; [`queue`] is the way of an entry from claim to end,
//! listed only by whoever holds the lock; [`settle`] writes its end; [`reread`] is what has to be read
//! again because of it; [`by_hand`] is what a user may do to an entry; [`find`] looks names up; this file
//! reads.

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

/// How many entries there are in each state, and what awaits the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// States that occur, with their numbers.
    pub counts: Vec<(State, i64)>,
    /// The dead letters, the latest first, up to a bound.
    pub failed: Vec<Entry>,
}

/// Dead letters that a summary names.
const NAMED_MAX: i64 = 5;

/// The entries in these states, all if none is named, in the order of their numbers; the last
/// `limit` of them.
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

/// The entries with these numbers.
pub fn range(c: &Connection, entries: RangeInclusive<i64>) -> StoreResult<Vec<Entry>> {
    c.all(
        &select("WHERE entry BETWEEN ?1 AND ?2 ORDER BY entry"),
        (entries.start(), entries.end()),
        Entry::from_row,
    )
}

/// Which of some entries did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// How many are not at their end.
    pub open: i64,
    /// How many did not succeed, those that are open included.
    pub count: i64,
    /// The first of them.
    pub entries: Vec<i64>,
}

/// Which of these entries did not succeed, up to `limit` of them by number.
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

/// When the oldest entry was queued that is neither at its end nor held.
pub fn oldest_open(c: &Connection) -> StoreResult<Option<i64>> {
    let sql =
        format!("SELECT min(created_at) FROM outbox WHERE state IN {OPEN} AND state <> 'held'");
    c.value(&sql, [])
}

/// How the outbox is doing.
pub fn summary(c: &Connection) -> StoreResult<Summary> {
    let sql = "SELECT state, count(*) FROM outbox GROUP BY state";
    let mut counts: Vec<(State, i64)> = c.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    counts.sort_unstable();
    let sql = select("WHERE state = 'failed' ORDER BY entry DESC LIMIT ?1");
    Ok(Summary { counts, failed: c.all(&sql, [NAMED_MAX], Entry::from_row)? })
}
