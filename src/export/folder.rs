//! Export to a folder. New files are staged in a hidden folder on the same file system, and renamed to their final paths
//! when all of them are complete and synced to disk.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::export::destination::{Changes, Destination};
use crate::export::error::{ExportError, at};
use crate::export::manifest::NAME;

/// Name of the staging folder. If it exists at the start, a killed export left it.
const STAGING: &str = ".creatormirror-export";

/// An export in a folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    staging: PathBuf,
    recorded: Option<Vec<u8>>,
    // The lock is on the folder itself, so that no lock file is needed.
    _lock: File,
}

impl Folder {
    /// Opens or creates the folder, and locks it against other exports.
    pub fn open(root: &Path) -> Result<Self, ExportError> {
        if root.exists() && !root.is_dir() {
            return Err(ExportError::NotOurs(root.display().to_string()));
        }
        std::fs::create_dir_all(root).map_err(at(root))?;
        let lock = File::open(root).map_err(at(root))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ExportError::Busy(root.to_owned())),
            Err(TryLockError::Error(error)) => return Err(at(root)(error)),
        }
        let manifest = root.join(NAME);
        let recorded = match std::fs::read(&manifest) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(&manifest)(error)),
        };
        let (root, staging) = (root.to_owned(), root.join(STAGING));
        let folder = Self { root, staging, recorded, _lock: lock };
        folder.remove_staging()?;
        std::fs::create_dir(&folder.staging).map_err(at(&folder.staging))?;
        Ok(folder)
    }

    /// Removes a file, and the folders that become empty.
    fn remove(&self, path: &str) -> Result<(), ExportError> {
        let path = self.root.join(path);
        unless_missing(std::fs::remove_file(&path), &path)?;
        let parents = path.ancestors().skip(1);
        for folder in parents.take_while(|folder| *folder != self.root) {
            if std::fs::remove_dir(folder).is_err() {
                // Not empty.
                break;
            }
        }
        Ok(())
    }

    fn write_manifest(&self, bytes: &[u8]) -> Result<(), ExportError> {
        let (staged, path) = (self.staging.join(NAME), self.root.join(NAME));
        let written = || -> io::Result<()> {
            let mut file = File::create(&staged)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&staged, &path)
        };
        written().map_err(at(&path))?;
        sync(&self.root)
    }

    fn remove_staging(&self) -> Result<(), ExportError> {
        unless_missing(std::fs::remove_dir_all(&self.staging), &self.staging)
    }
}

impl Destination for Folder {
    fn recorded(&self) -> Option<&[u8]> {
        self.recorded.as_deref()
    }

    /// The length of a file; `u64::MAX` for anything else.
    fn length(&self, path: &str) -> Option<u64> {
        let found = std::fs::symlink_metadata(self.root.join(path)).ok()?;
        Some(if found.is_file() { found.len() } else { u64::MAX })
    }

    fn staging(&self) -> &Path {
        &self.staging
    }

    fn publish(&self, changes: Changes) -> Result<(), ExportError> {
        self.write_manifest(&changes.before)?;
        let mut folders = BTreeSet::new();
        for file in &changes.files {
            let path = self.root.join(&file.path);
            let folder = path.parent().unwrap_or(&self.root);
            std::fs::create_dir_all(folder).map_err(at(folder))?;
            std::fs::rename(&file.staged, &path).map_err(at(&path))?;
            // The folder may be new, so its parents are synced too.
            let parents = folder.ancestors().take_while(|parent| parent.starts_with(&self.root));
            folders.extend(parents.map(Path::to_owned));
        }
        for path in &changes.removed {
            self.remove(path)?;
        }
        for folder in &folders {
            sync(folder)?;
        }
        self.write_manifest(&changes.after)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // On failure, the next export removes it.
        let _ = self.remove_staging();
    }
}

/// Syncs a folder's entries to disk. A folder that was removed has none.
fn sync(folder: &Path) -> Result<(), ExportError> {
    unless_missing(File::open(folder).and_then(|file| file.sync_all()), folder)
}

/// The error of an operation on a path, except that nothing is there.
fn unless_missing(done: io::Result<()>, path: &Path) -> Result<(), ExportError> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}
