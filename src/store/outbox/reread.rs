//! Resources that a write has touched without its answer showing them: due to be read again by id.

use rusqlite::{Connection, Transaction};

use crate::model::Kind;
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// A resource that is to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reread {
    /// Of what kind it is.
    pub kind: Kind,
    /// The API's id.
    pub id: String,
    /// How often it could not be read.
    pub tries: i64,
}

from_row!(Reread: kind, id, tries);

/// Makes a resource due. `since` is a stamp: a request that begins later shows what the write did.
pub fn add(tx: &Transaction<'_>, kind: Kind, id: &str, since: i64) -> StoreResult<()> {
    let sql = "INSERT INTO reread_due (kind, id, since) VALUES (?1, ?2, ?3)
               ON CONFLICT (kind, id) DO UPDATE
               SET since = max(since, excluded.since), next_at = 0, tries = 0";
    tx.exec(sql, (kind.name(), id, since))
}

/// What is due at `now`, microseconds.
pub fn ready(c: &Connection, now: i64) -> StoreResult<Vec<Reread>> {
    let sql = "SELECT kind, id, tries FROM reread_due WHERE next_at <= ?1 ORDER BY since";
    c.all(sql, [now], Reread::from_row)
}

/// When the first resource is due, microseconds.
pub fn next_at(c: &Connection) -> StoreResult<Option<i64>> {
    c.value("SELECT min(next_at) FROM reread_due", [])
}

/// A resource was read by a request that began at `as_of`, a stamp.
pub fn done(tx: &Transaction<'_>, one: &Reread, as_of: i64) -> StoreResult<()> {
    let sql = "DELETE FROM reread_due WHERE kind = ?1 AND id = ?2 AND since <= ?3";
    tx.exec(sql, (one.kind.name(), &one.id, as_of))
}

/// A resource could not be read, and is tried again at `next_at`.
pub fn put_off(tx: &Transaction<'_>, one: &Reread, next_at: i64) -> StoreResult<()> {
    let sql = "UPDATE reread_due SET next_at = ?3, tries = tries + 1 WHERE kind = ?1 AND id = ?2";
    tx.exec(sql, (one.kind.name(), &one.id, next_at))
}
