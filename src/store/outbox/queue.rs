//! The queue: finds ready entries, claims one before it is sent, and queues it again for a retry or to
//! reconcile an attempt of unknown result. Only the process with the instance lock claims entries.

use rusqlite::{Connection, Transaction};

use crate::model::Kind;
use crate::store::error::StoreResult;
use crate::store::outbox::entry::{Entry, OPEN, one, select};
use crate::store::query::Query;

/// Longest backoff, microseconds. A longer one was set by a wrong clock and is ignored.
const BACKOFF_MAX: i64 = 3_600_000_000;

/// Condition on an entry that is due: `?1` is now, `?2` the end of the longest backoff.
const READY: &str = "state IN ('queued', 'unsure') AND is_checked = 1
    AND (next_at <= ?1 OR next_at > ?2)";

/// Condition that no earlier open entry has one of the serial keys of entry `e`.
fn serial_key_is_free() -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM outbox AS b
                     WHERE b.serial_key IN (e.serial_key, e.other_serial_key) AND b.entry < e.entry AND b.state IN {OPEN})
         AND NOT EXISTS (SELECT 1 FROM outbox AS b
                         WHERE b.other_serial_key IN (e.serial_key, e.other_serial_key) AND b.entry < e.entry
                           AND b.state IN {OPEN})"
    )
}

/// Marks entries that a crash left in `sending` as `unsure`: their result is unknown. They are reconciled
/// `reconcile_after` microseconds after they were sent. Returns how many.
pub fn recover(tx: &Transaction<'_>, reconcile_after: i64, now: i64) -> StoreResult<usize> {
    let sql = "UPDATE outbox
               SET state = 'unsure', is_doubtful = 1, looks = 0, fails = fails + 1,
                   next_at = min(max(coalesce(sent_at, ?2) + ?1, ?2), ?2 + ?1),
                   detail = 'the program ended before the answer arrived'
               WHERE state = 'sending'";
    Ok(tx.execute(sql, (reconcile_after, now))?)
}

/// Whether any entry is open.
pub fn is_busy(c: &Connection) -> StoreResult<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM outbox WHERE state IN {OPEN})");
    c.value(&sql, [])
}

/// Returns the oldest ready entry.
pub fn ready(c: &Connection, now: i64) -> StoreResult<Option<Entry>> {
    let rest = format!(
        "WHERE state IN {OPEN} AND {READY} AND {} ORDER BY entry LIMIT 1",
        serial_key_is_free()
    );
    let backoff_end = now.saturating_add(BACKOFF_MAX);
    c.optional(&select(&rest), (now, backoff_end), Entry::from_row)
}

/// Returns the number of entries that are ready, or wait only for an earlier entry.
pub fn count_ready(c: &Connection, now: i64) -> StoreResult<i64> {
    let sql = format!("SELECT count(*) FROM outbox WHERE state IN {OPEN} AND {READY}");
    let backoff_end = now.saturating_add(BACKOFF_MAX);
    c.value(&sql, (now, backoff_end))
}

/// Returns the number of entries that were tried and are queued again.
pub fn count_retrying(c: &Connection) -> StoreResult<i64> {
    let sql = format!(
        "SELECT count(*) FROM outbox
         WHERE state IN {OPEN} AND state IN ('queued', 'unsure') AND (attempts > 0 OR next_at > 0)"
    );
    c.value(&sql, [])
}

/// Returns when the next entry is ready. Entries that are not validated yet, and those that a crash left,
/// are ready now.
pub fn next_at(c: &Connection, now: i64) -> StoreResult<Option<i64>> {
    let sql = format!(
        "SELECT min(CASE WHEN state = 'sending' OR is_checked = 0 OR next_at > ?2 THEN ?1
                         ELSE max(next_at, ?1) END)
         FROM outbox AS e
         WHERE state IN {OPEN} AND state IN ('queued', 'unsure', 'sending') AND {}",
        serial_key_is_free()
    );
    let backoff_end = now.saturating_add(BACKOFF_MAX);
    c.value(&sql, (now, backoff_end))
}

/// Returns when the next entry of unknown result can be reconciled, except those of `unreadable` kinds.
pub fn next_reconcile_at(c: &Connection, unreadable: &[Kind]) -> StoreResult<Option<i64>> {
    let sql = format!(
        "SELECT min(next_at) FROM outbox AS e
         WHERE state IN {OPEN} AND state = 'unsure'
           AND kind NOT IN (SELECT value FROM json_each(?1)) AND {}",
        serial_key_is_free()
    );
    let names: Vec<&str> = unreadable.iter().map(|kind| kind.name()).collect();
    let names = serde_json::to_string(&names).unwrap_or_default();
    c.value(&sql, [names])
}

/// Claims an entry just before it is sent, and counts the attempt. Returns `None` if its state has changed
/// meanwhile.
pub fn claim(tx: &Transaction<'_>, entry: &Entry, now: i64) -> StoreResult<Option<Entry>> {
    let sql = "UPDATE outbox AS e
               SET state = 'sending', attempts = attempts + 1, sent_at = ?3, looks = 0,
                   key_used_at = coalesce(key_used_at, ?3),
                   first_sent_at = coalesce(first_sent_at, ?3),
                   known_creator = coalesce(known_creator,
                       CASE kind WHEN 'creator' THEN (SELECT coalesce(max(row_id), 0) FROM creator) END)
               WHERE entry = ?1 AND state = ?2";
    if tx.execute(sql, (entry.entry, entry.state.name(), now))? == 0 {
        return Ok(None);
    }
    one(tx, entry.entry)
}

