//! Where an export goes: a folder or a bucket, behind one face.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use crate::export::ExportError;
use crate::export::bucket::{Bucket, Options};
use crate::export::folder::Folder;
use crate::export::stage::Changes;

/// What an address of a bucket begins with.
const S3: &str = "s3://";

/// Where an export goes.
#[derive(Debug)]
pub enum Destination {
    /// A folder on this machine.
    Folder(Folder),
    /// A prefix in a bucket.
    Bucket(Box<Bucket>, Runtime),
}

impl Destination {
    /// Whether an address is that of a bucket.
    pub fn is_bucket(address: &str) -> bool {
        address.contains("://")
    }

    /// A folder, which is made if it is not there.
    pub fn folder(path: &Path) -> Result<Self, ExportError> {
        Ok(Self::Folder(Folder::open(path)?))
    }

    /// A bucket, by its address and settings.
    pub fn bucket(address: &str, options: &Options, runtime: Runtime) -> Result<Self, ExportError> {
        let Some((name, prefix)) = address.strip_prefix(S3).map(split) else {
            return Err(ExportError::Address {
                address: address.to_owned(),
                reason: "only folders and s3:// are known".to_owned(),
            });
        };
        let bucket = runtime.block_on(Bucket::open(address, name, prefix, options))?;
        Ok(Self::Bucket(Box::new(bucket), runtime))
    }

    /// The manifest of the export that is there.
    pub(super) fn recorded(&self) -> Option<&[u8]> {
        match self {
            Self::Folder(folder) => folder.recorded(),
            Self::Bucket(bucket, _) => bucket.recorded(),
        }
    }

    /// The length of the file that is there.
    pub(super) fn length(&self, path: &str) -> Option<u64> {
        match self {
            Self::Folder(folder) => folder.length(path),
            Self::Bucket(bucket, _) => bucket.length(path),
        }
    }

    /// A place aside for a file that is being written.
    pub(super) fn aside(&self, number: usize) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.aside().join(number.to_string()),
            Self::Bucket(bucket, _) => bucket.aside().join(number.to_string()),
        }
    }

    /// Puts everything in its place, the manifest last.
    pub(super) fn put(&mut self, changes: Changes) -> Result<(), ExportError> {
        match self {
            Self::Folder(folder) => folder.put(changes),
            Self::Bucket(bucket, runtime) => runtime.block_on(bucket.put(changes)),
        }
    }
}

/// Bucket and prefix.
fn split(rest: &str) -> (&str, &str) {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (bucket, prefix.trim_matches('/'))
}
