//! The run log: what each run did for each kind. Counters are written in the transactions that they count.

use rusqlite::{Row, Transaction};

use crate::model::{Kind, KindOutcome, Outcome};
use crate::store::error::StoreResult;
use crate::store::late_indexes;
use crate::store::pages::PageCounts;
use crate::store::query::Query;

/// Counters of one kind in one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct KindCounts {
    /// Requests sent, retries included.
    pub requests: i64,
    /// Of these, answered 304.
    pub not_modified: i64,
    /// Counters of the pages read.
    #[serde(flatten)]
    pub page: PageCounts,
    /// Rows marked removed.
    pub removed: i64,
}

impl KindCounts {
    /// Adds other counters to these.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.not_modified += other.not_modified;
        self.removed += other.removed;
        let (page, more) = (&mut self.page, &other.page);
        page.rows_seen += more.rows_seen;
        page.rows_new_to_listing += more.rows_new_to_listing;
        page.rows_changed += more.rows_changed;
        page.type_mismatches += more.type_mismatches;
        page.rows_dropped += more.rows_dropped;
        page.snapshots_added += more.snapshots_added;
        page.snapshots_revised += more.snapshots_revised;
    }
}

/// Begins a run and returns its id. Marks runs that a crash left running as interrupted.
pub fn begin(tx: &Transaction<'_>, trigger: &str, at: i64) -> StoreResult<i64> {
    interrupt(tx, at)?;
    tx.execute("INSERT INTO run (trigger, started_at) VALUES (?1, ?2)", (trigger, at))?;
    Ok(tx.last_insert_rowid())
}

/// Marks running runs as interrupted.
pub fn interrupt(tx: &Transaction<'_>, at: i64) -> StoreResult<()> {
    tx.execute(
        "UPDATE kind_run SET outcome = 'interrupted', finished_at = ?1
         WHERE outcome = 'running' AND run_id IN (SELECT run_id FROM run WHERE outcome = 'running')",
        [at],
    )?;
    tx.exec(
        "UPDATE run SET outcome = 'interrupted', finished_at = ?1 WHERE outcome = 'running'",
        [at],
    )
}

/// Begins a kind within a run, or resumes it.
pub fn begin_kind(
    tx: &Transaction<'_>,
    run_id: i64,
    kind: Kind,
    trigger: &str,
    at: i64,
) -> StoreResult<()> {
    let sql = "INSERT INTO kind_run (run_id, kind, trigger, started_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (run_id, kind) DO UPDATE
               SET outcome = 'running', finished_at = NULL,
                   trigger = CASE WHEN trigger IN ('start', 'outbox') THEN excluded.trigger ELSE trigger END";
    tx.exec(sql, (run_id, kind.name(), trigger, at))
}

/// Adds to the counters of a kind in a run.
pub fn count(
    tx: &Transaction<'_>,
    run_id: i64,
    kind: Kind,
    counts: &KindCounts,
) -> StoreResult<()> {
    let sql = "UPDATE kind_run
               SET requests = requests + ?3, not_modified = not_modified + ?4,
                   rows_seen = rows_seen + ?5, rows_changed = rows_changed + ?6,
                   type_mismatches = type_mismatches + ?7, rows_dropped = rows_dropped + ?8,
                   snapshots_added = snapshots_added + ?9,
                   snapshots_revised = snapshots_revised + ?10, removed = removed + ?11
               WHERE run_id = ?1 AND kind = ?2";
    let page = &counts.page;
    tx.exec(
        sql,
        (
            run_id,
            kind.name(),
            counts.requests,
            counts.not_modified,
            page.rows_seen,
            page.rows_changed,
            page.type_mismatches,
            page.rows_dropped,
            page.snapshots_added,
            page.snapshots_revised,
            counts.removed,
        ),
    )
}

/// Records the outcome of a kind in a run.
pub fn end_kind(
    tx: &Transaction<'_>,
    run_id: i64,
    kind: Kind,
    kind_outcome: &KindOutcome,
    at: i64,
) -> StoreResult<()> {
    let sql = "UPDATE kind_run
               SET finished_at = ?3, outcome = ?4, error_code = ?5, detail = ?6, request_id = ?7
               WHERE run_id = ?1 AND kind = ?2";
    tx.exec(
        sql,
        (
            run_id,
            kind.name(),
            at,
            kind_outcome.outcome,
            &kind_outcome.error_code,
            &kind_outcome.detail,
            &kind_outcome.request_id,
        ),
    )
}

/// Ends a run, and marks its running kinds as interrupted. Returns its kinds in the order in which they
/// began.
pub fn end(
    tx: &Transaction<'_>,
    run_id: i64,
    outcome: &str,
    detail: Option<&str>,
    at: i64,
) -> StoreResult<Vec<KindRun>> {
    // The row for the first request of a run, if there was none: most runs of a daemon begin without
    // one, and there are thousands of them a day.
    tx.execute(
        "DELETE FROM kind_run
         WHERE run_id = ?1 AND kind = 'meta' AND trigger = 'start' AND outcome = 'polled' AND requests = 0",
        [run_id],
    )?;
    let sql = "UPDATE run SET finished_at = ?2, outcome = ?3, detail = ?4 WHERE run_id = ?1";
    tx.execute(sql, (run_id, at, outcome, detail))?;
    let sql = "UPDATE instance
               SET first_synced_at = (SELECT started_at FROM run WHERE run_id = ?1 AND outcome = 'finished')
               WHERE first_synced_at IS NULL";
    tx.execute(sql, [run_id])?;
    late_indexes::create(tx, 1)?;
    let sql = "UPDATE kind_run
               SET finished_at = coalesce(finished_at, ?2),
                   outcome = CASE outcome WHEN 'running' THEN 'interrupted' ELSE outcome END
               WHERE run_id = ?1 RETURNING *, 0 AS rows_new_to_listing";
    let mut kind_runs: Vec<(i64, KindRun)> =
        tx.all(sql, (run_id, at), |row| Ok((row.get("started_at")?, kind_run(row)?)))?;
    kind_runs.sort_by_key(|(started_at, _)| *started_at);
    Ok(kind_runs.into_iter().map(|(_, kind_run)| kind_run).collect())
}

