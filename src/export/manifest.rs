//! `manifest.json`: what an export holds, of when, and what the next one need not write again.
//!
//! It is written twice. Before the first file of a run is put in its place, `pending` names all that
//! are about to change, so that after a crash the next run knows them as its own and of unknown
//! content. After the last, the new state of everything is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::export::error::ExportError;
use crate::model::named::named;
use crate::store::public_tables::Table;

/// Where it is, at the root of an export.
pub const NAME: &str = "manifest.json";

/// Raised when an export is laid out in another way.
const LAYOUT: u32 = 1;

named! {
    /// What files are written.
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Format {
        /// Comma-separated values with a header; a file per table.
        Csv = "csv",
        /// The same, written so that spreadsheets read it safely.
        Excel = "excel",
        /// An object per line; a file per table.
        Jsonl = "jsonl",
        /// Parquet; a folder per table, of what grows with time a folder per month in it.
        Parquet = "parquet",
    }
}

impl Format {
    /// What the names of its files end in.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Excel => Self::Csv.name(),
            other => other.name(),
        }
    }
}

/// What an export holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program that wrote it.
    pub creatormirror: String,
    /// How it is laid out.
    pub layout: u32,
    /// The format of its files.
    pub format: Format,
    /// Whose mirror it came from.
    pub organization_id: Option<String>,
    /// The instant of the latest snapshot.
    pub snapshot_at: String,
    /// What it holds, by table.
    pub tables: BTreeMap<String, TableEntry>,
    /// Files that a run was about to write or to remove.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pending: BTreeSet<String>,
}

/// What an export holds of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableEntry {
    /// The instant of the snapshot it is of.
    pub snapshot_at: String,
    /// Earlier months were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// How many rows its files hold.
    pub rows: u64,
    /// What the rows are made of.
    pub columns: Vec<ColumnEntry>,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Hash of the table's definition.
    pub definition: String,
    /// Hash of what each month holds. One without rows has no file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub months: BTreeMap<String, String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEntry {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub ty: String,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it is, below the root.
    pub path: String,
    /// The month its rows are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// How many rows it holds.
    pub rows: u64,
    /// How long it is.
    pub bytes: u64,
}

impl Manifest {
    /// A manifest of nothing yet.
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

    /// Reads one, and insists that it is of an export like this one.
    pub fn read(
        bytes: &[u8],
        format: Format,
        organization_id: Option<&str>,
    ) -> Result<Self, ExportError> {
        let other = |why: String| ExportError::OtherExport(why);
        let found: Self = serde_json::from_slice(bytes)
            .map_err(|error| other(format!("its {NAME} is not of an export: {error}")))?;
        if found.layout != LAYOUT {
            return Err(other(format!("it is laid out by another version ({})", found.layout)));
        }
        if found.format != format {
            return Err(other(format!("it holds an export to {}", found.format.name())));
        }
        if found.organization_id.as_deref() != organization_id {
            return Err(other("it holds an export of another organization".to_owned()));
        }
        if let Some(path) = found.paths().into_iter().find(|path| !is_below(path)) {
            return Err(other(format!("its {NAME} names `{path}`")));
        }
        Ok(found)
    }

    /// Every file that an export wrote, or was about to.
    pub fn paths(&self) -> BTreeSet<&str> {
        let files = self.tables.values().flat_map(|table| &table.files);
        let pending = self.pending.iter().map(String::as_str);
        files.map(|file| file.path.as_str()).chain(pending).collect()
    }

    /// The manifest as it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and lists of them are always JSON.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

impl TableEntry {
    /// Whether rows of this table would still be written as they were.
    pub fn is_like(&self, table: &Table) -> bool {
        self.definition == definition(table) && self.columns == columns(table)
    }
}

/// A table's columns as they are recorded.
pub fn columns(table: &Table) -> Vec<ColumnEntry> {
    let entry = |column: &crate::store::public_tables::Column| ColumnEntry {
        name: column.name.to_owned(),
        ty: column.value_type.name().to_owned(),
    };
    table.columns.iter().map(entry).collect()
}

/// A table's definition as it is recorded.
pub fn definition(table: &Table) -> String {
    format!("{:016x}", table.definition)
}

/// Whether a path leads to something below the root.
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
    fn a_manifest_that_leads_outside_is_refused() {
        assert!(Manifest::read(&manifest("a/b.csv"), Format::Csv, Some("o")).is_ok());
        for path in ["../a", "/etc/passwd", "a/../../b", "", "./a"] {
            assert!(Manifest::read(&manifest(path), Format::Csv, Some("o")).is_err(), "{path}");
        }
    }

    #[test]
    fn exports_of_another_kind_are_left_alone() {
        let bytes = manifest("a");
        assert!(Manifest::read(&bytes, Format::Jsonl, Some("o")).is_err());
        assert!(Manifest::read(&bytes, Format::Csv, Some("other")).is_err());
        assert!(Manifest::read(b"{}", Format::Csv, Some("o")).is_err());
    }
}
