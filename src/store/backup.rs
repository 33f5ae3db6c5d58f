//! `backup`: copies the database while it is in use. The copy is a new instance.
//!
//! The pages are copied in one read snapshot, so neither the daemon nor readers wait; only the
//! write-ahead log cannot be truncated meanwhile. The copy is written beside its target under another
//! name and renamed once it is checked and on the disk. It has no write-ahead log: it is one file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tempfile::TempPath;

use crate::clock::Clock;
use crate::store::database::Database;
use crate::store::error::{StoreError, StoreResult};
use crate::store::instance_lock::{self, FileId};
use crate::store::outbox::manual;
use crate::store::schema_check::{self, SchemaReport};
use crate::store::status::{self, Depth};
use crate::store::{database_path, instance, jobs, open, runs};

/// Pages copied between two progress reports.
const STEP_PAGES: i32 = 1_024;

/// Interval of progress reports while a copy is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Suffix of an unfinished copy.
const PARTIAL: &str = ".partial";

/// Suffixes of the files that SQLite keeps beside a database.
pub(super) const SIBLINGS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// What to do if the target exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Return [`BackupError::Exists`].
    Keep,
    /// Replace it.
    Replace,
}

/// Error of `backup` and `restore`.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target exists.
    #[error("`{}` already exists; it was not changed", .0.display())]
    Exists(PathBuf),
    /// The target is the database itself, or one of its files.
    #[error("`{}` is part of the database itself", .0.display())]
    Itself(PathBuf),
    /// The target is in use, or has a write-ahead log that SQLite would replay into the copy.
    #[error("`{}` is in use, or has a write-ahead log that would damage the copy", .0.display())]
    InUse(PathBuf),
    /// Another process writes the same copy.
    #[error("another backup to `{}` is running", .0.display())]
    Busy(PathBuf),
    /// The database is damaged, and so was the copy, which was deleted.
    #[error("the database is damaged: {}", .0.join("; "))]
    Damaged(Vec<String>),
    /// The copy's schema is not the one that its migrations make.
    #[error("the schema of `{}` is damaged: {}", .copy.display(), schema_check::listed(&.report.faults))]
    Schema {
        /// The copy.
        copy: PathBuf,
        /// What differs.
        report: SchemaReport,
    },
    /// The copy mirrors another organization.
    #[error("`{}` mirrors organization `{theirs}`, but the database it would replace mirrors `{ours}`", .copy.display())]
    OtherOrganization {
        /// The copy.
        copy: PathBuf,
        /// Organization of the copy.
        theirs: String,
        /// Organization of the database.
        ours: String,
    },
    /// The progress callback cancelled it.
    #[error("interrupted; no copy was made")]
    Stopped,
    /// The database or the disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(StoreError::Sqlite(error))
    }
}

/// Progress of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    /// Bytes copied.
    pub bytes: u64,
    /// Bytes in total.
    pub total: u64,
}

/// A finished copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupCopy {
    /// Its path, symbolic links resolved.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Number of entries held in its outbox.
    pub held: usize,
}

/// Copies the database to `target`. `report` is called with the progress and returns whether to continue.
pub fn copy(
    source: &Database,
    target: &Path,
    existing: IfExists,
    now: i64,
    mut report: impl FnMut(CopyProgress) -> bool,
) -> Result<BackupCopy, BackupError> {
    let path = database_path::resolve(target)?;
    check_target(source, target, &path, existing)?;
    let partial = Partial::begin(&path)?;
    let mut connection = open_partial(&partial.path)?;
    let bytes = source.read(|c| Ok(copy_pages(c, &mut connection, &mut report)))??;
    check_pages(&mut connection, || report(CopyProgress { bytes, total: bytes }))?;
    let held = make_new_instance(&mut connection, now)?;
    connection.close().map_err(|(_, error)| error)?;
    partial.finish(&path, existing)?;
    Ok(BackupCopy { path, bytes, held })
}

/// Checks that the copy may have this name.
fn check_target(
    source: &Database,
    named: &Path,
    path: &Path,
    existing: IfExists,
) -> Result<(), BackupError> {
    let is_same = |one: &Path| match (FileId::of(one), FileId::of(path)) {
        (Some(one), Some(other)) => one == other,
        _ => one == path,
    };
    let lock = database_path::lock_path(source.path());
    let siblings = SIBLINGS.map(|suffix| database_path::sibling(source.path(), suffix));
    if is_same(source.path()) || is_same(&lock) || siblings.iter().any(|one| is_same(one)) {
        return Err(BackupError::Itself(named.to_owned()));
    }
    let exists = std::fs::symlink_metadata(path).is_ok();
    if exists && (existing == IfExists::Keep || !path.is_file()) {
        return Err(BackupError::Exists(named.to_owned()));
    }
    // SQLite would replay its log into the copy when that is opened.
    let has_log = SIBLINGS[..2].iter().any(|suffix| {
        std::fs::metadata(database_path::sibling(path, suffix)).is_ok_and(|log| log.len() > 0)
    });
    match has_log || instance_lock::is_locked(path) {
        true => Err(BackupError::InUse(named.to_owned())),
        false => Ok(()),
    }
}

/// An unfinished copy, deleted on drop.
pub(super) struct Partial {
    pub(super) path: TempPath,
    /// Dropped after `path`: deletes the files that SQLite left beside it.
    _siblings: Siblings,
    /// Locked, so that no other process writes the same copy.
    file: File,
}

struct Siblings(PathBuf);

impl Drop for Siblings {
    fn drop(&mut self) {
        remove_siblings(&self.0);
    }
}

