//! What is declared of a view and of a column.

use crate::model::named::named;

named! {
    /// What a column holds, where it is not NULL.
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
    }
}

impl ValueType {
    /// The SQLite type that holds it.
    pub const fn sql_type(self) -> &'static str {
        match self {
            Self::Text | Self::Instant | Self::Date | Self::Json => "text",
            Self::Integer | Self::Boolean => "integer",
            Self::Real => "real",
        }
    }
}

/// What a column is measured in, or how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Its name.
    pub name: &'static str,
    /// What is held in columns of this unit.
    pub value_type: ValueType,
}

const fn unit(name: &'static str, value_type: ValueType) -> Unit {
    Unit { name, value_type }
}

pub(super) const ID: Unit = unit("id", ValueType::Text);
pub(super) const TEXT: Unit = unit("text", ValueType::Text);
pub(super) const URL: Unit = unit("URL", ValueType::Text);
pub(super) const INSTANT: Unit = unit("UTC instant", ValueType::Instant);
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
pub(super) const RATE: Unit = unit("rate", ValueType::Real);
pub(super) const PER_HOUR: Unit = unit("per hour", ValueType::Real);

/// A column of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnFact {
    /// Its name.
    pub name: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// Whether it may be NULL.
    pub is_nullable: bool,
    /// What it says.
    pub meaning: &'static str,
    /// The request and the member of its answer it comes from; `ours` where the mirror works it out.
    pub source: &'static str,
}

impl ColumnFact {
    /// The SQLite type of its values.
    pub const fn sql_type(&self) -> &'static str {
        self.unit.value_type.sql_type()
    }
}

/// A column that is never NULL.
pub(super) const fn always(
    name: &'static str,
    unit: Unit,
    meaning: &'static str,
    source: &'static str,
) -> ColumnFact {
    ColumnFact { name, unit, is_nullable: false, meaning, source }
}

/// A column that may be NULL.
pub(super) const fn maybe(
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
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub text: &'static str,
    /// Its columns, in groups that views share.
    pub groups: &'static [&'static [ColumnFact]],
}

impl ViewFact {
    /// Its columns in their order.
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
