//! What is left alone for a while because it failed, per kind and sort of work. In the database, so
//! that runs by cron and restarts of the daemon keep to it.

use rusqlite::{Connection, Transaction};

use crate::model::backoff::PAUSE_MICROS_MAX;
use crate::model::{BackoffScope, Kind};
use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Failures in a row beyond this no longer count.
const FAILURES_MAX: u32 = 1_000;

/// Retry state after failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Of this kind.
    pub kind: Kind,
    /// Of this work.
    pub scope: BackoffScope,
    /// How often it failed in a row.
    pub failures: u32,
    /// It is not tried again before, microseconds.
    pub retry_at: i64,
}

/// How often this failed in a row.
pub fn failures(c: &Connection, kind: Kind, scope: BackoffScope) -> StoreResult<u32> {
    let sql = "SELECT failures FROM backoff WHERE kind = ?1 AND scope = ?2";
    Ok(c.optional(sql, (kind, scope), |row| Ok(bounded(row.get(0)?)))?.unwrap_or(0))
}

/// The pauses in force at `now` (microseconds), the first to end first.
pub fn in_force(c: &Connection, now: i64) -> StoreResult<Vec<Backoff>> {
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

/// When the pause of this ends; `None` if none is in force at `now`.
pub fn retry_at(
    c: &Connection,
    kind: Kind,
    scope: BackoffScope,
    now: i64,
) -> StoreResult<Option<i64>> {
    let all = in_force(c, now)?;
    let of = |one: &&Backoff| (one.kind, one.scope) == (kind, scope);
    Ok(all.iter().find(of).map(|one| one.retry_at))
}

/// Notes a failure in a run, and when it is tried again.
pub fn note(tx: &Transaction<'_>, backoff: &Backoff, run: i64) -> StoreResult<()> {
    let sql = "INSERT INTO backoff (kind, scope, failures, retry_at, run_id)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT DO UPDATE SET failures = excluded.failures,
                   retry_at = excluded.retry_at, run_id = excluded.run_id";
    tx.exec(sql, (backoff.kind, backoff.scope, backoff.failures, backoff.retry_at, run))
}

/// Notes a success.
pub fn clear(tx: &Transaction<'_>, kind: Kind, scope: BackoffScope) -> StoreResult<()> {
    tx.exec("DELETE FROM backoff WHERE kind = ?1 AND scope = ?2", (kind.name(), scope.name()))
}

/// Takes back the failures of a run: it was the whole API that failed.
pub fn take_back(tx: &Transaction<'_>, run: i64) -> StoreResult<()> {
    let sql =
        "UPDATE backoff SET failures = failures - 1, retry_at = 0, run_id = 0 WHERE run_id = ?1";
    tx.execute(sql, [run])?;
    tx.exec("DELETE FROM backoff WHERE failures <= 0", [])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::Database;
    use crate::store::open::IfMissing;

    fn mirror() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        (folder, store)
    }

    fn backoff(failures: u32, retry_at: i64) -> Backoff {
        Backoff { kind: Kind::Video, scope: BackoffScope::Listing, failures, retry_at }
    }

    #[test]
    fn a_failure_is_kept_counted_taken_back_and_cleared() {
        let (_folder, store) = mirror();
        let (kind, scope) = (Kind::Video, BackoffScope::Listing);
        store.write(|tx| note(tx, &backoff(2, 500), 7)).unwrap();
        assert_eq!(store.read(|c| in_force(c, 499)).unwrap(), [backoff(2, 500)]);
        assert_eq!(store.read(|c| in_force(c, 500)).unwrap(), []);
        assert_eq!(store.read(|c| retry_at(c, kind, BackoffScope::Poll, 0)).unwrap(), None);
        store.write(|tx| take_back(tx, 6)).unwrap();
        assert_eq!(store.read(|c| failures(c, kind, scope)).unwrap(), 2);
        store.write(|tx| take_back(tx, 7)).unwrap();
        assert_eq!(store.read(|c| in_force(c, 499)).unwrap(), []);
        assert_eq!(store.read(|c| failures(c, kind, scope)).unwrap(), 1);
        store.write(|tx| note(tx, &backoff(2, 500), 7)).unwrap();
        store.write(|tx| clear(tx, kind, scope)).unwrap();
        assert_eq!(store.read(|c| in_force(c, 0)).unwrap(), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
        /// Whatever is in the row, and wherever the clock stands, nothing rests for longer than a day.
        #[test]
        fn no_pause_outlasts_a_day(failures in any::<i64>(), at in any::<i64>(), now in any::<i64>()) {
            let (_folder, store) = mirror();
            store.write(|tx| {
                let sql = "INSERT INTO backoff (kind, scope, failures, retry_at, run_id) VALUES ('video', 'poll', ?1, ?2, 1)";
                tx.execute(sql, (failures, at))?;
                Ok(())
            }).unwrap();
            let found = store.read(|c| retry_at(c, Kind::Video, BackoffScope::Poll, now)).unwrap();
            if let Some(found) = found {
                prop_assert!(found > now && found - now <= PAUSE_MICROS_MAX);
            }
            let count = store.read(|c| super::failures(c, Kind::Video, BackoffScope::Poll)).unwrap();
            prop_assert!(count <= FAILURES_MAX);
        }
    }
}
