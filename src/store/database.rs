//! One connection to the database, for whoever may block: commands, tests, and the thread that writes.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::store::busy;
use crate::store::error::StoreResult;
use crate::store::instance_lock::{InstanceLock, OpenFiles};

/// The database, open on one connection. Its calls block: for SQLite's work, and for as long as another
/// process holds the write lock.
#[derive(Debug)]
pub struct Database {
    connection: RefCell<Connection>,
    path: PathBuf,
    // Of a database that is open for writing.
    files: Option<Arc<OpenFiles>>,
    // Fields are dropped in this order: the connection is closed before the lock is let go.
    _lock: Option<InstanceLock>,
}

impl Database {
    /// A connection that was opened with its settings.
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
    /// [`StoreError::Replaced`]. Nothing of its log is then written into the file any more, which may
    /// hold another database now.
    pub fn check_in_place(&self) -> StoreResult<()> {
        let checked = self.files.as_ref().map_or(Ok(()), |files| files.check_in_place());
        if checked.is_err() {
            let setting = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            self.connection.borrow().set_db_config(setting, true)?;
        }
        checked
    }

    /// Where the database is, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn files(&self) -> Option<Arc<OpenFiles>> {
        self.files.clone()
    }

    /// Reads.
    pub fn read<T>(&self, f: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        f(&self.connection.borrow())
    }

    /// Writes in one transaction: all of `f`, or nothing of it.
    pub fn write<T>(&self, f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>) -> StoreResult<T> {
        in_transaction(&mut self.connection.borrow_mut(), f)
    }

    /// Writes, and waits until it is on the disk: what somebody was told is kept, and what is about to
    /// be sent, must outlive even the machine.
    pub fn write_durably<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut connection = self.connection.borrow_mut();
        connection.pragma_update(None, "synchronous", "full")?;
        in_transaction(Usual(&mut connection).0, f)
    }

    /// Writes, unless another process does just now: what is only told must not hold up what is done.
    pub fn write_at_once<T>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut connection = self.connection.borrow_mut();
        busy::do_not_wait(&connection)?;
        in_transaction(Usual(&mut connection).0, f)
    }

    /// Moves everything from the WAL into the database and cuts the WAL to nothing, so that it does
    /// not stay large. A reader in the way is no error: the next one does it.
    pub fn tidy(&self) -> StoreResult<()> {
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

    use super::*;
    use crate::store::open::IfMissing;

    #[test]
    fn a_panic_in_a_write_changes_neither_rows_nor_settings() {
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
        assert!(catch_unwind(AssertUnwindSafe(|| database.write_at_once(panics))).is_err());
        assert_eq!(synchronous(), before);
        let rows = database.read(|c| {
            Ok(c.query_row("SELECT count(*) FROM instance", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(rows.unwrap(), 1);
    }
}
