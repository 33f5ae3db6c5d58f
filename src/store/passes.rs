//! The log of passes: what each did for each kind, counted in the transactions that did it.

use rusqlite::{Connection, Row, Transaction};

use crate::model::{Ending, Kind, Outcome};
use crate::store::error::StoreResult;
use crate::store::pages::PageCounts;
use crate::store::query::Query;

/// Counters of a pass and kind, added to what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Requests sent, repeated attempts included.
    pub requests: i64,
    /// Of these, answered 304.
    pub not_modified: i64,
    /// What the pages brought.
    #[serde(flatten)]
    pub page: PageCounts,
    /// Rows marked removed.
    pub removed: i64,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.not_modified += other.not_modified;
        self.removed += other.removed;
        let (page, more) = (&mut self.page, &other.page);
        page.rows_seen += more.rows_seen;
        page.rows_new_to_walk += more.rows_new_to_walk;
        page.rows_changed += more.rows_changed;
        page.type_mismatches += more.type_mismatches;
        page.rows_dropped += more.rows_dropped;
        page.snapshots_added += more.snapshots_added;
        page.snapshots_revised += more.snapshots_revised;
    }
}

/// Begins a pass. Passes that a crash left running are marked as interrupted.
pub fn begin(tx: &Transaction<'_>, trigger: &str, at: i64) -> StoreResult<i64> {
    interrupt(tx, at)?;
    tx.execute("INSERT INTO pass (trigger, started_at) VALUES (?1, ?2)", (trigger, at))?;
    Ok(tx.last_insert_rowid())
}

/// Marks what is under way as interrupted.
pub fn interrupt(tx: &Transaction<'_>, at: i64) -> StoreResult<()> {
    tx.execute(
        "UPDATE pass_kind SET outcome = 'interrupted', finished_at = ?1
         WHERE outcome = 'running' AND run_id IN (SELECT run_id FROM pass WHERE outcome = 'running')",
        [at],
    )?;
    tx.exec(
        "UPDATE pass SET outcome = 'interrupted', finished_at = ?1 WHERE outcome = 'running'",
        [at],
    )
}

/// Begins a kind within a pass; a kind may be taken up more than once.
pub fn begin_kind(
    tx: &Transaction<'_>,
    pass: i64,
    kind: Kind,
    trigger: &str,
    at: i64,
) -> StoreResult<()> {
    let sql = "INSERT INTO pass_kind (run_id, kind, trigger, started_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (run_id, kind) DO UPDATE
               SET outcome = 'running', finished_at = NULL,
                   trigger = CASE WHEN trigger IN ('start', 'outbox') THEN excluded.trigger ELSE trigger END";
    tx.exec(sql, (pass, kind.name(), trigger, at))
}

/// Adds to the counters of a kind.
pub fn count(tx: &Transaction<'_>, pass: i64, kind: Kind, tally: &Tally) -> StoreResult<()> {
    let sql = "UPDATE pass_kind
               SET requests = requests + ?3, not_modified = not_modified + ?4,
                   rows_seen = rows_seen + ?5, rows_changed = rows_changed + ?6,
                   type_mismatches = type_mismatches + ?7, rows_dropped = rows_dropped + ?8,
                   snapshots_added = snapshots_added + ?9,
                   snapshots_revised = snapshots_revised + ?10, removed = removed + ?11
               WHERE run_id = ?1 AND kind = ?2";
    let page = &tally.page;
    tx.exec(
        sql,
        (
            pass,
            kind.name(),
            tally.requests,
            tally.not_modified,
            page.rows_seen,
            page.rows_changed,
            page.type_mismatches,
            page.rows_dropped,
            page.snapshots_added,
            page.snapshots_revised,
            tally.removed,
        ),
    )
}

/// Ends a kind within a pass.
pub fn end_kind(
    tx: &Transaction<'_>,
    pass: i64,
    kind: Kind,
    ending: &Ending,
    at: i64,
) -> StoreResult<()> {
    let sql = "UPDATE pass_kind
               SET finished_at = ?3, outcome = ?4, error_code = ?5, detail = ?6, request_id = ?7
               WHERE run_id = ?1 AND kind = ?2";
    tx.exec(
        sql,
        (
            pass,
            kind.name(),
            at,
            ending.outcome,
            &ending.error_code,
            &ending.detail,
            &ending.request_id,
        ),
    )
}

/// Ends a pass, and with it what is still under way. Returns its turns, in the order in which they began.
pub fn end(
    tx: &Transaction<'_>,
    pass: i64,
    outcome: &str,
    detail: Option<&str>,
    at: i64,
) -> StoreResult<Vec<Turn>> {
    // The turn that carries the first request of a pass, where there was none: a daemon's passes mostly
    // begin without, and there are thousands of them a day.
    tx.execute(
        "DELETE FROM pass_kind
         WHERE run_id = ?1 AND kind = 'meta' AND trigger = 'start' AND outcome = 'polled' AND requests = 0",
        [pass],
    )?;
    let sql = "UPDATE pass SET finished_at = ?2, outcome = ?3, detail = ?4 WHERE run_id = ?1";
    tx.execute(sql, (pass, at, outcome, detail))?;
    let sql = "UPDATE pass_kind
               SET finished_at = coalesce(finished_at, ?2),
                   outcome = CASE outcome WHEN 'running' THEN 'interrupted' ELSE outcome END
               WHERE run_id = ?1 RETURNING *, 0 AS rows_new_to_walk";
    let mut turns: Vec<(i64, Turn)> =
        tx.all(sql, (pass, at), |row| Ok((row.get("started_at")?, turn(row)?)))?;
    turns.sort_by_key(|(started_at, _)| *started_at);
    Ok(turns.into_iter().map(|(_, turn)| turn).collect())
}

