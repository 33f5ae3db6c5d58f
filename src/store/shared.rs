//! The database for async code: one writer thread executes writes in order, reader threads execute reads on
//! their own connections. Awaiting a call does not block the runtime.
//!
//! Each commit writes all pages of the file that changed, and rows with random keys change pages everywhere.
//! Grouped writes that queue up while the writer is busy therefore share a transaction.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use crate::store::database::Database;
use crate::store::error::{StoreError, StoreResult};
use crate::store::instance_lock::OpenFiles;
use crate::store::{jobs, open};

/// Reader threads, each with its own connection. The second opens its connection when the first is busy.
const READERS: usize = 2;

/// The most grouped writes in one transaction. A crash costs as many pages, which are then requested again.
pub const GROUP_MAX: usize = 3;

type Answer<T> = thread::Result<StoreResult<T>>;
type Read = Box<dyn FnOnce(StoreResult<&Connection>) + Send>;
/// A reader's queue; each read that is not done holds a clone of the second.
type ReadQueue = (mpsc::Sender<Read>, Arc<()>);

/// A call in the queue of the writer.
enum Write {
    Alone(Box<dyn FnOnce(&Database) + Send>),
    Grouped(GroupedWrite),
}

/// Executes a write, or fails it because its transaction could not begin.
type GroupedWrite = Box<dyn FnOnce(Result<&Transaction<'_>, &Arc<StoreError>>) -> Executed + Send>;

/// A write that waits for the commit.
struct Executed {
    failure: Option<Arc<StoreError>>,
    /// Tells the caller its result, or why the transaction failed.
    tell: Box<dyn FnOnce(Result<(), Arc<StoreError>>)>,
}

/// The database. Clones share the threads. Dropping the last clone finishes the pending calls, closes the
/// database and releases the instance lock.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    // `None` while the last clone is dropped.
    queues: Option<(Vec<ReadQueue>, mpsc::Sender<Write>)>,
    readers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Moves the database to its threads.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if a thread cannot be started.
    pub fn start(database: Database) -> StoreResult<Self> {
        let (path, files) = (database.path().to_owned(), database.files());
        let io = StoreError::io(&path);
        let (mut queues, mut readers) = (Vec::new(), Vec::new());
        for _ in 0..READERS {
            let (reads, queue) = mpsc::channel::<Read>();
            queues.push((reads, Arc::default()));
            let (path, files) = (path.clone(), files.clone());
            let read = move || read_all(queue, &path, files.as_deref());
            readers.push(
                thread::Builder::new().name("sqlite-reader".to_owned()).spawn(read).map_err(io)?,
            );
        }
        let (writes, queue) = mpsc::channel::<Write>();
        let write = move || write_all(&queue, &database);
        let writer =
            thread::Builder::new().name("sqlite-writer".to_owned()).spawn(write).map_err(io)?;
        let (queues, writer) = (Some((queues, writes)), Some(writer));
        Ok(Self(Arc::new(Shared { path, queues, readers, writer })))
    }

    /// Calls `f` with a reading connection.
    ///
    /// # Errors
    ///
    /// Those of `f`, and of opening another connection.
    pub fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        let (tell, told) = oneshot::channel();
        let queues = self.0.queues.as_ref().map_or(&[][..], |(reads, _)| reads);
        if let Some((reads, busy)) = queues.iter().min_by_key(|(_, busy)| Arc::strong_count(busy)) {
            let busy = Arc::clone(busy);
            let job = |connection: StoreResult<&Connection>| {
                answer(tell, || {
                    let _busy = busy;
                    f(connection?)
                });
            };
            let _ = reads.send(Box::new(job));
        }
        Pending(told)
    }

    /// Calls `f` in a transaction, and commits if it succeeds. Writes are executed in the order of the calls,
    /// also if they are not awaited.
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

    /// Like [`Self::write`], but up to [`GROUP_MAX`] such calls share a transaction if they wait for the writer at the
    /// same time. If one of them fails, all of them fail.
    ///
    /// # Errors
    ///
    /// Those of `f`, and of the transaction: [`StoreError::Grouped`].
    pub fn write_grouped<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        let (tell, told) = oneshot::channel();
        self.send(Write::Grouped(Box::new(|tx| execute(tell, tx, f))));
        Pending(told)
    }

    /// Like [`Database::write_durably`].
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

    /// Like [`Database::try_write`].
    ///
    /// # Errors
    ///
    /// Those of `f`, and of the transaction.
    pub fn try_write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        self.ask(|database| database.try_write(f))
    }

    /// Like [`Database::truncate_wal`].
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn truncate_wal(&self) -> Pending<()> {
        self.ask(Database::truncate_wal)
    }

    /// Like [`Database::check_in_place`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Replaced`].
    pub fn check_in_place(&self) -> Pending<()> {
        self.ask(Database::check_in_place)
    }

    /// Returns a number that changes when another process commits.
    ///
    /// # Errors
    ///
    /// Those of SQLite.
    pub fn data_version(&self) -> Pending<i64> {
        self.ask(|database| database.read(jobs::data_version))
    }

    /// Path of the database, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn ask<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Database) -> StoreResult<T> + Send + 'static,
    ) -> Pending<T> {
        let (tell, told) = oneshot::channel();
        self.send(Write::Alone(Box::new(|database| answer(tell, || f(database)))));
        Pending(told)
    }

    fn send(&self, write: Write) {
        let _ = self.0.queues.as_ref().map(|(_, writes)| writes.send(write));
    }
}

