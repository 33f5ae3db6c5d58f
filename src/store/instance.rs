//! The `instance` row: the identity of the mirror, the rate limiter's state, and the last stamp. Stamps
//! are times of request starts that never go back, in microseconds; they order answers.

use rusqlite::{Connection, Transaction};

use crate::store::error::{StoreError, StoreResult};
use crate::store::query::{Query, from_row};
use crate::store::{change_log, creator_links};

/// Identity of the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Random id of this installation; seeds the minutes of its full syncs.
    pub installation_id: String,
    /// The organization that the database mirrors.
    pub organization_id: Option<String>,
    /// Name of the API key, from `GET /whoami`.
    pub api_key_name: Option<String>,
}

from_row!(Identity: installation_id, organization_id, api_key_name);

impl Identity {
    /// Returns a number derived from the installation's id.
    pub fn seed(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.installation_id.as_bytes())
    }
}

/// Gives a copy a new installation id and no rate limiter state.
pub fn reset(tx: &Transaction<'_>) -> StoreResult<()> {
    let sql = "UPDATE instance
               SET installation_id = lower(hex(randomblob(16))), rate_limiter = '{}', cooldown_until = NULL,
                   runner = NULL, batch_delay_s = NULL, condition = NULL";
    tx.exec(sql, [])
}

/// Reads the identity.
pub fn identity(c: &Connection) -> StoreResult<Identity> {
    let sql = "SELECT installation_id, organization_id, api_key_name FROM instance";
    c.optional(sql, [], Identity::from_row)?.ok_or(StoreError::NoIdentity)
}

/// Binds the database to an organization if it is not bound yet, and saves the name of the API key.
pub fn bind(
    tx: &Transaction<'_>,
    organization_id: &str,
    api_key_name: Option<&str>,
) -> StoreResult<()> {
    let sql =
        "UPDATE instance SET organization_id = coalesce(organization_id, ?1), api_key_name = ?2";
    tx.exec(sql, (organization_id, api_key_name))
}

/// State shared by all requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequestState {
    /// The rate limiter as JSON.
    pub rate_limiter: String,
    /// End of the server's cooldown, microseconds. Valid also if `rate_limiter` cannot be parsed.
    pub cooldown_until: Option<i64>,
    /// The latest stamp.
    pub stamp: i64,
}

from_row!(StoredRequestState: rate_limiter, cooldown_until, stamp);

/// That of a new database.
impl Default for StoredRequestState {
    fn default() -> Self {
        Self { rate_limiter: "{}".to_owned(), cooldown_until: None, stamp: 0 }
    }
}

/// Reads the rate limiter and the latest stamp.
pub fn request_state(c: &Connection) -> StoreResult<StoredRequestState> {
    let sql = "SELECT rate_limiter, cooldown_until, last_stamp AS stamp FROM instance";
    c.one(sql, [], StoredRequestState::from_row)
}

/// Saves the rate limiter and the latest stamp.
pub fn save_request_state(
    tx: &Transaction<'_>,
    request_state: &StoredRequestState,
) -> StoreResult<()> {
    let sql = "UPDATE instance
               SET rate_limiter = ?1, cooldown_until = ?2, last_stamp = max(last_stamp, ?3)";
    tx.exec(sql, (&request_state.rate_limiter, request_state.cooldown_until, request_state.stamp))
}

/// Lowers stamps that are later than `now` to `now`: the clock was wrong when they were made. Later
/// requests are then newer than all rows.
pub fn cap_stamps(tx: &Transaction<'_>, now: i64) -> StoreResult<()> {
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
    change_log::cap_times(tx, now)?;
    creator_links::cap_times(tx, now)?;
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
    // A row that waits longer than its gap was scheduled by the wrong clock.
    for table in ["account_due", "video_due"] {
        let sql = format!(
            "UPDATE {table} SET due_at = ?1, gap_s = 0 WHERE gap_s > 0 AND due_at > ?1 + gap_s"
        );
        tx.execute(&sql, [now / 1_000_000])?;
    }
    tx.exec("UPDATE instance SET last_stamp = ?1", [now])
}

/// Returns the saved answer of `GET /meta`, and when it was read, microseconds.
pub fn api_meta(c: &Connection) -> StoreResult<Option<(String, i64)>> {
    let sql = "SELECT api_meta, api_meta_at FROM instance
               WHERE api_meta IS NOT NULL AND api_meta_at IS NOT NULL";
    c.optional(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Saves the answer of `GET /meta`.
pub fn save_api_meta(tx: &Transaction<'_>, meta: &str, at: i64) -> StoreResult<()> {
    tx.exec("UPDATE instance SET api_meta = ?1, api_meta_at = ?2", (meta, at))
}

/// Records which command holds the instance lock: `run` for a daemon, otherwise `None`.
pub fn set_runner(tx: &Transaction<'_>, runner: Option<&str>) -> StoreResult<()> {
    tx.exec("UPDATE instance SET runner = ?1", [runner])
}

/// Returns the command that holds the instance lock; valid only while the lock is held.
pub fn runner(c: &Connection) -> StoreResult<Option<String>> {
    c.value("SELECT runner FROM instance", [])
}

/// Saves the daemon's condition for `status`: a sentence, and its batch delay.
pub fn set_condition(tx: &Transaction<'_>, condition: &str, batch_delay_s: i64) -> StoreResult<()> {
    let sql = "UPDATE instance SET condition = ?1, batch_delay_s = ?2
               WHERE condition IS NOT ?1 OR batch_delay_s IS NOT ?2";
    tx.exec(sql, (condition, batch_delay_s))
}

/// Returns the condition and batch delay (seconds) of a running daemon.
pub fn condition(c: &Connection) -> StoreResult<Option<(String, i64)>> {
    let sql = "SELECT condition, batch_delay_s FROM instance
               WHERE runner = 'run' AND condition IS NOT NULL AND batch_delay_s IS NOT NULL";
    c.optional(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}
