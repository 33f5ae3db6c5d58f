//! Fingerprints of the months of a view: `export` writes a month again only if its fingerprint changed.
//!
//! A fingerprint is a sum of hashes of rows, so it does not depend on their order. For views over scrapes
//! the stored scrapes are hashed, in one scan over all months, which is much cheaper than reading the
//! views.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::Kind;
use crate::store::error::{StoreError, StoreResult};
use crate::store::history;
use crate::store::public_tables::{RowFilter, Table, rows};
use crate::store::query::value_ref;

/// What a row of a view over scrapes is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inputs {
    /// One scrape.
    Scrape,
    /// A scrape and the one before.
    ScrapePair,
}

/// Returns the fingerprint of each month (`YYYY-MM`); empty for a view without a time column.
pub fn months(c: &Connection, table: &Table) -> StoreResult<BTreeMap<String, u128>> {
    match table.name {
        "account_history" => of_scrapes(c, Kind::Account, Inputs::Scrape),
        "account_video_history" => of_scrapes(c, Kind::AccountVideo, Inputs::Scrape),
        "video_history" => of_scrapes(c, Kind::Video, Inputs::Scrape),
        "video_daily" => of_scrapes(c, Kind::Video, Inputs::ScrapePair),
        "video_growth" => of_scrapes(c, Kind::Video, Inputs::ScrapePair),
        _ => of_rows(c, table),
    }
}

