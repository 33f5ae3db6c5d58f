//! An export in a folder. New files are written to a folder aside, on the same file system, and
//! renamed to their places when all of them are whole and on the disk.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::export::destination::{Changes, Destination};
use crate::export::error::{ExportError, at};
use crate::export::manifest::NAME;

/// Where files are written. Whatever is in it was left by a run that was killed.
const ASIDE: &str = ".creatormirror-export";

/// A folder that holds an export, or will.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    aside: PathBuf,
    recorded: Option<Vec<u8>>,
    // Holds the lock on the folder itself, so that nothing needs to lie beside the files.
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it, so that nobody else exports to it meanwhile.
    pub fn open(root: &Path) -> Result<Self, ExportError> {
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
        let (root, aside) = (root.to_owned(), root.join(ASIDE));
        let folder = Self { root, aside, recorded, _lock: lock };
        folder.clear_aside()?;
        std::fs::create_dir(&folder.aside).map_err(at(&folder.aside))?;
        Ok(folder)
    }

    /// Removes a file, and the folders that are empty without it.
    fn remove(&self, path: &str) -> Result<(), ExportError> {
        let place = self.root.join(path);
        match std::fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&place)(error)),
            _ => {}
        }
        let above = place.ancestors().skip(1);
        for folder in above.take_while(|folder| *folder != self.root) {
            if std::fs::remove_dir(folder).is_err() {
                // Something else is in it.
                break;
            }
        }
        Ok(())
    }

    fn write_manifest(&self, bytes: &[u8]) -> Result<(), ExportError> {
        let (aside, place) = (self.aside.join(NAME), self.root.join(NAME));
        let written = || -> io::Result<()> {
            let mut file = File::create(&aside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&aside, &place)
        };
        written().map_err(at(&place))?;
        sync(&self.root)
    }

    fn clear_aside(&self) -> Result<(), ExportError> {
        match std::fs::remove_dir_all(&self.aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&self.aside)(error)),
            _ => Ok(()),
        }
    }
}

impl Destination for Folder {
    fn recorded(&self) -> Option<&[u8]> {
        self.recorded.as_deref()
    }

    /// The length of a file; of whatever else stands there, something that no file has.
    fn length(&self, path: &str) -> Option<u64> {
        let found = std::fs::symlink_metadata(self.root.join(path)).ok()?;
        Some(if found.is_file() { found.len() } else { u64::MAX })
    }

    fn aside(&self) -> &Path {
        &self.aside
    }

    fn put(&self, changes: Changes) -> Result<(), ExportError> {
        self.write_manifest(&changes.before)?;
        let mut folders = BTreeSet::new();
        for file in &changes.files {
            let place = self.root.join(&file.path);
            let folder = place.parent().unwrap_or(&self.root);
            std::fs::create_dir_all(folder).map_err(at(folder))?;
            std::fs::rename(&file.aside, &place).map_err(at(&place))?;
            // The folder may be new, and its own name then stands in the one above.
            folders.extend(
                folder
                    .ancestors()
                    .take_while(|one| one.starts_with(&self.root))
                    .map(Path::to_owned),
            );
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
        // What is left is cleared by the next run.
        let _ = self.clear_aside();
    }
}

/// Makes sure that the names in a folder are on the disk. One that is gone has none.
fn sync(folder: &Path) -> Result<(), ExportError> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}
