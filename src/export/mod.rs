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
mod excel;
mod folder;
pub mod manifest;
mod parquet;
mod stage;
mod staging_folder;
mod text;

use std::collections::BTreeSet;
use std::io;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

pub use bucket::{Bucket, VARIABLES};
pub use destination::Destination;
pub use error::ExportError;
pub use folder::Folder;
pub use manifest::Format;
pub use stage::{Exported, Watch};
pub use staging_folder::StagingFolder;

use crate::clock::Clock;
use crate::model::instant;
use crate::store::public_tables::RowFilter;
use crate::store::{Database, instance, public_tables};
use destination::Changes;
use manifest::Manifest;
use stage::{Stage, WATCHED_ROWS};

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

/// Sees whether there is what is asked for, before anything is made.
pub fn check(store: &Database, request: &Request) -> Result<(), ExportError> {
    selected(store.read(public_tables::tables)?, &request.tables)?;
    Ok(())
}

/// Exports the database to where `destination` is.
pub fn run(
    store: &Database,
    clock: &Clock,
    request: &Request,
    destination: &dyn Destination,
    watch: Watch<'_>,
) -> Result<Outcome, ExportError> {
    let (changes, outcome) =
        public_tables::snapshot(store, |c| read(c, clock, request, destination, watch))?;
    destination.put(changes)?;
    Ok(outcome)
}

/// Writes one table as CSV or JSON Lines: hands each line of one snapshot to `write`, with its end.
pub fn stream(
    store: &Database,
    request: &Request,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    watch: Watch<'_>,
) -> Result<(), ExportError> {
    let tables = selected(store.read(public_tables::tables)?, &request.tables)?;
    let [table] = &tables[..] else {
        return Err(ExportError::NoStream("it takes one table: name one"));
    };
    let columns = &table.columns;
    let mut line = Vec::new();
    let begun = match request.format {
        Format::Csv => text::csv_header(&mut line, columns),
        Format::Excel => excel::header(&mut line, columns),
        Format::Jsonl => Ok(()),
        Format::Parquet => {
            return Err(ExportError::NoStream("Parquet files have to be written to a folder"));
        }
    };
    begun.and_then(|()| write(&line)).map_err(ExportError::Stream)?;
    let which = request.since.as_deref().map_or(RowFilter::All, RowFilter::Since);
    let mut rows = 0;
    public_tables::snapshot(store, |c| {
        public_tables::rows(c, table, which, |row| {
            line.clear();
            let written = match request.format {
                Format::Csv => text::csv_row(&mut line, row),
                Format::Excel => excel::row(&mut line, columns, row),
                Format::Jsonl | Format::Parquet => text::json_row(&mut line, columns, row),
            };
            written.and_then(|()| write(&line)).map_err(ExportError::Stream)?;
            rows += 1;
            if rows % WATCHED_ROWS == 0 {
                watch(table.name, rows);
            }
            Ok(())
        })
    })
}

/// Reads the snapshot into files aside.
fn read(
    c: &Connection,
    clock: &Clock,
    request: &Request,
    destination: &dyn Destination,
    watch: Watch<'_>,
) -> Result<(Changes, Outcome), ExportError> {
    // The first to read, and so the beginning of the snapshot.
    let identity = instance::identity(c)?;
    let at = instant::from_micros(instant::micros(clock.now()));
    let tables = selected(public_tables::tables(c)?, &request.tables)?;
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
fn selected(
    all: Vec<public_tables::Table>,
    names: &[String],
) -> Result<Vec<public_tables::Table>, ExportError> {
    let known: BTreeSet<&str> = all.iter().map(|table| table.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
        return Err(ExportError::UnknownTable {
            name: unknown.clone(),
            known: known.into_iter().map(str::to_owned).collect(),
        });
    }
    let is_wanted = |table: &public_tables::Table| {
        names.is_empty() || names.iter().any(|name| name == table.name)
    };
    Ok(all.into_iter().filter(is_wanted).collect())
}
