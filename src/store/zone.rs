//! The time zone of the settings, and its offsets from UTC for queries.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;
use crate::store::query::Query;

/// The first second that SQLite's date functions know.
const FIRST_SECOND: i64 = -62_167_219_200;

/// Returns what the stored offsets were computed for; `None` before the first run.
pub fn basis(c: &Connection) -> StoreResult<Option<String>> {
    c.value("SELECT zone_offset_basis FROM instance", [])
}

/// Replaces the offsets, which are pairs of the first second and the offset in seconds, in order.
pub fn replace(
    tx: &Transaction<'_>,
    timezone: &str,
    basis: &str,
    offsets: &[(i64, i32)],
) -> StoreResult<()> {
    tx.exec("DELETE FROM zone_offset", [])?;
    for (from_s, offset_s) in offsets {
        let sql = "INSERT INTO zone_offset (from_s, offset_s) VALUES (?1, ?2)";
        tx.exec(sql, (from_s.max(&FIRST_SECOND), offset_s))?;
    }
    tx.exec("UPDATE instance SET timezone = ?1, zone_offset_basis = ?2", (timezone, basis))
}
