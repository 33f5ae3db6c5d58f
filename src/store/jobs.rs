//! Job queue: work that other processes submit to the daemon, which owns the rate limiter.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// A job that the daemon has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub job: i64,
    /// The request, as JSON.
    pub request: String,
    /// When it was submitted, microseconds.
    pub created_at: i64,
}

from_row!(Job: job, request, created_at);

/// State of a job, for the process that submitted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Not claimed yet.
    Queued,
    /// Claimed, with the last progress message.
    Running(Option<String>),
    /// Done, with the exit code and the answer as JSON.
    Done(u8, String),
}

/// Submits a job and returns its number.
pub fn submit(tx: &Transaction<'_>, request: &str, at: i64) -> StoreResult<i64> {
    tx.execute("INSERT INTO job (request, created_at) VALUES (?1, ?2)", (request, at))?;
    Ok(tx.last_insert_rowid())
}

/// Claims the oldest queued job.
pub fn claim(tx: &Transaction<'_>) -> StoreResult<Option<Job>> {
    let sql = "UPDATE job SET state = 'running'
               WHERE job = (SELECT min(job) FROM job WHERE state = 'queued')
               RETURNING job, request, created_at";
    tx.optional(sql, [], Job::from_row)
}

/// Whether a job is queued.
pub fn is_waiting(c: &Connection) -> StoreResult<bool> {
    c.value("SELECT EXISTS (SELECT 1 FROM job WHERE state = 'queued')", [])
}

/// Queues again the jobs that a daemon had claimed when it died.
pub fn requeue(tx: &Transaction<'_>) -> StoreResult<()> {
    tx.exec("UPDATE job SET state = 'queued' WHERE state = 'running'", [])
}

/// Sets the progress message of a job.
pub fn set_progress(tx: &Transaction<'_>, job: i64, progress: &str) -> StoreResult<()> {
    tx.exec("UPDATE job SET progress = ?2 WHERE job = ?1", (job, progress))
}

/// Records the answer of a job.
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

/// Deletes a job that is not done. Returns whether there was one.
pub fn withdraw(tx: &Transaction<'_>, job: i64) -> StoreResult<bool> {
    Ok(tx.execute("DELETE FROM job WHERE job = ?1 AND state <> 'done'", [job])? > 0)
}

/// Returns the state of a job; `None` if there is no such job.
pub fn progress(c: &Connection, job: i64) -> StoreResult<Option<JobState>> {
    c.optional("SELECT state, exit_code, answer, progress FROM job WHERE job = ?1", [job], |row| {
        let state: String = row.get(0)?;
        Ok(match state.as_str() {
            "queued" => JobState::Queued,
            "running" => JobState::Running(row.get(3)?),
            _ => JobState::Done(row.get(1)?, row.get(2)?),
        })
    })
}

/// Deletes all jobs, in a copy of the mirror.
pub fn clear(tx: &Transaction<'_>) -> StoreResult<()> {
    tx.exec("DELETE FROM job", [])
}

/// Deletes jobs that finished before `before`.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<()> {
    tx.exec("DELETE FROM job WHERE state = 'done' AND finished_at < ?1", [before])
}

/// Returns a number that changes when another connection commits.
pub fn data_version(c: &Connection) -> StoreResult<i64> {
    c.value("PRAGMA data_version", [])
}
