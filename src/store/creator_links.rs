//! Which creator each account belonged to, and when.

use rusqlite::Transaction;

use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Records the creator of an account as an answer showed it. An interval never begins before the end of the
/// one before it, although an answer whose request started earlier may end a removal.
pub fn set(
    tx: &Transaction<'_>,
    account: i64,
    creator_id: Option<&str>,
    at: i64,
) -> StoreResult<()> {
    let sql = "UPDATE creator_account SET to_at = max(from_at, ?3)
               WHERE account = ?1 AND to_at IS NULL AND creator_id IS NOT ?2";
    tx.exec(sql, (account, creator_id, at))?;
    let sql = "DELETE FROM creator_account WHERE account = ?1 AND to_at = from_at";
    tx.exec(sql, [account])?;
    let sql = "INSERT INTO creator_account (account, from_at, creator_id)
               SELECT ?1, max(?3, coalesce(max(to_at), ?3)), ?2
               FROM creator_account WHERE account = ?1
               HAVING ?2 IS NOT NULL AND count(*) = count(to_at)";
    tx.exec(sql, (account, creator_id, at))
}

/// Ends the intervals of removed accounts.
pub fn end_removed(tx: &Transaction<'_>, at: i64) -> StoreResult<()> {
    let sql = "UPDATE creator_account SET to_at = max(from_at, ?1)
               WHERE to_at IS NULL AND account IN (SELECT row_id FROM account WHERE removed_at IS NOT NULL)";
    tx.exec(sql, [at])
}

/// Lowers times that are later than `now` to `now`. Of the intervals of an account that begin then, the last
/// one stays.
pub fn cap_times(tx: &Transaction<'_>, now: i64) -> StoreResult<()> {
    let sql = "DELETE FROM creator_account AS c
               WHERE c.from_at >= ?1 AND EXISTS (
                   SELECT 1 FROM creator_account AS n WHERE n.account = c.account AND n.from_at > c.from_at
               )";
    tx.exec(sql, [now])?;
    let sql = "UPDATE creator_account SET from_at = min(from_at, ?1), to_at = min(to_at, ?1)
               WHERE from_at > ?1 OR to_at > ?1";
    tx.exec(sql, [now])
}
