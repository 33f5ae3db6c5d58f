//! The one row that says whose mirror this is, and what all requests share: the rate gate, and the
//! stamps that order answers by when their requests started.

use rusqlite::{Connection, Transaction};

use super::StoreResult;

/// Whose mirror this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Names this installation; seeds the minutes of its sweeps.
    pub installation_id: String,
    /// The organization the database is bound to.
    pub organization_id: Option<String>,
    /// The key's name as the API gave it last.
    pub api_key_name: Option<String>,
}

impl Identity {
    /// A number that differs between installations and stays the same in each.
    pub fn seed(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.installation_id.as_bytes())
    }
}

/// Reads the identity.
pub fn identity(c: &Connection) -> StoreResult<Identity> {
    let sql = "SELECT installation_id, organization_id, api_key_name FROM instance";
    Ok(c.query_row(sql, [], |row| {
        Ok(Identity {
            installation_id: row.get(0)?,
            organization_id: row.get(1)?,
            api_key_name: row.get(2)?,
        })
    })?)
}

/// Binds the database to an organization, for good, and notes the key's name.
pub fn bind(
    tx: &Transaction<'_>,
    organization_id: &str,
    api_key_name: Option<&str>,
) -> StoreResult<()> {
    let sql =
        "UPDATE instance SET organization_id = coalesce(organization_id, ?1), api_key_name = ?2";
    tx.execute(sql, (organization_id, api_key_name))?;
    Ok(())
}

/// The rate gate as JSON, and the latest stamp.
pub fn traffic(c: &Connection) -> StoreResult<(String, i64)> {
    Ok(c.query_row("SELECT gate, last_stamp FROM instance", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?)
}

/// Keeps the rate gate and the latest stamp.
pub fn keep_traffic(tx: &Transaction<'_>, gate: &str, stamp: i64) -> StoreResult<()> {
    let sql = "UPDATE instance SET gate = ?1, last_stamp = max(last_stamp, ?2)";
    tx.prepare_cached(sql)?.execute((gate, stamp))?;
    Ok(())
}

/// What the API said of its own lifecycle, and when, in microseconds.
pub fn api_meta(c: &Connection) -> StoreResult<Option<(String, i64)>> {
    let sql = "SELECT api_meta, api_meta_at FROM instance";
    let (meta, at): (Option<String>, Option<i64>) =
        c.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(meta.zip(at))
}

/// Keeps what the API said of its lifecycle.
pub fn keep_api_meta(tx: &Transaction<'_>, meta: &str, at: i64) -> StoreResult<()> {
    tx.execute("UPDATE instance SET api_meta = ?1, api_meta_at = ?2", (meta, at))?;
    Ok(())
}
