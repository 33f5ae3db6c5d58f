//! Tables and views for tools outside SQLite, as CSV, JSON Lines or Parquet.
//!
//! An export is a folder, or a prefix in a bucket: files, and a [`manifest`] that records what they
//! hold and of which instant. [`run`] reads one snapshot of the database into files at a place
//! aside ([`stage`]) and only then, when reading is over, puts them in theirs, the manifest last:
//! [`folder`] by renaming, [`bucket`] by uploading. Whatever ends a run before that, the export is
//! as it was; what ends it in between is known to the next run from the manifest and made good.
//!
//! In Parquet, what grows with time is kept by month, and a month is written only when its
//! fingerprint differs from the recorded one ([`decide`]). Nothing is deleted that the manifest does
//! not name.

mod bucket;
mod decide;
mod destination;
mod error;
mod folder;
mod json;
pub mod manifest;
mod parquet;
mod stage;
mod text;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

pub use bucket::{Options, VARIABLES};
pub use destination::Destination;
pub use error::ExportError;

use crate::clock::Clock;
use crate::model::instant;
use crate::store::{Database, dump, instance};
use manifest::Manifest;
use stage::Stage;

/// What files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values with a header; a file per table.
    Csv,
    /// An object per line; a file per table.
    Jsonl,
    /// Parquet; a folder per table, of what grows with time a folder per month in it.
    Parquet,
}

impl Format {
    /// Its name, which is also how its files end.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// What is to be exported.
#[derive(Debug, Clone)]
pub struct Request {
    /// To which format.
    pub format: Format,
    /// Which tables and views; none stands for all.
    pub tables: Vec<String>,
    /// Of what grows with time, only this month, `YYYY-MM`, and later ones.
    pub since: Option<String>,
}

/// What was exported.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The instant of the snapshot.
    pub at: DateTime<Utc>,
    /// By table, in order of their names.
    pub tables: Vec<Exported>,
}

/// What was exported of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its name.
    pub name: String,
    /// Rows in all of its files.
    pub rows: u64,
    /// Files that were written.
    pub written: usize,
    /// Files that are as they were.
    pub kept: usize,
    /// Files that were removed.
    pub removed: usize,
    /// Length of all its files.
    pub bytes: u64,
}

/// How far it is, for whoever watches: a table, and how many rows of it were read.
pub type Watch<'w> = &'w mut dyn FnMut(&str, u64);

/// Sees whether there is what is asked for, before anything is made.
pub fn check(store: &Database, request: &Request) -> Result<(), ExportError> {
    selected(store.read(dump::tables)?, &request.tables)?;
    Ok(())
}

/// Exports the database to where `destination` is.
pub fn run(
    store: &Database,
    clock: &Clock,
    request: &Request,
    destination: &mut Destination,
    watch: Watch<'_>,
) -> Result<Outcome, ExportError> {
    let (changes, outcome) =
        dump::snapshot(store, |c| read(c, clock, request, destination, watch))?;
    destination.put(changes)?;
    Ok(outcome)
}

/// Reads the snapshot into files aside.
fn read(
    c: &Connection,
    clock: &Clock,
    request: &Request,
    destination: &Destination,
    watch: Watch<'_>,
) -> Result<(stage::Changes, Outcome), ExportError> {
    // The first to read, and so the beginning of the snapshot.
    let identity = instance::identity(c)?;
    let at = instant::from_micros(instant::micros(clock.now()));
    let tables = selected(dump::tables(c)?, &request.tables)?;
    let organization = identity.organization_id.as_deref();
    let recorded = destination.recorded();
    let manifest = match recorded {
        Some(bytes) => Manifest::read(bytes, request.format, organization)?,
        None => Manifest::new(request.format, organization),
    };
    let mut stage = Stage::new(c, destination, manifest, instant::text(at), watch);
    let exported = tables.iter().map(|table| stage.table(table, request.since.as_deref()));
    let exported = exported.collect::<Result<Vec<_>, _>>()?;
    Ok((stage.finish(), Outcome { at, tables: exported }))
}

/// The tables of these names; all of them when none is named.
fn selected(all: Vec<dump::Table>, names: &[String]) -> Result<Vec<dump::Table>, ExportError> {
    let known: BTreeSet<&str> = all.iter().map(|table| table.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
        return Err(ExportError::UnknownTable {
            name: unknown.clone(),
            known: known.into_iter().map(str::to_owned).collect(),
        });
    }
    let is_wanted =
        |table: &dump::Table| names.is_empty() || names.iter().any(|name| name == table.name);
    Ok(all.into_iter().filter(is_wanted).collect())
}
