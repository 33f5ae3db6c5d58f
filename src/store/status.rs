//! Reads the state of the mirror for `status` and `check`. The queries use indexes or are bounded, so their
//! cost does not grow with the mirror; only [`integrity`] reads the whole file.

use std::path::Path;

use rusqlite::Connection;

use crate::model::{Kind, Lifecycle};
use crate::store::backoff::{self, Backoff};
use crate::store::database_path;
use crate::store::error::StoreResult;
use crate::store::freshness::{self, Freshness};
use crate::store::instance::{self, Identity};
use crate::store::listings::{self, KindState, Listing};
use crate::store::metrics::{self, MetricsRange};
use crate::store::open;
use crate::store::outbox::{self, Summary};
use crate::store::query::{Query, from_row};
use crate::store::rows::{self, UnreadableScrapes};
use crate::store::unsupported::{self, UnsupportedFeature};

/// Runs that are searched for the last error; the log may contain months of them.
const RUNS_SEARCHED: i64 = 1_000;

/// Damages that [`integrity`] returns.
const DAMAGES_MAX: i64 = 5;

/// Everything that `status` shows from the database, read in one snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Identity of the mirror.
    pub identity: Identity,
    /// Version of its schema.
    pub schema_version: i64,
    /// The daemon's condition and batch delay (seconds); valid while a daemon runs.
    pub daemon: Option<(String, i64)>,
    /// The latest run.
    pub last_run: Option<LastRun>,
    /// Status of each kind, in the order of a run.
    pub kinds: Vec<KindStatus>,
    /// The schedule of videos.
    pub schedule: Schedule,
    /// Range of the daily metrics, by kind.
    pub daily: Vec<MetricsRange>,
    /// The stored rate limiter.
    pub request_state: instance::StoredRequestState,
    /// Features that the server does not support.
    pub unsupported: Vec<UnsupportedFeature>,
    /// Active backoffs.
    pub paused: Vec<Backoff>,
    /// Entries of the outbox by state.
    pub outbox: Summary,
    /// The last error.
    pub last_error: Option<LastError>,
    /// The API's lifecycle (deprecation, sunset) and when it was read, microseconds.
    pub lifecycle: Option<(Lifecycle, i64)>,
}

/// A run as in the log; times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// Its id.
    pub run_id: i64,
    /// What started it.
    pub trigger: String,
    /// When it began.
    pub started_at: i64,
    /// When it ended; `None` while it runs, or if it was killed.
    pub finished_at: Option<i64>,
    /// Its outcome.
    pub outcome: String,
    /// Error message, if it was stopped.
    pub detail: Option<String>,
    /// Requests sent.
    pub requests: i64,
}

from_row!(LastRun: run_id, trigger, started_at, finished_at, outcome, detail, requests);

/// Status of a kind; times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindStatus {
    /// Which kind.
    pub kind: Kind,
    /// Present resources, or observations of a document.
    pub rows: i64,
    /// Removed resources.
    pub removed: i64,
    /// State of its listings.
    pub state: KindState,
    /// A listing that is running or was interrupted.
    pub open_listing: Option<Listing>,
    /// Age of its latest scrapes.
    pub freshness: Option<Freshness>,
    /// Rows whose scrapes do not enter history.
    pub unreadable_scrapes: Option<UnreadableScrapes>,
}

/// When videos are due; times in Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Videos that are polled; the others are read by full syncs only.
    pub scheduled: i64,
    /// Of these, due now.
    pub overdue: i64,
    /// The earliest due time.
    pub next_due_at: Option<i64>,
}

from_row!(Schedule: scheduled, overdue, next_due_at);

/// An error; time in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// The run that failed.
    pub run_id: i64,
    /// When it ended.
    pub at: i64,
    /// The kind that failed; `None` if the whole run was stopped.
    pub kind: Option<String>,
    /// The API's error code, or ours.
    pub code: String,
    /// Error message.
    pub detail: Option<String>,
    /// The API's id of the request.
    pub request_id: Option<String>,
}

from_row!(LastError: run_id, at, kind, code, detail, request_id);

/// File sizes, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The database file.
    pub database: u64,
    /// The write-ahead log beside it.
    pub wal: u64,
}

