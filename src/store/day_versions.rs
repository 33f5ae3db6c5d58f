//! Versions of the days of history, by which an export finds the days that changed without reading their rows.
//!
//! A version is a random number. Each transaction that changes rows of a day replaces it, so equal versions mean equal
//! rows, also after a backup was restored and other rows were written since.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{CachedStatement, Connection, Transaction};

use crate::model::Kind;
use crate::model::instant::day_of;
use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Rows of views over two scrapes whose first scrape changed, by the day of the second.
pub const PAIR: &str = "pair";
/// Scrapes whose post or its key changed.
pub const POST: &str = "post";
/// Daily metrics.
pub const METRIC: &str = "metric";

/// Replaces versions within one transaction.
pub struct DayVersions<'t> {
    replace: CachedStatement<'t>,
    replaced: BTreeSet<(&'static str, i64)>,
}

impl<'t> DayVersions<'t> {
    /// Prepares the statement.
    pub fn new(tx: &'t Transaction<'_>) -> StoreResult<Self> {
        let sql = "INSERT OR REPLACE INTO day_version (topic, day) VALUES (?1, ?2)";
        Ok(Self { replace: tx.prepare_cached(sql)?, replaced: BTreeSet::new() })
    }

    /// Replaces the version of a day, given in days since 1970, once per transaction.
    pub fn replace(&mut self, topic: &'static str, day: i64) -> StoreResult<()> {
        if self.replaced.insert((topic, day)) {
            self.replace.execute((topic, day))?;
        }
        Ok(())
    }

    /// Records that a scrape changed. `next_s` is the time of the next scrape, if another view shows its difference.
    pub fn scrape(&mut self, kind: Kind, at_s: i64, next_s: Option<i64>) -> StoreResult<()> {
        self.replace(kind.name(), day_of(at_s))?;
        match next_s.map(day_of) {
            Some(next) if next != day_of(at_s) => self.replace(PAIR, next),
            _ => Ok(()),
        }
    }
}

/// Returns the versions of these topics by day.
pub fn read(c: &Connection, topics: &[&str]) -> StoreResult<BTreeMap<i64, Vec<(String, i64)>>> {
    let mut found: BTreeMap<i64, Vec<(String, i64)>> = BTreeMap::new();
    for topic in topics {
        let sql = "SELECT day, version FROM day_version WHERE topic = ?1";
        let versions: Vec<(i64, i64)> =
            c.all(sql, [topic], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (day, version) in versions {
            found.entry(day).or_default().push(((*topic).to_owned(), version));
        }
    }
    Ok(found)
}
