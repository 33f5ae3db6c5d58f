//! Marks rows removed: on two pieces of evidence, below a ceiling, and never after an incomplete listing.
//!
//! Absence from a complete listing is the first piece of evidence. A 404 on the resource itself, or
//! absence from a second complete listing, is the second; then the row is marked removed. Its history
//! stays, and the mark is cleared when the API lists it again.

use rusqlite::Transaction;

use crate::model::Kind;
use crate::model::settings::RemovalCeiling;
use crate::store::error::StoreResult;
use crate::store::listings::{self, Listing};
use crate::store::query::Query;
use crate::store::{change_log, creator_links, due, pages};

/// The ceiling never holds back this many removals, or fewer.
const ROWS_ALWAYS_ALLOWED: i64 = 10;

/// Removals after a complete listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removals {
    /// Rows marked removed.
    pub removed: i64,
    /// Rows that the ceiling held back.
    pub held: i64,
}

/// Whether the ceiling applies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// At most this fraction of a kind is removed.
    Ceiling(RemovalCeiling),
    /// The user accepted any number of removals.
    Accept,
}

/// Applies a complete listing: records which rows are absent, removes those with two pieces of evidence,
/// and deletes pages that are no longer part of the list.
pub fn apply(
    tx: &Transaction<'_>,
    listing: &Listing,
    policy: Policy,
    at: i64,
) -> StoreResult<Removals> {
    collect_absent(tx, listing)?;
    let table = listing.kind.name();
    // A subquery, because for a join SQLite may scan the whole table.
    let sql = format!(
        "SELECT count(*) FROM {table}
         WHERE row_id IN (SELECT row_id FROM temp.absent)
           AND (absent_listing IS NOT NULL OR not_found_at IS NOT NULL)"
    );
    let candidates: i64 = tx.query_row(&sql, [], |row| row.get(0))?;
    let is_held = match policy {
        Policy::Ceiling(ceiling) if candidates > ROWS_ALWAYS_ALLOWED => {
            let (listed, _) = listings::counts(tx, listing.kind)?;
            // Row counts are far below 2^53.
            candidates as f64 > listed as f64 * ceiling.fraction
        }
        Policy::Ceiling(_) | Policy::Accept => false,
    };
    let removed = if is_held { 0 } else { remove(tx, listing.kind, at)? };
    record_absence(tx, listing)?;
    let held = candidates - removed;
    tx.execute("UPDATE kind_state SET held_removals = ?2 WHERE kind = ?1", (table, held))?;
    tx.execute("DELETE FROM page WHERE kind = ?1 AND listing IS NOT ?2", (table, listing.listing))?;
    Ok(Removals { removed, held })
}

/// Records that the API answered 404 for a resource. Removes the row if it was absent from a complete
/// listing as well. Returns whether it was removed.
pub fn not_found(tx: &Transaction<'_>, kind: Kind, row_id: i64, at: i64) -> StoreResult<bool> {
    let table = kind.name();
    let sql = format!(
        "SELECT absent_listing IS NOT NULL AND removed_at IS NULL FROM {table} WHERE row_id = ?1"
    );
    let found: Option<bool> = tx.optional(&sql, [row_id], |row| row.get(0))?;
    let Some(is_second_evidence) = found else { return Ok(false) };
    // Otherwise a 304 of its page would confirm the row.
    pages::clear_etag(tx, kind, row_id)?;
    if is_second_evidence {
        mark_removed(tx, kind, &format!("row_id = {row_id}"), at)?;
        if due::is_scheduled(kind) {
            due::set(tx, kind, row_id, None)?;
        }
    }
    let sql = format!("UPDATE {table} SET not_found_at = ?2 WHERE row_id = ?1");
    tx.execute(&sql, (row_id, at))?;
    Ok(is_second_evidence)
}

