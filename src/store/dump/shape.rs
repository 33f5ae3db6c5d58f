//! What kind of value a public column holds. SQLite itself knows text, integers and reals, and of a
//! computed column nothing at all; the dictionary knows the unit.

use rusqlite::Connection;

use crate::store::StoreResult;
use crate::store::dictionary::View;

/// A column and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds, where it is not NULL.
    pub shape: Shape,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A floating-point number.
    Real,
    /// 0 or 1.
    Boolean,
    /// An instant in UTC, `YYYY-MM-DDTHH:MM:SSZ`, with a fraction where it is not zero.
    Instant,
    /// A day in UTC, `YYYY-MM-DD`.
    Date,
    /// A JSON document.
    Json,
}

impl Shape {
    /// Its name in manifests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::Instant => "timestamp",
            Self::Date => "date",
            Self::Json => "json",
        }
    }

    /// What is held in a column of this unit, and of this type in SQLite.
    fn of(unit: &str, sql_type: &str) -> Self {
        match (unit, sql_type) {
            ("UTC instant", _) => Self::Instant,
            ("UTC date", _) => Self::Date,
            ("JSON object" | "JSON array", _) => Self::Json,
            ("0/1", _) => Self::Boolean,
            (_, "integer") => Self::Integer,
            (_, "real") => Self::Real,
            _ => Self::Text,
        }
    }
}

/// The columns of a view, in the order in which they are.
pub(super) fn columns(c: &Connection, view: &View) -> StoreResult<Vec<Column>> {
    let sql = "SELECT name, lower(type) FROM pragma_table_info(?1) ORDER BY cid";
    let mut statement = c.prepare(sql)?;
    let columns = statement.query_map([&view.name], |row| {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let described = view.columns.iter().find(|column| column.name == name);
        let (unit, sql_type) =
            described.map_or(("", ""), |column| (column.unit.as_str(), column.sql_type()));
        let shape = Shape::of(unit, if sql_type.is_empty() { &declared } else { sql_type });
        Ok(Column { name, shape })
    })?;
    Ok(columns.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::dump::tables;
    use crate::store::open::IfMissing;

    #[test]
    fn units_decide() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        let tables = store.read(tables).unwrap();
        for (table, column, expected) in [
            ("video_history", "scraped_at", Shape::Instant),
            ("videos", "create_time", Shape::Instant),
            ("videos", "view_count", Shape::Integer),
            ("videos", "duration", Shape::Real),
            ("videos", "metadata", Shape::Json),
            ("creators", "accounts_by_platform", Shape::Json),
            ("video_growth", "is_gap", Shape::Boolean),
            ("video_growth", "views_gained", Shape::Integer),
            ("video_growth", "hours", Shape::Real),
            ("video_daily", "date", Shape::Date),
            ("video_latest", "engagement_rate", Shape::Real),
            ("video_latest", "is_active", Shape::Boolean),
            ("account_videos", "id", Shape::Text),
            ("freshness", "is_overdue", Shape::Boolean),
            ("coverage", "rows", Shape::Integer),
        ] {
            let found = tables.iter().find(|one| one.name == table).unwrap();
            let found = found.columns.iter().find(|one| one.name == column).unwrap();
            assert_eq!(found.shape, expected, "{table}.{column}");
        }
    }
}