/// Reads everything at `now` (microseconds) in one snapshot.
pub fn read(c: &Connection, now: i64) -> StoreResult<Snapshot> {
    let snapshot = c.unchecked_transaction()?;
    let kinds: StoreResult<Vec<KindStatus>> =
        Kind::ALL.into_iter().map(|kind| kind_status(&snapshot, kind)).collect();
    Ok(Snapshot {
        identity: instance::identity(&snapshot)?,
        schema_version: open::schema_version(&snapshot)?,
        daemon: instance::condition(&snapshot)?,
        last_run: last_run(&snapshot)?,
        kinds: kinds?,
        schedule: schedule(&snapshot, now / 1_000_000)?,
        daily: metrics::reach(&snapshot)?,
        request_state: instance::request_state(&snapshot)?,
        unsupported: unsupported::active(&snapshot, now)?,
        paused: backoff::active(&snapshot, now)?,
        outbox: outbox::summary(&snapshot)?,
        last_error: last_error(&snapshot)?,
        lifecycle: lifecycle(&snapshot)?,
    })
}

/// Returns the API's lifecycle (deprecation, sunset) and when it was read, microseconds.
pub fn lifecycle(c: &Connection) -> StoreResult<Option<(Lifecycle, i64)>> {
    let meta = instance::api_meta(c)?;
    Ok(meta.and_then(|(json, at)| Some((Lifecycle::read(&json)?, at))))
}

/// Depth of an integrity check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// Checks every page and row, but not indexes against their tables.
    #[default]
    Quick,
    /// Checks indexes against their tables as well, which takes several times as long.
    Deep,
}

impl Depth {
    /// Returns the name of the pragma.
    pub const fn pragma(self) -> &'static str {
        match self {
            Self::Quick => "quick_check",
            Self::Deep => "integrity_check",
        }
    }
}

