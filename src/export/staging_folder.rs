//! The folder in which the files of an export to a bucket are staged before the upload.
//!
//! It is created next to the database: an export takes about as much space as the database, and the usual temporary
//! folder is often in memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::export::error::{ExportError, at};

/// Prefix of the folder names.
const PREFIX: &str = ".creatormirror-export-";

/// A staging folder, removed on drop.
#[derive(Debug)]
pub struct StagingFolder {
    folder: TempDir,
    // Other exports remove staging folders without a lock.
    _lock: File,
}

impl StagingFolder {
    /// Creates a folder next to the database, or in `fallback` if that is not permitted. Removes the folders that killed
    /// exports have left there.
    pub fn create(database: &Path, fallback: &Path) -> Result<Self, ExportError> {
        let parent = match database.parent() {
            Some(folder) if folder != "" => folder,
            _ => Path::new("."),
        };
        match Self::create_in(parent) {
            Err(error) if is_forbidden(&error) => Self::create_in(fallback).map_err(at(fallback)),
            created => created.map_err(at(parent)),
        }
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        loop {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            let lock = File::open(folder.path())?;
            // Another export may have removed it before it was locked.
            if lock.try_lock().is_ok() && folder.path().exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Removes the staging folders that no process has locked. Errors are ignored.
fn remove_abandoned(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
    for entry in entries.filter(|entry| is_ours(&entry.file_name())) {
        // Do not follow symbolic links.
        if entry.file_type().is_ok_and(|found| found.is_dir())
            && let Ok(lock) = File::open(entry.path())
            && lock.try_lock().is_ok()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_created_next_to_the_database_and_removed_on_drop() {
        let (home, fallback) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let staging = StagingFolder::create(&home.path().join("m.db"), fallback.path()).unwrap();
        assert_eq!(staging.path().parent(), Some(home.path()));
        let path = staging.path().to_owned();
        drop(staging);
        assert!(!path.exists());
    }

    #[test]
    fn falls_back_where_the_database_folder_is_not_writable() {
        let fallback = tempfile::tempdir().unwrap();
        // Not even root can create a folder there.
        let staging = StagingFolder::create(Path::new("/sys/m.db"), fallback.path()).unwrap();
        assert_eq!(staging.path().parent(), Some(fallback.path()));
    }

    #[test]
    fn removes_abandoned_folders_and_keeps_those_in_use() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("m.db");
        let abandoned = home.path().join(format!("{PREFIX}killed"));
        std::fs::create_dir(&abandoned).unwrap();
        std::fs::write(abandoned.join("1"), "half a file").unwrap();
        let first = StagingFolder::create(&database, home.path()).unwrap();
        assert!(!abandoned.exists());
        let second = StagingFolder::create(&database, home.path()).unwrap();
        assert!(first.path().exists() && second.path().exists());
    }
}
