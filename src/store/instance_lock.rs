//! The instance lock: at most one process mirrors into a database file, by whatever path.
//!
//! It is two locks. The lock file `<database>.lock` (0600) locks the path, also before the database
//! exists. One byte of the database file, far beyond those that SQLite locks, locks the file, also by
//! other links and bind mounts. Both are locks of the open file description (OFD): a `flock` by a user
//! with read permission does not conflict, and the kernel releases them when the process ends.
//!
//! Closing any descriptor of the database file would drop the locks that SQLite has on it in this
//! process. So every descriptor opened here stays open until the process ends.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::clock::Clock;
use crate::store::database_path::{FILE_MODE, give_to_folder_owner, lock_path, resolve, wal_path};
use crate::store::error::{StoreError, StoreResult};
use crate::store::wal_check;

/// Offset of the locked byte in both files. SQLite's locks are at 1 GiB.
const LOCK_BYTE: i64 = 1 << 62;

/// Closed to readers of the mirror, who could lock it.
const LOCK_MODE: u32 = 0o600;

/// Tries, and the time between them, before a half-taken lock counts as one by another name: its owner may
/// be between its two locks.
const TRIES: u32 = 10;
const TRY_INTERVAL: Duration = Duration::from_millis(5);

/// Descriptors for reading, one for each database file that this process has opened.
static OPENED: Mutex<Vec<(FileId, &'static File)>> = Mutex::new(Vec::new());

/// Identity of a file, independent of its path: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    /// Returns the identity of the file at `path`, links followed.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// The lock, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct InstanceLock {
    lock_file: File,
    database: Option<&'static File>,
}

impl InstanceLock {
    /// Takes the lock of `database`, and creates an empty file if it is missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if another process holds it, by this path or another.
    pub fn take(database: &Path) -> StoreResult<Self> {
        let mut lock = Self::of_path(database)?;
        lock.database = Some(lock_database(database)?);
        Ok(lock)
    }

    /// Takes the lock of `database`, which may be missing, to put another file in its place.
    ///
    /// # Errors
    ///
    /// As [`Self::take`].
    pub fn take_to_replace(database: &Path) -> StoreResult<Self> {
        match database.exists() {
            true => Self::take(database),
            false => Self::of_path(database),
        }
    }

    fn of_path(database: &Path) -> StoreResult<Self> {
        let path = lock_path(database);
        let io = StoreError::io(&path);
        let is_new = !path.exists();
        let lock_file = open_lock_file(&path, OpenOptions::new().create(true)).map_err(io)?;
        if is_new {
            give_to_folder_owner(&lock_file, &path).map_err(io)?;
        }
        lock_file.set_permissions(Permissions::from_mode(LOCK_MODE)).map_err(io)?;
        match lock_byte(&lock_file).map_err(io)? {
            true => Ok(Self { lock_file, database: None }),
            false => Err(StoreError::Locked(database.to_owned())),
        }
    }

    /// Returns the descriptor of the database; `None` if it is missing.
    pub fn database(&self) -> Option<&'static File> {
        self.database
    }

    /// Returns the lock file, which contains the record of [`wal_check`].
    pub fn file(&self) -> &File {
        &self.lock_file
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        // Before the lock of the path, which is released when its file is closed: then a locked database
        // implies a locked path.
        if let Some(database) = self.database {
            let _ = fcntl(database, FcntlArg::F_OFD_SETLK(&byte(libc::F_UNLCK)));
        }
    }
}

/// Opens the database and locks its byte.
fn lock_database(path: &Path) -> StoreResult<&'static File> {
    let io = StoreError::io(path);
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
    // Leaked, because it must never be closed.
    let file: &'static File = Box::leak(Box::new(file.map_err(io)?));
    if is_new {
        file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(io)?;
        give_to_folder_owner(file, path).map_err(io)?;
    }
    match lock_byte(file).map_err(io)? {
        true => Ok(file),
        false => Err(StoreError::Locked(path.to_owned())),
    }
}

/// Opens the lock file, and does not follow a symbolic link.
fn open_lock_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options
        .read(true)
        .write(true)
        .truncate(false)
        .mode(LOCK_MODE)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// Opens the lock file of an existing database; `None` if it is missing, or not accessible to this user.
pub fn existing_lock_file(database: &Path) -> Option<File> {
    open_lock_file(&lock_path(database), &mut OpenOptions::new()).ok()
}

