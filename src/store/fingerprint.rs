//! Fingerprints of the days of a view: `export` writes a day or month again only if its fingerprint changed.
//!
//! A fingerprint is a sum of hashes, so that of a month is the sum of those of its days. For views over scrapes
//! and daily metrics the versions of days are hashed ([`day_versions`]), which costs no scan of the history; for the
//! log of changes its newest row, since changes are only added; for other views their rows.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate, TimeDelta};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::xxh3_128;

use crate::store::day_versions::{self, METRIC, PAIR, POST};
use crate::store::error::{StoreError, StoreResult};
use crate::store::public_tables::{CHANGE_LOG, RowFilter, Table, rows};
use crate::store::query::{Query, value_ref};

/// The last day that SQLite's date functions know.
const LAST_DAY: &str = "9999-12-31";

/// The topics of [`day_versions`] that a view depends on; `None` if its rows are read.
fn topics(view: &str) -> Option<&'static [&'static str]> {
    Some(match view {
        "account_history" => &["account"],
        "account_video_history" => &["account_video"],
        "video_history" => &["video"],
        "video_daily" | "video_growth" => &["video", PAIR],
        "post_history" => &["video", "account_video", POST],
        "daily_metrics" => &[METRIC],
        _ => return None,
    })
}

/// Whether rows leave a view although they were not wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retention {
    /// A row that is gone was wrong.
    All,
    /// The oldest rows are deleted, so far those of days to this one, of which some may be left.
    Newest(Option<String>),
}

/// The days of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Days {
    /// Fingerprints by day, `YYYY-MM-DD`. There may be days without rows.
    pub fingerprints: BTreeMap<String, u128>,
    /// Which rows are kept.
    pub retention: Retention,
}

/// Returns the days of a view with a time column. Only those from the month `since` on are needed.
pub fn days(c: &Connection, table: &Table, since: Option<&str>) -> StoreResult<Days> {
    if table.name == CHANGE_LOG {
        return of_newest_changes(c);
    }
    let fingerprints = match topics(table.name) {
        Some(topics) => of_versions(c, topics)?,
        None => of_rows(c, table, since)?,
    };
    Ok(Days { fingerprints, retention: Retention::All })
}

fn of_versions(c: &Connection, topics: &[&str]) -> StoreResult<BTreeMap<String, u128>> {
    let mut found = BTreeMap::new();
    for (day, versions) in day_versions::read(c, topics)? {
        let Some(day) = shown_day(day) else { continue };
        for (topic, version) in versions {
            let mut bytes = topic.into_bytes();
            bytes.extend_from_slice(day.as_bytes());
            bytes.extend_from_slice(&version.to_le_bytes());
            add(&mut found, &day, &bytes);
        }
    }
    Ok(found)
}

/// The newest change of each day. Whether older ones were deleted does not matter.
fn of_newest_changes(c: &Connection) -> StoreResult<Days> {
    let sql = "SELECT substr(changed_at_text, 1, 10) AS day, max(change), changed_at FROM change GROUP BY day";
    let newest: Vec<(String, i64, i64)> =
        c.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let of = |(day, change, changed_at): (String, i64, i64)| {
        let fingerprint = xxh3_128(format!("{change} {changed_at}").as_bytes());
        (day, fingerprint)
    };
    let fingerprints: BTreeMap<String, u128> = newest.into_iter().map(of).collect();
    // Numbers begin at 1 and are not used again.
    let sql = "SELECT coalesce((SELECT min(change) FROM change), max(seq) + 1, 1) > 1
               FROM sqlite_sequence WHERE name = 'change'";
    let is_deleted: bool = c.value(sql, [])?;
    let first = fingerprints.keys().next().cloned();
    let deleted_to = is_deleted.then(|| first.unwrap_or_else(|| LAST_DAY.to_owned()));
    Ok(Days { fingerprints, retention: Retention::Newest(deleted_to) })
}