fn of_rows(c: &Connection, table: &Table) -> StoreResult<BTreeMap<String, u128>> {
    let mut found = BTreeMap::new();
    let mut bytes = Vec::new();
    rows(c, table, RowFilter::All, |row| {
        if let Some(month) = table.month(row) {
            bytes.clear();
            row.iter().for_each(|value| push(&mut bytes, value_ref(value)));
            add(&mut found, month, &bytes);
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

fn of_scrapes(c: &Connection, kind: Kind, inputs: Inputs) -> StoreResult<BTreeMap<String, u128>> {
    let table = kind.name();
    let whose = match kind {
        Kind::AccountVideo => "r.id, r.platform",
        _ => "r.id, NULL",
    };
    // CROSS JOIN keeps this order of the tables, in which nothing needs sorting.
    let sql = format!(
        "SELECT {whose}, r.row_id, s.*
         FROM {table} AS r CROSS JOIN {}
         ORDER BY r.row_id, s.at_s, s.at_ns",
        history::join(kind)
    );
    let mut statement = c.prepare(&sql)?;
    let width = statement.column_count();
    let at = statement.column_index("at_s")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    let mut calendar = Calendar::default();
    let (mut bytes, mut former) = (Vec::new(), Vec::new());
    let (mut former_row_id, mut former_month) = (None, String::new());
    while let Some(row) = rows.next()? {
        bytes.clear();
        for column in 0..width {
            push(&mut bytes, row.get_ref(column)?);
        }
        let length = bytes.len();
        // The third column is the resource.
        let row_id: i64 = row.get(2)?;
        let month = calendar.month(row.get(at)?);
        // Within a month the scrape before is in the sum anyway.
        if inputs != Inputs::Scrape && former_row_id == Some(row_id) && former_month != month {
            bytes.extend_from_slice(&former);
        }
        add(&mut found, month, &bytes);
        if inputs != Inputs::Scrape {
            bytes.truncate(length);
            std::mem::swap(&mut bytes, &mut former);
            former_row_id = Some(row_id);
            if former_month != month {
                month.clone_into(&mut former_month);
            }
        }
    }
    Ok(found)
}

fn add(found: &mut BTreeMap<String, u128>, month: &str, bytes: &[u8]) {
    let hash = xxh3_128(bytes);
    match found.get_mut(month) {
        Some(sum) => *sum = sum.wrapping_add(hash),
        None => {
            found.insert(month.to_owned(), hash);
        }
    }
}

/// Appends a value with its type and length, so that different rows have different bytes.
fn push(bytes: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => bytes.push(0),
        ValueRef::Integer(number) => {
            bytes.push(1);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            bytes.push(2);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Text(text) | ValueRef::Blob(text) => {
            bytes.push(3);
            bytes.extend_from_slice(&text.len().to_le_bytes());
            bytes.extend_from_slice(text);
        }
    }
}

/// Computes months, and caches the last one: scrapes are in order, so the next is usually the same.
#[derive(Debug, Default)]
struct Calendar {
    from_s: i64,
    to_s: i64,
    month: String,
}

impl Calendar {
    fn month(&mut self, at_s: i64) -> &str {
        if !(self.from_s..self.to_s).contains(&at_s) {
            self.set_month(at_s);
        }
        &self.month
    }

    fn set_month(&mut self, at_s: i64) {
        let at = DateTime::from_timestamp(at_s, 0).unwrap_or_default();
        let first = at.date_naive().with_day(1).unwrap_or_default();
        self.from_s = midnight(first);
        self.to_s = first.checked_add_months(Months::new(1)).map_or(i64::MAX, midnight);
        self.month = first.format("%Y-%m").to_string();
    }
}

fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::store::public_tables::tables;
    use crate::store::testing::mirror;

    const DAY_S: i64 = 86_400;
    /// 2026-03-30T12:00:00Z.
    const START_S: i64 = 1_774_872_000;

    /// Two videos with a scrape every day from 30 March 2026 on.
    fn filled_mirror(days: i64) -> (tempfile::TempDir, Database) {
        let (folder, store) = mirror();
        store
            .write(|tx| {
                for row_id in 1..=2 {
                    tx.execute(
                        "INSERT INTO video (row_id, id, scrape_interval_hours, fingerprint, as_of, first_mirrored_at)
                         VALUES (?1, 'v' || ?1, 24, 0, 0, 0)",
                        [row_id],
                    )?;
                    for day in 0..days {
                        let sql = "INSERT INTO post_scrape (source, at_s, at_ns, view_count) VALUES (?1, ?2, 0, ?3)";
                        tx.execute(sql, (row_id, START_S + day * DAY_S, day * 10))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        (folder, store)
    }

    /// The months of a view that a change affects, by fingerprint and by the view's own rows.
    fn changed(store: &Database, view: &str, sql: &str) -> (Vec<String>, Vec<String>) {
        let read = || {
            store
                .read(|c| {
                    let table = tables(c)?.into_iter().find(|table| table.name == view).unwrap();
                    Ok((months(c, &table)?, of_rows(c, &table)?))
                })
                .unwrap()
        };
        let (before, rows_before) = read();
        store.write(|tx| Ok(tx.execute_batch(sql)?)).unwrap();
        let (after, rows_after) = read();
        let differ = |one: &BTreeMap<String, u128>, other: &BTreeMap<String, u128>| {
            let all: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            all.into_iter().filter(|month| one.get(*month) != other.get(*month)).cloned().collect()
        };
        (differ(&before, &after), differ(&rows_before, &rows_after))
    }

    #[test]
    fn fingerprint_changes_with_the_view() {
        let views = ["video_history", "video_daily", "video_growth"];
        for (sql, months) in [
            ("UPDATE post_scrape SET view_count = 11 WHERE at_s = 1774958400", 1),
            // The last scrape of March is the one before the first of April.
            ("UPDATE post_scrape SET view_count = 11 WHERE at_s = 1774958400 AND source = 2", 1),
            ("INSERT INTO post_scrape (source, at_s, at_ns) VALUES (1, 1774958400, 1)", 1),
            ("UPDATE post_scrape SET view_count = NULL WHERE at_s = 1774872000", 1),
            ("INSERT INTO post_scrape (source, at_s, at_ns) VALUES (1, 1700000000, 0)", 1),
            ("UPDATE video SET id = 'other' WHERE row_id = 1", 3),
            ("SELECT 1; UPDATE video SET view_count = 7", 0),
        ] {
            for view in views {
                let (_folder, store) = filled_mirror(40);
                let (found, real) = changed(&store, view, sql);
                for month in &real {
                    assert!(found.contains(month), "{view}: {sql}: {found:?}, not {real:?}");
                }
                if view == "video_history" {
                    assert_eq!((found.len(), &found), (months, &real), "{sql}");
                }
            }
        }
    }

    #[test]
    fn months_end_at_midnight() {
        let mut calendar = Calendar::default();
        for (at_s, month) in [
            (1_774_994_400, "2026-03"),
            (1_775_001_599, "2026-03"),
            (1_775_001_600, "2026-04"),
            (-1, "1969-12"),
            (0, "1970-01"),
            (253_402_300_799, "9999-12"),
            (-62_167_219_200, "0000-01"),
        ] {
            assert_eq!(calendar.month(at_s), month);
        }
    }
}
