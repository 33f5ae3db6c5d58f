//! How types of the model are stored: those that have names as these, values as what they are.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::model::outbox::{Action, State};
use crate::model::{Kind, Outcome, Value};

/// Stores a type by its `name`, and reads it with its `from_name`.
macro_rules! stored_by_name {
    ($($type:ty),+) => {$(
        impl rusqlite::ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.name().into())
            }
        }

        impl rusqlite::types::FromSql for $type {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                let found = Self::from_name(value.as_str()?);
                found.ok_or(rusqlite::types::FromSqlError::InvalidType)
            }
        }
    )+};
}

pub(super) use stored_by_name;

stored_by_name!(Action, Kind, Outcome, State);

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(value_ref(self)))
    }
}

/// A value as SQLite has it.
pub(super) fn value_ref<'a>(value: &'a Value<'_>) -> ValueRef<'a> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Real(number) => ValueRef::Real(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
    }
}

/// A value as it was read from SQLite.
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