fn of_rows(
    c: &Connection,
    table: &Table,
    since: Option<&str>,
) -> StoreResult<BTreeMap<String, u128>> {
    let mut found = BTreeMap::new();
    let mut bytes = Vec::new();
    rows(c, table, since.map_or(RowFilter::All, RowFilter::Since), |row| {
        if let Some(day) = table.day(row) {
            bytes.clear();
            row.iter().for_each(|value| push(&mut bytes, value_ref(value)));
            add(&mut found, day, &bytes);
        }
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

/// A day, given in days since 1970, if it is in a year that SQLite's date functions know.
fn shown_day(day: i64) -> Option<String> {
    let day = NaiveDate::default().checked_add_signed(TimeDelta::try_days(day)?)?;
    (0..=9_999).contains(&day.year()).then(|| day.to_string())
}

fn add(found: &mut BTreeMap<String, u128>, day: &str, bytes: &[u8]) {
    let hash = xxh3_128(bytes);
    match found.get_mut(day) {
        Some(sum) => *sum = sum.wrapping_add(hash),
        None => {
            found.insert(day.to_owned(), hash);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::model::{Kind, SubjectKind};
    use crate::store::metrics::{self, DayMetrics, Subject, Wanted};
    use crate::store::public_tables::tables;
    use crate::store::rows::{RowWriter, Source};
    use crate::store::testing::mirror;
    use crate::store::{Database, StoreResult};

    const VIEWS: [&str; 8] = [
        "account_history",
        "account_video_history",
        "change_log",
        "daily_metrics",
        "post_history",
        "video_daily",
        "video_growth",
        "video_history",
    ];

    type Sums = BTreeMap<String, u128>;

    /// The fingerprints of each view, and what its rows would give.
    fn fingerprints(store: &Database) -> Vec<(Sums, Sums)> {
        store
            .read(|c| {
                let all = tables(c)?;
                let of = |view: &&str| {
                    let table = all.iter().find(|table| table.name == *view).unwrap();
                    Ok((days(c, table, None)?.fingerprints, of_rows(c, table, None)?))
                };
                VIEWS.iter().map(of).collect::<StoreResult<_>>()
            })
            .unwrap()
    }

    fn changed(before: &Sums, after: &Sums) -> BTreeSet<String> {
        let all = before.keys().chain(after.keys());
        all.filter(|day| before.get(*day) != after.get(*day)).cloned().collect()
    }

    /// A row with a scrape at some time of a few days, of a post with one of a few keys.
    fn row(random: &mut impl Rng, kind: Kind) -> String {
        let (id, external) = (random.random_range(0..3), random.random_range(0..9) / 4);
        let at = random.random_range(0..16);
        let (day, hour) = (25 + at / 3, at % 3 * 7 + 1);
        let (month, day) = if day > 28 { (3, day - 28) } else { (2, day) };
        let views = ["null".to_owned(), random.random_range(0..50).to_string()];
        let views = &views[random.random_range(0..8).min(1)];
        let active = if kind == Kind::AccountVideo || random.random_bool(0.8) {
            ""
        } else {
            r#""is_active":false,"#
        };
        format!(
            r#"{{"id":"{id}","platform":"tiktok","external_id":"e{external}",{active}"view_count":{views},
                "last_scrape_time":"2026-{month:02}-{day:02}T{hour:02}:00:00Z","scrape_interval_hours":6}}"#
        )
    }

    fn write(store: &Database, random: &mut impl Rng, as_of: i64) {
        let kind = match random.random_range(0..5) {
            0 => Kind::Account,
            1 | 2 => Kind::AccountVideo,
            _ => Kind::Video,
        };
        let row = crate::api::decode::row(kind, row(random, kind)).unwrap();
        let source = Source { page: None, as_of };
        store.write(|tx| RowWriter::new(tx, kind)?.write(&row, source)).unwrap();
    }

    fn write_metrics(store: &Database, random: &mut impl Rng) {
        let day = random.random_range(20_500..20_503);
        let wanted = Wanted {
            subject_kind: SubjectKind::Videos,
            day,
            date: shown_day(day).unwrap(),
            has_settled: false,
        };
        let row_id = random.random_range(1..3);
        let subject = Subject { row_id, id: format!("v{row_id}"), is_again: false };
        let answer = match random.random_range(0..3) {
            0 => DayMetrics::NotFound,
            _ => {
                let views = random.random_range(0..3);
                let metrics = [Some(views), None, None, None, None, None];
                DayMetrics::Figures { metrics, is_final: false }
            }
        };
        store.write(|tx| metrics::write(tx, &wanted, &[(subject, answer)])).unwrap();
    }

    /// Without this, an export would miss a revised scrape of an old month.
    #[test]
    fn every_change_of_a_day_changes_its_fingerprint() {
        for seed in 0..4 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let (_folder, store) = mirror();
            let mut before = fingerprints(&store);
            for step in 0..60 {
                // Sometimes an older answer comes later. Changes are logged on the days of the scrapes.
                let hour = 1_771_977_600 + (step - random.random_range(0..3)) * 3 * 3_600;
                match random.random_range(0..8) {
                    0 => write_metrics(&store, &mut random),
                    _ => write(&store, &mut random, hour * 1_000_000),
                }
                let after = fingerprints(&store);
                for ((view, before), after) in VIEWS.iter().zip(&before).zip(&after) {
                    let found = changed(&before.0, &after.0);
                    let real = changed(&before.1, &after.1);
                    assert!(
                        found.is_superset(&real),
                        "{seed}, {step}, {view}: {found:?}, not {real:?}"
                    );
                    if view.ends_with("o_history") || *view == "change_log" {
                        assert_eq!(found, real, "{seed}, {step}, {view}");
                    }
                    assert!(after.1.keys().all(|day| after.0.contains_key(day)), "{view}");
                }
                before = after;
            }
            assert!(before.iter().all(|(_, rows)| rows.len() > 1), "{seed}: a view is empty");
        }
    }
}
