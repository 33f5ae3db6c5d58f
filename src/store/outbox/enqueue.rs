//! Adds entries and records their validation. Any process may add entries, without the instance lock.

use rusqlite::{Connection, Transaction};

use crate::model::outbox::{Checked, Draft};
use crate::store::error::StoreResult;
use crate::store::outbox::entry::{Entry, OPEN, select};
use crate::store::query::Query;

/// Adds a validated entry and returns its number.
pub fn add(tx: &Transaction<'_>, draft: &Draft, checked: &Checked, at: i64) -> StoreResult<i64> {
    let sql =
        "INSERT INTO outbox (created_at, kind, action, target, subject, account, method, path,
                                   body, serial_key, other_serial_key, is_checked, state)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let is_waiting = checked.is_waiting();
    Ok(tx.prepare_cached(sql)?.insert((
        at,
        draft.kind.name(),
        draft.action.name(),
        &checked.target,
        &checked.subject,
        &checked.account,
        draft.action.method(),
        &checked.path,
        &draft.body,
        &checked.serial_key,
        &checked.other_serial_key,
        !is_waiting,
        if is_waiting { "waiting" } else { "queued" },
    ))?)
}

/// Returns the queued entries that are not validated yet: those added by SQL, and those whose awaited
/// result has arrived.
pub fn unchecked(c: &Connection) -> StoreResult<Vec<Entry>> {
    let sql =
        format!("WHERE state IN {OPEN} AND state = 'queued' AND is_checked = 0 ORDER BY entry");
    c.all(&select(&sql), [], Entry::from_row)
}

/// Saves the result of validating an entry.
pub fn save_checked(tx: &Transaction<'_>, entry: i64, checked: &Checked) -> StoreResult<()> {
    let sql = "UPDATE outbox
               SET target = ?2, subject = ?3, account = ?4, path = ?5, serial_key = ?6, other_serial_key = ?7,
                   is_checked = ?8,
                   state = CASE WHEN ?9 = 'queued' AND is_doubtful THEN 'unsure' ELSE ?9 END
               WHERE entry = ?1 AND state = 'queued'";
    let is_waiting = checked.is_waiting();
    tx.exec(
        sql,
        (
            entry,
            &checked.target,
            &checked.subject,
            &checked.account,
            &checked.path,
            &checked.serial_key,
            &checked.other_serial_key,
            !is_waiting,
            if is_waiting { "waiting" } else { "queued" },
        ),
    )
}
