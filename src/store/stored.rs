//! Conversions of model types to and from SQLite values; named types are stored by name.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::model::outbox::{Action, State};
use crate::model::{BackoffScope, Kind, Outcome, Value};

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
