//! The one row that says whose mirror this is, and what all requests share: the rate limiter, and the
//! stamps that order answers by when their requests started.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// Whose mirror this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Names this installation; seeds the minutes of its full syncs.
    pub installation_id: String,
    /// The organization the database is bound to.
    pub organization_id: Option<String>,
    /// The key's name as the API gave it last.
    pub api_key_name: Option<String>,
}

from_row!(Identity: installation_id, organization_id, api_key_name);

impl Identity {
    /// A number that differs between installations and stays the same in each.
    pub fn seed(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.installation_id.as_bytes())
    }
}

/// Makes a copy an installation of its own, which has asked for nothing yet.
pub fn begin_anew(tx: &Transaction<'_>) -> StoreResult<()> {
    let sql = "UPDATE instance
               SET installation_id = lower(hex(randomblob(16))), rate_limiter = '{}', cooldown_until = NULL,
                   runner = NULL, batch_delay_s = NULL, condition = NULL";
    tx.exec(sql, [])
}

/// Reads the identity.
pub fn identity(c: &Connection) -> StoreResult<Identity> {
    let sql = "SELECT installation_id, organization_id, api_key_name FROM instance";
    c.one(sql, [], Identity::from_row)
}

/// Binds the database to an organization, for good, and notes the key's name.
pub fn bind(
    tx: &Transaction<'_>,
    organization_id: &str,
    api_key_name: Option<&str>,
) -> StoreResult<()> {
    let sql =
        "UPDATE instance SET organization_id = coalesce(organization_id, ?1), api_key_name = ?2";
    tx.exec(sql, (organization_id, api_key_name))
}

/// What all requests share, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredRequestState {
    /// The rate limiter as JSON.
    pub rate_limiter: String,
    /// Until when the server asked to wait, microseconds; tells so also where `rate_limiter` cannot be read.
    pub cooldown_until: Option<i64>,
    /// The latest stamp.
    pub stamp: i64,
}

from_row!(StoredRequestState: rate_limiter, cooldown_until, stamp);

/// The rate limiter and the latest stamp.
pub fn request_state(c: &Connection) -> StoreResult<StoredRequestState> {
    let sql = "SELECT rate_limiter, cooldown_until, last_stamp AS stamp FROM instance";
    c.one(sql, [], StoredRequestState::from_row)
}

/// Keeps the rate limiter and the latest stamp.
pub fn save_request_state(
    tx: &Transaction<'_>,
    request_state: &StoredRequestState,
) -> StoreResult<()> {
    let sql = "UPDATE instance
               SET rate_limiter = ?1, cooldown_until = ?2, last_stamp = max(last_stamp, ?3)";
    tx.exec(sql, (&request_state.rate_limiter, request_state.cooldown_until, request_state.stamp))
}

/// Brings stamps that are ahead of `now` back to it: the clock was wrong when they were made. What
/// was seen keeps its order; what is asked from now on is newer than all of it.
pub fn bring_stamps_back(tx: &Transaction<'_>, now: i64) -> StoreResult<()> {
    for table in ["account", "creator", "video", "account_video"] {
        tx.execute(
            &format!(
                "UPDATE {table}
                 SET as_of = min(as_of, ?1), first_mirrored_at = min(first_mirrored_at, ?1),
                     removed_at = min(removed_at, ?1)
                 WHERE as_of > ?1 OR first_mirrored_at > ?1 OR removed_at > ?1"
            ),
            [now],
        )?;
    }
    tx.execute("UPDATE page SET as_of = ?1 WHERE as_of > ?1", [now])?;
    tx.execute("UPDATE document SET as_of = ?1 WHERE as_of > ?1", [now])?;
    tx.execute("UPDATE account_list_due SET since = ?1 WHERE since > ?1", [now])?;
    tx.execute("UPDATE reread_due SET since = min(since, ?1), next_at = min(next_at, ?1)", [now])?;
    tx.execute(
        "UPDATE listing SET started_at = min(started_at, ?1), last_page_at = min(last_page_at, ?1), is_evidence = 0
         WHERE last_page_at > ?1",
        [now],
    )?;
    tx.execute(
        "UPDATE kind_state
         SET complete_as_of = min(complete_as_of, ?1), last_full_sync_at = min(last_full_sync_at, ?1), full_sync_due_after = NULL
         WHERE full_sync_due_after > ?1 OR complete_as_of > ?1 OR last_full_sync_at > ?1",
        [now],
    )?;
    // A pause that began then would end then.
    for table in ["account_due", "video_due"] {
        let sql = format!(
            "UPDATE {table} SET due_at = ?1, gap_s = 0 WHERE gap_s > 0 AND due_at > ?1 + gap_s"
        );
        tx.execute(&sql, [now / 1_000_000])?;
    }
    tx.exec("UPDATE instance SET last_stamp = ?1", [now])
}

/// What the API said of its own lifecycle, and when, in microseconds.
pub fn api_meta(c: &Connection) -> StoreResult<Option<(String, i64)>> {
    let sql = "SELECT api_meta, api_meta_at FROM instance
               WHERE api_meta IS NOT NULL AND api_meta_at IS NOT NULL";
    c.optional(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Keeps what the API said of its lifecycle.
pub fn keep_api_meta(tx: &Transaction<'_>, meta: &str, at: i64) -> StoreResult<()> {
    tx.exec("UPDATE instance SET api_meta = ?1, api_meta_at = ?2", (meta, at))
}

/// Says what holds the lock: `run` for a daemon, nothing otherwise.
pub fn set_runner(tx: &Transaction<'_>, runner: Option<&str>) -> StoreResult<()> {
    tx.exec("UPDATE instance SET runner = ?1", [runner])
}

/// What holds the lock, if anything does: to be believed only while the lock is held.
pub fn runner(c: &Connection) -> StoreResult<Option<String>> {
    c.value("SELECT runner FROM instance", [])
}

/// How the daemon is doing, for `status`: a sentence, and how long dues wait for each other.
pub fn set_condition(tx: &Transaction<'_>, condition: &str, batch_delay_s: i64) -> StoreResult<()> {
    let sql = "UPDATE instance SET condition = ?1, batch_delay_s = ?2
               WHERE condition IS NOT ?1 OR batch_delay_s IS NOT ?2";
    tx.exec(sql, (condition, batch_delay_s))
}

/// The condition and patience that a daemon said last, unless it has ended.
pub fn condition(c: &Connection) -> StoreResult<Option<(String, i64)>> {
    let sql = "SELECT condition, batch_delay_s FROM instance
               WHERE runner = 'run' AND condition IS NOT NULL AND batch_delay_s IS NOT NULL";
    c.optional(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}
