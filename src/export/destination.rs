//! What an export needs of the place where it goes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::export::error::ExportError;

/// Where an export goes.
pub trait Destination {
    /// The manifest of the export that is there.
    fn recorded(&self) -> Option<&[u8]>;

    /// The length of the file that is there.
    fn length(&self, path: &str) -> Option<u64>;

    /// A folder for files that are being written.
    fn aside(&self) -> &Path;

    /// Puts everything in its place, the manifest last.
    fn put(&self, changes: Changes) -> Result<(), ExportError>;
}

/// A file that is written and waits at a place aside.
#[derive(Debug)]
pub struct Staged {
    /// Where it belongs.
    pub path: String,
    /// Where it is.
    pub aside: PathBuf,
}

/// What is to be put in its place.
#[derive(Debug)]
pub struct Changes {
    /// New files.
    pub files: Vec<Staged>,
    /// Files to be removed.
    pub removed: BTreeSet<String>,
    /// The manifest for the time in between, when anything changes.
    pub before: Vec<u8>,
    /// The manifest for when all is in place.
    pub after: Vec<u8>,
}
