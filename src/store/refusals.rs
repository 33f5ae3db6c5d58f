//! What the server was found not to support. Each thing is tried again after a week.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;

/// Something the server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// An endpoint (`GET /account-videos`), or one with a parameter (`GET /videos order_by`).
    pub thing: String,
    /// The HTTP status, where it was refused by one.
    pub status: Option<i64>,
    /// The API's error code.
    pub code: Option<String>,
    /// What the API said.
    pub detail: Option<String>,
    /// The API's id of the request.
    pub request_id: Option<String>,
    /// When, in microseconds.
    pub refused_at: i64,
    /// When it is tried again, in microseconds.
    pub retry_at: i64,
}

/// Everything refused that is not to be tried at `now`, in microseconds.
pub fn in_force(c: &Connection, now: i64) -> StoreResult<Vec<Refusal>> {
    let sql = "SELECT thing, status, code, detail, request_id, refused_at, retry_at
               FROM refusal WHERE retry_at > ?1 ORDER BY thing";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([now], |row| {
        Ok(Refusal {
            thing: row.get(0)?,
            status: row.get(1)?,
            code: row.get(2)?,
            detail: row.get(3)?,
            request_id: row.get(4)?,
            refused_at: row.get(5)?,
            retry_at: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Remembers a refusal.
pub fn remember(tx: &Transaction<'_>, refusal: &Refusal) -> StoreResult<()> {
    let sql = "INSERT OR REPLACE INTO refusal (thing, status, code, detail, request_id, refused_at, retry_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.execute(
        sql,
        (
            &refusal.thing,
            refusal.status,
            &refusal.code,
            &refusal.detail,
            &refusal.request_id,
            refusal.refused_at,
            refusal.retry_at,
        ),
    )?;
    Ok(())
}

/// Forgets a refusal: the server has done it after all.
pub fn forget(tx: &Transaction<'_>, thing: &str) -> StoreResult<()> {
    tx.execute("DELETE FROM refusal WHERE thing = ?1", [thing])?;
    Ok(())
}
