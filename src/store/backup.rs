//! A copy of the database while others work on it, made a mirror of its own.
//!
//! The pages come from one read snapshot, so the copy is of one moment, and neither the daemon nor
//! readers wait for it; only the write-ahead log cannot be cut before it is done. The copy grows
//! beside its place under another name, and takes its name when it was checked and is on the disk. It
//! is left without a write-ahead log, as one file that can be carried anywhere.

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
use crate::store::status::{self, Depth};
use crate::store::{database_path, instance, jobs, open, runs};

/// Pages that are copied before it is told how far the copy is.
const STEP_PAGES: i32 = 1_024;

/// How often it is asked whether to go on while a copy is checked.
const CHECK_LOOK: Duration = Duration::from_millis(20);

/// What is added to the name of a copy that is not whole yet.
const PARTIAL: &str = ".partial";

/// What SQLite keeps beside a database while it is written.
pub(super) const SIBLINGS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// What becomes of a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is left as it is, and nothing is copied.
    Keep,
    /// The copy takes its place.
    Replace,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of this name.
    #[error("{} exists already; it is left as it is", .0.display())]
    Exists(PathBuf),
    /// The name is that of the database itself, or of a file that belongs to it.
    #[error("{} is part of the database itself", .0.display())]
    Itself(PathBuf),
    /// A database of this name is worked on, or left a log that would be taken for the copy's.
    #[error("{} is in use, or has a write-ahead log that would spoil the copy", .0.display())]
    InUse(PathBuf),
    /// Another process makes the same copy.
    #[error("another backup to {} is under way", .0.display())]
    Busy(PathBuf),
    /// The copy is damaged as the database is; it was not kept.
    #[error("the database is damaged: {}", .0.join("; "))]
    Damaged(Vec<String>),
    /// The copy is of another organization's mirror.
    #[error("{} is a mirror of organization {theirs}, the database it would replace of {ours}", .copy.display())]
    OtherOrganization {
        /// The copy.
        copy: PathBuf,
        /// Its organization.
        theirs: String,
        /// That of the database.
        ours: String,
    },
    /// Whoever was told of the progress wanted no more.
    #[error("interrupted; no copy was made")]
    Stopped,
    /// The database, or the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(StoreError::Sqlite(error))
    }
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// Bytes copied.
    pub bytes: u64,
    /// Bytes there are.
    pub total: u64,
}

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where it is, symbolic links resolved.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Entries of its outbox that are held.
    pub held: usize,
}

/// Copies the database to `target`. `tell` hears how far it is, and says whether to go on.
pub fn copy(
    source: &Database,
    target: &Path,
    existing: Existing,
    now: i64,
    mut tell: impl FnMut(Copied) -> bool,
) -> Result<Copy, BackupError> {
    let path = database_path::resolve(target)?;
    check_target(source, target, &path, existing)?;
    let partial = Partial::begin(&path)?;
    let mut connection = open_partial(&partial.path)?;
    let bytes = source.read(|c| Ok(copy_pages(c, &mut connection, &mut tell)))??;
    check_pages(&mut connection, || tell(Copied { bytes, total: bytes }))?;
    let held = make_it_its_own(&mut connection, now)?;
    connection.close().map_err(|(_, error)| error)?;
    partial.finish(&path, existing)?;
    Ok(Copy { path, bytes, held })
}

/// Whether the copy may have this name.
fn check_target(
    source: &Database,
    named: &Path,
    path: &Path,
    existing: Existing,
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
    let is_there = std::fs::symlink_metadata(path).is_ok();
    if is_there && (existing == Existing::Keep || !path.is_file()) {
        return Err(BackupError::Exists(named.to_owned()));
    }
    // Its log would be played into the copy when that is opened.
    let has_log = SIBLINGS[..2].iter().any(|suffix| {
        std::fs::metadata(database_path::sibling(path, suffix)).is_ok_and(|log| log.len() > 0)
    });
    match has_log || instance_lock::is_locked(path) {
        true => Err(BackupError::InUse(named.to_owned())),
        false => Ok(()),
    }
}

/// A copy that is not whole yet. Dropped, it is taken away.
pub(super) struct Partial {
    pub(super) path: TempPath,
    /// Goes after it, and takes away what SQLite left beside it.
    _siblings: Siblings,
    /// Keeps others from making the same copy.
    file: File,
}

struct Siblings(PathBuf);

impl Drop for Siblings {
    fn drop(&mut self) {
        remove_siblings(&self.0);
    }
}

