//! `manifest.json`: the contents of an export, the instant of its snapshot, and the fingerprints by which the next export
//! skips unchanged months and days.
//!
//! It is written twice. Before the first file is published, `pending` names all files that are about to change, so that
//! after a crash the next export knows that they are its own and that their content is unknown. After the last file, the
//! new state is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::export::error::ExportError;
use crate::model::named::named;
use crate::store::public_tables::{Column, Table};

/// File name, at the root of an export.
pub const NAME: &str = "manifest.json";

/// Version of the layout of an export.
const LAYOUT: u32 = 1;

named! {
    /// Format of an export.
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Format {
        /// Comma-separated values with a header; a file per table.
        Csv = "csv",
        /// CSV that spreadsheets read without changing values; a file per table.
        Excel = "excel",
        /// An object per line; a file per table.
        Jsonl = "jsonl",
        /// Parquet; a folder per table, partitioned by month if the table has a time column.
        Parquet = "parquet",
    }
}

impl Format {
    /// The extension of its files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Excel => Self::Csv.name(),
            other => other.name(),
        }
    }
}

/// Contents of an export.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program that wrote it.
    pub creatormirror: String,
    /// Version of the layout.
    pub layout: u32,
    /// Format of the files.
    pub format: Format,
    /// Organization of the mirror.
    pub organization_id: Option<String>,
    /// Instant of the latest snapshot.
    pub snapshot_at: String,
    /// Tables by name.
    pub tables: BTreeMap<String, TableEntry>,
    /// Files that an export was about to write or remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pending: BTreeSet<String>,
}

/// An exported table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableEntry {
    /// Instant of its snapshot.
    pub snapshot_at: String,
    /// First month that the export read; earlier ones were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Number of rows in its files.
    pub rows: u64,
    /// Columns of its rows.
    pub columns: Vec<ColumnEntry>,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Hash of the table's definition.
    pub definition: String,
    /// Fingerprint of each period's rows. A period without rows has no file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub periods: BTreeMap<String, String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEntry {
    /// Name of the column.
    pub name: String,
    /// Type of its values.
    #[serde(rename = "type")]
    pub ty: String,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the root.
    pub path: String,
    /// Month or day of its rows, `YYYY-MM` or `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Number of rows.
    pub rows: u64,
    /// Length, bytes.
    pub bytes: u64,
}

impl Manifest {
    /// Returns an empty manifest.
    pub fn new(format: Format, organization_id: Option<&str>) -> Self {
        Self {
            creatormirror: env!("CARGO_PKG_VERSION").to_owned(),
            layout: LAYOUT,
            format,
            organization_id: organization_id.map(str::to_owned),
            snapshot_at: String::new(),
            tables: BTreeMap::new(),
            pending: BTreeSet::new(),
        }
    }

    /// Parses the manifest of an existing export.
    ///
    /// # Errors
    ///
    /// [`ExportError::OtherExport`] if it has another layout, format or organization, or names a path outside of the root.
    pub fn read(
        bytes: &[u8],
        format: Format,
        organization_id: Option<&str>,
    ) -> Result<Self, ExportError> {
        let other = |why: String| ExportError::OtherExport(why);
        let found: Self = serde_json::from_slice(bytes)
            .map_err(|error| other(format!("{NAME} is not a manifest of an export: {error}")))?;
        if found.layout != LAYOUT {
            return Err(other(format!("{NAME} has the unsupported layout {}", found.layout)));
        }
        if found.format != format {
            return Err(other(format!("it holds an export to {}", found.format.name())));
        }
        // An export before the first sync does not know its organization.
        if found.organization_id.is_some() && found.organization_id.as_deref() != organization_id {
            return Err(other("it holds an export of another organization".to_owned()));
        }
        if let Some(path) = found.paths().into_iter().find(|path| !is_below(path)) {
            return Err(other(format!("{NAME} names a file outside of it: `{path}`")));
        }
        Ok(found)
    }

    /// Returns every file that an export wrote or was about to write.
    pub fn paths(&self) -> BTreeSet<&str> {
        let files = self.tables.values().flat_map(|table| &table.files);
        let pending = self.pending.iter().map(String::as_str);
        files.map(|file| file.path.as_str()).chain(pending).collect()
    }

    /// Serializes the manifest.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Serialization cannot fail: all keys are strings.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl TableEntry {
    /// Whether the definition and the columns of the table are unchanged.
    pub fn is_like(&self, table: &Table) -> bool {
        self.definition == definition(table) && self.columns == columns(table)
    }
}

/// Returns a table's columns for the manifest.
pub fn columns(table: &Table) -> Vec<ColumnEntry> {
    let entry = |column: &Column| ColumnEntry {
        name: column.name.to_owned(),
        ty: column.value_type.name().to_owned(),
    };
    table.columns.iter().map(entry).collect()
}

/// Returns the hash of a table's definition for the manifest.
pub fn definition(table: &Table) -> String {
    format!("{:016x}", table.definition)
}

/// Whether a relative path stays below the root.
fn is_below(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str) -> Vec<u8> {
        let mut manifest = Manifest::new(Format::Csv, Some("o"));
        manifest.pending.insert(path.to_owned());
        manifest.to_bytes()
    }

    #[test]
    fn rejects_paths_outside_of_the_export() {
        assert!(Manifest::read(&manifest("a/b.csv"), Format::Csv, Some("o")).is_ok());
        for path in ["../a", "/etc/passwd", "a/../../b", "", "./a"] {
            assert!(Manifest::read(&manifest(path), Format::Csv, Some("o")).is_err(), "{path}");
        }
    }

    #[test]
    fn rejects_manifests_of_other_exports() {
        let bytes = manifest("a");
        let early = Manifest::new(Format::Csv, None).to_bytes();
        assert!(Manifest::read(&early, Format::Csv, Some("o")).is_ok());
        assert!(Manifest::read(&bytes, Format::Csv, None).is_err());
        assert!(Manifest::read(&bytes, Format::Jsonl, Some("o")).is_err());
        assert!(Manifest::read(&bytes, Format::Csv, Some("other")).is_err());
        assert!(Manifest::read(b"{}", Format::Csv, Some("o")).is_err());
    }
}