/// Why a claimed entry is queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// It was not sent, or the server did not process it: the attempt does not count.
    NotSent,
    /// The server asked to retry later.
    Later,
    /// The result is unknown, and is to be reconciled.
    Unsure,
}

/// Queues a claimed entry again, for `next_at`.
pub fn requeue(
    tx: &Transaction<'_>,
    entry: &Entry,
    reason: Requeue,
    next_at: i64,
    attempt_result: &AttemptResult,
) -> StoreResult<()> {
    // A first attempt that certainly did nothing is forgotten. A doubtful entry was reconciled before it
    // was sent again, so it needs no other reconciliation.
    let forget = "first_sent_at = CASE is_doubtful WHEN 0 THEN NULL ELSE first_sent_at END,
                  known_creator = CASE is_doubtful WHEN 0 THEN NULL ELSE known_creator END,
                  state = 'queued'";
    let change = match reason {
        Requeue::NotSent => format!("attempts = attempts - 1, {forget}"),
        Requeue::Later => forget.to_owned(),
        Requeue::Unsure => {
            "state = 'unsure', is_doubtful = 1, looks = 0, fails = fails + 1".to_owned()
        }
    };
    let sql = format!(
        "UPDATE outbox
         SET {change}, next_at = ?2, http_status = ?3, code = ?4, detail = ?5, fields = NULL,
             hint = NULL, request_id = ?6,
             key_errors = key_errors + coalesce(?3 IN (500, 502), 0)
         WHERE entry = ?1 AND state = 'sending'"
    );
    tx.exec(
        &sql,
        (
            entry.entry,
            next_at,
            attempt_result.http_status,
            &attempt_result.code,
            &attempt_result.detail,
            &attempt_result.request_id,
        ),
    )
}

/// Answer to an attempt, as saved with the entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptResult {
    /// HTTP status.
    pub http_status: Option<u16>,
    /// The API's error code, or ours.
    pub code: Option<String>,
    /// Error message.
    pub detail: Option<String>,
    /// The API's errors by field, a JSON array.
    pub fields: Option<String>,
    /// Hint for the user.
    pub hint: Option<String>,
    /// The API's id of the request.
    pub request_id: Option<String>,
}

/// Records that a reconciliation found nothing, and when to reconcile again.
pub fn reconcile_later(tx: &Transaction<'_>, entry: &Entry, next_at: i64) -> StoreResult<()> {
    let sql = "UPDATE outbox SET looks = looks + 1, next_at = ?2
               WHERE entry = ?1 AND state = 'unsure'";
    tx.exec(sql, (entry.entry, next_at))
}

/// Records that an entry could not be reconciled, and when to try again. `counts`: whether this counts
/// toward the limit of failures.
pub fn postpone(
    tx: &Transaction<'_>,
    entry: &Entry,
    next_at: i64,
    why: &str,
    counts: bool,
) -> StoreResult<()> {
    let sql = "UPDATE outbox SET next_at = ?2, detail = ?3, fails = fails + ?4
               WHERE entry = ?1 AND state IN ('queued', 'unsure')";
    tx.exec(sql, (entry.entry, next_at, why, counts))
}

/// Queues an entry of unknown result to be sent again, because it was not found or can be repeated;
/// `new_key`: with another idempotency key.
pub fn send_again(tx: &Transaction<'_>, entry: &Entry, new_key: bool, now: i64) -> StoreResult<()> {
    if new_key {
        change_key(tx, entry.entry)?;
    }
    let sql =
        "UPDATE outbox SET state = 'queued', next_at = ?2 WHERE entry = ?1 AND state = 'unsure'";
    tx.exec(sql, (entry.entry, now))
}

/// Queues a claimed entry as if it had never been sent, with another idempotency key.
pub fn restart_with_new_key(tx: &Transaction<'_>, entry: &Entry) -> StoreResult<()> {
    change_key(tx, entry.entry)?;
    let sql = "UPDATE outbox
               SET state = 'queued', next_at = 0, is_doubtful = 0, looks = 0, first_sent_at = NULL,
                   known_creator = NULL
               WHERE entry = ?1 AND state = 'sending'";
    tx.exec(sql, [entry.entry])
}

/// Gives an entry another idempotency key, and saves the former one.
pub(super) fn change_key(tx: &Transaction<'_>, entry: i64) -> StoreResult<()> {
    let sql = "UPDATE outbox
               SET former_keys = json_insert(former_keys, '$[#]', idempotency_key),
                   idempotency_key = ?2, key_used_at = NULL, key_errors = 0
               WHERE entry = ?1";
    tx.exec(sql, (entry, uuid::Uuid::new_v4().to_string()))
}

/// Whether any entry finished before `before`.
pub fn is_prunable(c: &Connection, before: i64) -> StoreResult<bool> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE finished_at < ?1 AND finished_at IS NOT NULL)";
    c.value(sql, [before])
}

/// Deletes entries that finished before `before`, except those that open ones wait for. Returns how many.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<usize> {
    let sql = format!(
        "DELETE FROM outbox
         WHERE state IN ('succeeded', 'failed', 'discarded') AND finished_at < ?1
           AND '@' || entry NOT IN (SELECT subject FROM outbox WHERE state IN {OPEN} AND subject IS NOT NULL)
           AND '@' || entry NOT IN (SELECT account FROM outbox WHERE state IN {OPEN} AND account IS NOT NULL)"
    );
    Ok(tx.execute(&sql, [before])?)
}