/// Returns up to five damages; none if the database is intact. Reads the whole file.
pub fn integrity(c: &Connection, depth: Depth) -> StoreResult<Vec<String>> {
    let sql = format!("PRAGMA {}({DAMAGES_MAX})", depth.pragma());
    let lines: Vec<String> = c.all(&sql, [], |row| row.get(0))?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Returns the sizes of the database and its log. The files are not opened.
pub fn sizes(database: &Path) -> Sizes {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    Sizes { database: length(database), wal: length(&database_path::wal_path(database)) }
}

fn kind_status(c: &Connection, kind: Kind) -> StoreResult<KindStatus> {
    let (rows, removed) = listings::counts(c, kind)?;
    Ok(KindStatus {
        kind,
        rows,
        removed,
        state: listings::state(c, kind)?,
        open_listing: listings::open(c, kind)?,
        freshness: freshness::read(c, kind)?,
        unreadable_scrapes: rows::unreadable_scrapes(c, kind)?,
    })
}

fn schedule(c: &Connection, now: i64) -> StoreResult<Schedule> {
    let sql = "SELECT (SELECT count(*) FROM video_due) AS scheduled,
                      (SELECT count(*) FROM video_due WHERE due_at <= ?1) AS overdue,
                      (SELECT min(due_at) FROM video_due) AS next_due_at";
    c.one(sql, [now], Schedule::from_row)
}

fn last_run(c: &Connection) -> StoreResult<Option<LastRun>> {
    let sql = "SELECT run_id, trigger, started_at, finished_at, outcome, detail,
                      (SELECT coalesce(sum(k.requests), 0) FROM kind_run AS k WHERE k.run_id = p.run_id) AS requests
               FROM run AS p ORDER BY run_id DESC LIMIT 1";
    c.optional(sql, [], LastRun::from_row)
}

/// Returns when the run that ended last did so (microseconds).
pub fn last_run_finished_at(c: &Connection) -> StoreResult<Option<i64>> {
    c.value("SELECT max(finished_at) FROM run", [])
}

/// Returns the last error of a kind, or of a whole run if that is later. Of the same run, the kind's error
/// is returned, because it has the request id.
fn last_error(c: &Connection) -> StoreResult<Option<LastError>> {
    let sql = "SELECT run_id, at, kind, code, detail, request_id
               FROM (SELECT run_id, coalesce(finished_at, started_at) AS at, kind, error_code AS code,
                            detail, request_id
                     FROM kind_run
                     WHERE error_code IS NOT NULL AND run_id > (SELECT max(run_id) FROM run) - ?1
                     UNION ALL
                     SELECT run_id, coalesce(finished_at, started_at), NULL, outcome, detail, NULL
                     FROM run
                     WHERE outcome NOT IN ('finished', 'running', 'interrupted')
                       AND run_id > (SELECT max(run_id) FROM run) - ?1)
               ORDER BY run_id DESC, kind IS NULL, at DESC LIMIT 1";
    c.optional(sql, [RUNS_SEARCHED], LastError::from_row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KindOutcome, Outcome};
    use crate::store::Database;
    use crate::store::runs::{self, KindCounts};
    use crate::store::testing::mirror;

    /// A run whose accounts failed with this error, and which was stopped by it.
    fn failed_run(store: &Database, at: i64, code: Option<&str>, outcome: &str) {
        let kind_outcome = KindOutcome {
            outcome: Outcome::Failed,
            error_code: code.map(str::to_owned),
            detail: None,
            request_id: code.map(|code| format!("req_{code}")),
        };
        store
            .write(|tx| {
                let run_id = runs::begin(tx, "sync", at)?;
                runs::begin_kind(tx, run_id, Kind::Account, "full", at)?;
                let counts = KindCounts { requests: 3, ..KindCounts::default() };
                runs::count(tx, run_id, Kind::Account, &counts)?;
                runs::end_kind(tx, run_id, Kind::Account, &kind_outcome, at + 1)?;
                runs::end(tx, run_id, outcome, None, at + 2)?;
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn fresh_mirror_has_no_runs_and_no_errors() {
        let (_folder, store) = mirror();
        let found = store.read(|c| read(c, 0)).unwrap();
        assert_eq!(found.kinds.iter().map(|kind| kind.kind).collect::<Vec<_>>(), Kind::ALL);
        assert!(found.kinds.iter().all(|kind| (kind.rows, kind.removed) == (0, 0)));
        assert_eq!((found.last_run, found.last_error, found.lifecycle), (None, None, None));
        assert_eq!(found.schedule, Schedule::default());
        assert_eq!(found.schema_version, open::known_version());
        assert_eq!(store.read(|c| integrity(c, Depth::Deep)).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn last_error_has_request_id_of_the_kind() {
        let (_folder, store) = mirror();
        failed_run(&store, 10, Some("ONE"), "finished");
        failed_run(&store, 20, Some("TWO"), "unreachable");
        failed_run(&store, 30, None, "finished");
        let error = store.read(last_error).unwrap().unwrap();
        assert_eq!((error.run_id, error.at, error.code.as_str()), (2, 21, "TWO"));
        assert_eq!(error.request_id.as_deref(), Some("req_TWO"));
        failed_run(&store, 40, None, "other_organization");
        let error = store.read(last_error).unwrap().unwrap();
        assert_eq!(
            (error.run_id, error.kind, error.code.as_str()),
            (4, None, "other_organization")
        );
        let run = store.read(last_run).unwrap().unwrap();
        assert_eq!((run.run_id, run.requests, run.finished_at), (4, 3, Some(42)));
    }

    #[test]
    fn last_error_is_searched_in_recent_runs_only() {
        let (_folder, store) = mirror();
        failed_run(&store, 10, Some("ONE"), "finished");
        store
            .write(|tx| {
                tx.execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'run'", [])?;
                Ok(())
            })
            .unwrap();
        failed_run(&store, 20, None, "finished");
        assert_eq!(store.read(last_error).unwrap(), None);
    }

    #[test]
    fn counts_rows_and_due_videos() {
        let (_folder, store) = mirror();
        store
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO video (row_id, id, fingerprint, as_of, first_mirrored_at, removed_at)
                     VALUES (1, 'a', 0, 0, 0, NULL), (2, 'b', 0, 0, 0, NULL), (3, 'c', 0, 0, 0, 9);
                     INSERT INTO video_due (video, due_at) VALUES (1, 100), (2, 200);",
                )?;
                Ok(())
            })
            .unwrap();
        let found = store.read(|c| read(c, 150_000_000)).unwrap();
        let videos = found.kinds.iter().find(|kind| kind.kind == Kind::Video).unwrap();
        assert_eq!((videos.rows, videos.removed), (2, 1));
        let expected = Schedule { scheduled: 2, overdue: 1, next_due_at: Some(100) };
        assert_eq!(found.schedule, expected);
        let sizes = sizes(store.path());
        assert!(sizes.database > 0 && sizes.wal > 0, "{sizes:?}");
    }
}