/// Executes a call and sends its result, unless the caller no longer waits. A panic is passed to the caller.
fn answer<T>(tell: oneshot::Sender<Answer<T>>, f: impl FnOnce() -> StoreResult<T>) {
    let _ = tell.send(catch_unwind(AssertUnwindSafe(f)));
}

/// Executes a grouped write.
fn execute<T: 'static>(
    tell: oneshot::Sender<Answer<T>>,
    tx: Result<&Transaction<'_>, &Arc<StoreError>>,
    f: impl FnOnce(&Transaction<'_>) -> StoreResult<T>,
) -> Executed {
    let done = match tx {
        Ok(tx) => catch_unwind(AssertUnwindSafe(|| f(tx))).map(|done| done.map_err(Arc::new)),
        Err(failure) => Ok(Err(Arc::clone(failure))),
    };
    let failure = match &done {
        Ok(done) => done.as_ref().err().cloned(),
        Err(_) => Some(Arc::new(StoreError::Interrupted)),
    };
    let tell = |committed: Result<(), Arc<StoreError>>| {
        let answer = done.map(|done| committed.and(done).map_err(StoreError::Grouped));
        let _ = tell.send(answer);
    };
    Executed { failure, tell: Box::new(tell) }
}

fn write_all(queue: &mpsc::Receiver<Write>, database: &Database) {
    let mut next = None;
    while let Some(write) = next.take().or_else(|| queue.recv().ok()) {
        match write {
            Write::Alone(write) => write(database),
            Write::Grouped(first) => next = write_group(queue, database, first),
        }
    }
}

/// Executes a grouped write and those that wait behind it in one transaction. Returns the write that ended the group.
fn write_group(
    queue: &mpsc::Receiver<Write>,
    database: &Database,
    first: GroupedWrite,
) -> Option<Write> {
    let (mut write, mut executed, mut next) = (Some(first), Vec::new(), None);
    let committed = database.write(|tx| {
        while let Some(grouped) = write.take() {
            let done = grouped(Ok(tx));
            executed.push(done.tell);
            if let Some(failure) = done.failure {
                return Err(StoreError::Grouped(failure));
            }
            if executed.len() < GROUP_MAX {
                match queue.try_recv() {
                    Ok(Write::Grouped(grouped)) => write = Some(grouped),
                    other => next = other.ok(),
                }
            }
        }
        Ok(())
    });
    let committed = committed.map_err(|error| match error {
        StoreError::Grouped(failure) => failure,
        error => Arc::new(error),
    });
    if let (Some(write), Err(failure)) = (write, &committed) {
        executed.push(write(Err(failure)).tell);
    }
    executed.into_iter().for_each(|tell| tell(committed.clone()));
    next
}

/// Executes reads on one connection, which is opened for the first.
fn read_all(queue: mpsc::Receiver<Read>, path: &Path, files: Option<&OpenFiles>) {
    let mut connection = None;
    for job in queue {
        let opened = match connection.take() {
            Some(opened) => Ok(opened),
            None => open::reader(path).and_then(|opened| {
                // The path may lead to another database now.
                files.map_or(Ok(()), OpenFiles::check_in_place).map(|()| opened)
            }),
        };
        match opened {
            Ok(opened) => job(Ok(connection.insert(opened))),
            Err(error) => job(Err(error)),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.queues.take());
        // The writer closes last, because its connection checkpoints the log.
        for thread in self.readers.drain(..).chain(self.writer.take()) {
            let _ = thread.join();
        }
    }
}

