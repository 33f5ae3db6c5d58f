//! Draws a sample of rows, for `verify` to compare with the API.
//!
//! The sample is stratified: the newest rows, the oldest, the most viewed, and random ones. The same seed
//! draws the same rows as long as the mirror does not change.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, Row as SqlRow, Transaction};

use crate::model::named::named;
use crate::model::row::NO_FINGERPRINT;
use crate::model::{Instant, Kind, Value, columns};
use crate::store::error::StoreResult;
use crate::store::history;
use crate::store::pages;
use crate::store::query::{Query, value};

/// Draws in a row that found only rows drawn before, after which the rest is taken in order.
const FRUITLESS_DRAWS_MAX: u32 = 20;

named! {
    /// Why a row is in the sample.
    pub enum Stratum {
        /// It is one of the newest.
        Newest = "newest",
        /// It is one of the oldest.
        Oldest = "oldest",
        /// It has the most views, or followers.
        MostViewed = "most viewed",
        /// It was drawn at random.
        Random = "random",
    }
}

/// A row of the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledRow {
    /// Its row_id in our tables.
    pub row_id: i64,
    /// The API's id.
    pub id: String,
    /// The page it is on.
    pub page: Option<i64>,
    /// Why it was drawn.
    pub stratum: Stratum,
}

/// A row as mirrored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRow {
    /// Its row_id in our tables.
    pub row_id: i64,
    /// One value per column of the kind, in their order.
    pub values: Vec<Value<'static>>,
    /// The members without a column, as JSON.
    pub extra: Option<String>,
    /// Hash of its content as received.
    pub fingerprint: i64,
    /// When the API last confirmed it, a stamp.
    pub as_of: i64,
    /// Whether it is marked removed.
    pub is_removed: bool,
}

/// Returns the number of rows of a kind with evidence of removal that are not removed.
pub fn suspected(c: &Connection, kind: Kind) -> StoreResult<i64> {
    let sql = format!(
        "SELECT count(*) FROM {} WHERE removed_at IS NULL AND (absent_listing IS NOT NULL OR not_found_at IS NOT NULL)",
        kind.name()
    );
    c.value(&sql, [])
}

/// Draws up to `wanted` rows of a kind.
pub fn pick(c: &Connection, kind: Kind, wanted: usize, seed: u64) -> StoreResult<Vec<SampledRow>> {
    let mut sample = Sample { c, kind, wanted, known: BTreeSet::new(), picked: Vec::new() };
    let popularity = if kind == Kind::Creator { "total_followers" } else { "view_count" };
    for (stratum, order) in [
        (Stratum::Newest, "row_id DESC".to_owned()),
        (Stratum::Oldest, "row_id".to_owned()),
        (Stratum::MostViewed, format!("{popularity} DESC, row_id")),
    ] {
        // A row may be in several strata.
        let limit = sample.known.len() + wanted / 4;
        sample.take_in_order(stratum, &order, limit, wanted / 4)?;
    }
    sample.take_random(seed)?;
    sample.take_in_order(Stratum::Random, "row_id", wanted, wanted)?;
    Ok(sample.picked)
}

struct Sample<'a> {
    c: &'a Connection,
    kind: Kind,
    wanted: usize,
    known: BTreeSet<i64>,
    picked: Vec<SampledRow>,
}

impl Sample<'_> {
    fn add(&mut self, picked: SampledRow) -> bool {
        let is_new = self.picked.len() < self.wanted && self.known.insert(picked.row_id);
        if is_new {
            self.picked.push(picked);
        }
        is_new
    }

    fn take_in_order(
        &mut self,
        stratum: Stratum,
        order: &str,
        limit: usize,
        most: usize,
    ) -> StoreResult<()> {
        let sql = format!(
            "SELECT row_id, id, page FROM {} WHERE removed_at IS NULL ORDER BY {order} LIMIT ?1",
            self.kind.name()
        );
        let mut statement = self.c.prepare_cached(&sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map([limit], |row| picked(row, stratum))?;
        let mut taken = 0;
        for row in rows {
            if taken >= most {
                break;
            }
            taken += usize::from(self.add(row?));
        }
        Ok(())
    }

    fn take_random(&mut self, seed: u64) -> StoreResult<()> {
        let table = self.kind.name();
        let sql = format!("SELECT min(row_id), max(row_id) FROM {table}");
        let (Some(first), Some(last)) =
            self.c.one(&sql, [], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?)))?
        else {
            return Ok(());
        };
        let last: i64 = last;
        // Each kind has its own sequence.
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ (self.kind as u64) << 56);
        let sql = format!(
            "SELECT row_id, id, page FROM {table} WHERE row_id >= ?1 AND removed_at IS NULL ORDER BY row_id LIMIT 1"
        );
        let mut fruitless = 0;
        while self.picked.len() < self.wanted && fruitless < FRUITLESS_DRAWS_MAX {
            let from = random.random_range(first..=last);
            let found = self.c.optional(&sql, [from], |row| picked(row, Stratum::Random))?;
            let is_new = found.is_some_and(|found| self.add(found));
            fruitless = if is_new { 0 } else { fruitless + 1 };
        }
        Ok(())
    }
}

fn picked(row: &SqlRow<'_>, stratum: Stratum) -> rusqlite::Result<SampledRow> {
    Ok(SampledRow { row_id: row.get(0)?, id: row.get(1)?, page: row.get(2)?, stratum })
}

