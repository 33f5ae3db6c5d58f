//! Records the final result of an entry, and updates the entries that wait for it.

use rusqlite::Transaction;

use crate::store::error::StoreResult;
use crate::store::outbox::entry::{Entry, OPEN};
use crate::store::outbox::queue::AttemptResult;
use crate::store::query::Query;

/// Waiting entries that fail in one transaction; a longer chain fails in several.
const CHAIN_MAX: usize = 10_000;

/// Records success, and fills the result into the entries that wait for it. Returns whether the entry was
/// still open: a user may have discarded it.
pub fn succeed(
    tx: &Transaction<'_>,
    entry: &Entry,
    result_id: Option<&str>,
    attempt_result: &AttemptResult,
    at: i64,
) -> StoreResult<bool> {
    if !end(tx, entry, "succeeded", result_id, attempt_result, at)? {
        return Ok(false);
    }
    if let Some(result_id) = result_id {
        fill_in(tx, entry.entry, result_id)?;
    }
    Ok(true)
}

/// Records failure, also of the entries that wait for the result. Returns whether the entry was still
/// open.
pub fn fail(
    tx: &Transaction<'_>,
    entry: &Entry,
    attempt_result: &AttemptResult,
    at: i64,
) -> StoreResult<bool> {
    if !end(tx, entry, "failed", None, attempt_result, at)? {
        return Ok(false);
    }
    fail_dependents(tx, entry.entry, "failed", at)?;
    Ok(true)
}

fn end(
    tx: &Transaction<'_>,
    entry: &Entry,
    state: &str,
    result_id: Option<&str>,
    attempt_result: &AttemptResult,
    at: i64,
) -> StoreResult<bool> {
    let sql = format!(
        "UPDATE outbox
         SET state = ?2, finished_at = ?3, result_id = coalesce(?4, result_id), http_status = ?5,
             code = ?6, detail = ?7, fields = ?8, hint = ?9, request_id = ?10
         WHERE entry = ?1 AND state IN {OPEN}"
    );
    let changed = tx.prepare_cached(&sql)?.execute((
        entry.entry,
        state,
        at,
        result_id,
        attempt_result.http_status,
        &attempt_result.code,
        &attempt_result.detail,
        &attempt_result.fields,
        &attempt_result.hint,
        &attempt_result.request_id,
    ))?;
    Ok(changed > 0)
}

/// Fills a result into the entries that wait for it, and queues those that have all their results.
pub(super) fn fill_in(tx: &Transaction<'_>, entry: i64, result_id: &str) -> StoreResult<()> {
    let name = format!("@{entry}");
    for column in ["subject", "account"] {
        let sql = format!(
            "UPDATE outbox
             SET {column} = ?2, is_checked = 0, target = CASE WHEN target = ?1 AND '{column}' = 'subject' THEN ?2 ELSE target END
             WHERE {column} = ?1 AND substr({column}, 1, 1) = '@' AND state IN {OPEN}"
        );
        tx.execute(&sql, (&name, result_id))?;
    }
    let sql = format!(
        "UPDATE outbox SET state = 'queued'
         WHERE state IN {OPEN} AND state = 'waiting'
           AND coalesce(substr(subject, 1, 1) <> '@', 1) AND coalesce(substr(account, 1, 1) <> '@', 1)"
    );
    tx.exec(&sql, [])
}

/// Fails the entries that wait for this one (`state`: `failed` or `discarded`), and those that wait for
/// them.
pub(super) fn fail_dependents(
    tx: &Transaction<'_>,
    entry: i64,
    state: &str,
    at: i64,
) -> StoreResult<()> {
    let mut ended = vec![(entry, state)];
    let mut done = 0;
    while let Some((entry, state)) = ended.pop()
        && done < CHAIN_MAX
    {
        done += 1;
        let sql = format!(
            "UPDATE outbox
             SET state = 'failed', finished_at = ?2, code = 'DEPENDENCY',
                 detail = 'entry ' || ?3 || ', whose result it needs, ' || ?4,
                 hint = '`creatormirror outbox retry ' || ?3 || '` also queues this entry again'
             WHERE (subject = ?1 OR account = ?1) AND state IN {OPEN} AND state IN ('waiting', 'held', 'queued')
             RETURNING entry"
        );
        let mut statement = tx.prepare_cached(&sql)?;
        let was = if state == "discarded" { "was discarded" } else { "failed" };
        let failed =
            statement.query_map((format!("@{entry}"), at, entry, was), |row| row.get(0))?;
        for entry in failed {
            ended.push((entry?, "failed"));
        }
    }
    Ok(())
}
