//! File paths of the database: its folder and permissions, its sibling files, and whether SQLite works
//! on the file system.

use std::fs::{DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::store::error::{StoreError, StoreResult};

/// Group-readable, so that other users can read the mirror as members of the group.
pub(super) const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// File systems on which SQLite's locks or shared memory do not work between machines.
const NETWORK: &[(u32, &str)] = &[
    (0x0000_6969, "nfs"),
    (0x0000_517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x5346_414f, "afs"),
    (0x00c3_6400, "ceph"),
    (0x0bd0_0bd0, "lustre"),
    (0x7461_636f, "ocfs2"),
    (0x0116_1970, "gfs2"),
];

/// Symbolic links that [`resolve`] follows in a row.
const LINKS_MAX: u32 = 40;

const TMPFS: u32 = 0x0102_1994;

/// Whether a file system is fit for the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// It is.
    Local,
    /// In memory: its files are gone after a reboot.
    Memory,
    /// A network file system of this name, on which SQLite's locks do not work.
    Network(&'static str),
}

/// Resolves symbolic links in a path; the file need not exist.
pub fn resolve(path: &Path) -> StoreResult<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if let Ok(resolved) = path.canonicalize() {
            return Ok(resolved);
        }
        // A link to a missing file resolves to where that file will be.
        let Ok(target) = std::fs::read_link(&path) else {
            return resolve_missing(&path);
        };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(StoreError::Io { path, source: std::io::Error::other("too many symbolic links") })
}

fn resolve_missing(path: &Path) -> StoreResult<PathBuf> {
    let io = StoreError::io(path);
    let absolute = std::path::absolute(path).map_err(io)?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(io(std::io::Error::other("not a file name")));
    };
    Ok(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).join(name))
}

/// Whether a database is there.
///
/// # Errors
///
/// [`StoreError::Denied`] if this user may not look.
pub fn exists(path: &Path) -> StoreResult<bool> {
    match path.try_exists() {
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        found => found.map_err(StoreError::io(path)),
    }
}

/// Fails if this user may not write the file. SQLite would open it for reading.
pub fn check_writable(path: &Path) -> StoreResult<()> {
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        Err(rustix::io::Errno::ACCESS) => Err(StoreError::Denied(path.to_owned())),
        _ => Ok(()),
    }
}

/// Gives a new file to the owner of its folder, if root creates it: the service must be able to write it.
pub(super) fn give_to_folder_owner(file: &File, path: &Path) -> std::io::Result<()> {
    let Some(folder) = path.parent().filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(());
    };
    let (folder, own) = (std::fs::metadata(folder)?, file.metadata()?);
    match folder.uid() == own.uid() {
        true => Ok(()),
        false => std::os::unix::fs::fchown(file, Some(folder.uid()), Some(folder.gid())),
    }
}

/// Checks that a database may be at `path`, creates its folder, and resolves links.
pub fn prepare(path: &Path) -> StoreResult<PathBuf> {
    if let FileSystem::Network(name) = file_system(&std::path::absolute(path).unwrap_or_default()) {
        return Err(StoreError::NetworkFileSystem { path: path.to_owned(), name });
    }
    if !exists(path)? {
        make_folder(path)?;
    }
    let path = resolve(path)?;
    match path.exists() && !path.is_file() {
        true => Err(StoreError::Foreign(path)),
        false => Ok(path),
    }
}

/// Creates the folder of `path` if it is missing.
pub fn make_folder(path: &Path) -> StoreResult<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(StoreError::io(folder))
}

/// Sets the permissions of a new database. By path: the file is not opened.
pub fn set_permissions(path: &Path) -> StoreResult<()> {
    std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE)).map_err(StoreError::io(path))
}

/// Path of the lock file of `database`.
pub fn lock_path(database: &Path) -> PathBuf {
    sibling(database, ".lock")
}

/// Path of SQLite's write-ahead log of `database`.
pub fn wal_path(database: &Path) -> PathBuf {
    sibling(database, "-wal")
}

/// Path of the file beside `database` whose name has this suffix.
pub(super) fn sibling(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The kind of file system that the nearest existing folder above `path` is on.
pub fn file_system(path: &Path) -> FileSystem {
    let folder = path.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let Ok(stat) = rustix::fs::statfs(folder) else {
        return FileSystem::Local;
    };
    // The kernel's magic numbers are 32 bits wide, whatever the width of the field.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let magic = stat.f_type as u32;
    if magic == TMPFS {
        return FileSystem::Memory;
    }
    NETWORK
        .iter()
        .find(|(number, _)| *number == magic)
        .map_or(FileSystem::Local, |(_, name)| FileSystem::Network(name))
}

/// Free bytes for an ordinary user on the file system of `path`.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path.parent()?).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

/// Whether this process may write a file, or create files in a folder. By path: it is not opened.
pub fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// The nearest existing folder above `path`.
pub fn nearest_folder(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|folder| folder.is_dir())
}

/// The permissions of others on a file: the last digit of its mode.
pub fn mode_of_others(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(metadata.permissions().mode() & 0o007)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_links_to_folders() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("real"), &link).unwrap();
        let through = resolve(&link.join("a.db")).unwrap();
        assert_eq!(through, resolve(&folder.path().join("real/a.db")).unwrap());
    }

    #[test]
    fn resolves_link_to_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink("real.db", &link).unwrap();
        let expected = folder.path().canonicalize().unwrap().join("real.db");
        assert_eq!(resolve(&link).unwrap(), expected);
        let cycle = folder.path().join("cycle.db");
        std::os::unix::fs::symlink("cycle.db", &cycle).unwrap();
        assert!(resolve(&cycle).is_err());
    }

    #[test]
    fn new_folders_are_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("x/y");
        make_folder(&made.join("a.db")).unwrap();
        let mode = std::fs::metadata(&made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !FOLDER_MODE, 0);
    }
}
