//! Short forms of queries with cached statements, reading of rows into structs, and conversions of model
//! types to and from SQLite values.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, ToSql};

use crate::model::outbox::{Action, State};
use crate::model::{BackoffScope, Kind, Outcome, Value};
use crate::store::error::StoreResult;

/// Queries on a connection, or on a transaction, which derefs to one.
pub(super) trait Query {
    /// Returns a statement from the cache.
    fn cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>>;

    /// Returns the first column of the only row.
    fn value<T: FromSql>(&self, sql: &str, parameters: impl Params) -> StoreResult<T> {
        self.one(sql, parameters, |row| row.get(0))
    }

    /// Returns the only row.
    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<T> {
        Ok(self.cached(sql)?.query_row(parameters, read)?)
    }

    /// Returns the first row, if there is one.
    fn optional<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Option<T>> {
        Ok(self.cached(sql)?.query_row(parameters, read).optional()?)
    }

    /// Executes a statement that writes.
    fn exec(&self, sql: &str, parameters: impl Params) -> StoreResult<()> {
        self.cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Returns all rows.
    fn all<T, C: FromIterator<T>>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<C> {
        Ok(self.cached(sql)?.query_map(parameters, read)?.collect::<Result<_, _>>()?)
    }
}

impl Query for Connection {
    fn cached(&self, sql: &str) -> rusqlite::Result<CachedStatement<'_>> {
        self.prepare_cached(sql)
    }
}

/// Implements `from_row`, which reads a struct from the columns named like its fields.
macro_rules! from_row {
    ($type:ident: $($field:ident),+) => {
        impl $type {
            pub(crate) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                Ok(Self { $($field: row.get(stringify!($field))?),+ })
            }
        }
    };
}
pub(super) use from_row;

/// Stores a type by its `name`, and reads it with its `from_name`.
macro_rules! stored_by_name {
    ($($type:ty),+) => {$(
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.name().into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                Self::from_name(value.as_str()?).ok_or(FromSqlError::InvalidType)
            }
        }
    )+};
}

stored_by_name!(Action, BackoffScope, Kind, Outcome, State);

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(value_ref(self)))
    }
}

/// Converts a value for SQLite.
pub(super) fn value_ref<'a>(value: &'a Value<'_>) -> ValueRef<'a> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
    }
}

/// Converts a value read from SQLite; a blob becomes text.
pub(super) fn value(read: ValueRef<'_>) -> Value<'_> {
    match read {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Value::Text(String::from_utf8_lossy(bytes))
        }
    }
}
