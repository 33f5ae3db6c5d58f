//! Finding what a user names: resources of the mirror, and entries of the outbox.

use rusqlite::Connection;

use crate::model::Kind;
use crate::model::outbox::State;
use crate::store::error::StoreResult;
use crate::store::outbox::entry::OPEN;
use crate::store::query::{Query, from_row};

/// Up to two ids of a kind that begin like this: first the id that is exactly this, removed ones last.
pub fn by_prefix(c: &Connection, kind: Kind, prefix: &str) -> StoreResult<Vec<String>> {
    let sql = format!(
        "SELECT id FROM {} WHERE id >= ?1 AND id < ?1 || char(0x10ffff)
         ORDER BY id <> ?1, removed_at IS NOT NULL LIMIT 2",
        kind.name()
    );
    c.all(&sql, [prefix], |row| row.get(0))
}

/// The ids of the accounts with this platform and user name that the API lists.
pub fn by_username(c: &Connection, platform: &str, username: &str) -> StoreResult<Vec<String>> {
    let sql = "SELECT id FROM account
               WHERE lower(username) = lower(?2) AND platform = ?1 AND removed_at IS NULL LIMIT 2";
    c.all(sql, (platform, username), |row| row.get(0))
}

/// The open entry that was queued last to create what this serial_key is about.
pub fn creation(c: &Connection, serial_key: &str) -> StoreResult<Option<i64>> {
    let sql = format!(
        "SELECT max(entry) FROM outbox WHERE serial_key = ?1 AND action = 'track' AND state IN {OPEN}"
    );
    c.value(&sql, [serial_key])
}

/// What another entry can give to those that name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The kind of its result.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// Its result.
    pub result_id: Option<String>,
}

from_row!(Source: kind, state, result_id);

/// The entry that `@N` names.
pub fn source(c: &Connection, entry: i64) -> StoreResult<Option<Source>> {
    let sql = "SELECT kind, state, result_id FROM outbox WHERE entry = ?1";
    c.optional(sql, [entry], Source::from_row)
}

/// Platform and user name of an account, or platform and post of a video, as the mirror has them.
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

/// The ids of the videos with this platform that may be this post.
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

/// The `row_id` of a resource.
pub fn row_id(c: &Connection, kind: Kind, id: &str) -> StoreResult<Option<i64>> {
    let sql = format!("SELECT row_id FROM {} WHERE id = ?1", kind.name());
    c.optional(&sql, [id], |row| row.get(0))
}

/// The ids of a creator's accounts.
pub fn accounts_of(c: &Connection, creator: &str) -> StoreResult<Vec<String>> {
    let sql = "SELECT id FROM account WHERE creator_id = ?1 AND removed_at IS NULL ORDER BY row_id";
    c.all(sql, [creator], |row| row.get(0))
}

/// The creator of an account.
pub fn creator_of(c: &Connection, account: &str) -> StoreResult<Option<String>> {
    let sql = "SELECT creator_id FROM account WHERE id = ?1";
    Ok(c.optional(sql, [account], |row| row.get(0))?.flatten())
}
