//! The local side: one SQLite file, and the only home of SQL beside `migrations/`.
//!
//! **Boundaries.** Functions that read take a `&Connection`, functions that write take a
//! `&Transaction`, so the types show where a transaction begins. No transaction is open while a
//! request is in flight. This room never sees `api`: it is handed rows, not answers.
//!
//! **Files.** The database is in WAL mode and its `-wal` and `-shm` files stay when it is closed,
//! so that a reader who may not write can always open it. Opening and closing the database file
//! outside SQLite would drop SQLite's own locks; [`instance_lock`] is the only one to open it, and
//! never closes it.
//!
//! **Reading order.** [`open`], [`place`], [`instance_lock`] and [`wal_check`] make the connection; [`rows`] and [`pages`] write what
//! the API said; [`walks`] and [`removals`] keep the promise about completeness; [`due`] is the
//! schedule; [`metrics`] are the days; [`outbox`] is the way back to the API; [`instance`], [`jobs`],
//! [`passes`], [`refusals`] and [`documents`] are the bookkeeping; [`backup`], [`restore`] and [`dump`] copy it all,
//! for another mirror and for other tools; [`sample`] picks what proves it; [`status`] and [`freshness`] read it back;
//! [`schema_docs`] says what it all means, [`cookbook`] what to ask of it.

pub mod analysis;
pub mod backup;
pub mod busy;
pub mod cookbook;
pub mod documents;
pub mod due;
pub mod dump;
pub mod freshness;
pub mod glance;
pub mod instance;
pub mod instance_lock;
pub mod jobs;
pub mod metrics;
pub mod open;
pub mod outbox;
pub mod pages;
pub mod passes;
pub mod pauses;
pub mod place;
pub mod refusals;
pub mod removals;
pub mod restore;
pub mod rows;
pub mod sample;
pub mod schema_check;
pub mod schema_docs;
pub mod status;
pub mod wal_check;
pub mod walks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use instance_lock::{InstanceLock, OpenFiles};

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

/// Result of everything in this room.
pub type StoreResult<T> = Result<T, StoreError>;

/// An open database. Clones share the one connection.
#[derive(Debug, Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    path: Arc<PathBuf>,
    // Of a database that is open for writing.
    files: Option<Arc<OpenFiles>>,
    // Held for as long as any clone lives; the connection is closed before.
    _lock: Option<Arc<InstanceLock>>,
}

impl Store {
    fn new(
        connection: Connection,
        path: PathBuf,
        files: Option<OpenFiles>,
        lock: Option<InstanceLock>,
    ) -> Self {
        Self {
            connection: Arc::new(Mutex::new(connection)),
            path: Arc::new(path),
            files: files.map(Arc::new),
            _lock: lock.map(Arc::new),
        }
    }

    /// Checks that a database that is open for writing was not deleted or replaced.
    ///
    /// # Errors
    ///
    /// [`StoreError::Replaced`]. Nothing of its log is then written into the file any more, which may
    /// hold another database now.
    pub fn check_in_place(&self) -> StoreResult<()> {
        let checked = self.files.as_ref().map_or(Ok(()), |files| files.check_in_place());
        if checked.is_err() {
            let setting = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            self.connection().set_db_config(setting, true)?;
        }
        checked
    }

    /// Where the database is, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads.
    pub fn read<T>(&self, f: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        f(&self.connection())
    }

    /// Writes in one transaction: all of `f`, or nothing of it.
    pub fn write<T>(&self, f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>) -> StoreResult<T> {
        in_transaction(&mut self.connection(), f)
    }

    /// Writes, and waits until it is on the disk: what somebody was told is kept, and what is about to
    /// be sent, must outlive even the machine.
    pub fn write_durably<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut connection = self.connection();
        connection.pragma_update(None, "synchronous", "full")?;
        in_transaction(Usual(&mut connection).0, f)
    }

    /// Writes, unless another process does just now: what is only told must not hold up what is done.
    pub fn write_at_once<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut connection = self.connection();
        busy::do_not_wait(&connection)?;
        in_transaction(Usual(&mut connection).0, f)
    }

    /// Moves everything from the WAL into the database and cuts the WAL to nothing, so that it does
    /// not stay large. A reader in the way is no error: the next one does it.
    pub fn tidy(&self) -> StoreResult<()> {
        let mut connection = self.connection();
        busy::do_not_wait(&connection)?;
        let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        busy::wait(&mut connection)?;
        match done {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
            done => Ok(done?),
        }
    }

    /// A panic while the lock was held rolled its transaction back, so the connection is sound.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection whose settings are the usual ones again once this is dropped, even by a panic.
struct Usual<'a>(&'a mut Connection);

impl Drop for Usual<'_> {
    fn drop(&mut self) {
        let usual = self.0.pragma_update(None, "synchronous", "normal");
        if let Err(error) = usual.and_then(|()| busy::wait(self.0)) {
            tracing::warn!(%error, "the settings of the database connection could not be restored");
        }
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
) -> StoreResult<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = f(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::open::IfMissing;
    use super::*;

    #[test]
    fn a_panic_in_a_write_changes_neither_rows_nor_settings() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        let synchronous = || {
            let read = |c: &Connection| {
                Ok(c.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
            };
            store.read(read).unwrap()
        };
        let before = synchronous();
        let panics = |tx: &Transaction<'_>| -> StoreResult<()> {
            tx.execute("DELETE FROM instance", [])?;
            panic!("as a test");
        };
        assert!(catch_unwind(AssertUnwindSafe(|| store.write_durably(panics))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| store.write_at_once(panics))).is_err());
        assert_eq!(synchronous(), before);
        let rows = store.read(|c| {
            Ok(c.query_row("SELECT count(*) FROM instance", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(rows.unwrap(), 1);
    }
}