/// Result of a read or a write, which is executed also if this is not awaited.
#[derive(Debug)]
#[must_use = "errors are lost unless this is awaited"]
pub struct Pending<T>(oneshot::Receiver<Answer<T>>);

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

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::clock::Clock;
    use crate::store::instance_lock;
    use crate::store::open::IfMissing;
    use crate::store::query::Query;

    fn opened() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        (folder, Store::start(database).unwrap())
    }

    fn add(store: &Store, number: i64) -> Pending<i64> {
        store.write(move |tx| jobs::submit(tx, "{}", number))
    }

    fn numbers(c: &Connection) -> StoreResult<Vec<i64>> {
        c.all("SELECT created_at FROM job ORDER BY job", [], |row| row.get(0))
    }

    fn synchronous(c: &Connection) -> StoreResult<i64> {
        c.value("PRAGMA synchronous", [])
    }

    fn panics(tx: &Transaction<'_>) -> StoreResult<()> {
        tx.execute("DELETE FROM instance", [])?;
        panic!("as a test");
    }

    #[tokio::test]
    async fn writes_are_executed_in_order_also_if_not_awaited() {
        let (_folder, store) = opened();
        for number in 0..200 {
            let pending = add(&store, number);
            if number % 3 == 0 {
                pending.await.unwrap();
            }
        }
        let found = store.write(|tx| numbers(tx)).await.unwrap();
        assert_eq!(found, (0..200).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn panic_in_a_write_reaches_the_caller_and_changes_nothing() {
        let (folder, store) = opened();
        let before = store.write(|tx| synchronous(tx)).await.unwrap();
        for pending in [store.write(panics), store.write_durably(panics), store.try_write(panics)] {
            let panic = AssertUnwindSafe(pending).catch_unwind().await.unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"as a test"));
        }
        let found = store
            .write(|tx| Ok((synchronous(tx)?, tx.value("SELECT count(*) FROM instance", [])?)));
        assert_eq!(found.await.unwrap(), (before, 1_i64));
        // The connection waits for locks again, too.
        let other = Connection::open(folder.path().join("mirror.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut pending = add(&store, 1);
        assert!((&mut pending).now_or_never().is_none());
        other.execute_batch("COMMIT").unwrap();
        pending.await.unwrap();
    }

    /// Grouped writes that wait for the writer together.
    async fn waiting<T: Send + 'static>(
        store: &Store,
        writes: Vec<fn(&Transaction<'_>) -> StoreResult<T>>,
    ) -> Vec<Result<StoreResult<T>, Box<dyn std::any::Any + Send>>> {
        let (finish, may_finish) = mpsc::channel();
        let before = store.write(move |_| {
            may_finish.recv().unwrap();
            Ok(())
        });
        let waiting: Vec<_> = writes.into_iter().map(|write| store.write_grouped(write)).collect();
        finish.send(()).unwrap();
        before.await.unwrap();
        let mut told = Vec::new();
        for pending in waiting {
            told.push(AssertUnwindSafe(pending).catch_unwind().await);
        }
        told
    }

    /// Adds a job, and counts the jobs.
    fn add_one(tx: &Transaction<'_>) -> StoreResult<i64> {
        jobs::submit(tx, "{}", 1)?;
        tx.value("SELECT count(*) FROM job", [])
    }

    fn fails(tx: &Transaction<'_>) -> StoreResult<i64> {
        tx.exec("DELETE FROM instance", [])?;
        tx.value("SELECT no_such_column FROM job", [])
    }

    fn panics_too(tx: &Transaction<'_>) -> StoreResult<i64> {
        panics(tx)?;
        Ok(0)
    }

    #[tokio::test]
    async fn grouped_writes_that_wait_share_a_transaction() {
        let (_folder, store) = opened();
        let told = waiting(&store, vec![add_one; GROUP_MAX + 1]).await;
        let told: Vec<i64> = told.into_iter().map(|told| told.unwrap().unwrap()).collect();
        assert_eq!(told, [1, 2, 3, 4]);
        // One that fails takes the writes before it along, and not those that did not begin.
        let told = waiting(&store, vec![add_one, add_one, fails, add_one]).await;
        let texts = told.into_iter().map(|told| told.unwrap().map_err(|error| error.to_string()));
        let texts: Vec<Result<i64, String>> = texts.collect();
        let failure = texts[0].clone().unwrap_err();
        assert!(failure.contains("no_such_column"), "{failure}");
        assert_eq!(texts, [Err(failure.clone()), Err(failure.clone()), Err(failure), Ok(5)]);
        let told = waiting(&store, vec![add_one, panics_too]).await;
        let [first, second] = &told[..] else { panic!("two") };
        assert!(matches!(first, Ok(Err(StoreError::Grouped(_)))));
        assert_eq!(second.as_ref().unwrap_err().downcast_ref::<&str>(), Some(&"as a test"));
        assert_eq!(store.read(numbers).await.unwrap().len(), 5);
    }

    #[tokio::test]
    async fn grouped_write_tells_why_its_transaction_did_not_begin() {
        let (_folder, store) = opened();
        store.write(|tx| Ok(tx.execute_batch("PRAGMA query_only = 1")?)).await.unwrap();
        let error = store.write_grouped(add_one).await.unwrap_err();
        assert!(error.to_string().contains("readonly"), "{error}");
    }

    #[tokio::test]
    async fn panic_in_a_read_reaches_the_caller() {
        let (_folder, store) = opened();
        let read = store.read::<()>(|_| panic!("as a test"));
        assert!(AssertUnwindSafe(read).catch_unwind().await.is_err());
        assert!(store.read(numbers).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn reads_see_committed_rows_during_a_write() {
        let (_folder, store) = opened();
        add(&store, 1).await.unwrap();
        let (finish, may_finish) = mpsc::channel();
        let (send_begun, begun) = oneshot::channel();
        let write = store.write(move |tx| {
            jobs::submit(tx, "{}", 2)?;
            send_begun.send(()).unwrap();
            may_finish.recv().unwrap();
            Ok(())
        });
        begun.await.unwrap();
        let both = tokio::join!(store.read(numbers), store.read(numbers));
        assert_eq!((both.0.unwrap(), both.1.unwrap()), (vec![1], vec![1]));
        finish.send(()).unwrap();
        write.await.unwrap();
        assert_eq!(store.read(numbers).await.unwrap(), [1, 2]);
    }

    #[tokio::test]
    async fn dropping_the_last_clone_finishes_writes_and_releases_the_lock() {
        let (folder, store) = opened();
        let path = folder.path().join("mirror.db");
        assert!(store.read(numbers).await.unwrap().is_empty());
        let clone = store.clone();
        drop(store);
        assert!(instance_lock::is_locked(&path));
        for number in 0..50 {
            drop(add(&clone, number));
        }
        drop(clone);
        assert!(!instance_lock::is_locked(&path));
        let database = Database::open(&path, IfMissing::Refuse).unwrap();
        assert_eq!(database.read(numbers).unwrap(), (0..50).collect::<Vec<_>>());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn waiting_for_the_write_lock_does_not_block_the_runtime() {
        let (folder, store) = opened();
        let other = Connection::open(folder.path().join("mirror.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(store.try_write(jobs::clear).await.is_err());
        let mut pending = add(&store, 1);
        let waiting = store.clone();
        let task = tokio::spawn(async move { add(&waiting, 2).await });
        Clock::System.sleep(Duration::from_millis(60)).await;
        assert!(store.read(numbers).await.unwrap().is_empty());
        assert!((&mut pending).now_or_never().is_none() && !task.is_finished());
        other.execute_batch("COMMIT").unwrap();
        pending.await.unwrap();
        task.await.unwrap().unwrap();
        assert_eq!(store.read(numbers).await.unwrap(), [1, 2]);
    }

    #[tokio::test]
    async fn refuses_to_read_a_replaced_database() {
        let (folder, store) = opened();
        let path = folder.path().join("mirror.db");
        std::fs::rename(&path, folder.path().join("moved.db")).unwrap();
        drop(Database::open(&folder.path().join("new.db"), IfMissing::Create).unwrap());
        std::fs::rename(folder.path().join("new.db"), &path).unwrap();
        assert!(matches!(store.read(numbers).await, Err(StoreError::Replaced(_))));
        assert!(matches!(store.check_in_place().await, Err(StoreError::Replaced(_))));
    }
}