/// Returns a descriptor of the database for reading: the same one for each file, and never closed.
pub fn read_descriptor(path: &Path) -> StoreResult<&'static File> {
    let io = StoreError::io(path);
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = opened.iter().find(|(id, _)| *id == FileId::from(&metadata));
    if let Some((_, file)) = known {
        return Ok(file);
    }
    let file: &'static File = Box::leak(Box::new(File::open(path).map_err(io)?));
    opened.push((FileId::from(&file.metadata().map_err(io)?), file));
    Ok(file)
}

/// Whether a process holds the lock of `database`, by any path. Takes no lock itself.
pub fn is_locked(database: &Path) -> bool {
    let Ok(path) = resolve(database) else { return false };
    read_descriptor(&path).is_ok_and(is_byte_locked)
}

/// Whether another process holds the lock of this file by another path, and so has another write-ahead log.
pub fn is_locked_by_another_name(database: &Path) -> bool {
    let Ok(file) = read_descriptor(database) else { return false };
    let is_half_locked = || {
        let is_path_locked = match open_lock_file(&lock_path(database), &mut OpenOptions::new()) {
            Ok(lock) => is_byte_locked(&lock),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        is_byte_locked(file) && !is_path_locked
    };
    (0..TRIES).all(|attempt| {
        if attempt > 0 {
            Clock::pause_thread(TRY_INTERVAL);
        }
        is_half_locked()
    })
}

/// Locks the byte; returns `false` if another process holds it.
fn lock_byte(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte(libc::F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_byte_locked(file: &File) -> bool {
    // Only a write lock conflicts with a read lock.
    let mut found = byte(libc::F_RDLCK);
    let result = fcntl(file, FcntlArg::F_OFD_GETLK(&mut found));
    result.is_ok() && found.l_type != short(libc::F_UNLCK)
}

fn byte(lock: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: short(lock),
        l_whence: short(libc::SEEK_SET),
        l_start: LOCK_BYTE,
        l_len: 1,
        l_pid: 0,
    }
}

/// Converts a constant to the type of the struct's members.
fn short(value: libc::c_int) -> libc::c_short {
    value.try_into().unwrap_or(libc::c_short::MAX)
}

/// Identity of the files of an open database, to detect that the path leads to others.
#[derive(Debug)]
pub struct OpenFiles {
    path: PathBuf,
    file: &'static File,
    id: Option<u32>,
    database: Option<FileId>,
    wal: Option<FileId>,
}

impl OpenFiles {
    /// Reads the identity of the files of a database that is open for writing.
    pub fn of(path: &Path, file: &'static File) -> StoreResult<Self> {
        let io = StoreError::io(path);
        Ok(Self {
            path: path.to_owned(),
            file,
            id: wal_check::id(path, file)?,
            database: Some(FileId::from(&file.metadata().map_err(io)?)),
            wal: FileId::of(&wal_path(path)),
        })
    }

    /// Checks that the database is still at its path.
    ///
    /// # Errors
    ///
    /// [`StoreError::Replaced`] if it was deleted, or another file was moved or copied over it.
    pub fn check_in_place(&self) -> StoreResult<()> {
        let is_there = FileId::of(&self.path) == self.database
            && FileId::of(&wal_path(&self.path)) == self.wal;
        let is_same =
            || wal_check::id(&self.path, self.file).is_ok_and(|id| id.is_some() && id == self.id);
        match is_there && is_same() {
            true => Ok(()),
            false => Err(StoreError::Replaced(self.path.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_process_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let held = InstanceLock::take(&database).unwrap();
        assert!(matches!(InstanceLock::take(&database), Err(StoreError::Locked(_))));
        assert!(is_locked(&database));
        drop(held);
        assert!(!is_locked(&database));
        InstanceLock::take(&database).unwrap();
    }

    #[test]
    fn hard_link_is_locked_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a.db"), folder.path().join("b.db"));
        std::fs::write(&one, "").unwrap();
        std::fs::hard_link(&one, &other).unwrap();
        let held = InstanceLock::take(&one).unwrap();
        assert!(matches!(InstanceLock::take(&other), Err(StoreError::Locked(_))));
        assert!(is_locked(&other));
        assert!(is_locked_by_another_name(&other) && !is_locked_by_another_name(&one));
        drop(held);
        assert!(!is_locked_by_another_name(&other));
        InstanceLock::take(&other).unwrap();
    }

    #[test]
    fn flock_does_not_conflict_with_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        drop(InstanceLock::take(&database).unwrap());
        let flocked = [lock_path(&database), database.clone()].map(|path| {
            let file = File::open(path).unwrap();
            file.try_lock().unwrap();
            file
        });
        InstanceLock::take(&database).unwrap();
        drop(flocked);
    }
}