/// Deletes runs that ended before `before`. Ids ascend with time, so the scan stops at the first run
/// that is kept; a busy daemon makes ten thousand a day.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<()> {
    let sql = "SELECT run_id FROM run WHERE finished_at >= ?1 OR finished_at IS NULL
               ORDER BY run_id LIMIT 1";
    let kept = tx.optional(sql, [before], |row| row.get(0))?.unwrap_or(i64::MAX);
    tx.exec("DELETE FROM run WHERE run_id < ?1", [kept])?;
    tx.exec("DELETE FROM kind_run WHERE run_id < ?1", [kept])
}

/// One kind's share of a run, as in the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KindRun {
    /// Which kind.
    pub kind: Kind,
    /// Why the kind was worked on.
    pub trigger: String,
    /// What was done.
    #[serde(flatten)]
    pub counts: KindCounts,
    /// Its outcome.
    pub outcome: Outcome,
    /// The API's error code, or ours.
    pub error_code: Option<String>,
    /// Error message.
    pub detail: Option<String>,
    /// The API's id of the failed request.
    pub request_id: Option<String>,
}

fn kind_run(row: &Row<'_>) -> rusqlite::Result<KindRun> {
    Ok(KindRun {
        kind: row.get("kind")?,
        trigger: row.get("trigger")?,
        outcome: row.get("outcome")?,
        error_code: row.get("error_code")?,
        detail: row.get("detail")?,
        request_id: row.get("request_id")?,
        counts: KindCounts {
            requests: row.get("requests")?,
            not_modified: row.get("not_modified")?,
            page: PageCounts::from_row(row)?,
            removed: row.get("removed")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::mirror;

    #[test]
    fn removes_the_row_for_the_first_request_if_none_was_sent() {
        let (_folder, store) = mirror();
        for (requests, outcome, kept) in
            [(0, Outcome::Polled, 0), (1, Outcome::Polled, 1), (0, Outcome::Failed, 1)]
        {
            let kind_runs = store.write(|tx| {
                let run_id = begin(tx, "run", 1)?;
                begin_kind(tx, run_id, Kind::Meta, "start", 1)?;
                count(tx, run_id, Kind::Meta, &KindCounts { requests, ..KindCounts::default() })?;
                end_kind(tx, run_id, Kind::Meta, &KindOutcome::of(outcome), 2)?;
                end(tx, run_id, "finished", None, 2)
            });
            assert_eq!(kind_runs.unwrap().len(), kept, "{requests} {outcome}");
        }
    }

    #[test]
    fn kinds_that_run_when_a_run_ends_are_interrupted() {
        let (_folder, store) = mirror();
        let kind_runs = store.write(|tx| {
            let run_id = begin(tx, "sync", 1)?;
            begin_kind(tx, run_id, Kind::Video, "full", 3)?;
            begin_kind(tx, run_id, Kind::Account, "full", 2)?;
            count(
                tx,
                run_id,
                Kind::Video,
                &KindCounts { requests: 4, removed: 1, ..KindCounts::default() },
            )?;
            end_kind(tx, run_id, Kind::Account, &KindOutcome::of(Outcome::Complete), 4)?;
            end(tx, run_id, "interrupted", None, 5)
        });
        let kind_runs = kind_runs.unwrap();
        let found = kind_runs
            .iter()
            .map(|kind_run| (kind_run.kind, kind_run.outcome, kind_run.counts.requests));
        let expected =
            [(Kind::Account, Outcome::Complete, 0), (Kind::Video, Outcome::Interrupted, 4)];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn prune_deletes_old_runs_with_their_kind_runs() {
        let (_folder, store) = mirror();
        let left = |before| {
            store
                .write(|tx| {
                    prune(tx, before)?;
                    let count = |table| {
                        let sql = format!("SELECT count(*) FROM {table}");
                        tx.query_row(&sql, [], |row| row.get::<_, i64>(0))
                    };
                    Ok((count("run")?, count("kind_run")?))
                })
                .unwrap()
        };
        store
            .write(|tx| {
                for at in 1..=5 {
                    let run_id = begin(tx, "run", at * 10)?;
                    begin_kind(tx, run_id, Kind::Video, "due", at * 10)?;
                    if at < 5 {
                        end(tx, run_id, "finished", None, at * 10 + 1)?;
                    }
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(left(11), (5, 5));
        assert_eq!(left(22), (3, 3));
        // A running one is kept, however old.
        assert_eq!(left(1_000), (1, 1));
    }
}
