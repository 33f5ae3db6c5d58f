//! The instance lock: one writer per database file, whatever name it is reached by.
//!
//! It is two locks. `<database>.lock` (0600) belongs to the name, and is there before the database
//! is. One byte of the database file, far beyond those that SQLite locks, belongs to the file: links
//! and bind mounts lead to the same byte. Both are locks of the open file description (OFD), which a
//! `flock` by somebody who may only read does not meet, and which the kernel drops with the process.
//!
//! Closing any descriptor of the database file would drop the locks that SQLite has on it in this
//! process. So every descriptor made here stays open until the process ends.

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
use crate::store::database_path::{FILE_MODE, lock_path, resolve, wal_path};
use crate::store::error::{StoreError, StoreResult};
use crate::store::wal_check;

/// The byte that is locked in both files. SQLite's are at 1 GiB.
const LOCK_BYTE: i64 = 1 << 62;

/// Readers must not be able to open the lock file.
const LOCK_MODE: u32 = 0o600;

/// How often, and how far apart, a lock that is half taken is looked at again: its owner may be
/// starting or ending.
const LOOKS: u32 = 10;
const LOOK_APART: Duration = Duration::from_millis(5);

/// Descriptors for reading, one for each file this process has had to do with.
static OPENED: Mutex<Vec<(FileId, &'static File)>> = Mutex::new(Vec::new());

/// Names a file, whatever its path: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    /// The file at `path`, links followed.
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
    name: File,
    database: Option<&'static File>,
}

impl InstanceLock {
    /// Takes the lock of `database`, and makes an empty file where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] where another process has it, by this name or by another.
    pub fn take(database: &Path) -> StoreResult<Self> {
        let mut lock = Self::of_name(database)?;
        lock.database = Some(lock_file(database)?);
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
            false => Self::of_name(database),
        }
    }

    fn of_name(database: &Path) -> StoreResult<Self> {
        let path = lock_path(database);
        let io = StoreError::io(&path);
        let name = open_lock_file(&path, OpenOptions::new().create(true)).map_err(io)?;
        name.set_permissions(Permissions::from_mode(LOCK_MODE)).map_err(io)?;
        match lock_byte(&name).map_err(io)? {
            true => Ok(Self { name, database: None }),
            false => Err(StoreError::Locked(database.to_owned())),
        }
    }

    /// The descriptor of the database, unless that is missing.
    pub fn database(&self) -> Option<&'static File> {
        self.database
    }

    /// The lock file, which has the record of [`wal_check`].
    pub fn file(&self) -> &File {
        &self.name
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        // First this one; the other goes when its file is closed. Whoever finds the database locked
        // can then rely on the name being locked too.
        if let Some(database) = self.database {
            let _ = fcntl(database, FcntlArg::F_OFD_SETLK(&byte(libc::F_UNLCK)));
        }
    }
}

/// Opens the database and locks its byte.
fn lock_file(path: &Path) -> StoreResult<&'static File> {
    let io = StoreError::io(path);
    let is_new = !path.exists();
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
    // Leaked, as it must never be closed; one for each opening of a database for writing.
    let file: &'static File = Box::leak(Box::new(file.map_err(io)?));
    if is_new {
        file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(io)?;
    }
    match lock_byte(file).map_err(io)? {
        true => Ok(file),
        false => Err(StoreError::Locked(path.to_owned())),
    }
}

/// Opens the lock file, without following a link that somebody may have put there.
fn open_lock_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options
        .read(true)
        .write(true)
        .truncate(false)
        .mode(LOCK_MODE)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// The lock file of a database that another process may be working on; `None` where there is none, or
/// this user may not use it.
pub fn existing_lock_file(database: &Path) -> Option<File> {
    open_lock_file(&lock_path(database), &mut OpenOptions::new()).ok()
}

/// A descriptor of the database for reading, the same for each file, never closed.
pub fn open_to_look(path: &Path) -> StoreResult<&'static File> {
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

/// Whether somebody holds the lock of `database`, by whatever name. Nothing is locked to find out.
pub fn is_locked(database: &Path) -> bool {
    let Ok(path) = resolve(database) else { return false };
    open_to_look(&path).is_ok_and(is_byte_locked)
}

/// Whether another process works on this very file, by another name: then it has another log, too.
pub fn is_locked_by_another_name(database: &Path) -> bool {
    let Ok(file) = open_to_look(database) else { return false };
    let is_half = || {
        let is_name_locked = match open_lock_file(&lock_path(database), &mut OpenOptions::new()) {
            Ok(lock) => is_byte_locked(&lock),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        is_byte_locked(file) && !is_name_locked
    };
    // An owner that starts or ends may be met between its two locks.
    (0..LOOKS).all(|look| {
        if look > 0 {
            Clock::pause_thread(LOOK_APART);
        }
        is_half()
    })
}

/// Locks the byte. `false`: another has it.
fn lock_byte(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte(libc::F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_byte_locked(file: &File) -> bool {
    // A write lock is what stands in the way of a read lock; those of other readers do not.
    let mut found = byte(libc::F_RDLCK);
    let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut found));
    asked.is_ok() && found.l_type != kind(libc::F_UNLCK)
}

fn byte(lock: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind(lock),
        l_whence: kind(libc::SEEK_SET),
        l_start: LOCK_BYTE,
        l_len: 1,
        l_pid: 0,
    }
}

/// The constants are small, and of another width than the members.
fn kind(value: libc::c_int) -> libc::c_short {
    value.try_into().unwrap_or(libc::c_short::MAX)
}

/// The files of an open database, to find out whether they are still those at its path.
#[derive(Debug)]
pub struct OpenFiles {
    path: PathBuf,
    file: &'static File,
    id: Option<u32>,
    database: Option<FileId>,
    wal: Option<FileId>,
}

impl OpenFiles {
    /// The files of a database that is open for writing by `path`.
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

    /// Checks that the database is still at its path, and still the same.
    ///
    /// # Errors
    ///
    /// [`StoreError::Replaced`] where it was deleted, or another file was moved or copied over it.
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
    fn only_one_can_hold_the_lock() {
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
    fn another_name_of_the_file_does_not_lead_past_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a.db"), folder.path().join("b.db"));
        std::fs::write(&one, "").unwrap();
        std::fs::hard_link(&one, &other).unwrap();
        // A second name alone is no reason to refuse.
        let held = InstanceLock::take(&one).unwrap();
        assert!(matches!(InstanceLock::take(&other), Err(StoreError::Locked(_))));
        assert!(is_locked(&other));
        assert!(is_locked_by_another_name(&other) && !is_locked_by_another_name(&one));
        drop(held);
        assert!(!is_locked_by_another_name(&other));
        InstanceLock::take(&other).unwrap();
    }

    #[test]
    fn a_flock_is_not_in_the_way_of_the_lock() {
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
