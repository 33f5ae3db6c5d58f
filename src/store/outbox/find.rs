//! Finds the resources and entries that a user or an entry names.

use rusqlite::Connection;

use crate::model::Kind;
use crate::store::error::StoreResult;
use crate::store::outbox::entry::OPEN;
use crate::store::query::Query;

/// Returns up to two ids of a kind with this prefix: an exact match first, removed rows last.
pub fn by_prefix(c: &Connection, kind: Kind, prefix: &str) -> StoreResult<Vec<String>> {
    let sql = format!(
        "SELECT id FROM {} WHERE id >= ?1 AND id < ?1 || char(0x10ffff)
         ORDER BY id <> ?1, removed_at IS NOT NULL LIMIT 2",
        kind.name()
    );
    c.all(&sql, [prefix], |row| row.get(0))
}

/// Returns up to two ids of present accounts with this platform and user name.
pub fn by_username(c: &Connection, platform: &str, username: &str) -> StoreResult<Vec<String>> {
    let sql = "SELECT id FROM account
               WHERE lower(username) = lower(?2) AND platform = ?1 AND removed_at IS NULL LIMIT 2";
    c.all(sql, (platform, username), |row| row.get(0))
}

/// Returns the newest open entry that creates the resource of this `serial_key`.
pub fn creation(c: &Connection, serial_key: &str) -> StoreResult<Option<i64>> {
    let sql = format!(
        "SELECT max(entry) FROM outbox WHERE serial_key = ?1 AND action = 'track' AND state IN {OPEN}"
    );
    c.value(&sql, [serial_key])
}

/// Returns platform and user name of an account, or platform and post id of a video.
pub fn identity(c: &Connection, kind: Kind, id: &str) -> StoreResult<Option<(String, String)>> {
    let sql = match kind {
        Kind::Account => "SELECT platform, lower(username) FROM account WHERE id = ?1",
        Kind::Video => "SELECT platform, external_id FROM video WHERE id = ?1",
        _ => return Ok(None),
    };
    let found: Option<(Option<String>, Option<String>)> =
        c.optional(sql, [id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.and_then(|(platform, name)| platform.zip(name)))
}

/// Returns up to five ids of videos on this platform with this post id or shortcode.
pub fn by_post(
    c: &Connection,
    platform: &str,
    number: Option<&str>,
    code: Option<&str>,
) -> StoreResult<Vec<String>> {
    let sql = "SELECT id FROM video
               WHERE platform = ?1 AND removed_at IS NULL
                 AND (external_id = ?2 OR external_id GLOB ?2 || '_*' OR shortcode = ?3)
               LIMIT 5";
    c.all(sql, (platform, number, code), |row| row.get(0))
}

/// Whether an entry other than this one has this result.
pub fn is_taken(c: &Connection, entry: i64, result_id: &str) -> StoreResult<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE result_id = ?2 AND entry <> ?1
                              AND action = 'track')";
    c.value(sql, (entry, result_id))
}

/// Returns the `row_id` of a resource.
pub fn row_id(c: &Connection, kind: Kind, id: &str) -> StoreResult<Option<i64>> {
    let sql = format!("SELECT row_id FROM {} WHERE id = ?1", kind.name());
    c.optional(&sql, [id], |row| row.get(0))
}

/// Returns the ids of a creator's accounts.
pub fn accounts_of(c: &Connection, creator: &str) -> StoreResult<Vec<String>> {
    let sql = "SELECT id FROM account WHERE creator_id = ?1 AND removed_at IS NULL ORDER BY row_id";
    c.all(sql, [creator], |row| row.get(0))
}

/// Returns the creator of an account.
pub fn creator_of(c: &Connection, account: &str) -> StoreResult<Option<String>> {
    let sql = "SELECT creator_id FROM account WHERE id = ?1";
    Ok(c.optional(sql, [account], |row| row.get(0))?.flatten())
}
