//! Export of tables and views for tools outside SQLite, as CSV, JSON Lines or Parquet.
//!
//! An export is a folder, or a prefix in a bucket, with files and a [`manifest`] of their contents. [`run`] writes one
//! snapshot of the database to staged files ([`stage`]). When all are complete, it publishes them, the manifest last:
//! [`folder`] by renaming, [`bucket`] by uploading. A failure before that leaves the export unchanged; after a failure
//! during it, the next export repairs it with the help of the manifest.
//!
//! Parquet tables with a time column are partitioned by month, the current month by day, and a period is written only
//! when its fingerprint differs from the recorded one ([`period_plan`]). Only files named in the manifest are removed.

mod bucket;

mod destination;
mod error;
mod excel;
mod folder;
mod lines;
pub mod manifest;
mod parquet;
mod period_plan;
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
pub use stage::{ExportedTable, OnRows};
pub use staging_folder::StagingFolder;

use crate::clock::Clock;
use crate::model::instant;
use crate::store::public_tables::{RowFilter, Table};
use crate::store::{Database, instance, public_tables};
use destination::Changes;
use manifest::Manifest;
use stage::{REPORTED_ROWS, Stage};

/// Options of an export.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// Format of the files.
    pub format: Format,
    /// Tables and views; those of [`Table::is_default`] if empty.
    pub tables: Vec<String>,
    /// First month, `YYYY-MM`, of tables with a time column.
    pub since: Option<String>,
}

/// Result of an export.
#[derive(Debug, Clone)]
pub struct ExportReport {
    /// Instant of the snapshot.
    pub at: DateTime<Utc>,
    /// Tables in the order of their names.
    pub tables: Vec<ExportedTable>,
}

/// Checks that all requested tables exist, before a destination is created.
pub fn check(store: &Database, request: &ExportRequest) -> Result<(), ExportError> {
    selected(store.read(public_tables::tables)?, &request.tables)?;
    Ok(())
}

/// Exports one snapshot of the database to `destination`.
pub fn run(
    store: &Database,
    clock: &Clock,
    request: &ExportRequest,
    destination: &dyn Destination,
    on_rows: OnRows<'_>,
) -> Result<ExportReport, ExportError> {
    let (changes, report) =
        public_tables::snapshot(store, |c| stage_tables(c, clock, request, destination, on_rows))?;
    destination.publish(changes)?;
    Ok(report)
}

/// Writes one table as CSV or JSON Lines by passing each line, with its terminator, to `write`.
pub fn stream(
    store: &Database,
    request: &ExportRequest,
    write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    on_rows: OnRows<'_>,
) -> Result<(), ExportError> {
    let tables = selected(store.read(public_tables::tables)?, &request.tables)?;
    let [table] = &tables[..] else {
        return Err(ExportError::NoStream("name one table"));
    };
    let columns = &table.columns;
    let mut line = Vec::new();
    if request.format == Format::Parquet {
        return Err(ExportError::NoStream("Parquet needs a folder or a bucket"));
    }
    lines::header(request.format, &mut line, columns)
        .and_then(|()| write(&line))
        .map_err(ExportError::Stream)?;
    let which = request.since.as_deref().map_or(RowFilter::All, RowFilter::Since);
    let mut rows = 0;
    public_tables::snapshot(store, |c| {
        public_tables::rows(c, table, which, |row| {
            line.clear();
            lines::row(request.format, &mut line, columns, row)
                .and_then(|()| write(&line))
                .map_err(ExportError::Stream)?;
            rows += 1;
            if rows % REPORTED_ROWS == 0 {
                on_rows(table.name, rows);
            }
            Ok(())
        })
    })
}

/// Writes the tables of the snapshot to staged files.
fn stage_tables(
    c: &Connection,
    clock: &Clock,
    request: &ExportRequest,
    destination: &dyn Destination,
    on_rows: OnRows<'_>,
) -> Result<(Changes, ExportReport), ExportError> {
    // The first read begins the snapshot.
    let identity = instance::identity(c)?;
    let at = instant::from_micros(instant::micros(clock.now()));
    let tables = selected(public_tables::tables(c)?, &request.tables)?;
    let organization = identity.organization_id.as_deref();
    let recorded = destination.recorded();
    let manifest = match recorded {
        Some(bytes) => Manifest::read(bytes, request.format, organization)?,
        None => Manifest::new(request.format, organization),
    };
    let mut stage = Stage::new(c, destination, manifest, instant::text(at), on_rows);
    let exported = tables.iter().map(|table| stage.table(table, request.since.as_deref()));
    let exported = exported.collect::<Result<Vec<_>, _>>()?;
    Ok((stage.finish(), ExportReport { at, tables: exported }))
}

/// Returns the named tables, or those that a plain export contains if `names` is empty.
fn selected(all: Vec<Table>, names: &[String]) -> Result<Vec<Table>, ExportError> {
    let known: BTreeSet<&str> = all.iter().map(|table| table.name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
        return Err(ExportError::UnknownTable {
            name: unknown.clone(),
            known: known.into_iter().map(str::to_owned).collect(),
        });
    }
    let is_selected = |table: &Table| match names.is_empty() {
        true => table.is_default(),
        false => names.iter().any(|name| name == table.name),
    };
    Ok(all.into_iter().filter(is_selected).collect())
}