impl Partial {
    /// Creates the file, or truncates what a killed backup left.
    pub(super) fn begin(target: &Path) -> Result<Self, BackupError> {
        let path = database_path::sibling(target, PARTIAL);
        let io = StoreError::io(&path);
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(database_path::FILE_MODE)
            .custom_flags(no_follow)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy(target.to_owned())),
            // Some network file systems have no locks.
            Err(TryLockError::Error(error)) => tracing::debug!(%error, "cannot lock the copy"),
        }
        // Another backup may have renamed its copy between open and lock.
        let (ours, found) = (file.metadata().map_err(io)?, std::fs::metadata(&path).map_err(io)?);
        if ours.ino() != found.ino() {
            return Err(BackupError::Busy(target.to_owned()));
        }
        if ours.len() > 0 {
            if !may_be_copy(&file).map_err(io)? {
                return Err(BackupError::Exists(path));
            }
            let (path, bytes) = (path.display(), ours.len());
            tracing::warn!(%path, bytes, "removing the unfinished copy of a killed backup");
        }
        file.set_len(0).map_err(io)?;
        database_path::set_permissions(&path)?;
        remove_siblings(&path);
        let _siblings = Siblings(path.clone());
        let path = TempPath::try_from_path(&path).map_err(io)?;
        Ok(Self { path, _siblings, file })
    }

    /// Flushes the copy to the disk, renames it to `target`, and deletes the files that SQLite left
    /// beside a file of that name.
    pub(super) fn finish(self, target: &Path, existing: IfExists) -> Result<(), BackupError> {
        let io = StoreError::io(target);
        self.file.sync_all().map_err(io)?;
        let named = match existing {
            IfExists::Replace => self.path.persist(target),
            IfExists::Keep => self.path.persist_noclobber(target),
        };
        match named.map_err(|error| error.error) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(target.to_owned()));
            }
            named => named.map_err(io)?,
        }
        // After the rename: the replaced file without its log would have lost data, whereas a copy beside
        // a foreign log is refused.
        remove_siblings(target);
        let folder = target.parent().unwrap_or(Path::new("/"));
        Ok(File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?)
    }
}

/// Whether a file begins like a database, or is zeros because its first page is not written yet.
fn may_be_copy(file: &File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start)?;
    Ok(start.iter().all(|byte| *byte == 0) || start == b"SQLite format 3\0")
}

/// Deletes the files that SQLite may have left beside a file that is not in use.
fn remove_siblings(path: &Path) {
    for suffix in SIBLINGS {
        // It is usually missing.
        let _ = std::fs::remove_file(database_path::sibling(path, suffix));
    }
}

/// Opens an unfinished copy. No other process opens it, so it needs no SQLite locks, which a network file
/// system may not have; after a crash it is written again, so it needs no journal on disk.
pub(super) fn open_partial(path: &Path) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    connection.pragma_update(None, "journal_mode", "memory")?;
    connection.pragma_update(None, "synchronous", "off")?;
    Ok(connection)
}

/// Copies all pages of one snapshot and returns their size in bytes.
pub(super) fn copy_pages(
    source: &Connection,
    target: &mut Connection,
    mut report: impl FnMut(CopyProgress) -> bool,
) -> Result<u64, BackupError> {
    // Without a read transaction, a write of another process would restart the copy.
    let snapshot = source.unchecked_transaction()?;
    instance::identity(&snapshot)?;
    let page_bytes: i64 = snapshot.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let size = |pages: i32| u64::try_from(i64::from(pages) * page_bytes).unwrap_or(0);
    let backup = Backup::new(&snapshot, target)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let progress = backup.progress();
        let total = size(progress.pagecount);
        let continues =
            report(CopyProgress { bytes: size(progress.pagecount - progress.remaining), total });
        match step {
            StepResult::Done => return Ok(total),
            _ if !continues => return Err(BackupError::Stopped),
            _ => {}
        }
    }
}

/// Checks a copy for damage, which is copied with the pages. `continues` is polled meanwhile.
pub(super) fn check_pages(
    copy: &mut Connection,
    mut continues: impl FnMut() -> bool,
) -> Result<(), BackupError> {
    let handle = copy.get_interrupt_handle();
    let mut is_stopped = false;
    let damages = std::thread::scope(|scope| {
        let check = scope.spawn(move || status::integrity(copy, Depth::Deep));
        while !check.is_finished() {
            if !continues() {
                is_stopped = true;
                handle.interrupt();
            }
            Clock::pause_thread(CHECK_INTERVAL);
        }
        check.join().unwrap_or(Err(StoreError::Interrupted))
    });
    match damages {
        _ if is_stopped => Err(BackupError::Stopped),
        Ok(damages) if damages.is_empty() => Ok(()),
        Ok(damages) => Err(BackupError::Damaged(damages)),
        // Damage at the root of a table makes the check itself fail.
        Err(StoreError::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) =>
        {
            Err(BackupError::Damaged(vec![error.to_string()]))
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a copy a new instance: a new id, no jobs, no open runs, and a held outbox, so that it sends
/// nothing that the original may have sent. Returns the number of held entries.
pub(super) fn make_new_instance(copy: &mut Connection, now: i64) -> StoreResult<usize> {
    // The header was copied from a database in WAL mode, in which even a reader needs a log.
    let mode: String = copy.query_row("PRAGMA journal_mode = delete", [], |row| row.get(0))?;
    if mode != "delete" {
        tracing::debug!(mode, "the copy keeps its journal mode");
    }
    copy.pragma_update(None, "journal_mode", "memory")?;
    open::give_id(copy)?;
    let tx: Transaction<'_> = copy.transaction_with_behavior(TransactionBehavior::Immediate)?;
    instance::reset(&tx)?;
    jobs::clear(&tx)?;
    runs::interrupt(&tx, now)?;
    let held = manual::hold_open_entries(&tx, now)?;
    tx.commit()?;
    Ok(held)
}
