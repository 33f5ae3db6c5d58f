//! Bounds on time and memory of one statement, below a process of 64 MiB.

use rusqlite::Connection;
use rusqlite::limits::Limit;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::store::error::StoreResult;

/// Longest text or row, bytes. A function call with such arguments cannot be interrupted, and takes milliseconds.
pub(super) const LENGTH_MAX: i32 = 200 * 1024;

/// Memory of all connections of the process, bytes. The allocator may keep as much again for small pieces.
const HEAP_BYTES_MAX: i64 = 10 << 20;

/// Longest temporary file, bytes. What does not fit into the cache is sorted and grouped in such files, which have no
/// name and go with the statement.
const TEMP_FILE_BYTES_MAX: u64 = 512 << 20;

/// Page cache of the connection, KiB.
const CACHE_KIB: i64 = 2 * 1024;

/// Virtual machine instructions between two calls of the progress handler: well under a millisecond.
const PROGRESS_STEPS: i32 = 200;

/// What a statement may have. Each public view fits twice.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, LENGTH_MAX),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 32 * 1024),
    (Limit::SQLITE_LIMIT_COLUMN, 300),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 200),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Bounds the memory of all connections of the process, for a process that serves statements of others.
pub fn limit_process() -> StoreResult<()> {
    let connection = Connection::open_in_memory()?;
    // The process may only lower it, so that repeating it is harmless.
    Ok(connection.pragma_update(None, "hard_heap_limit", HEAP_BYTES_MAX)?)
}

/// Bounds the statements of a connection, and calls `is_stopped` while they run: they end once it returns `true`.
pub(super) fn apply(
    connection: &mut Connection,
    is_stopped: impl Fn() -> bool + Send + 'static,
) -> StoreResult<()> {
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "file")?;
    for (limit, value) in LIMITS {
        connection.set_limit(limit, value)?;
    }
    connection.progress_handler(PROGRESS_STEPS, Some(is_stopped))?;
    Ok(())
}

/// Bounds the files that the process writes, until it is dropped. SQLite reports a write beyond it as an I/O failure.
#[derive(Debug)]
pub(super) struct TempFileLimit(Rlimit);

impl TempFileLimit {
    pub(super) fn set() -> Self {
        let before = getrlimit(Resource::Fsize);
        let current = before.current.map_or(TEMP_FILE_BYTES_MAX, |n| n.min(TEMP_FILE_BYTES_MAX));
        set(Rlimit { current: Some(current), ..before });
        Self(before)
    }
}

impl Drop for TempFileLimit {
    fn drop(&mut self) {
        set(self.0);
    }
}

fn set(limit: Rlimit) {
    if let Err(error) = setrlimit(Resource::Fsize, limit) {
        tracing::warn!(%error, "cannot limit the size of temporary files");
    }
}
