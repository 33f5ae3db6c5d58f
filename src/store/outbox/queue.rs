//! The way of an entry through the queue: found ready, claimed before it is sent, put back when
//! nothing happened or when nobody knows what did. Only whoever holds the lock claims it.

use rusqlite::{Connection, Transaction};

use crate::model::Kind;
use crate::store::error::StoreResult;
use crate::store::outbox::entry::{Entry, OPEN, one, select};
use crate::store::query::Query;

/// No pause of ours is longer; one that seems to be was set by a clock that was wrong, microseconds.
const PAUSE_MAX: i64 = 3_600_000_000;

/// Ready, as far as time goes: ?1 is now, ?2 the end of the longest pause. And no earlier entry is
/// still on either of its lanes.
const READY: &str = "state IN ('queued', 'unsure') AND is_checked = 1
    AND (next_at <= ?1 OR next_at > ?2)";

fn serial_key_is_free() -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM outbox AS b
                     WHERE b.serial_key IN (e.serial_key, e.other_serial_key) AND b.entry < e.entry AND b.state IN {OPEN})
         AND NOT EXISTS (SELECT 1 FROM outbox AS b
                         WHERE b.other_serial_key IN (e.serial_key, e.other_serial_key) AND b.entry < e.entry
                           AND b.state IN {OPEN})"
    )
}

/// Entries that a crash left on their way: what came of them is not known. Returns how many.
pub fn recover(tx: &Transaction<'_>, settle: i64, now: i64) -> StoreResult<usize> {
    let sql = "UPDATE outbox
               SET state = 'unsure', is_doubtful = 1, looks = 0, fails = fails + 1,
                   next_at = min(max(coalesce(sent_at, ?2) + ?1, ?2), ?2 + ?1),
                   detail = 'the program ended before the answer came'
               WHERE state = 'sending'";
    Ok(tx.execute(sql, (settle, now))?)
}

/// Whether anything in the outbox is not at its end.
pub fn is_busy(c: &Connection) -> StoreResult<bool> {
    let sql = format!("SELECT EXISTS (SELECT 1 FROM outbox WHERE state IN {OPEN})");
    c.value(&sql, [])
}

/// The oldest entry that is ready.
pub fn ready(c: &Connection, now: i64) -> StoreResult<Option<Entry>> {
    let rest = format!(
        "WHERE state IN {OPEN} AND {READY} AND {} ORDER BY entry LIMIT 1",
        serial_key_is_free()
    );
    let far = now.saturating_add(PAUSE_MAX);
    c.optional(&select(&rest), (now, far), Entry::from_row)
}

/// How many entries are ready, or will be as soon as their lanes are free.
pub fn waiting(c: &Connection, now: i64) -> StoreResult<i64> {
    let sql = format!("SELECT count(*) FROM outbox WHERE state IN {OPEN} AND {READY}");
    let far = now.saturating_add(PAUSE_MAX);
    c.value(&sql, (now, far))
}

/// How many entries were tried and are not at their end.
pub fn left(c: &Connection) -> StoreResult<i64> {
    let sql = format!(
        "SELECT count(*) FROM outbox
         WHERE state IN {OPEN} AND state IN ('queued', 'unsure') AND (attempts > 0 OR next_at > 0)"
    );
    c.value(&sql, [])
}

/// When the first entry will be ready: at once for one that was not checked yet, or that a crash
/// left behind.
pub fn next_at(c: &Connection, now: i64) -> StoreResult<Option<i64>> {
    let sql = format!(
        "SELECT min(CASE WHEN state = 'sending' OR is_checked = 0 OR next_at > ?2 THEN ?1
                         ELSE max(next_at, ?1) END)
         FROM outbox AS e
         WHERE state IN {OPEN} AND state IN ('queued', 'unsure', 'sending') AND {}",
        serial_key_is_free()
    );
    let far = now.saturating_add(PAUSE_MAX);
    c.value(&sql, (now, far))
}

/// When the first entry whose outcome is not known may be looked up, those of `unreadable` kinds aside.
pub fn next_look_at(c: &Connection, unreadable: &[Kind]) -> StoreResult<Option<i64>> {
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

/// Takes an entry up, just before it is sent: the attempt is counted whatever comes of it. `None`
/// when it is no longer there to be taken up.
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

/// How an entry that was claimed goes back to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// Nothing was sent, or the server did not look at it: as if it had not been claimed.
    Untouched,
    /// The server asked to come again.
    Later,
    /// Nobody knows what came of it.
    Unsure,
}

