//! What can go wrong with the database.

use std::error::Error;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What can go wrong with the database, by what the user can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such file, and this command does not make one.
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    /// Another daemon or `sync` holds the lock.
    #[error("another creatormirror is working on {}", .0.display())]
    Locked(PathBuf),
    /// Another process works on the file by another name, and has another write-ahead log.
    #[error("another creatormirror is working on {} under another name", .0.display())]
    OtherName(PathBuf),
    /// The write-ahead log is what is left of another database at this path.
    #[error("the write-ahead log {}-wal belongs to another database than the file beside it", .0.display())]
    ForeignWal(PathBuf),
    /// The database is no longer the file that was opened.
    #[error("{} was deleted or replaced while it was in use", .0.display())]
    Replaced(PathBuf),
    /// The file holds something else.
    #[error("{} is not a creatormirror database; it is left as it is", .0.display())]
    Foreign(PathBuf),
    /// A newer creatormirror has been here.
    #[error("the database has schema version {found}, this creatormirror knows {known}")]
    Newer {
        /// Version of the database.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// An older schema, opened by a command that only reads.
    #[error("the database has schema version {found}, this creatormirror needs {known}")]
    Older {
        /// Version of the database.
        found: i64,
        /// Version this program needs.
        known: i64,
    },
    /// SQLite cannot be trusted on this file system.
    #[error("{} is on a network file system ({name}), where SQLite's locks do not hold", .path.display())]
    NetworkFileSystem {
        /// Where the database would be.
        path: PathBuf,
        /// Which file system.
        name: &'static str,
    },
    /// A file or folder beside the database could not be used.
    #[error("cannot use {}: {source}", .path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite said no: disk full, damaged, read-only, busy for too long.
    #[error("database error: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A migration did not go through.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(#[from] Box<refinery::Error>),
    /// The task that was writing ended without an answer.
    #[error("a write ended without an answer")]
    Interrupted,
}

impl StoreError {
    /// Whether the system refused to read or write. SQLite reports a reached file size limit or quota
    /// like this, and a full disk while `-shm` grows.
    pub fn is_io_failure(&self) -> bool {
        let mut next: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = next {
            let code = error.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
            if code == Some(ErrorCode::SystemIoFailure) {
                return true;
            }
            next = error.source();
        }
        false
    }

    /// Turns what went wrong with a file or folder into an error that names it.
    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + Copy {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Result of everything in this room.
pub type StoreResult<T> = Result<T, StoreError>;
