//! The database of a program that does several things at once: one thread writes, in the order in which it
//! was asked to; reads have connections of their own, on threads that may block. Nothing here blocks the
//! thread that awaits it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use crate::store::database::Database;
use crate::store::error::{StoreError, StoreResult};
use crate::store::instance_lock::OpenFiles;
use crate::store::{jobs, open};

/// Connections for reading that are kept for the next read.
const IDLE_MAX: usize = 4;

type Job = Box<dyn FnOnce(&Database) + Send>;

/// The database. Clones share the writer thread; when the last is dropped, it finishes what it was asked to
/// write, closes the database and lets go of the lock.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    readers: Readers,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Hands the database to a thread of its own.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where there can be no thread.
    pub fn start(database: Database) -> StoreResult<Self> {
        let readers = Readers::beside(&database);
        let (jobs, queue) = mpsc::channel::<Job>();
        let path = database.path().to_owned();
        let work = move || queue.into_iter().for_each(|job| job(&database));
        let writer = thread::Builder::new().name("sqlite-writer".to_owned()).spawn(work);
        let writer = writer.map_err(|source| StoreError::Io { path, source })?;
        let shared = Shared { readers, jobs: Some(jobs), writer: Some(writer) };
        Ok(Self(Arc::new(shared)))
    }

    /// Reads what is committed.
    ///
    /// # Errors
    ///
    /// Those of `f`, and of opening another connection.
    pub async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.0.readers.read(f).await
    }

    /// Writes in one transaction: all of `f`, or nothing of it. What is asked for is done, in this order,
    /// whether or not it is awaited.
    ///
    /// # Errors
    ///
    /// Those of `f`, and of the transaction.
    pub fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        self.ask(|database| database.write(f))
    }

    /// Writes, and waits until it is on the disk, as [`Database::write_durably`].
    ///
    /// # Errors
    ///
    /// Those of `f`, and of the transaction.
    pub fn write_durably<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        self.ask(|database| database.write_durably(f))
    }

    /// Writes, unless another process does just now, as [`Database::write_at_once`].
    ///
    /// # Errors
    ///
    /// Those of `f`, and of the transaction.
    pub fn write_at_once<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        self.ask(|database| database.write_at_once(f))
    }

    /// Cuts the write-ahead log, as [`Database::tidy`].
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn tidy(&self) -> Pending<()> {
        self.ask(Database::tidy)
    }

    /// Checks that the database was not deleted or replaced, as [`Database::check_in_place`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Replaced`].
    pub fn check_in_place(&self) -> Pending<()> {
        self.ask(Database::check_in_place)
    }

    /// A number that changes whenever another process has written.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn data_version(&self) -> Pending<i64> {
        self.ask(|database| database.read(jobs::data_version))
    }

    /// Where the database is, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.0.readers.0.path
    }

    fn ask<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Database) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        let (tell, told) = oneshot::channel();
        let job = move |database: &Database| {
            // The caller may be gone; what it asked for is done all the same.
            let _ = tell.send(catch_unwind(AssertUnwindSafe(|| f(database))));
        };
        // Without a writer there is nobody to answer, which the caller hears of.
        let _ = self.0.jobs.as_ref().map(|jobs| jobs.send(Box::new(job)));
        Pending(told)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.readers.close();
        drop(self.jobs.take());
        // A panic of a write was its caller's.
        let _ = self.writer.take().map(JoinHandle::join);
    }
}

/// The answer of a write, which is done whether or not this is awaited.
#[derive(Debug)]
#[must_use = "whether it could be written is only known to whoever awaits this"]
pub struct Pending<T>(oneshot::Receiver<thread::Result<StoreResult<T>>>);

impl<T> Future for Pending<T> {
    type Output = StoreResult<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| match answer {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(StoreError::Interrupted),
        })
    }
}

/// Connections that only read, for as many as read at the same time.
#[derive(Debug, Clone)]
struct Readers(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    files: Option<Arc<OpenFiles>>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn beside(database: &Database) -> Self {
        let (path, files) = (database.path().to_owned(), database.files());
        Self(Arc::new(Pool { path, files, idle: Mutex::default() }))
    }

    /// Reads what is committed.
    ///
    /// # Errors
    ///
    /// Those of `f`, and of opening another connection.
    async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let pool = Arc::clone(&self.0);
        let work = move || {
            let connection = pool.take()?;
            let found = f(&connection);
            pool.give_back(connection);
            found
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(found) => found,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(StoreError::Interrupted),
        }
    }

    fn close(&self) {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Pool {
    fn take(&self) -> StoreResult<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => {
                let connection = open::reader(&self.path)?;
                // Another file at this path would tell of another mirror.
                self.files.as_ref().map_or(Ok(()), |files| files.check_in_place())?;
                Ok(connection)
            }
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}
