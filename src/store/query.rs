//! Short forms of queries with cached statements, and reading of rows into structs.

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row};

use crate::store::error::StoreResult;

/// Queries on a connection, or on a transaction, which derefs to one.
pub(super) trait Query {
    /// Returns the first column of the only row.
    fn value<T: FromSql>(&self, sql: &str, parameters: impl Params) -> StoreResult<T>;

    /// Returns the only row.
    fn one<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<T>;

    /// Returns the first row, if there is one.
    fn optional<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> StoreResult<Option<T>>;

    /// Executes a statement that writes.
    fn exec(&self, sql: &str, parameters: impl Params) -> StoreResult<()>;

    /// Returns all rows.
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