/// Puts a claimed entry back. Nothing is done about it before `next_at`.
pub fn put_back(
    tx: &Transaction<'_>,
    entry: &Entry,
    back: Back,
    next_at: i64,
    attempt_result: &AttemptResult,
) -> StoreResult<()> {
    // A first send that certainly did nothing is no first send. What was in doubt was looked for in
    // vain before it was sent again, so it may simply be sent once more.
    let forget = "first_sent_at = CASE is_doubtful WHEN 0 THEN NULL ELSE first_sent_at END,
                  known_creator = CASE is_doubtful WHEN 0 THEN NULL ELSE known_creator END,
                  state = 'queued'";
    let change = match back {
        Back::Untouched => format!("attempts = attempts - 1, {forget}"),
        Back::Later => forget.to_owned(),
        Back::Unsure => {
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

/// What the API said, as an entry keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttemptResult {
    /// The status.
    pub http_status: Option<u16>,
    /// The API's name for what went wrong, or ours.
    pub code: Option<String>,
    /// What happened, for people.
    pub detail: Option<String>,
    /// What is wrong with which field, a JSON array.
    pub fields: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The API's name for the request.
    pub request_id: Option<String>,
}

/// An entry was looked for in vain, and is to be looked for again.
pub fn look_again(tx: &Transaction<'_>, entry: &Entry, next_at: i64) -> StoreResult<()> {
    let sql = "UPDATE outbox SET looks = looks + 1, next_at = ?2
               WHERE entry = ?1 AND state = 'unsure'";
    tx.exec(sql, (entry.entry, next_at))
}

/// An entry could not be looked for; nothing is known that was not known before. `counts` where that
/// will not go on for ever.
pub fn put_off(
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

/// An entry is to be sent again: it was looked for in vain, or may be repeated as it is. With
/// `new_key` under another key.
pub fn send_again(tx: &Transaction<'_>, entry: &Entry, new_key: bool, now: i64) -> StoreResult<()> {
    if new_key {
        change_key(tx, entry.entry)?;
    }
    let sql =
        "UPDATE outbox SET state = 'queued', next_at = ?2 WHERE entry = ?1 AND state = 'unsure'";
    tx.exec(sql, (entry.entry, now))
}

/// Queues an entry that was claimed as if it had never been sent, under another key.
pub fn begin_anew(tx: &Transaction<'_>, entry: &Entry) -> StoreResult<()> {
    change_key(tx, entry.entry)?;
    let sql = "UPDATE outbox
               SET state = 'queued', next_at = 0, is_doubtful = 0, looks = 0, first_sent_at = NULL,
                   known_creator = NULL
               WHERE entry = ?1 AND state = 'sending'";
    tx.exec(sql, [entry.entry])
}

/// Gives an entry another key; the one before stays in its record.
pub(super) fn change_key(tx: &Transaction<'_>, entry: i64) -> StoreResult<()> {
    let sql = "UPDATE outbox
               SET former_keys = json_insert(former_keys, '$[#]', idempotency_key),
                   idempotency_key = ?2, key_used_at = NULL, key_errors = 0
               WHERE entry = ?1";
    tx.exec(sql, (entry, uuid::Uuid::new_v4().to_string()))
}

/// Whether any entry ended before `before`.
pub fn is_prunable(c: &Connection, before: i64) -> StoreResult<bool> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE finished_at < ?1 AND finished_at IS NOT NULL)";
    c.value(sql, [before])
}

/// Deletes entries that ended before `before`, but for those that open ones wait for. Returns how
/// many.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<usize> {
    let sql = format!(
        "DELETE FROM outbox
         WHERE state IN ('succeeded', 'failed', 'discarded') AND finished_at < ?1
           AND '@' || entry NOT IN (SELECT subject FROM outbox WHERE state IN {OPEN} AND subject IS NOT NULL)
           AND '@' || entry NOT IN (SELECT account FROM outbox WHERE state IN {OPEN} AND account IS NOT NULL)"
    );
    Ok(tx.execute(&sql, [before])?)
}
