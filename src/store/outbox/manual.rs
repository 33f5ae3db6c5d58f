//! Manual changes of entries: retry and discard; and holding the entries of a copy.

use rusqlite::Transaction;

use crate::model::outbox::State;
use crate::store::error::StoreResult;
use crate::store::outbox::entry::{Entry, OPEN, one};
use crate::store::outbox::finish::{fail_dependents, fill_in};
use crate::store::outbox::queue::change_key;

/// How long the server may remember an idempotency key, microseconds. An older key is replaced.
const KEY_LIFETIME: i64 = 600_000_000;

/// Result of a manual change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManualChange {
    /// The entry's new state.
    Now(State),
    /// There is no such entry.
    Missing,
    /// The entry was not changed because of its state.
    Cannot(State),
}

/// Queues an entry again that failed, was discarded or held, or waits for its next attempt. An attempt of
/// unknown result is reconciled before anything is sent. Entries that failed with it wait again.
pub fn retry(tx: &Transaction<'_>, entry: i64, now: i64) -> StoreResult<ManualChange> {
    let Some(found) = one(tx, entry)? else { return Ok(ManualChange::Missing) };
    match found.state {
        State::Succeeded | State::Sending => return Ok(ManualChange::Cannot(found.state)),
        State::Unsure | State::Waiting => return Ok(ManualChange::Cannot(found.state)),
        State::Queued => {
            tx.execute("UPDATE outbox SET next_at = 0 WHERE entry = ?1", [entry])?;
            return Ok(ManualChange::Now(State::Queued));
        }
        State::Failed | State::Discarded | State::Held => {}
    }
    if found.key_used_at.is_some_and(|at| now.saturating_sub(at) >= KEY_LIFETIME) {
        change_key(tx, entry)?;
    }
    let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| name.starts_with('@'));
    let state = match () {
        () if found.is_doubtful => State::Unsure,
        () if is_named(&found.subject) || is_named(&found.account) => State::Waiting,
        () => State::Queued,
    };
    // A waiting entry is validated again: what it waits for may have finished meanwhile. A doubtful one
    // that was never validated is validated before it is reconciled.
    let sql = "UPDATE outbox
               SET state = CASE WHEN ?2 = 'waiting' OR is_checked = 0 THEN 'queued' ELSE ?2 END,
                   is_checked = CASE ?2 WHEN 'unsure' THEN is_checked ELSE 0 END,
                   fails = 0, looks = 0, next_at = 0, http_status = NULL, code = NULL, detail = NULL,
                   fields = NULL, hint = NULL, request_id = NULL, finished_at = NULL
               WHERE entry = ?1";
    tx.execute(sql, (entry, state.name()))?;
    wait_again(tx, entry)?;
    Ok(ManualChange::Now(state))
}

/// Makes the entries wait again that failed because this one did. The results of other entries that they
/// name are filled in, because those may have finished meanwhile.
fn wait_again(tx: &Transaction<'_>, entry: i64) -> StoreResult<()> {
    let mut revived = vec![entry];
    while let Some(entry) = revived.pop() {
        let mut statement = tx.prepare_cached(
            "UPDATE outbox
             SET state = 'waiting', is_checked = 0, code = NULL, detail = NULL, hint = NULL, finished_at = NULL
             WHERE (subject = ?1 OR account = ?1) AND state = 'failed' AND code = 'DEPENDENCY'
             RETURNING entry, subject, account",
        )?;
        let named =
            |name: Option<String>| name.and_then(|name| name.strip_prefix('@')?.parse().ok());
        let entries = statement.query_map([format!("@{entry}")], |row| {
            Ok((row.get(0)?, [named(row.get(1)?), named(row.get(2)?)]))
        })?;
        for found in entries {
            let (entry, names): (i64, [Option<i64>; 2]) = found?;
            for name in names.into_iter().flatten() {
                fill_in_named(tx, entry, name)?;
            }
            revived.push(entry);
        }
    }
    Ok(())
}

/// Fills in the result of an entry that `entry` names. If it has none, `entry` is queued, and its
/// validation fails.
fn fill_in_named(tx: &Transaction<'_>, entry: i64, named: i64) -> StoreResult<()> {
    match one(tx, named)? {
        Some(Entry { state: State::Succeeded, result_id: Some(id), .. }) => fill_in(tx, named, &id),
        Some(Entry { state, .. }) if !state.is_final() => Ok(()),
        _ => {
            let sql = "UPDATE outbox SET state = 'queued' WHERE entry = ?1";
            tx.execute(sql, [entry])?;
            Ok(())
        }
    }
}

/// Discards an entry; attempts that were sent are not undone. Entries that wait for it fail.
pub fn discard(tx: &Transaction<'_>, entry: i64, now: i64) -> StoreResult<ManualChange> {
    let Some(found) = one(tx, entry)? else { return Ok(ManualChange::Missing) };
    if matches!(found.state, State::Succeeded | State::Sending | State::Discarded) {
        return Ok(ManualChange::Cannot(found.state));
    }
    let sql = "UPDATE outbox SET state = 'discarded', finished_at = ?2 WHERE entry = ?1";
    tx.execute(sql, (entry, now))?;
    fail_dependents(tx, entry, "discarded", now)?;
    Ok(ManualChange::Now(State::Discarded))
}

/// Holds every open entry, so that a copy does not repeat what the original sends. The original may send
/// them after this moment. So entries that must not be sent twice count as doubtful: creations of
/// creators, which the server would repeat, and deletions, which it would refuse.
pub fn hold_open_entries(tx: &Transaction<'_>, now: i64) -> StoreResult<usize> {
    let sql = format!(
        "UPDATE outbox
         SET state = 'held', is_doubtful = 1, first_sent_at = coalesce(first_sent_at, ?1),
             known_creator = coalesce(known_creator,
                 CASE kind WHEN 'creator' THEN (SELECT coalesce(max(row_id), 0) FROM creator) END)
         WHERE state IN {OPEN}
           AND (state IN ('sending', 'unsure') OR action IN ('untrack', 'unlink')
                OR (action = 'track' AND kind = 'creator'))"
    );
    tx.execute(&sql, [now])?;
    Ok(tx.execute(&format!("UPDATE outbox SET state = 'held' WHERE state IN {OPEN}"), [])?)
}
