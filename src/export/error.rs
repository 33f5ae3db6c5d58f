//! Errors of an export, by what the user can do about them.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;

/// Reason why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The requested table does not exist.
    #[error("unknown table or view `{name}`")]
    UnknownTable {
        /// The requested name.
        name: String,
        /// The existing names.
        known: Vec<String>,
    },
    /// A file that no export wrote is in the way.
    #[error("`{0}` already exists and was not written by an export")]
    NotOurs(String),
    /// The destination holds another kind of export.
    #[error("cannot use the destination: {0}")]
    OtherExport(String),
    /// Another export to the same folder is running.
    #[error("another export is writing to {}", .0.display())]
    Busy(PathBuf),
    /// The address or the settings of the bucket are wrong.
    #[error("cannot use `{address}`: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The requested export cannot be written to stdout.
    #[error("cannot export to stdout: {0}")]
    NoStream(&'static str),
    /// Writing to stdout failed.
    #[error("cannot write to stdout: {0}")]
    Stream(#[source] io::Error),
    /// Writing a file failed.
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A request to the bucket failed.
    #[error("{address}: {source}")]
    Bucket {
        /// The object.
        address: String,
        /// The cause.
        source: object_store::Error,
    },
}

/// Adds the path of the file to an error.
pub(super) fn at(path: &std::path::Path) -> impl Fn(io::Error) -> ExportError {
    move |source| ExportError::Io { path: path.to_owned(), source }
}