impl Partial {
    /// Begins anew, also where a run that was killed left a part of a copy.
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
            // Some network file systems have no locks; then two at once are the user's to avoid.
            Err(TryLockError::Error(error)) => tracing::debug!(%error, "cannot lock the copy"),
        }
        // The other may have finished between the two, and given its copy its name.
        let (ours, found) = (file.metadata().map_err(io)?, std::fs::metadata(&path).map_err(io)?);
        if ours.ino() != found.ino() {
            return Err(BackupError::Busy(target.to_owned()));
        }
        if ours.len() > 0 {
            if !may_be_copy(&file).map_err(io)? {
                return Err(BackupError::Exists(path));
            }
            let (path, bytes) = (path.display(), ours.len());
            tracing::warn!(%path, bytes, "removing the unfinished copy of a backup that was killed");
        }
        file.set_len(0).map_err(io)?;
        database_path::set_permissions(&path)?;
        remove_siblings(&path);
        let _siblings = Siblings(path.clone());
        let path = TempPath::try_from_path(&path).map_err(io)?;
        Ok(Self { path, _siblings, file })
    }

    /// Gives the copy its name, once it is on the disk, and takes away what SQLite left beside a file
    /// that had this name.
    pub(super) fn finish(self, target: &Path, existing: Existing) -> Result<(), BackupError> {
        let io = StoreError::io(target);
        self.file.sync_all().map_err(io)?;
        let named = match existing {
            Existing::Replace => self.path.persist(target),
            Existing::Keep => self.path.persist_noclobber(target),
        };
        match named.map_err(|error| error.error) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists(target.to_owned()));
            }
            named => named.map_err(io)?,
        }
        // Not before: a file without its log has lost what is in it, but a copy beside a log that is
        // not its own is refused.
        remove_siblings(target);
        let folder = target.parent().unwrap_or(Path::new("/"));
        Ok(File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?)
    }
}

/// Whether a file begins like a database, or like one whose first page is not written yet.
fn may_be_copy(file: &File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start)?;
    Ok(start.iter().all(|byte| *byte == 0) || start == b"SQLite format 3\0")
}

/// Takes away what SQLite may have left beside a file that is not in use.
fn remove_siblings(path: &Path) {
    for suffix in SIBLINGS {
        // Mostly there is none.
        let _ = std::fs::remove_file(database_path::sibling(path, suffix));
    }
}

/// Nobody else knows of the file, so it needs no locks of SQLite's, which a network file system may
/// not have; what is lost in a crash is made anew, so it needs no journal.
pub(super) fn open_partial(path: &Path) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    connection.pragma_update(None, "journal_mode", "memory")?;
    connection.pragma_update(None, "synchronous", "off")?;
    Ok(connection)
}

/// Copies all pages of one moment, and gives their size in bytes.
pub(super) fn copy_pages(
    source: &Connection,
    target: &mut Connection,
    mut tell: impl FnMut(Copied) -> bool,
) -> Result<u64, BackupError> {
    // While it lasts, what others write does not make the copy begin again.
    let moment = source.unchecked_transaction()?;
    instance::identity(&moment)?;
    let page_bytes: i64 = moment.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let size = |pages: i32| u64::try_from(i64::from(pages) * page_bytes).unwrap_or(0);
    let backup = Backup::new(&moment, target)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let progress = backup.progress();
        let total = size(progress.pagecount);
        let goes_on = tell(Copied { bytes: size(progress.pagecount - progress.remaining), total });
        match step {
            StepResult::Done => return Ok(total),
            _ if !goes_on => return Err(BackupError::Stopped),
            _ => {}
        }
    }
}

/// Checks a copy for damage: pages are copied as they are.
pub(super) fn check_pages(
    copy: &mut Connection,
    mut goes_on: impl FnMut() -> bool,
) -> Result<(), BackupError> {
    let handle = copy.get_interrupt_handle();
    let mut is_stopped = false;
    let damages = std::thread::scope(|scope| {
        let check = scope.spawn(move || status::integrity(copy, Depth::Deep));
        while !check.is_finished() {
            if !goes_on() {
                is_stopped = true;
                handle.interrupt();
            }
            Clock::pause_thread(CHECK_LOOK);
        }
        check.join().unwrap_or(Err(StoreError::Interrupted))
    });
    match damages {
        _ if is_stopped => Err(BackupError::Stopped),
        Ok(damages) if damages.is_empty() => Ok(()),
        Ok(damages) => Err(BackupError::Damaged(damages)),
        // Damage at the root of a table ends the check itself.
        Err(StoreError::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) =>
        {
            Err(BackupError::Damaged(vec![error.to_string()]))
        }
        Err(error) => Err(error.into()),
    }
}

/// The copy is a new instance: it has an id and full syncs of its own, has asked for nothing, works on
/// nothing, and sends nothing that the original may have sent. Returns how many entries of the outbox
/// it holds.
pub(super) fn make_it_its_own(copy: &mut Connection, now: i64) -> StoreResult<usize> {
    // It came with the mark of a write-ahead log, and would need one even to be read.
    let mode: String = copy.query_row("PRAGMA journal_mode = delete", [], |row| row.get(0))?;
    if mode != "delete" {
        tracing::debug!(mode, "the copy keeps its journal mode");
    }
    copy.pragma_update(None, "journal_mode", "memory")?;
    open::give_id(copy)?;
    let tx: Transaction<'_> = copy.transaction_with_behavior(TransactionBehavior::Immediate)?;
    instance::begin_anew(&tx)?;
    jobs::clear(&tx)?;
    runs::interrupt(&tx, now)?;
    let held = manual::hold_all(&tx, now)?;
    tx.commit()?;
    Ok(held)
}
