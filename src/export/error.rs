//! What can go wrong with an export, by what the user can do about it.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such table.
    #[error("there is no table or view `{name}` to export")]
    UnknownTable {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// What stands where a file is to be written is none of ours.
    #[error("{0} is there already, and is not of an export")]
    NotOurs(String),
    /// What is there was exported otherwise.
    #[error("the destination cannot be used: {0}")]
    OtherExport(String),
    /// Somebody else is exporting to there.
    #[error("another export is writing to {}", .0.display())]
    Busy(PathBuf),
    /// The address or the settings of the bucket.
    #[error("cannot use {address}: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What is asked for cannot be written to stdout.
    #[error("cannot export to stdout: {0}")]
    NoStream(&'static str),
    /// A line could not be written to stdout.
    #[error("cannot write to stdout: {0}")]
    Stream(#[source] io::Error),
    /// A file could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bucket did not do what it was asked to.
    #[error("{address}: {source}")]
    Bucket {
        /// What it was about.
        address: String,
        /// Why.
        source: object_store::Error,
    },
}

/// Says which file an error is about.
pub(super) fn at(path: &std::path::Path) -> impl Fn(io::Error) -> ExportError {
    move |source| ExportError::Io { path: path.to_owned(), source }
}
