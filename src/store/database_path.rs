//! Where the database lives: its folder, its sibling files, and whether the file system will do.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::store::error::{StoreError, StoreResult};

/// The database and its folder may be read by the group, so that analysts can be members of it.
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

/// Links that are followed one after the other.
const LINKS_MAX: u32 = 40;

/// Kept in memory only: a reboot empties it.
const TMPFS: u32 = 0x0102_1994;

/// What the file system is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// Nothing to say against it.
    Local,
    /// Gone after a reboot.
    Memory,
    /// Not usable for SQLite.
    Network(&'static str),
}

/// The path with symbolic links resolved, of a file that may not be there yet.
pub fn resolve(path: &Path) -> StoreResult<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        if let Ok(resolved) = path.canonicalize() {
            return Ok(resolved);
        }
        // A link to a file that is not there yet leads to where that file will be.
        let Ok(target) = std::fs::read_link(&path) else {
            return beside_nothing(&path);
        };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(StoreError::Io { path, source: std::io::Error::other("too many symbolic links") })
}

fn beside_nothing(path: &Path) -> StoreResult<PathBuf> {
    let io = StoreError::io(path);
    let absolute = std::path::absolute(path).map_err(io)?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(io(std::io::Error::other("not a file name")));
    };
    Ok(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).join(name))
}

/// Checks that a database may be at `path`, makes its folder, and resolves links.
pub fn prepare(path: &Path) -> StoreResult<PathBuf> {
    if let FileSystem::Network(name) = file_system(&std::path::absolute(path).unwrap_or_default()) {
        return Err(StoreError::NetworkFileSystem { path: path.to_owned(), name });
    }
    if !path.exists() {
        make_folder(path)?;
    }
    let path = resolve(path)?;
    match path.exists() && !path.is_file() {
        true => Err(StoreError::Foreign(path)),
        false => Ok(path),
    }
}

/// Makes the folder of `path` if it is not there.
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

/// Gives a database that was just made its permissions. By path: the file is not opened.
pub fn set_permissions(path: &Path) -> StoreResult<()> {
    std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE)).map_err(StoreError::io(path))
}

/// The sibling that carries the lock of `database`.
pub fn lock_path(database: &Path) -> PathBuf {
    sibling(database, ".lock")
}

/// The sibling that is SQLite's write-ahead log.
pub fn wal_path(database: &Path) -> PathBuf {
    sibling(database, "-wal")
}

/// The file beside `database` whose name goes on like this.
pub(super) fn sibling(database: &Path, kind_outcome: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(kind_outcome);
    PathBuf::from(name)
}

/// The kind of file system that the nearest existing folder above `path` is on.
#[cfg(target_os = "linux")]
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

/// Elsewhere the kind of file system is not told apart.
#[cfg(not(target_os = "linux"))]
pub fn file_system(_path: &Path) -> FileSystem {
    FileSystem::Local
}

/// Free bytes for an ordinary user on the file system of `path`.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path.parent()?).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

/// Whether this process may write a file, or make files in a folder. By name: it is not opened.
pub fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// The nearest folder above `path` that is there.
pub fn nearest_folder(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|folder| folder.is_dir())
}

/// What those who are neither owner nor group may do with a file, as the last digit of its mode.
pub fn mode_of_others(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(metadata.permissions().mode() & 0o007)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_belongs_to_the_resolved_path() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("real"), &link).unwrap();
        let through = resolve(&link.join("a.db")).unwrap();
        assert_eq!(through, resolve(&folder.path().join("real/a.db")).unwrap());
    }

    #[test]
    fn a_link_to_what_is_not_there_yet_leads_to_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink("real.db", &link).unwrap();
        let expected = folder.path().canonicalize().unwrap().join("real.db");
        assert_eq!(resolve(&link).unwrap(), expected);
        let circle = folder.path().join("circle.db");
        std::os::unix::fs::symlink("circle.db", &circle).unwrap();
        assert!(resolve(&circle).is_err());
    }

    #[test]
    fn folders_are_made_for_the_owner_and_the_group() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("x/y");
        make_folder(&made.join("a.db")).unwrap();
        let mode = std::fs::metadata(&made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !FOLDER_MODE, 0);
    }
}
