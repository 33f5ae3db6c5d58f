//! Retry state (backoff) after failures, per kind and scope. It is in the database, so that it survives
//! restarts of the daemon and holds for runs by cron.

use rusqlite::{Connection, Transaction};

use crate::model::backoff::PAUSE_MICROS_MAX;
use crate::model::{BackoffScope, Kind};
use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Consecutive failures are counted up to this number.
const FAILURES_MAX: u32 = 1_000;

/// Retry state after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The kind that failed.
    pub kind: Kind,
    /// What failed.
    pub scope: BackoffScope,
    /// Consecutive failures.
    pub failures: u32,
    /// When it is tried again, microseconds.
    pub retry_at: i64,
}

/// Returns the number of consecutive failures.
pub fn failures(c: &Connection, kind: Kind, scope: BackoffScope) -> StoreResult<u32> {
    let sql = "SELECT failures FROM backoff WHERE kind = ?1 AND scope = ?2";
    Ok(c.optional(sql, (kind, scope), |row| Ok(bounded(row.get(0)?)))?.unwrap_or(0))
}

/// Returns the backoffs that have not ended at `now` (microseconds), in the order in which they end.
pub fn active(c: &Connection, now: i64) -> StoreResult<Vec<Backoff>> {
    let sql = "SELECT kind, scope, failures, retry_at FROM backoff
               WHERE retry_at > ?1 AND retry_at <= ?2 ORDER BY retry_at, kind, scope";
    c.all(sql, (now, now.saturating_add(PAUSE_MICROS_MAX)), |row| {
        Ok(Backoff {
            kind: row.get(0)?,
            scope: row.get(1)?,
            failures: bounded(row.get(2)?),
            retry_at: row.get(3)?,
        })
    })
}

fn bounded(failures: i64) -> u32 {
    u32::try_from(failures).unwrap_or(0).min(FAILURES_MAX)
}

/// Records a failure in a run, and when to try again.
pub fn record_failure(tx: &Transaction<'_>, backoff: &Backoff, run: i64) -> StoreResult<()> {
    let sql = "INSERT INTO backoff (kind, scope, failures, retry_at, run_id)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET failures = excluded.failures,
                   retry_at = excluded.retry_at, run_id = excluded.run_id";
    tx.exec(sql, (backoff.kind, backoff.scope, backoff.failures, backoff.retry_at, run))
}

/// Clears the retry state after a success.
pub fn clear(tx: &Transaction<'_>, kind: Kind, scope: BackoffScope) -> StoreResult<()> {
    tx.exec("DELETE FROM backoff WHERE kind = ?1 AND scope = ?2", (kind.name(), scope.name()))
}

/// Removes the failures that a run recorded, because the API as a whole was unreachable.
pub fn undo_failures(tx: &Transaction<'_>, run: i64) -> StoreResult<()> {
    let sql =
        "UPDATE backoff SET failures = failures - 1, retry_at = 0, run_id = 0 WHERE run_id = ?1";
    tx.execute(sql, [run])?;
    tx.exec("DELETE FROM backoff WHERE failures <= 0", [])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::testing::mirror;

    fn backoff(failures: u32, retry_at: i64) -> Backoff {
        Backoff { kind: Kind::Video, scope: BackoffScope::Listing, failures, retry_at }
    }

    #[test]
    fn failures_are_recorded_undone_and_cleared() {
        let (_folder, store) = mirror();
        let (kind, scope) = (Kind::Video, BackoffScope::Listing);
        store.write(|tx| record_failure(tx, &backoff(2, 500), 7)).unwrap();
        assert_eq!(store.read(|c| active(c, 499)).unwrap(), [backoff(2, 500)]);
        assert_eq!(store.read(|c| active(c, 500)).unwrap(), []);
        store.write(|tx| undo_failures(tx, 6)).unwrap();
        assert_eq!(store.read(|c| failures(c, kind, scope)).unwrap(), 2);
        store.write(|tx| undo_failures(tx, 7)).unwrap();
        assert_eq!(store.read(|c| active(c, 499)).unwrap(), []);
        assert_eq!(store.read(|c| failures(c, kind, scope)).unwrap(), 1);
        store.write(|tx| record_failure(tx, &backoff(2, 500), 7)).unwrap();
        store.write(|tx| clear(tx, kind, scope)).unwrap();
        assert_eq!(store.read(|c| active(c, 0)).unwrap(), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
        /// For any row and any clock.
        #[test]
        fn no_backoff_lasts_longer_than_a_day(failures in any::<i64>(), at in any::<i64>(), now in any::<i64>()) {
            let (_folder, store) = mirror();
            store.write(|tx| {
                let sql = "INSERT INTO backoff (kind, scope, failures, retry_at, run_id) VALUES ('video', 'poll', ?1, ?2, 1)";
                tx.execute(sql, (failures, at))?;
                Ok(())
            }).unwrap();
            for found in store.read(|c| active(c, now)).unwrap() {
                prop_assert!(found.retry_at > now && found.retry_at - now <= PAUSE_MICROS_MAX);
            }
            let count = store.read(|c| super::failures(c, Kind::Video, BackoffScope::Poll)).unwrap();
            prop_assert!(count <= FAILURES_MAX);
        }
    }
}
