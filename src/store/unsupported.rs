//! What the server was found not to support. Each feature is tried again after a week.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// Something the server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedFeature {
    /// An endpoint (`GET /account-videos`), or one with a parameter (`GET /videos order_by`).
    pub feature: String,
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

from_row!(UnsupportedFeature: feature, status, code, detail, request_id, refused_at, retry_at);

/// Everything refused that is not to be tried at `now`, in microseconds.
pub fn in_force(c: &Connection, now: i64) -> StoreResult<Vec<UnsupportedFeature>> {
    let sql = "SELECT feature, status, code, detail, request_id, refused_at, retry_at
               FROM unsupported_feature WHERE retry_at > ?1 ORDER BY feature";
    c.all(sql, [now], UnsupportedFeature::from_row)
}

/// Remembers a refusal.
pub fn remember(tx: &Transaction<'_>, refusal: &UnsupportedFeature) -> StoreResult<()> {
    let sql = "INSERT OR REPLACE INTO unsupported_feature (feature, status, code, detail, request_id, refused_at, retry_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.exec(
        sql,
        (
            &refusal.feature,
            refusal.status,
            &refusal.code,
            &refusal.detail,
            &refusal.request_id,
            refusal.refused_at,
            refusal.retry_at,
        ),
    )
}

/// Forgets a refusal: the server has done it after all.
pub fn forget(tx: &Transaction<'_>, feature: &str) -> StoreResult<()> {
    tx.exec("DELETE FROM unsupported_feature WHERE feature = ?1", [feature])
}
