//! The public views, for `export` and other tools outside SQLite: their names, columns and types, and their
//! rows, all read in one snapshot. Exports call them tables.

use std::collections::BTreeSet;

use rusqlite::{Connection, params_from_iter};

use crate::model::Value;
use crate::store::database::Database;
use crate::store::error::{StoreError, StoreResult};
use crate::store::query::value;
use crate::store::schema_docs::{self, ValueType, ViewFact};

/// The view for INSERTs by users; not exported, because it shows the bodies of queued requests.
const WRITE_ONLY: &str = "outbox_requests";

/// Views that grow with time, and their time column.
const BY_TIME: [(&str, &str); 7] = [
    ("account_history", "scraped_at"),
    ("account_video_history", "scraped_at"),
    ("daily_metrics", "date"),
    ("overview_history", "observed_at"),
    ("video_daily", "date"),
    ("video_growth", "to_at"),
    ("video_history", "scraped_at"),
];

/// Length of `YYYY-MM`.
const MONTH_BYTES: usize = 7;

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
    /// Hash of its definition.
    pub definition: u64,
}

impl Table {
    /// Returns the month of a row, `YYYY-MM`; `None` without a time column.
    pub fn month<'r>(&self, row: &'r [Value<'_>]) -> Option<&'r str> {
        row.get(self.time?)?.as_text()?.get(..MONTH_BYTES)
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
    let definition = xxhash_rust::xxh3::xxh3_64(sql.as_bytes());
    Ok(Table { name: view.name, columns, time, definition })
}

/// Selects rows of a view with a time column; of other views all rows are read.
#[derive(Debug, Clone, Copy)]
pub enum RowFilter<'a> {
    /// Every row.
    All,
    /// Rows of this month and later.
    Since(&'a str),
    /// Rows of these months.
    Of(&'a BTreeSet<String>),
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
    // A text that begins with a month sorts before that month and a tilde.
    let bounds = match which {
        RowFilter::All => None,
        RowFilter::Since(month) => Some((month, "9999-12")),
        RowFilter::Of(months) => match months.first().zip(months.last()) {
            Some((first, last)) => Some((first.as_str(), last.as_str())),
            None => return Ok(()),
        },
    };
    let mut parameters = Vec::new();
    if let Some((time, (first, last))) = table.time.and_then(|time| names.get(time)).zip(bounds) {
        sql.push_str(&format!(" WHERE {time} >= ?1 AND {time} < ?2"));
        parameters.extend([first.to_owned(), format!("{last}~")]);
    }
    let mut statement = c.prepare(&sql).map_err(failed)?;
    let mut rows = statement.query(params_from_iter(parameters)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let values = (0..table.columns.len()).map(|at| Ok(value(row.get_ref(at)?)));
        let values = values.collect::<Result<Vec<Value<'_>>, _>>().map_err(failed)?;
        let is_wanted = match which {
            RowFilter::Of(months) if table.time.is_some() => {
                table.month(&values).is_some_and(|month| months.contains(month))
            }
            _ => true,
        };
        if is_wanted {
            each(&values)?;
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
