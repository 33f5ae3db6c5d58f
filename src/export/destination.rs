//! Interface of the place an export is written to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::export::error::ExportError;

/// A place that holds an export: a folder or a bucket.
pub trait Destination {
    /// The manifest of the existing export, if there is one.
    fn recorded(&self) -> Option<&[u8]>;

    /// The length of an existing file, bytes.
    fn length(&self, path: &str) -> Option<u64>;

    /// The folder in which new files are staged.
    fn staging(&self) -> &Path;

    /// Publishes the staged files, the manifest last.
    fn publish(&self, changes: Changes) -> Result<(), ExportError>;
}

/// A complete file in the staging folder.
#[derive(Debug)]
pub struct StagedFile {
    /// Final path, below the root of the export.
    pub path: String,
    /// Path in the staging folder.
    pub staged: PathBuf,
}

/// Changes to publish.
#[derive(Debug)]
pub struct Changes {
    /// New files.
    pub files: Vec<StagedFile>,
    /// Files to remove.
    pub removed: BTreeSet<String>,
    /// The manifest to write before the first change.
    pub before: Vec<u8>,
    /// The manifest to write after the last change.
    pub after: Vec<u8>,
}
