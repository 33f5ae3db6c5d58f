//! Runs statements of others, such as those of an AI agent: public views alone, bounded in time and memory.
//!
//! [`policy`] decides what a statement may refer to, [`limits`] bounds it, and `functions` replaces those of SQLite that
//! could run for long. The connection itself may only read.

mod error;
mod functions;
mod limits;
mod policy;

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement, ToSql};
use serde_json::{Map, Value};

pub use error::QueryError;

use crate::store::error::StoreResult;
use crate::store::open::{self, Access};
use crate::store::schema_docs::ViewFact;
use limits::TempFileLimit;
pub use limits::limit_process;
use policy::Policy;

/// Values of the parameters of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameters {
    /// By name, without the prefix.
    Named(Map<String, Value>),
    /// In order.
    Positional(Vec<Value>),
}

/// How many rows to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most rows.
    pub rows: usize,
    /// Longest JSON of all rows, bytes.
    pub bytes: usize,
}

/// Why there are no more rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// These are all.
    Complete,
    /// There are more than [`Bounds::rows`].
    Rows,
    /// The next row would exceed [`Bounds::bytes`].
    Bytes,
    /// The next row alone exceeds [`Bounds::bytes`], and this column most of all.
    Cell {
        /// Name of the column.
        column: String,
        /// Length of its value, bytes.
        bytes: usize,
    },
}

/// Rows of a statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows. A blob is an object with its bytes in hexadecimal.
    pub rows: Vec<Vec<Value>>,
    /// Why there are no more.
    pub end: End,
}

impl Rows {
    /// Returns the statement for the rows after these.
    pub fn next_page(&self, sql: &str) -> String {
        format!("SELECT * FROM ({sql}) LIMIT -1 OFFSET {}", self.rows.len())
    }
}

/// A connection for statements of others.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    policy: Policy,
}

impl Reader {
    /// Opens the database. Statements end once `is_stopped` returns `true`, and so does their compilation.
    pub fn open(
        path: &Path,
        is_stopped: impl Fn() -> bool + Clone + Send + 'static,
    ) -> StoreResult<Self> {
        let policy = Policy::new(is_stopped.clone())?;
        let (mut connection, _) = open::read_only(path, Access::Reads)?;
        functions::replace_slow(&connection, &is_stopped)?;
        limits::apply(&mut connection, is_stopped)?;
        connection.pragma_update(None, "query_only", true)?;
        for (setting, is_on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        ] {
            connection.set_db_config(setting, is_on)?;
        }
        policy::restrict(&mut connection)?;
        Ok(Self { connection, policy })
    }

    /// Runs a statement.
    pub fn query(
        &self,
        sql: &str,
        parameters: &Parameters,
        bounds: Bounds,
    ) -> Result<Rows, QueryError> {
        self.policy.check(sql)?;
        let _limit = TempFileLimit::set();
        let mut statement = self.connection.prepare(sql).map_err(QueryError::of)?;
        bind(&mut statement, parameters)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = Rows { columns, rows: Vec::new(), end: End::Complete };
        let mut bytes = 0;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(QueryError::of)? {
            if found.rows.len() >= bounds.rows {
                found.end = End::Rows;
                break;
            }
            let left = bounds.bytes.saturating_sub(bytes);
            match read(row, &found.columns, left)? {
                Ok((values, length)) => {
                    bytes = bytes.saturating_add(length);
                    found.rows.push(values);
                }
                Err(cell) if bytes == 0 => {
                    found.end = cell;
                    break;
                }
                Err(_) => {
                    found.end = End::Bytes;
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Counts the rows of a view.
    pub fn count(&self, view: &ViewFact) -> Result<i64, QueryError> {
        let _limit = TempFileLimit::set();
        let sql = format!("SELECT count(*) FROM \"{}\"", view.name);
        self.connection.query_row(&sql, [], |row| row.get(0)).map_err(QueryError::of)
    }

    /// Returns the rows of the view `coverage`: how complete the mirror is, by kind.
    pub fn coverage(&self) -> Result<Rows, QueryError> {
        let bounds = Bounds { rows: usize::MAX, bytes: usize::MAX };
        self.query(
            "SELECT * FROM coverage ORDER BY kind",
            &Parameters::Positional(Vec::new()),
            bounds,
        )
    }
}

/// A parameter's value: JSON for SQLite.
struct Bound<'v>(&'v Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(is_true) => i64::from(*is_true).into(),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => integer.into(),
                (None, real) => real.unwrap_or(f64::NAN).into(),
            },
            Value::String(text) => text.as_str().into(),
            // For `json_each`.
            document => document.to_string().into(),
        })
    }
}