/// Deletes passes that ended before `before`. They stand in the order of time, so this looks no
/// further than the first that is kept: a busy daemon makes ten thousand a day.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<()> {
    let sql = "SELECT run_id FROM pass WHERE finished_at >= ?1 OR finished_at IS NULL
               ORDER BY run_id LIMIT 1";
    let kept = tx.optional(sql, [before], |row| row.get(0))?.unwrap_or(i64::MAX);
    tx.exec("DELETE FROM pass WHERE run_id < ?1", [kept])?;
    tx.exec("DELETE FROM pass_kind WHERE run_id < ?1", [kept])
}

/// A kind's turn within a pass, as in the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Turn {
    /// Which kind.
    pub kind: Kind,
    /// Why it was its turn.
    pub trigger: String,
    /// What was done.
    #[serde(flatten)]
    pub tally: Tally,
    /// One word.
    pub outcome: Outcome,
    /// The API's error code, or ours.
    pub error_code: Option<String>,
    /// A sentence for people.
    pub detail: Option<String>,
    /// The API's id of the request that failed.
    pub request_id: Option<String>,
}

/// The kinds of a pass whose turns are not over.
pub fn running(c: &Connection, pass: i64) -> StoreResult<Vec<Kind>> {
    let sql = "SELECT kind FROM pass_kind WHERE run_id = ?1 AND outcome = 'running'";
    c.all(sql, [pass], |row| row.get(0))
}

fn turn(row: &Row<'_>) -> rusqlite::Result<Turn> {
    Ok(Turn {
        kind: row.get("kind")?,
        trigger: row.get("trigger")?,
        outcome: row.get("outcome")?,
        error_code: row.get("error_code")?,
        detail: row.get("detail")?,
        request_id: row.get("request_id")?,
        tally: Tally {
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
    use crate::store::Database;
    use crate::store::open::IfMissing;

    #[test]
    fn a_turn_that_is_there_for_the_first_request_goes_where_there_was_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        for (requests, outcome, kept) in
            [(0, Outcome::Polled, 0), (1, Outcome::Polled, 1), (0, Outcome::Failed, 1)]
        {
            let turns = store.write(|tx| {
                let pass = begin(tx, "run", 1)?;
                begin_kind(tx, pass, Kind::Meta, "start", 1)?;
                count(tx, pass, Kind::Meta, &Tally { requests, ..Tally::default() })?;
                end_kind(tx, pass, Kind::Meta, &Ending::of(outcome), 2)?;
                end(tx, pass, "finished", None, 2)
            });
            assert_eq!(turns.unwrap().len(), kept, "{requests} {outcome}");
        }
    }

    #[test]
    fn what_is_under_way_when_a_pass_ends_is_told_as_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        let turns = store.write(|tx| {
            let pass = begin(tx, "sync", 1)?;
            begin_kind(tx, pass, Kind::Video, "full", 3)?;
            begin_kind(tx, pass, Kind::Account, "full", 2)?;
            count(tx, pass, Kind::Video, &Tally { requests: 4, removed: 1, ..Tally::default() })?;
            end_kind(tx, pass, Kind::Account, &Ending::of(Outcome::Complete), 4)?;
            end(tx, pass, "interrupted", None, 5)
        });
        let turns = turns.unwrap();
        let told = turns.iter().map(|turn| (turn.kind, turn.outcome, turn.tally.requests));
        let expected =
            [(Kind::Account, Outcome::Complete, 0), (Kind::Video, Outcome::Interrupted, 4)];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn passes_that_ended_long_ago_are_forgotten_with_their_turns() {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        let left = |before| {
            store
                .write(|tx| {
                    prune(tx, before)?;
                    let count = |table| {
                        let sql = format!("SELECT count(*) FROM {table}");
                        tx.query_row(&sql, [], |row| row.get::<_, i64>(0))
                    };
                    Ok((count("pass")?, count("pass_kind")?))
                })
                .unwrap()
        };
        store
            .write(|tx| {
                for at in 1..=5 {
                    let pass = begin(tx, "run", at * 10)?;
                    begin_kind(tx, pass, Kind::Video, "due", at * 10)?;
                    if at < 5 {
                        end(tx, pass, "finished", None, at * 10 + 1)?;
                    }
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(left(11), (5, 5));
        assert_eq!(left(22), (3, 3));
        // One that runs is kept, however old.
        assert_eq!(left(1_000), (1, 1));
    }
}
