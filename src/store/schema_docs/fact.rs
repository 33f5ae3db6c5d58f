//! The types that describe views and columns.

use crate::model::named::named;

named! {
    /// Type of a column's values that are not NULL.
    pub enum ValueType {
        /// Text.
        Text = "text",
        /// A whole number of 64 bits.
        Integer = "integer",
        /// A floating-point number.
        Real = "real",
        /// 0 or 1.
        Boolean = "boolean",
        /// An instant in UTC, `YYYY-MM-DDTHH:MM:SSZ`, with a fraction where it is not zero.
        Instant = "timestamp",
        /// A day in UTC, `YYYY-MM-DD`.
        Date = "date",
        /// A JSON document.
        Json = "json",
        /// Text or a number, depending on the row.
        Any = "any",
    }
}

impl ValueType {
    /// Returns the SQLite type that stores it.
    pub const fn sql_type(self) -> &'static str {
        match self {
            Self::Text | Self::Instant | Self::Date | Self::Json => "text",
            Self::Integer | Self::Boolean => "integer",
            Self::Real => "real",
            Self::Any => "any",
        }
    }
}

/// Unit or text format of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Name shown to users.
    pub name: &'static str,
    /// Type of the values.
    pub value_type: ValueType,
}

const fn unit(name: &'static str, value_type: ValueType) -> Unit {
    Unit { name, value_type }
}

pub(super) const ID: Unit = unit("id", ValueType::Text);
pub(super) const TEXT: Unit = unit("text", ValueType::Text);
pub(super) const ANY: Unit = unit("value", ValueType::Any);
pub(super) const URL: Unit = unit("URL", ValueType::Text);
pub(super) const INSTANT: Unit = unit("UTC instant", ValueType::Instant);
pub(super) const UNIX_SECONDS: Unit = unit("Unix seconds", ValueType::Integer);
pub(super) const DATE: Unit = unit("UTC date", ValueType::Date);
pub(super) const OBJECT: Unit = unit("JSON object", ValueType::Json);
pub(super) const FLAG: Unit = unit("0/1", ValueType::Boolean);
pub(super) const COUNT: Unit = unit("count", ValueType::Integer);
pub(super) const NUMBER: Unit = unit("number", ValueType::Integer);
pub(super) const WHOLE_HOURS: Unit = unit("whole hours", ValueType::Integer);
pub(super) const WHOLE_DAYS: Unit = unit("whole days", ValueType::Integer);
pub(super) const HOURS: Unit = unit("hours", ValueType::Real);
pub(super) const SECONDS: Unit = unit("seconds", ValueType::Real);
pub(super) const FRACTION: Unit = unit("fraction", ValueType::Real);
pub(super) const PERCENT: Unit = unit("percent", ValueType::Real);
pub(super) const RATE: Unit = unit("rate", ValueType::Real);
pub(super) const PER_HOUR: Unit = unit("per hour", ValueType::Real);

/// A column of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnFact {
    /// Name of the column.
    pub name: &'static str,
    /// Unit or text format.
    pub unit: Unit,
    /// Whether it may be NULL.
    pub is_nullable: bool,
    /// Meaning, for users.
    pub meaning: &'static str,
    /// API request and member that the value comes from; `mirror` if the mirror derives it.
    pub source: &'static str,
}

impl ColumnFact {
    /// Returns the SQLite type of its values.
    pub const fn sql_type(&self) -> &'static str {
        self.unit.value_type.sql_type()
    }
}

/// Describes a column that is never NULL.
pub(super) const fn required(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    source: &'static str,
) -> ColumnFact {
    ColumnFact { name, unit, is_nullable: false, meaning, source }
}

/// Describes a column that may be NULL.
pub(super) const fn nullable(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    source: &'static str,
) -> ColumnFact {
    ColumnFact { name, unit, is_nullable: true, meaning, source }
}

/// A view that users query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewFact {
    /// Name of the view.
    pub name: &'static str,
    /// Description, for users.
    pub text: &'static str,
    /// Columns in order, in groups that several views share.
    pub groups: &'static [&'static [ColumnFact]],
}

impl ViewFact {
    /// Returns the columns in order.
    pub fn columns(&self) -> impl Iterator<Item = &'static ColumnFact> + use<> {
        self.groups.iter().copied().flatten()
    }
}

pub(super) const fn view(
    name: &'static str,
    text: &'static str,
    groups: &'static [&'static [ColumnFact]],
) -> ViewFact {
    ViewFact { name, text, groups }
}
