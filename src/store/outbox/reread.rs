//! Resources that a write has touched without its answer showing them: due to be read again by id.

use rusqlite::{Connection, Transaction};

use crate::model::Kind;
use crate::store::error::StoreResult;

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

/// Makes a resource due. `since` is a stamp: a request that begins later shows what the write did.
pub fn add(tx: &Transaction<'_>, kind: Kind, id: &str, since: i64) -> StoreResult<()> {
    let sql = "INSERT INTO reread_due (kind, id, since) VALUES (?1, ?2, ?3)
               ON CONFLICT (kind, id) DO UPDATE
               SET since = max(since, excluded.since), next_at = 0, tries = 0";
    tx.prepare_cached(sql)?.execute((kind.name(), id, since))?;
    Ok(())
}

/// What is due at `now`, microseconds.
pub fn ready(c: &Connection, now: i64) -> StoreResult<Vec<Reread>> {
    let sql = "SELECT kind, id, tries FROM reread_due WHERE next_at <= ?1 ORDER BY since";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([now], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    })?;
    let mut ready = Vec::new();
    for row in rows {
        let (kind, id, tries) = row?;
        // The table's check leaves no other words.
        ready.extend(Kind::from_name(&kind).map(|kind| Reread { kind, id, tries }));
    }
    Ok(ready)
}

/// When the first resource is due, microseconds.
pub fn next_at(c: &Connection) -> StoreResult<Option<i64>> {
    let sql = "SELECT min(next_at) FROM reread_due";
    Ok(c.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// A resource was read by a request that began at `as_of`, a stamp.
pub fn done(tx: &Transaction<'_>, one: &Reread, as_of: i64) -> StoreResult<()> {
    let sql = "DELETE FROM reread_due WHERE kind = ?1 AND id = ?2 AND since <= ?3";
    tx.prepare_cached(sql)?.execute((one.kind.name(), &one.id, as_of))?;
    Ok(())
}

/// A resource could not be read, and is tried again at `next_at`.
pub fn put_off(tx: &Transaction<'_>, one: &Reread, next_at: i64) -> StoreResult<()> {
    let sql = "UPDATE reread_due SET next_at = ?3, tries = tries + 1 WHERE kind = ?1 AND id = ?2";
    tx.prepare_cached(sql)?.execute((one.kind.name(), &one.id, next_at))?;
    Ok(())
}
