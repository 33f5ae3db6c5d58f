//! Reads the bookkeeping back for `status` and `check`. What is read here is found by indexes or in
//! bounds, so that it costs little however large the mirror is; only [`integrity`] reads it all.

use std::path::Path;

use rusqlite::Connection;

use crate::model::{Kind, Lifecycle};
use crate::store::backoff::{self, Backoff};
use crate::store::database_path;
use crate::store::error::StoreResult;
use crate::store::freshness::{self, Freshness};
use crate::store::instance::{self, Identity};
use crate::store::listings::{self, KindState, Listing};
use crate::store::metrics::{self, Reach};
use crate::store::open;
use crate::store::outbox::{self, Summary};
use crate::store::query::{Query, from_row};
use crate::store::rows::{self, UnreadableScrapes};
use crate::store::unsupported::{self, UnsupportedFeature};

/// Passes that are searched for the last error. The log may hold months of them.
const RUNS_SEARCHED: i64 = 1_000;

/// Damages that [`integrity`] names.
const DAMAGES_MAX: i64 = 5;

/// Everything `status` shows that is in the database, as of one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whose mirror it is.
    pub identity: Identity,
    /// The version of its schema.
    pub schema_version: i64,
    /// What the daemon says of itself, and how long it lets dues wait for each other, seconds. Of
    /// value while a daemon runs.
    pub daemon: Option<(String, i64)>,
    /// The run that began last.
    pub last_run: Option<LastRun>,
    /// Where each kind stands, in the order of a run.
    pub kinds: Vec<KindStatus>,
    /// The schedule of videos.
    pub schedule: Schedule,
    /// How far the daily metrics reach.
    pub daily: Vec<Reach>,
    /// The rate limiter as it is kept.
    pub request_state: instance::StoredRequestState,
    /// What the server was found not to support.
    pub unsupported: Vec<UnsupportedFeature>,
    /// What is left alone for now because it failed.
    pub paused: Vec<Backoff>,
    /// How the outbox is doing.
    pub outbox: Summary,
    /// What went wrong last.
    pub last_error: Option<LastError>,
    /// What the API says of its future, and when it did, in microseconds.
    pub lifecycle: Option<(Lifecycle, i64)>,
}

/// A run as in the log; times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// Its number.
    pub run_id: i64,
    /// Who asked for it.
    pub trigger: String,
    /// When it began.
    pub started_at: i64,
    /// When it ended; `None` while it runs, or if it was killed.
    pub finished_at: Option<i64>,
    /// One word.
    pub outcome: String,
    /// A sentence, where it was stopped.
    pub detail: Option<String>,
    /// Requests it has sent.
    pub requests: i64,
}

from_row!(LastRun: run_id, trigger, started_at, finished_at, outcome, detail, requests);

/// Where a kind stands; times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindStatus {
    /// Which kind.
    pub kind: Kind,
    /// Resources that the API lists, or observations of a document.
    pub rows: i64,
    /// Resources marked removed.
    pub removed: i64,
    /// What its listings came to.
    pub state: KindState,
    /// The listing that is under way, or was interrupted.
    pub open_listing: Option<Listing>,
    /// How old its figures are.
    pub freshness: Option<Freshness>,
    /// Rows whose history stops.
    pub unreadable_scrapes: Option<UnreadableScrapes>,
}

/// When videos are due; times in Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Videos that are polled by their intervals; the others are left to the full syncs.
    pub scheduled: i64,
    /// Of these, due by now.
    pub overdue: i64,
    /// When the first of all is due, or has been since.
    pub next_due_at: Option<i64>,
}

from_row!(Schedule: scheduled, overdue, next_due_at);

/// Something that went wrong; time in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// In which pass.
    pub run_id: i64,
    /// When.
    pub at: i64,
    /// With which kind; `None` if it stopped the whole run.
    pub kind: Option<String>,
    /// The API's code for it, or ours.
    pub code: String,
    /// A sentence for people.
    pub detail: Option<String>,
    /// The API's id of the request.
    pub request_id: Option<String>,
}

from_row!(LastError: run_id, at, kind, code, detail, request_id);

/// Bytes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The database file.
    pub database: u64,
    /// The write-ahead log beside it.
    pub wal: u64,
}

/// Reads everything at `now`, in microseconds, as of one moment.
pub fn read(c: &Connection, now: i64) -> StoreResult<Snapshot> {
    // Only ever read: dropping the transaction lets the moment go.
    let moment = c.unchecked_transaction()?;
    let kinds: StoreResult<Vec<KindStatus>> =
        Kind::ALL.into_iter().map(|kind| kind_status(&moment, kind)).collect();
    Ok(Snapshot {
        identity: instance::identity(&moment)?,
        schema_version: open::schema_version(&moment)?,
        daemon: instance::condition(&moment)?,
        last_run: last_run(&moment)?,
        kinds: kinds?,
        schedule: schedule(&moment, now / 1_000_000)?,
        daily: metrics::reach(&moment)?,
        request_state: instance::request_state(&moment)?,
        unsupported: unsupported::in_force(&moment, now)?,
        paused: backoff::in_force(&moment, now)?,
        outbox: outbox::summary(&moment)?,
        last_error: last_error(&moment)?,
        lifecycle: lifecycle(&moment)?,
    })
}

/// What the API says of its future, and when it did, in microseconds.
pub fn lifecycle(c: &Connection) -> StoreResult<Option<(Lifecycle, i64)>> {
    let meta = instance::api_meta(c)?;
    Ok(meta.and_then(|(json, at)| Some((Lifecycle::read(&json)?, at))))
}

/// How closely the database is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// Every page and row, but not whether indexes hold what their tables do.
    #[default]
    Quick,
    /// Indexes against their tables as well, which takes several times as long.
    Deep,
}

impl Depth {
    /// The pragma that does it.
    pub const fn pragma(self) -> &'static str {
        match self {
            Self::Quick => "quick_check",
            Self::Deep => "integrity_check",
        }
    }
}

/// What is damaged in the database; nothing, if it is sound. Reads the whole file.
pub fn integrity(c: &Connection, depth: Depth) -> StoreResult<Vec<String>> {
    let sql = format!("PRAGMA {}({DAMAGES_MAX})", depth.pragma());
    let lines: Vec<String> = c.all(&sql, [], |row| row.get(0))?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Sizes by name alone: the files are not opened.
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

/// The later of a kind's last error and of what last stopped a whole run. Where both tell of the
/// same run, the kind's is the one that knows the request.
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
    use crate::store::open::IfMissing;
    use crate::store::runs::{self, Tally};

    fn mirror() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        (folder, store)
    }

    /// A run whose turn of accounts ended with this error, and which was itself stopped by that.
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
                let tally = Tally { requests: 3, ..Tally::default() };
                runs::count(tx, run_id, Kind::Account, &tally)?;
                runs::end_kind(tx, run_id, Kind::Account, &kind_outcome, at + 1)?;
                runs::end(tx, run_id, outcome, None, at + 2)?;
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn a_fresh_mirror_has_nothing_to_tell() {
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
    fn the_last_error_knows_its_request_where_one_kind_had_it() {
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
        let run_id = store.read(last_run).unwrap().unwrap();
        assert_eq!((run_id.run_id, run_id.requests, run_id.finished_at), (4, 3, Some(42)));
    }

    #[test]
    fn an_error_of_long_ago_is_not_searched_for() {
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
    fn rows_and_dues_are_counted() {
        let (_folder, store) = mirror();
        store
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO video (key, id, fingerprint, as_of, first_mirrored_at, removed_at)
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
