//! Errors of the database.

use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Error of the database; each variant has another remedy.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is missing, and this command does not create it.
    #[error("no database at `{}`", .0.display())]
    Missing(PathBuf),
    /// Another daemon or `sync` holds the lock.
    #[error("another creatormirror is working on `{}`", .0.display())]
    Locked(PathBuf),
    /// Another process has the file open by another name, with another write-ahead log.
    #[error("another creatormirror is working on `{}` under another name", .0.display())]
    OtherName(PathBuf),
    /// The write-ahead log was left by another database at this path.
    #[error("the write-ahead log `{}-wal` belongs to another database than the file beside it", .0.display())]
    ForeignWal(PathBuf),
    /// The database is no longer the file that was opened.
    #[error("`{}` was deleted or replaced while it was in use", .0.display())]
    Replaced(PathBuf),
    /// The row of a mirror about itself is missing.
    #[error("table `instance` is empty, so the database has no identity")]
    NoIdentity,
    /// The file is not a mirror.
    #[error("`{}` is not a creatormirror database; it was not changed", .0.display())]
    Foreign(PathBuf),
    /// A newer creatormirror migrated the schema.
    #[error("the database has schema version {found}; this creatormirror supports up to {known}")]
    Newer {
        /// Version of the database.
        found: i64,
        /// Newest version this program knows.
        known: i64,
    },
    /// An older schema, opened by a command that only reads.
    #[error("the database has schema version {found}; this creatormirror needs {known}")]
    Older {
        /// Version of the database.
        found: i64,
        /// Version this program needs.
        known: i64,
    },
    /// SQLite's locks do not work on this file system.
    #[error("`{}` is on a network file system (`{name}`), where SQLite's locks do not work", .path.display())]
    NetworkFileSystem {
        /// Path of the database.
        path: PathBuf,
        /// Name of the file system.
        name: &'static str,
    },
    /// This user may not use the file or folder.
    #[error("permission denied: `{}`", .0.display())]
    Denied(PathBuf),
    /// A file or folder beside the database could not be used.
    #[error("cannot use `{}`: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// SQLite failed: disk full, damaged, read-only, busy for too long.
    #[error("database error: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The transaction that this write shared with others failed.
    #[error(transparent)]
    Grouped(Arc<StoreError>),
    /// A migration failed.
    #[error("could not migrate the schema: {0}")]
    Migration(#[from] Box<refinery::Error>),
    /// The thread that executed the call ended.
    #[error("the database thread ended before it answered")]
    Interrupted,
}

impl StoreError {
    /// Whether the system failed to read or write. SQLite reports an exceeded file size limit or quota
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

    /// Converts an I/O error about `path`.
    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + Copy {
        move |source| match source.kind() {
            ErrorKind::PermissionDenied => Self::Denied(path.to_owned()),
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

/// Result of the functions of this module.
pub type StoreResult<T> = Result<T, StoreError>;
