//! Resources to read again by id, because a write changed them and its answer does not show them.

use rusqlite::{Connection, Transaction};

use crate::model::Kind;
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// A resource to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reread {
    /// Its kind.
    pub kind: Kind,
    /// The API's id.
    pub id: String,
    /// Failed attempts to read it.
    pub tries: i64,
}

from_row!(Reread: kind, id, tries);

/// Makes a resource due. `since` is a stamp: only a request that starts later shows the change.
pub fn add(tx: &Transaction<'_>, kind: Kind, id: &str, since: i64) -> StoreResult<()> {
    let sql = "INSERT INTO reread_due (kind, id, since) VALUES (?1, ?2, ?3)
               ON CONFLICT (kind, id) DO UPDATE
               SET since = max(since, excluded.since), next_at = 0, tries = 0";
    tx.exec(sql, (kind.name(), id, since))
}

/// Returns the resources due at `now`, microseconds.
pub fn ready(c: &Connection, now: i64) -> StoreResult<Vec<Reread>> {
    let sql = "SELECT kind, id, tries FROM reread_due WHERE next_at <= ?1 ORDER BY since";
    c.all(sql, [now], Reread::from_row)
}

/// Returns when the next resource is due, microseconds.
pub fn next_at(c: &Connection) -> StoreResult<Option<i64>> {
    c.value("SELECT min(next_at) FROM reread_due", [])
}

/// Records that a resource was read by a request started at `as_of`, a stamp.
pub fn done(tx: &Transaction<'_>, reread: &Reread, as_of: i64) -> StoreResult<()> {
    let sql = "DELETE FROM reread_due WHERE kind = ?1 AND id = ?2 AND since <= ?3";
    tx.exec(sql, (reread.kind.name(), &reread.id, as_of))
}

/// Records that a resource could not be read, and when to try again.
pub fn postpone(tx: &Transaction<'_>, reread: &Reread, next_at: i64) -> StoreResult<()> {
    let sql = "UPDATE reread_due SET next_at = ?3, tries = tries + 1 WHERE kind = ?1 AND id = ?2";
    tx.exec(sql, (reread.kind.name(), &reread.id, next_at))
}
