//! The folder where the files of an export to a bucket are written before they are uploaded.
//!
//! It is made beside the database: an export takes about as much space as the database does, and the
//! usual temporary folder is often in memory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use crate::export::error::{ExportError, at};

/// What the names of these folders begin with.
const PREFIX: &str = ".creatormirror-export-";

/// Such a folder, removed when this is dropped.
#[derive(Debug)]
pub struct StagingFolder {
    folder: TempDir,
    // Tells other exports that the folder is in use.
    _lock: File,
}

impl StagingFolder {
    /// Makes one beside the database, or in `otherwise` where nothing may be written beside it, and
    /// removes those that killed runs have left there.
    pub fn create(database: &Path, otherwise: &Path) -> Result<Self, ExportError> {
        let beside = match database.parent() {
            Some(folder) if folder != "" => folder,
            _ => Path::new("."),
        };
        match Self::create_in(beside) {
            Err(error) if is_forbidden(&error) => Self::create_in(otherwise).map_err(at(otherwise)),
            created => created.map_err(at(beside)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        loop {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            let lock = File::open(folder.path())?;
            // Another export may have taken it for abandoned before it was locked.
            if lock.try_lock().is_ok() && folder.path().exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Removes the folders that nobody has locked. What cannot be removed stays.
fn remove_abandoned(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(PREFIX.as_bytes());
    for entry in entries.filter(|entry| is_ours(&entry.file_name())) {
        // Not a link to somebody else's folder.
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

    /// It was made in `TMPDIR`, which is often memory.
    #[test]
    fn files_for_a_bucket_wait_beside_the_database() {
        let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = StagingFolder::create(&home.path().join("m.db"), other.path()).unwrap();
        assert_eq!(made.path().parent(), Some(home.path()));
        let path = made.path().to_owned();
        drop(made);
        assert!(!path.exists());
    }

    #[test]
    fn who_may_not_write_beside_the_database_still_exports() {
        let other = tempfile::tempdir().unwrap();
        // Not even root makes a folder there.
        let made = StagingFolder::create(Path::new("/sys/m.db"), other.path()).unwrap();
        assert_eq!(made.path().parent(), Some(other.path()));
    }

    #[test]
    fn what_a_killed_export_left_is_removed_by_the_next_and_what_is_in_use_is_not() {
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
