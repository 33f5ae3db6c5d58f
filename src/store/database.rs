//! A blocking connection to the database, for commands, tests, and the writer thread of `Store`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::store::busy;
use crate::store::error::StoreResult;
use crate::store::instance_lock::{InstanceLock, OpenFiles};

/// The database, open on one connection. Its calls block, also while another process holds the write
/// lock.
#[derive(Debug)]
pub struct Database {
    connection: RefCell<Connection>,
    path: PathBuf,
    // `None` if opened read-only.
    files: Option<Arc<OpenFiles>>,
    // Fields are dropped in this order: the connection is closed before the lock is released.
    _lock: Option<InstanceLock>,
}

impl Database {
    /// Wraps a configured connection.
    pub(super) fn new(
        connection: Connection,
        path: PathBuf,
        files: Option<OpenFiles>,
        lock: Option<InstanceLock>,
    ) -> Self {
        Self { connection: RefCell::new(connection), path, files: files.map(Arc::new), _lock: lock }
    }

    /// Checks that a database that is open for writing was not deleted or replaced.
    ///
    /// # Errors
    ///
    /// [`crate::store::StoreError::Replaced`]. The write-ahead log is then not checkpointed on close, because the file
    /// may hold another database.
    pub fn check_in_place(&self) -> StoreResult<()> {
        let checked = self.files.as_ref().map_or(Ok(()), |files| files.check_in_place());
        if checked.is_err() {
            let setting = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            self.connection.borrow().set_db_config(setting, true)?;
        }
        checked
    }

    /// Path of the database, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn files(&self) -> Option<Arc<OpenFiles>> {
        self.files.clone()
    }

    /// Calls `f` with the connection.
    pub fn read<T>(&self, f: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        f(&self.connection.borrow())
    }

    /// Calls `f` in a transaction, and commits if it succeeds.
    pub fn write<T>(&self, f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>) -> StoreResult<T> {
        in_transaction(&mut self.connection.borrow_mut(), f)
    }

    /// Like [`Self::write`], and waits until the transaction is on the disk. For writes that must survive a
    /// power failure: an accepted command, and an attempt that is about to be sent.
    pub fn write_durably<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut connection = self.connection.borrow_mut();
        connection.pragma_update(None, "synchronous", "full")?;
        in_transaction(RestoreSettings(&mut connection).0, f)
    }

    /// Like [`Self::write`], but fails if another process holds the write lock. For status writes, which must
    /// not block a sync.
    pub fn try_write<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut connection = self.connection.borrow_mut();
        busy::do_not_wait(&connection)?;
        in_transaction(RestoreSettings(&mut connection).0, f)
    }

    /// Checkpoints the WAL into the database and truncates it. Does nothing while a reader is in the way.
    pub fn truncate_wal(&self) -> StoreResult<()> {
        let mut connection = self.connection.borrow_mut();
        busy::do_not_wait(&connection)?;
        let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        busy::wait(&mut connection)?;
        match done {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(()),
            done => Ok(done?),
        }
    }
}

/// Restores the connection's usual settings on drop, also after a panic.
struct RestoreSettings<'a>(&'a mut Connection);

impl Drop for RestoreSettings<'_> {
    fn drop(&mut self) {
        let restored = self.0.pragma_update(None, "synchronous", "normal");
        if let Err(error) = restored.and_then(|()| busy::wait(self.0)) {
            tracing::warn!(%error, "could not restore the settings of the database connection");
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

    use super::*;
    use crate::store::open::IfMissing;

    #[test]
    fn panic_in_a_write_changes_neither_rows_nor_settings() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        let synchronous = || {
            let read = |c: &Connection| {
                Ok(c.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))?)
            };
            database.read(read).unwrap()
        };
        let before = synchronous();
        let panics = |tx: &Transaction<'_>| -> StoreResult<()> {
            tx.execute("DELETE FROM instance", [])?;
            panic!("as a test");
        };
        assert!(catch_unwind(AssertUnwindSafe(|| database.write_durably(panics))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| database.try_write(panics))).is_err());
        assert_eq!(synchronous(), before);
        let rows = database.read(|c| {
            Ok(c.query_row("SELECT count(*) FROM instance", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(rows.unwrap(), 1);
    }
}