/// Binds every parameter. One that is missing or unknown is an error.
fn bind(statement: &mut Statement<'_>, parameters: &Parameters) -> Result<(), QueryError> {
    let wrong = |text: String| Err(QueryError::Parameter(text));
    let count = statement.parameter_count();
    let mut known = Vec::new();
    for index in 1..=count {
        let name = statement.parameter_name(index).map(|name| {
            let name = name.trim_start_matches([':', '@', '$', '?']);
            name.to_owned()
        });
        let value = match (parameters, &name) {
            (Parameters::Named(values), Some(name)) => values.get(name),
            (Parameters::Named(_), None) => None,
            (Parameters::Positional(values), _) => values.get(index - 1),
        };
        let Some(value) = value else {
            return wrong(match name {
                Some(name) => format!("the parameter `{name}` has no value"),
                None => format!("parameter {index} has no value"),
            });
        };
        let bound = statement.raw_bind_parameter(index, Bound(value));
        bound.map_err(QueryError::of)?;
        known.extend(name);
    }
    match parameters {
        Parameters::Named(values) => match values.keys().find(|name| !known.contains(name)) {
            Some(name) => wrong(format!("the statement has no parameter `{name}`")),
            None => Ok(()),
        },
        Parameters::Positional(values) if values.len() > count => {
            wrong(format!("{} values for {count} parameters", values.len()))
        }
        Parameters::Positional(_) => Ok(()),
    }
}

type RowRead = Result<(Vec<Value>, usize), End>;

/// Reads a row whose JSON has at most `bytes_max` bytes, and returns its length. A longer row is not copied.
fn read(row: &Row<'_>, columns: &[String], bytes_max: usize) -> Result<RowRead, QueryError> {
    let mut largest = (0, "");
    let mut length = 0_usize;
    for (index, column) in columns.iter().enumerate() {
        let bytes = match row.get_ref(index).map_err(QueryError::of)? {
            ValueRef::Text(bytes) => bytes.len(),
            ValueRef::Blob(bytes) => bytes.len() * 2,
            _ => 1,
        };
        length = length.saturating_add(bytes);
        if bytes > largest.0 {
            largest = (bytes, column);
        }
    }
    let too_long = End::Cell { column: largest.1.to_owned(), bytes: largest.0 };
    if length > bytes_max {
        return Ok(Err(too_long));
    }
    let mut values = Vec::with_capacity(columns.len());
    // Brackets and commas; escapes make a text longer than its bytes.
    let mut length = columns.len().saturating_add(1);
    for index in 0..columns.len() {
        let value = json(row.get_ref(index).map_err(QueryError::of)?);
        length = length.saturating_add(value.to_string().len());
        if length > bytes_max {
            return Ok(Err(too_long));
        }
        values.push(value);
    }
    Ok(Ok((values, length)))
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        // JSON has no infinity.
        ValueRef::Real(number) if number.is_finite() => number.into(),
        ValueRef::Real(number) => number.to_string().into(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
        ValueRef::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Value::Object(Map::from_iter([("hex".to_owned(), Value::String(hex))]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::mirror;

    /// What [`Policy`] refuses, the connection to the mirror refuses as well.
    #[test]
    fn connection_itself_only_reads() {
        let (_folder, store) = mirror();
        let reader = Reader::open(store.path(), || false).unwrap();
        for sql in [
            "SELECT * FROM outbox",
            "SELECT * FROM sqlite_schema",
            "DELETE FROM video",
            "INSERT INTO outbox_requests (kind, action) VALUES ('video', 'untrack')",
            "CREATE TEMP TABLE x (y)",
            "PRAGMA query_only = 0",
            "ATTACH ':memory:' AS x",
            "SELECT load_extension('x')",
        ] {
            let refused = reader.connection.prepare(sql).err();
            assert!(refused.is_some(), "{sql}");
        }
        let mut connection = reader.connection;
        let none: Option<fn(rusqlite::hooks::AuthContext<'_>) -> rusqlite::hooks::Authorization> =
            None;
        connection.authorizer(none).unwrap();
        let query_only: i64 =
            connection.pragma_query_value(None, "query_only", |row| row.get(0)).unwrap();
        assert_eq!(query_only, 1);
    }

    #[test]
    fn statement_ends_when_it_is_stopped() {
        let (_folder, store) = mirror();
        let calls = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let shared = std::sync::Arc::clone(&calls);
        let is_stopped = move || shared.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 1_000;
        let reader = Reader::open(store.path(), is_stopped).unwrap();
        let sql =
            "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT max(x) FROM r";
        let bounds = Bounds { rows: 1, bytes: 1_000 };
        let stopped = reader.query(sql, &Parameters::Positional(Vec::new()), bounds);
        assert!(matches!(stopped, Err(QueryError::Stopped)), "{stopped:?}");
    }
}