/// Returns a resource as mirrored. The id of an account video is unique only with its platform.
pub fn held(
    c: &Connection,
    kind: Kind,
    id: &str,
    platform: Option<&str>,
) -> StoreResult<Option<StoredRow>> {
    let names: Vec<String> =
        columns::columns(kind).iter().map(|column| format!("r.{}", column.name)).collect();
    let sql = format!(
        "SELECT r.row_id, r.extra, max(r.as_of, coalesce(p.as_of, 0)), r.removed_at IS NOT NULL, r.fingerprint, {}
         FROM {} AS r LEFT JOIN page AS p ON p.page = r.page
         WHERE r.id = ?1 AND (?2 IS NULL OR r.{} IS ?2)",
        names.join(", "),
        kind.name(),
        if kind == Kind::AccountVideo { "platform" } else { "id" },
    );
    let platform = platform.filter(|_| kind == Kind::AccountVideo);
    c.optional(&sql, (id, platform), |row| {
        let values = (0..names.len()).map(|at| Ok(value(row.get_ref(at + 5)?).into_owned()));
        Ok(StoredRow {
            row_id: row.get(0)?,
            extra: row.get(1)?,
            as_of: row.get(2)?,
            is_removed: row.get(3)?,
            fingerprint: row.get(4)?,
            values: values.collect::<rusqlite::Result<_>>()?,
        })
    })
}

/// Returns the counts of a scrape in history, in the order of the kind's history columns; `None` if it is
/// not there.
pub fn scrape(
    c: &Connection,
    kind: Kind,
    row_id: i64,
    at: Instant,
) -> StoreResult<Option<Vec<Option<i64>>>> {
    let (table, names) = (kind.name(), columns::history_columns(kind));
    let names_of = names.iter().map(|name| format!("s.{name}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {names_of} FROM {table} AS r JOIN {}
         WHERE r.row_id = ?1 AND s.at_s = ?2 AND s.at_ns = ?3",
        history::join(kind)
    );
    c.optional(&sql, (row_id, at.seconds, at.nanos), |row| {
        (0..names.len()).map(|column| row.get(column)).collect()
    })
}

/// Whether one of a creator's accounts was scraped since `as_of` (microseconds), or is due by `now` (Unix
/// seconds).
pub fn has_newer_scrape(c: &Connection, creator: &str, as_of: i64, now: i64) -> StoreResult<bool> {
    let sql = "SELECT EXISTS (
                   SELECT 1 FROM account AS a LEFT JOIN account_due AS d ON d.account = a.row_id
                   WHERE a.removed_at IS NULL AND a.creator_id = ?1
                     AND (CAST(strftime('%s', a.last_scrape_time) AS INTEGER) > ?2 / 1000000
                          OR d.due_at <= ?3))";
    c.value(sql, (creator, as_of, now))
}

/// Whether any account list is due because of a scrape, or any account is due by `now` (Unix seconds).
pub fn awaits_account_lists(c: &Connection, now: i64) -> StoreResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM account_list_due)
                   OR EXISTS (SELECT 1 FROM account_due WHERE due_at <= ?1)";
    c.value(sql, [now])
}

/// Invalidates a row, so that the next answer rewrites it in any case, and clears the ETag of its page. The
/// caller writes that answer in the same transaction.
pub fn invalidate(tx: &Transaction<'_>, kind: Kind, row_id: i64) -> StoreResult<()> {
    let sql = format!("UPDATE {} SET fingerprint = ?2 WHERE row_id = ?1", kind.name());
    tx.exec(&sql, (row_id, NO_FINGERPRINT))?;
    pages::clear_etag(tx, kind, row_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::store::testing::mirror;

    fn filled_mirror(videos: i64) -> (tempfile::TempDir, Database) {
        let (folder, store) = mirror();
        store
            .write(|tx| {
                for row_id in 1..=videos {
                    let sql = "INSERT INTO video (row_id, id, view_count, fingerprint, as_of, first_mirrored_at, removed_at)
                               VALUES (?1, 'v' || ?1, (?1 * 37) % 1000, 0, 0, 0, ?2)";
                    tx.execute(sql, (row_id, (row_id % 10 == 0).then_some(1)))?;
                }
                Ok(())
            })
            .unwrap();
        (folder, store)
    }

    #[test]
    fn sample_is_stratified_distinct_and_repeatable() {
        let (_folder, store) = filled_mirror(500);
        let draw = |seed| store.read(|c| pick(c, Kind::Video, 20, seed)).unwrap();
        let sample = draw(7);
        assert_eq!(sample, draw(7));
        assert_ne!(sample, draw(8));
        assert_eq!(sample.len(), 20);
        let row_ids: BTreeSet<i64> = sample.iter().map(|picked| picked.row_id).collect();
        assert_eq!(row_ids.len(), 20);
        assert!(row_ids.iter().all(|row_id| row_id % 10 != 0), "removed rows are not drawn");
        let of = |stratum| {
            let of = sample.iter().filter(|picked| picked.stratum == stratum);
            of.map(|picked| picked.row_id).collect::<Vec<_>>()
        };
        assert_eq!(of(Stratum::Newest), [499, 498, 497, 496, 495]);
        assert_eq!(of(Stratum::Oldest), [1, 2, 3, 4, 5]);
        assert_eq!(of(Stratum::MostViewed).len(), 5);
        assert_eq!(of(Stratum::Random).len(), 5);
    }

    #[test]
    fn draws_all_rows_of_a_small_kind() {
        for (videos, wanted, expected) in [(0, 5, 0), (9, 50, 9), (9, 9, 9), (9, 1, 1), (9, 0, 0)] {
            let (_folder, store) = filled_mirror(videos);
            let sample = store.read(|c| pick(c, Kind::Video, wanted, 3)).unwrap();
            assert_eq!(sample.len(), expected, "{videos} {wanted}");
        }
    }
}
