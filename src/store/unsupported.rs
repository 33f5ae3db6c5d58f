//! Endpoints and parameters that the server does not support. Each is tried again after a week.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// An endpoint or parameter that the server refused. Times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnsupportedFeature {
    /// An endpoint (`GET /account-videos`), or one with a parameter (`GET /videos order_by`).
    pub feature: String,
    /// The HTTP status, if it was refused by one.
    pub status: Option<i64>,
    /// The API's error code.
    pub code: Option<String>,
    /// The API's error message.
    pub detail: Option<String>,
    /// The API's id of the request.
    pub request_id: Option<String>,
    /// When it was refused.
    pub refused_at: i64,
    /// When it is tried again.
    pub retry_at: i64,
}

impl UnsupportedFeature {
    /// Whether the key lacks a scope, rather than the server the feature.
    pub fn is_missing_scope(&self) -> bool {
        self.status == Some(403)
    }
}

from_row!(UnsupportedFeature: feature, status, code, detail, request_id, refused_at, retry_at);

/// Returns the features that are not to be tried at `now`, microseconds.
pub fn active(c: &Connection, now: i64) -> StoreResult<Vec<UnsupportedFeature>> {
    let sql = "SELECT feature, status, code, detail, request_id, refused_at, retry_at
               FROM unsupported_feature WHERE retry_at > ?1 ORDER BY feature";
    c.all(sql, [now], UnsupportedFeature::from_row)
}

/// Records that a feature is not supported.
pub fn remember(tx: &Transaction<'_>, feature: &UnsupportedFeature) -> StoreResult<()> {
    let sql = "INSERT OR REPLACE INTO unsupported_feature (feature, status, code, detail, request_id, refused_at, retry_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.exec(
        sql,
        (
            &feature.feature,
            feature.status,
            &feature.code,
            &feature.detail,
            &feature.request_id,
            feature.refused_at,
            feature.retry_at,
        ),
    )
}

/// Deletes a record, because the server supports the feature after all.
pub fn forget(tx: &Transaction<'_>, feature: &str) -> StoreResult<()> {
    tx.exec("DELETE FROM unsupported_feature WHERE feature = ?1", [feature])
}
