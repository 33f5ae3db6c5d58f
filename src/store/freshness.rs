//! Age of the latest scrapes of a kind: exact for small kinds, estimated from an even sample of large
//! ones, so that the cost does not grow with the mirror.

use rusqlite::{Connection, Row};

use crate::model::{Instant, Kind};
use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Kinds with at most this many rows are read completely.
const ROWS_EXACT_MAX: i64 = 2_000;

/// Rows read of a larger kind.
const SAMPLE_ROWS: i64 = 1_000;

/// Times of a kind's latest scrapes. Removed, paused and unavailable rows are left out, because they are
/// not scraped any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Number of rows read.
    pub rows: u64,
    /// Whether they are a sample.
    pub is_sample: bool,
    /// Of these, never scraped.
    pub never_scraped: u64,
    /// The newest scrape.
    pub newest: Option<Instant>,
    /// Half of the rows are newer.
    pub median: Option<Instant>,
    /// 95 % of the rows are newer.
    pub p95: Option<Instant>,
    /// The oldest scrape.
    pub oldest: Option<Instant>,
}

/// Returns the freshness of a kind; `None` for kinds without scrapes.
pub fn read(c: &Connection, kind: Kind) -> StoreResult<Option<Freshness>> {
    let is_counted = match kind {
        Kind::Account | Kind::Video => "coalesce(is_active, 1) AND NOT coalesce(is_unavailable, 0)",
        Kind::AccountVideo => "NOT coalesce(is_unavailable, 0)",
        Kind::Creator | Kind::Overview | Kind::Meta => return Ok(None),
    };
    let is_counted = format!("removed_at IS NULL AND {is_counted}");
    let table = kind.name();
    let last_row_id: i64 = c.value(&format!("SELECT coalesce(max(row_id), 0) FROM {table}"), [])?;
    let is_sample = last_row_id > ROWS_EXACT_MAX;
    let rows = match is_sample {
        true => sample(c, table, &is_counted, last_row_id)?,
        false => {
            let sql = format!("SELECT last_scrape_time FROM {table} WHERE {is_counted}");
            c.all(&sql, [], scrape_time)?
        }
    };
    Ok(Some(Freshness { is_sample, ..summarize(rows) }))
}

/// Samples rows at even distances of `row_id`, which ascends with discovery: old and new rows both count.
fn sample(
    c: &Connection,
    table: &str,
    is_counted: &str,
    last_row_id: i64,
) -> StoreResult<Vec<Option<Instant>>> {
    let sql = format!(
        "SELECT last_scrape_time FROM
             (SELECT * FROM {table} WHERE row_id >= ?1 ORDER BY row_id LIMIT 1) WHERE {is_counted}"
    );
    let mut found = Vec::new();
    for number in 0..SAMPLE_ROWS {
        // Row counts are too small to overflow.
        let row_id = 1 + number.saturating_mul(last_row_id) / SAMPLE_ROWS;
        found.extend(c.optional(&sql, [row_id], scrape_time)?);
    }
    Ok(found)
}

fn scrape_time(row: &Row<'_>) -> rusqlite::Result<Option<Instant>> {
    let text: Option<String> = row.get(0)?;
    Ok(text.as_deref().and_then(Instant::parse))
}

fn summarize(rows: Vec<Option<Instant>>) -> Freshness {
    let rows_read = rows.len();
    let mut scrapes: Vec<Instant> = rows.into_iter().flatten().collect();
    // Newest first, so that the position is the percentage of newer rows.
    scrapes.sort_unstable_by(|one, other| other.cmp(one));
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let at = |percent: usize| scrapes.get(scrapes.len().saturating_sub(1) * percent / 100).copied();
    Freshness {
        rows: count(rows_read),
        is_sample: false,
        never_scraped: count(rows_read - scrapes.len()),
        newest: at(0),
        median: at(50),
        p95: at(95),
        oldest: at(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::store::testing::mirror;

    /// A mirror with this many videos, scraped a minute apart, the first one first.
    fn videos(count: i64) -> (tempfile::TempDir, Database) {
        let (folder, store) = mirror();
        store
            .write(|tx| {
                let sql = "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ?1)
                     INSERT INTO video (row_id, id, last_scrape_time, fingerprint, as_of, first_mirrored_at)
                     SELECT k, 'v' || k, strftime('%Y-%m-%dT%H:%M:%SZ', 1800000000 + k * 60, 'unixepoch'), 0, 0, 0 FROM n";
                tx.execute(sql, [count])?;
                Ok(())
            })
            .unwrap();
        (folder, store)
    }

    fn minutes(at: Option<Instant>) -> i64 {
        (at.unwrap().seconds - 1_800_000_000) / 60
    }

    #[test]
    fn small_kind_is_exact_and_leaves_out_rows_that_are_not_scraped() {
        let (_folder, store) = videos(104);
        store
            .write(|tx| {
                tx.execute("UPDATE video SET removed_at = 1 WHERE row_id = 1", [])?;
                tx.execute("UPDATE video SET is_active = 0 WHERE row_id = 2", [])?;
                tx.execute("UPDATE video SET is_unavailable = 1 WHERE row_id = 3", [])?;
                tx.execute("UPDATE video SET last_scrape_time = NULL WHERE row_id = 104", [])?;
                Ok(())
            })
            .unwrap();
        let found = store.read(|c| read(c, Kind::Video)).unwrap().unwrap();
        assert_eq!((found.rows, found.is_sample, found.never_scraped), (101, false, 1));
        assert_eq!((minutes(found.newest), minutes(found.oldest)), (103, 4));
        assert_eq!((minutes(found.median), minutes(found.p95)), (103 - 49, 103 - 94));
    }

    #[test]
    fn large_kind_is_sampled_evenly() {
        let (_folder, store) = videos(50_000);
        let found = store.read(|c| read(c, Kind::Video)).unwrap().unwrap();
        assert_eq!((found.rows, found.is_sample), (1_000, true));
        let share = |at| minutes(at) * 100 / 50_000;
        assert!((49..=51).contains(&share(found.median)), "{found:?}");
        assert!((4..=6).contains(&share(found.p95)), "{found:?}");
    }

    #[test]
    fn empty_kind_and_creators_have_no_scrapes() {
        let (_folder, store) = videos(1);
        let read = |kind| store.read(|c| read(c, kind)).unwrap();
        assert_eq!(read(Kind::Account), Some(Freshness::default()));
        assert_eq!(read(Kind::Creator), None);
    }
}
