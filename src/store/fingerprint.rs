//! What a month of a table holds, as a number: equal means that it would be exported as before, and
//! any change shows, a revised count as much as a new row.
//!
//! The number is a sum over hashes of rows, so that the order in which they are read is of no
//! account. For what follows from scrapes these are read as they are stored, in one run over all
//! months, which is many times cheaper than reading the views.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::Kind;
use crate::store::error::{StoreError, StoreResult};
use crate::store::public_tables::{Table, Which, rows};
use crate::store::stored::value_ref;

/// What the rows of a view over scrapes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// One scrape.
    Alone,
    /// A scrape and the one before.
    Before,
    /// These, and the video's interval.
    Interval,
}

/// The fingerprint of each month, `YYYY-MM`; nothing for what does not grow with time.
pub fn months(c: &Connection, table: &Table) -> StoreResult<BTreeMap<String, u128>> {
    match table.name {
        "account_history" => of_scrapes(c, Kind::Account, Reach::Alone),
        "account_video_history" => of_scrapes(c, Kind::AccountVideo, Reach::Alone),
        "video_history" => of_scrapes(c, Kind::Video, Reach::Alone),
        "video_daily" => of_scrapes(c, Kind::Video, Reach::Before),
        "video_growth" => of_scrapes(c, Kind::Video, Reach::Interval),
        _ => of_rows(c, table),
    }
}

fn of_rows(c: &Connection, table: &Table) -> StoreResult<BTreeMap<String, u128>> {
    let mut found = BTreeMap::new();
    let mut bytes = Vec::new();
    rows(c, table, Which::All, |row| {
        if let Some(month) = table.month(row) {
            bytes.clear();
            row.iter().for_each(|value| push(&mut bytes, value_ref(value)));
            add(&mut found, month, &bytes);
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

fn of_scrapes(c: &Connection, kind: Kind, reach: Reach) -> StoreResult<BTreeMap<String, u128>> {
    let table = kind.name();
    let whose = match (kind, reach) {
        (Kind::AccountVideo, _) => "r.id, r.platform",
        (_, Reach::Interval) => "r.id, r.scrape_interval_hours",
        _ => "r.id, NULL",
    };
    // CROSS JOIN keeps this order of the tables, in which nothing needs sorting.
    let sql = format!(
        "SELECT {whose}, s.*
         FROM {table} AS r CROSS JOIN {table}_scrape AS s ON s.{table} = r.row_id
         ORDER BY r.row_id, s.at_s, s.at_ns"
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
        // The third column is the resource's row_id.
        let row_id: i64 = row.get(2)?;
        let month = calendar.month(row.get(at)?);
        // Within a month the one before is in the sum itself.
        if reach != Reach::Alone && former_row_id == Some(row_id) && former_month != month {
            bytes.extend_from_slice(&former);
        }
        add(&mut found, month, &bytes);
        if reach != Reach::Alone {
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

/// Adds a value in a form that no other value and no two values together have.
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

/// Tells months. Scrapes lie in order, so the month is mostly that of the one before.
#[derive(Debug, Default)]
struct Calendar {
    from_s: i64,
    to_s: i64,
    month: String,
}

impl Calendar {
    fn month(&mut self, at_s: i64) -> &str {
        if !(self.from_s..self.to_s).contains(&at_s) {
            self.turn_to(at_s);
        }
        &self.month
    }

    fn turn_to(&mut self, at_s: i64) {
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
    use crate::store::open::IfMissing;
    use crate::store::public_tables::tables;

    const DAY_S: i64 = 86_400;
    /// 2026-03-30T12:00:00Z.
    const START_S: i64 = 1_774_872_000;

    /// Two videos with a scrape every day from 30 March 2026 on.
    fn mirror(days: i64) -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        store
            .write(|tx| {
                for row_id in 1..=2 {
                    tx.execute(
                        "INSERT INTO video (row_id, id, scrape_interval_hours, fingerprint, as_of, first_mirrored_at)
                         VALUES (?1, 'v' || ?1, 24, 0, 0, 0)",
                        [row_id],
                    )?;
                    for day in 0..days {
                        let sql = "INSERT INTO video_scrape (video, at_s, at_ns, view_count) VALUES (?1, ?2, 0, ?3)";
                        tx.execute(sql, (row_id, START_S + day * DAY_S, day * 10))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        (folder, store)
    }

    /// The months of a view that differ before and after a change, by fingerprint, and by what the
    /// view itself says.
    fn changed(store: &Database, view: &str, sql: &str) -> (Vec<String>, Vec<String>) {
        let look = || {
            store
                .read(|c| {
                    let table = tables(c)?.into_iter().find(|table| table.name == view).unwrap();
                    Ok((months(c, &table)?, of_rows(c, &table)?))
                })
                .unwrap()
        };
        let (before, rows_before) = look();
        store.write(|tx| Ok(tx.execute_batch(sql)?)).unwrap();
        let (after, rows_after) = look();
        let differ = |one: &BTreeMap<String, u128>, other: &BTreeMap<String, u128>| {
            let all: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            all.into_iter().filter(|month| one.get(*month) != other.get(*month)).cloned().collect()
        };
        (differ(&before, &after), differ(&rows_before, &rows_after))
    }

    #[test]
    fn every_change_of_a_view_shows_and_next_to_nothing_else() {
        let views = ["video_history", "video_daily", "video_growth"];
        for (sql, months) in [
            ("UPDATE video_scrape SET view_count = 11 WHERE at_s = 1774958400", 1),
            // The last scrape of March is the one before the first of April.
            ("UPDATE video_scrape SET view_count = 11 WHERE at_s = 1774958400 AND video = 2", 1),
            ("INSERT INTO video_scrape (video, at_s, at_ns) VALUES (1, 1774958400, 1)", 1),
            ("UPDATE video_scrape SET view_count = NULL WHERE at_s = 1774872000", 1),
            ("INSERT INTO video_scrape (video, at_s, at_ns) VALUES (1, 1700000000, 0)", 1),
            ("UPDATE video SET id = 'other' WHERE row_id = 1", 3),
            ("SELECT 1; UPDATE video SET view_count = 7", 0),
        ] {
            for view in views {
                let (_folder, store) = mirror(40);
                let (told, real) = changed(&store, view, sql);
                for month in &real {
                    assert!(told.contains(month), "{view}: {sql}: {told:?}, not {real:?}");
                }
                if view == "video_history" {
                    assert_eq!((told.len(), &told), (months, &real), "{sql}");
                }
            }
        }
    }

    #[test]
    fn an_interval_is_part_of_growth_alone() {
        let sql = "UPDATE video SET scrape_interval_hours = 6 WHERE row_id = 1";
        for (view, expected) in [("video_history", 0), ("video_daily", 0), ("video_growth", 3)] {
            let (_folder, store) = mirror(40);
            let (told, real) = changed(&store, view, sql);
            assert_eq!((told.len(), real.len()), (expected, expected), "{view}");
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
