//! The public views, for `export` and other tools outside SQLite: their names, columns and types, and their
//! rows, all read in one snapshot. Exports call them tables.

use chrono::{Months, NaiveDate, NaiveTime};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use crate::model::Value;
use crate::store::database::Database;
use crate::store::error::{StoreError, StoreResult};
use crate::store::query::value;
use crate::store::schema_docs::{self, ValueType, ViewFact};

/// The view for INSERTs by users; not exported, because it shows the bodies of queued requests.
const WRITE_ONLY: &str = "outbox_requests";

/// Views that grow with time, and their time column.
const BY_TIME: [(&str, &str); 13] = [
    ("account_daily", "date"),
    ("account_history", "scraped_at"),
    ("account_video_history", "scraped_at"),
    ("account_weekly", "week"),
    ("change_log", "changed_at"),
    ("creator_daily", "date"),
    ("daily_metrics", "date"),
    ("overview_history", "observed_at"),
    ("post_daily", "date"),
    ("post_history", "scraped_at"),
    ("video_daily", "date"),
    ("video_growth", "to_at"),
    ("video_history", "scraped_at"),
];

/// Views with a row for every day or window, computed from the history by each query: exported only if named.
pub const ONLY_IF_NAMED: [&str; 7] = [
    "account_daily",
    "account_weekly",
    "creator_daily",
    "post_age_metrics",
    "post_daily",
    "post_gains",
    "video_gains",
];

/// The view whose old rows the setting `change_log_retention` deletes.
pub const CHANGE_LOG: &str = "change_log";

/// Length of `YYYY-MM-DD`.
const DAY_BYTES: usize = 10;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Type of its values that are not NULL.
    pub value_type: ValueType,
}

/// A public view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Index of its time column; `None` if it does not grow with time.
    pub time: Option<usize>,
    /// Name of the same time in Unix seconds, by which rows are found in an index.
    unix: Option<&'static str>,
    /// Hash of its definition.
    pub definition: u64,
}

impl Table {
    /// Returns the day of a row, `YYYY-MM-DD`; `None` without a time column.
    pub fn day<'r>(&self, row: &'r [Value<'_>]) -> Option<&'r str> {
        row.get(self.time?)?.as_text()?.get(..DAY_BYTES)
    }

    /// Whether it is exported also if no tables are named.
    pub fn is_default(&self) -> bool {
        !ONLY_IF_NAMED.contains(&self.name)
    }
}

/// Runs `f` in one read transaction, so that it reads one snapshot. Writers are not blocked.
pub fn snapshot<T, E: From<StoreError>>(
    store: &Database,
    f: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    store.read(|c| {
        let transaction = c.unchecked_transaction()?;
        Ok(f(&transaction))
    })?
}

/// Returns the views that users read, in the order that `schema` prints.
pub fn readable_views() -> impl Iterator<Item = &'static ViewFact> {
    schema_docs::VIEWS.iter().filter(|view| view.name != WRITE_ONLY)
}

/// Returns the public views in the order of their names.
pub fn tables(c: &Connection) -> StoreResult<Vec<Table>> {
    let tables = readable_views().map(|view| table(c, view));
    let mut tables = tables.collect::<StoreResult<Vec<Table>>>()?;
    tables.sort_by_key(|table| table.name);
    Ok(tables)
}

fn table(c: &Connection, view: &ViewFact) -> StoreResult<Table> {
    let sql = "SELECT sql FROM sqlite_schema WHERE name = ?1";
    let sql: String = c.query_row(sql, [view.name], |row| row.get(0))?;
    let columns = view
        .columns()
        .map(|column| Column { name: column.name, value_type: column.unit.value_type });
    let columns: Vec<Column> = columns.collect();
    let by_time = BY_TIME.iter().find(|(name, _)| *name == view.name);
    let time = by_time.and_then(|(_, time)| columns.iter().position(|one| one.name == *time));
    let unix = by_time.and_then(|(_, time)| {
        let mut names = columns.iter().map(|column| column.name);
        names.find(|name| name.strip_suffix("_unix") == Some(*time))
    });
    let definition = xxhash_rust::xxh3::xxh3_64(sql.as_bytes());
    Ok(Table { name: view.name, columns, time, unix, definition })
}

/// Selects rows of a view with a time column; of other views all rows are read.
#[derive(Debug, Clone, Copy)]
pub enum RowFilter<'a> {
    /// Every row.
    All,
    /// Rows of this month and later.
    Since(&'a str),
    /// Rows from the first to the last of these months or days.
    Between(&'a str, &'a str),
}

/// Calls `each` with every selected row.
pub fn rows<E: From<StoreError>>(
    c: &Connection,
    table: &Table,
    which: RowFilter<'_>,
    mut each: impl FnMut(&[Value<'_>]) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |error: rusqlite::Error| E::from(StoreError::from(error));
    let names: Vec<String> = table.columns.iter().map(|column| quoted(column.name)).collect();
    let mut sql = format!("SELECT {} FROM {}", names.join(", "), quoted(table.name));
    let bounds = match which {
        RowFilter::All => None,
        RowFilter::Since(month) => Some((month, "9999-12")),
        RowFilter::Between(first, last) => Some((first, last)),
    };
    let mut parameters = Vec::new();
    if let Some((time, (first, last))) = table.time.and_then(|time| names.get(time)).zip(bounds) {
        let seconds = start_s(first).zip(end_s(last));
        if let Some((unix, (from, to))) = table.unix.zip(seconds) {
            sql.push_str(&format!(" WHERE {unix} >= ?1 AND {unix} < ?2"));
            parameters.extend([Sql::Integer(from), Sql::Integer(to)]);
        } else {
            sql.push_str(&format!(" WHERE {time} >= ?1 AND {time} < ?2"));
            // A text that begins with a month or day sorts before that and a tilde.
            parameters.extend([Sql::Text(first.to_owned()), Sql::Text(format!("{last}~"))]);
        }
    }
    let mut statement = c.prepare(&sql).map_err(failed)?;
    let mut rows = statement.query(params_from_iter(parameters)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let values = (0..table.columns.len()).map(|at| Ok(value(row.get_ref(at)?)));
        let values = values.collect::<Result<Vec<Value<'_>>, _>>().map_err(failed)?;
        each(&values)?;
    }
    Ok(())
}

/// The first day of a month or day, `YYYY-MM` or `YYYY-MM-DD`.
fn first_day(period: &str) -> Option<NaiveDate> {
    period.parse().or_else(|_| format!("{period}-01").parse()).ok()
}

/// The first second of a month or day.
fn start_s(period: &str) -> Option<i64> {
    Some(midnight(first_day(period)?))
}

/// The first second after a month or day.
fn end_s(period: &str) -> Option<i64> {
    let first = first_day(period)?;
    let next = match period.len() < DAY_BYTES {
        true => first.checked_add_months(Months::new(1)),
        false => first.succ_opt(),
    };
    next.map(midnight)
}

fn midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_end_at_midnight() {
        for (period, from, to) in [
            ("2026-03", 1_772_323_200, 1_775_001_600),
            ("2026-03-31", 1_774_915_200, 1_775_001_600),
            ("1970-01-01", 0, 86_400),
            ("1969-12", -2_678_400, 0),
        ] {
            assert_eq!((start_s(period), end_s(period)), (Some(from), Some(to)), "{period}");
        }
        assert!(end_s("9999-12").is_some() && start_s("0000-01").is_some());
        assert_eq!(start_s("2026-13"), None);
    }
}
