//! Short forms of reading: each statement is prepared once per connection, and rows become values.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::store::error::StoreResult;

/// Reading from a connection, or from the transaction that derefs to it.
pub(super) trait Query {
    /// The first column of the one row that there is.
    fn value<T: FromSql>(&self, sql: &str, parameters: impl Params) -> StoreResult<T>;

    /// The one row that there is.
    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<T>;

    /// The first row, if there is any.
    fn optional<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Option<T>>;

    /// Executes a statement that writes.
    fn exec(&self, sql: &str, parameters: impl Params) -> StoreResult<()>;

    /// All rows, collected.
    fn all<T, C: FromIterator<T>>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<C>;
}

impl Query for Connection {
    fn value<T: FromSql>(&self, sql: &str, parameters: impl Params) -> StoreResult<T> {
        self.one(sql, parameters, |row| row.get(0))
    }

    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<T> {
        Ok(self.prepare_cached(sql)?.query_row(parameters, read)?)
    }

    fn optional<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Option<T>> {
        Ok(self.prepare_cached(sql)?.query_row(parameters, read).optional()?)
    }

    fn exec(&self, sql: &str, parameters: impl Params) -> StoreResult<()> {
        self.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    fn all<T, C: FromIterator<T>>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<C> {
        Ok(self.prepare_cached(sql)?.query_map(parameters, read)?.collect::<Result<_, _>>()?)
    }
}

/// Reads a type from the columns that are named like its fields.
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
