//! Jobs that other processes hand to the daemon, which owns the rate limiter and the budget.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// A job the daemon has taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub job: i64,
    /// What is wanted, as JSON.
    pub request: String,
    /// When it was handed over, microseconds.
    pub created_at: i64,
}

from_row!(Job: job, request, created_at);

/// Where a job stands, for the process that handed it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not taken up yet.
    Queued,
    /// Under way; how far it is, where that was said.
    Running(Option<String>),
    /// Done, with the exit code and what to print.
    Done(u8, String),
}

/// Hands a job over.
pub fn hand_over(tx: &Transaction<'_>, request: &str, at: i64) -> StoreResult<i64> {
    tx.execute("INSERT INTO job (request, created_at) VALUES (?1, ?2)", (request, at))?;
    Ok(tx.last_insert_rowid())
}

/// Takes up the oldest job that waits.
pub fn claim(tx: &Transaction<'_>) -> StoreResult<Option<Job>> {
    let sql = "UPDATE job SET state = 'running'
               WHERE job = (SELECT min(job) FROM job WHERE state = 'queued')
               RETURNING job, request, created_at";
    tx.optional(sql, [], Job::from_row)
}

/// Whether a job waits.
pub fn is_waiting(c: &Connection) -> StoreResult<bool> {
    c.value("SELECT EXISTS (SELECT 1 FROM job WHERE state = 'queued')", [])
}

/// Jobs that a daemon had taken up when it died are taken up again.
pub fn requeue(tx: &Transaction<'_>) -> StoreResult<()> {
    tx.exec("UPDATE job SET state = 'queued' WHERE state = 'running'", [])
}

/// Says how far a job is.
pub fn note_progress(tx: &Transaction<'_>, job: i64, progress: &str) -> StoreResult<()> {
    tx.exec("UPDATE job SET progress = ?2 WHERE job = ?1", (job, progress))
}

/// Ends a job.
pub fn finish(
    tx: &Transaction<'_>,
    job: i64,
    exit_code: u8,
    answer: &str,
    at: i64,
) -> StoreResult<()> {
    let sql = "UPDATE job SET state = 'done', exit_code = ?2, answer = ?3, finished_at = ?4 WHERE job = ?1";
    tx.exec(sql, (job, exit_code, answer, at))
}

/// Takes a job back that nobody works on. Returns whether it was still there to be taken back.
pub fn withdraw(tx: &Transaction<'_>, job: i64) -> StoreResult<bool> {
    Ok(tx.execute("DELETE FROM job WHERE job = ?1 AND state <> 'done'", [job])? > 0)
}

/// Where a job stands; `None` when there is no such job.
pub fn progress(c: &Connection, job: i64) -> StoreResult<Option<Progress>> {
    c.optional("SELECT state, exit_code, answer, progress FROM job WHERE job = ?1", [job], |row| {
        let state: String = row.get(0)?;
        Ok(match state.as_str() {
            "queued" => Progress::Queued,
            "running" => Progress::Running(row.get(3)?),
            _ => Progress::Done(row.get(1)?, row.get(2)?),
        })
    })
}

/// Deletes all jobs: a copy of the mirror was asked for nothing.
pub fn clear(tx: &Transaction<'_>) -> StoreResult<()> {
    tx.exec("DELETE FROM job", [])
}

/// Deletes jobs that ended before `before`.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<()> {
    tx.exec("DELETE FROM job WHERE state = 'done' AND finished_at < ?1", [before])
}

/// A number that changes whenever another process has written.
pub fn data_version(c: &Connection) -> StoreResult<i64> {
    c.value("PRAGMA data_version", [])
}