/// Removes a resource that a request of ours deleted. Returns whether it was present.
pub fn deleted(tx: &Transaction<'_>, kind: Kind, row_id: i64, at: i64) -> StoreResult<bool> {
    let table = kind.name();
    pages::clear_etag(tx, kind, row_id)?;
    let removed = mark_removed(tx, kind, &format!("row_id = {row_id}"), at)?;
    if removed > 0 {
        let sql = format!(
            "UPDATE {table} SET not_found_at = ?2, as_of = max(as_of, ?2) WHERE row_id = ?1"
        );
        tx.execute(&sql, (row_id, at))?;
    }
    if due::is_scheduled(kind) {
        due::set(tx, kind, row_id, None)?;
    }
    Ok(removed > 0)
}

/// Collects the rows absent from the listing in `temp.absent`: those on pages that it did not read, and
/// those on no page. Rows that another answer confirmed after the listing began are left out.
fn collect_absent(tx: &Transaction<'_>, listing: &Listing) -> StoreResult<()> {
    let table = listing.kind.name();
    tx.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS absent (row_id INTEGER PRIMARY KEY);
         DELETE FROM temp.absent;",
    )?;
    tx.execute(
        &format!(
            "INSERT OR IGNORE INTO temp.absent
             SELECT r.row_id
             FROM page AS p, json_each(p.members) AS j JOIN {table} AS r ON r.row_id = j.value
             WHERE p.kind = ?1 AND p.listing IS NOT ?2 AND r.page = p.page
               AND r.removed_at IS NULL AND max(r.as_of, p.as_of) < ?3"
        ),
        (table, listing.listing, listing.started_at),
    )?;
    tx.execute(
        &format!(
            "INSERT OR IGNORE INTO temp.absent
             SELECT row_id FROM {table} WHERE page IS NULL AND removed_at IS NULL AND as_of < ?1"
        ),
        [listing.started_at],
    )?;
    // Detaches the rows of pages that will be deleted, absent or not.
    tx.exec(
        &format!(
            "UPDATE {table} AS r
             SET page = NULL, as_of = max(r.as_of, p.as_of)
             FROM page AS p, json_each(p.members) AS j
             WHERE r.row_id = j.value AND p.kind = ?1 AND p.listing IS NOT ?2 AND r.page = p.page"
        ),
        (table, listing.listing),
    )
}

fn remove(tx: &Transaction<'_>, kind: Kind, at: i64) -> StoreResult<i64> {
    let table = kind.name();
    let condition = "row_id IN (SELECT row_id FROM temp.absent)
                     AND (absent_listing IS NOT NULL OR not_found_at IS NOT NULL)";
    let removed = mark_removed(tx, kind, condition, at)?;
    if due::is_scheduled(kind) {
        let sql = format!(
            "DELETE FROM {table}_due
             WHERE {table} IN (SELECT a.row_id FROM temp.absent AS a JOIN {table} AS r USING (row_id)
                               WHERE r.removed_at IS NOT NULL)"
        );
        tx.execute(&sql, [])?;
    }
    Ok(i64::try_from(removed).unwrap_or(i64::MAX))
}

/// Marks the rows that meet a condition removed, unless they are, and logs it. Returns their number.
fn mark_removed(tx: &Transaction<'_>, kind: Kind, condition: &str, at: i64) -> StoreResult<usize> {
    let condition = format!("removed_at IS NULL AND {condition}");
    change_log::removed(tx, kind, &condition, at)?;
    let sql = format!("UPDATE {} SET removed_at = ?1 WHERE {condition}", kind.name());
    let removed = tx.execute(&sql, [at])?;
    if kind == Kind::Account {
        creator_links::end_removed(tx, at)?;
    }
    Ok(removed)
}

/// Records the listing as the first evidence against the absent rows that are not removed.
fn record_absence(tx: &Transaction<'_>, listing: &Listing) -> StoreResult<()> {
    let sql = format!(
        "UPDATE {} SET absent_listing = ?1
         WHERE row_id IN (SELECT row_id FROM temp.absent) AND absent_listing IS NULL AND removed_at IS NULL",
        listing.kind.name()
    );
    tx.exec(&sql, [listing.listing])
}
