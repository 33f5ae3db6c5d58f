//! Writes the staged files of an export and its manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::export::destination::{Changes, Destination, StagedFile};
use crate::export::error::{ExportError, at};
use crate::export::lines;
use crate::export::manifest::{self, FileEntry, Format, Manifest, TableEntry};

use crate::export::parquet::ParquetFile;
use crate::export::period_plan::{month, period_of, period_plan, periods};
use crate::model::Value;
use crate::store::fingerprint;
use crate::store::public_tables::{self, RowFilter, Table};

/// Memory for buffered rows, over all open files, bytes.
const BUFFERED_BYTES_MAX: usize = 12 << 20;

/// Periods written in one pass over the table. Each is an open file, and they share the memory: with more of them, row
/// groups would be small.
const OPEN_PERIODS_MAX: usize = 24;

/// Progress is reported after this many rows.
pub(super) const REPORTED_ROWS: u64 = 10_000;

/// Result of an export for one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedTable {
    /// Name of the table.
    pub name: String,
    /// Rows in all of its files.
    pub rows: u64,
    /// Number of files written.
    pub written: usize,
    /// Number of files kept.
    pub kept: usize,
    /// Number of files removed.
    pub removed: usize,
    /// Total length of its files, bytes.
    pub bytes: u64,
}

/// Progress callback: the table's name, and how many of its rows were read.
pub type OnRows<'w> = &'w mut dyn FnMut(&str, u64);

/// An export in progress.
pub struct Stage<'s> {
    c: &'s Connection,
    destination: &'s dyn Destination,
    recorded: Manifest,
    manifest: Manifest,
    /// Files of earlier exports, complete or not.
    known_paths: BTreeSet<String>,
    files: Vec<StagedFile>,
    opened: usize,
    removed: BTreeSet<String>,
    on_rows: OnRows<'s>,
}

/// The files of a table.
#[derive(Default)]
struct TableFiles {
    /// Fingerprints by period.
    periods: BTreeMap<String, String>,
    written: Vec<FileEntry>,
    kept: Vec<FileEntry>,
}

/// A file being written.
struct OpenFile {
    path: String,
    staged: PathBuf,
    period: Option<String>,
    writer: Writer,
    rows: u64,
}

enum Writer {
    Text(Format, BufWriter<File>),
    Parquet(Box<ParquetFile>),
}

impl<'s> Stage<'s> {
    /// Starts an export, given the manifest of the existing one and the instant of the snapshot.
    pub fn new(
        c: &'s Connection,
        destination: &'s dyn Destination,
        recorded: Manifest,
        snapshot_at: String,
        on_rows: OnRows<'s>,
    ) -> Self {
        let mut manifest = Manifest {
            creatormirror: env!("CARGO_PKG_VERSION").to_owned(),
            snapshot_at,
            ..recorded.clone()
        };
        // Files of a killed export are written again or removed.
        manifest.pending.clear();
        let removed = recorded.pending.clone();
        let known_paths = recorded.paths().into_iter().map(str::to_owned).collect();
        let files = Vec::new();
        Self { c, destination, recorded, manifest, known_paths, files, opened: 0, removed, on_rows }
    }

    /// Stages the changed files of a table.
    pub fn table(
        &mut self,
        table: &Table,
        since: Option<&str>,
    ) -> Result<ExportedTable, ExportError> {
        let former = self.recorded.tables.remove(table.name);
        // After a change of the table's definition all periods are written, also those before `since`.
        let is_same = former.as_ref().is_none_or(|entry| entry.is_like(table));
        let since = since.filter(|_| table.time.is_some() && is_same);
        let is_by_period = table.time.is_some() && self.manifest.format == Format::Parquet;
        let TableFiles { periods, written, kept } = match is_by_period {
            true => self.by_period(table, former.as_ref().filter(|_| is_same), since)?,
            false => {
                TableFiles { written: vec![self.whole(table, since)?], ..TableFiles::default() }
            }
        };
        let (written_count, kept_count) = (written.len(), kept.len());
        let mut files: Vec<FileEntry> = written.into_iter().chain(kept).collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let former_files = former.iter().flat_map(|entry| &entry.files);
        let removed: Vec<String> = former_files
            .filter(|former| !files.iter().any(|file| file.path == former.path))
            .map(|former| former.path.clone())
            .collect();
        let exported = ExportedTable {
            name: table.name.to_owned(),
            rows: files.iter().map(|file| file.rows).sum(),
            written: written_count,
            kept: kept_count,
            removed: removed.len(),
            bytes: files.iter().map(|file| file.bytes).sum(),
        };
        self.removed.extend(removed);
        let entry = TableEntry {
            snapshot_at: self.manifest.snapshot_at.clone(),
            since: since.map(str::to_owned),
            rows: exported.rows,
            columns: manifest::columns(table),
            files,
            definition: manifest::definition(table),
            periods,
        };
        self.manifest.tables.insert(table.name.to_owned(), entry);
        Ok(exported)
    }

    /// Returns the changes to publish.
    pub fn finish(mut self) -> Changes {
        let in_use = self.manifest.paths();
        self.removed.retain(|path| !in_use.contains(path.as_str()));
        // Pending files of a killed export that this one did not write stay pending.
        let mut pending = self.recorded.pending;
        pending.retain(|path| in_use.contains(path.as_str()));
        self.files.iter().for_each(|file| _ = pending.remove(&file.path));
        self.manifest.pending = pending;
        let mut before = self.manifest.clone();
        before.pending.extend(self.files.iter().map(|file| file.path.clone()));
        before.pending.extend(self.removed.iter().cloned());
        Changes {
            files: self.files,
            removed: self.removed,
            before: before.to_bytes(),
            after: self.manifest.to_bytes(),
        }
    }

    /// Writes a table to one file.
    fn whole(&mut self, table: &Table, since: Option<&str>) -> Result<FileEntry, ExportError> {
        let format = self.manifest.format;
        let path = match format {
            Format::Parquet => format!("{}/part-0.parquet", table.name),
            _ => format!("{}.{}", table.name, format.extension()),
        };
        let mut open = self.open(table, path, None)?;
        let which = since.map_or(RowFilter::All, RowFilter::Since);
        let on_rows = &mut self.on_rows;
        public_tables::rows(self.c, table, which, |row| {
            open.push(table, row)?;
            open.flush_above(BUFFERED_BYTES_MAX)?;
            if open.rows.is_multiple_of(REPORTED_ROWS) {
                on_rows(table.name, open.rows);
            }
            Ok::<_, ExportError>(())
        })?;
        self.close(table, open)
    }

    /// Writes the changed periods of a table, each to its own file.
    fn by_period(
        &mut self,
        table: &Table,
        former: Option<&TableEntry>,
        since: Option<&str>,
    ) -> Result<TableFiles, ExportError> {
        let days = fingerprint::days(self.c, table, since)?;
        let current = periods(&days, month(&self.manifest.snapshot_at), former);
        let is_intact = |file: &FileEntry| {
            !self.recorded.pending.contains(&file.path)
                && self.destination.length(&file.path) == Some(file.bytes)
        };
        let plan = period_plan(former, &current, &days.retention, since, is_intact);
        let mut written = Vec::new();
        for pass in passes(&current, &plan.write) {
            written.extend(self.write_periods(table, &pass, &current)?);
        }
        let mut periods = current;
        periods.retain(|period, _| plan.write.contains(period));
        let mut kept = Vec::new();
        if let Some(former) = former {
            let is_kept = |period: &String| plan.keep.contains(period);
            let recorded = former.periods.iter().filter(|(period, _)| is_kept(period));
            periods.extend(recorded.map(|(period, sum)| (period.clone(), sum.clone())));
            let files = former.files.iter();
            kept.extend(files.filter(|file| file.period.as_ref().is_some_and(is_kept)).cloned());
        }
        if written.is_empty() && kept.is_empty() {
            written.push(self.empty(table)?);
        }
        Ok(TableFiles { periods, written, kept })
    }

    /// Writes a file without rows, so that a table without history can be read, with its types.
    fn empty(&mut self, table: &Table) -> Result<FileEntry, ExportError> {
        let month = month(&self.manifest.snapshot_at).to_owned();
        let open = self.open(table, path(table, &month), Some(&month))?;
        self.close(table, open)
    }

    /// Writes consecutive periods among all that the table has.
    fn write_periods(
        &mut self,
        table: &Table,
        pass: &[&String],
        all: &BTreeMap<String, String>,
    ) -> Result<Vec<FileEntry>, ExportError> {
        let Some((first, last)) = pass.first().zip(pass.last()) else { return Ok(Vec::new()) };
        let mut open: BTreeMap<String, OpenFile> = BTreeMap::new();
        let (mut rows, mut buffered) = (0, 0);
        let c = self.c;
        public_tables::rows(c, table, RowFilter::Between(first, last), |row| {
            let Some(period) = table.day(row).map(|day| period_of(day, all)) else { return Ok(()) };
            if !open.contains_key(period) && pass.iter().any(|one| *one == period) {
                let file = self.open(table, path(table, period), Some(period))?;
                open.insert(period.to_owned(), file);
            }
            if let Some(file) = open.get_mut(period) {
                let before = file.buffered_bytes();
                file.push(table, row)?;
                buffered = buffered + file.buffered_bytes() - before;
            }
            if buffered > BUFFERED_BYTES_MAX
                && let Some(largest) = open.values_mut().max_by_key(|file| file.buffered_bytes())
            {
                buffered -= largest.buffered_bytes();
                largest.flush_above(0)?;
            }
            rows += 1;
            if rows % REPORTED_ROWS == 0 {
                (self.on_rows)(table.name, rows);
            }
            Ok::<_, ExportError>(())
        })?;
        open.into_values().map(|file| self.close(table, file)).collect()
    }

    /// Opens a staged file for `path`.
    ///
    /// # Errors
    ///
    /// [`ExportError::NotOurs`] if a file at `path` was not written by an export.
    fn open(
        &mut self,
        table: &Table,
        path: String,
        period: Option<&str>,
    ) -> Result<OpenFile, ExportError> {
        if self.destination.length(&path).is_some() && !self.known_paths.contains(&path) {
            return Err(ExportError::NotOurs(path));
        }
        self.opened += 1;
        let staged = self.destination.staging().join(self.opened.to_string());
        let writer = self.writer(table, &staged).map_err(at(&staged))?;
        Ok(OpenFile { path, staged, period: period.map(str::to_owned), writer, rows: 0 })
    }

    fn writer(&self, table: &Table, staged: &Path) -> io::Result<Writer> {
        let file = OpenOptions::new().write(true).create_new(true).open(staged)?;
        let format = self.manifest.format;
        if format == Format::Parquet {
            let metadata = self.metadata(table.name);
            let file = ParquetFile::create(file, table.name, &table.columns, &metadata)?;
            return Ok(Writer::Parquet(Box::new(file)));
        }
        let mut out = BufWriter::new(file);
        lines::header(format, &mut out, &table.columns)?;
        Ok(Writer::Text(format, out))
    }

    /// Metadata of a Parquet file.
    fn metadata(&self, table: &str) -> [(&'static str, String); 4] {
        let organization = self.manifest.organization_id.clone();
        [
            ("table", table.to_owned()),
            ("snapshot_at", self.manifest.snapshot_at.clone()),
            ("organization_id", organization.unwrap_or_default()),
            ("version", self.manifest.creatormirror.clone()),
        ]
    }

    /// Completes a file and syncs it to disk.
    fn close(&mut self, table: &Table, open: OpenFile) -> Result<FileEntry, ExportError> {
        let OpenFile { path, staged, period, writer, rows } = open;
        let finish = || -> io::Result<(u64, u64)> {
            let (file, mismatched) = match writer {
                Writer::Text(_, out) => (out.into_inner()?, 0),
                Writer::Parquet(file) => file.finish()?,
            };
            file.sync_all()?;
            Ok((file.metadata()?.len(), mismatched))
        };
        let (bytes, mismatched) = finish().map_err(at(&staged))?;
        if mismatched > 0 {
            let table = table.name;
            tracing::warn!(table, mismatched, path, "values of another type exported as NULL");
        }
        self.files.push(StagedFile { path: path.clone(), staged });
        Ok(FileEntry { path, period, rows, bytes })
    }
}

/// The path of a period's file. Those of days are in the folder of their month, so that every file has the same Hive
/// partition keys.
fn path(table: &Table, period: &str) -> String {
    let (table, month) = (table.name, month(period));
    let name = if period == month { "part-0" } else { period };
    format!("{table}/month={month}/{name}.parquet")
}

/// Splits the periods to write into passes over the table. A pass reads from its first to its last period, so between
/// them there is none that is not written.
fn passes<'p>(
    all: &'p BTreeMap<String, String>,
    to_write: &BTreeSet<String>,
) -> Vec<Vec<&'p String>> {
    let mut passes: Vec<Vec<&String>> = vec![Vec::new()];
    for period in all.keys() {
        let is_new = !to_write.contains(period)
            || passes.last().is_some_and(|pass| pass.len() >= OPEN_PERIODS_MAX);
        if is_new {
            passes.push(Vec::new());
        }
        if let Some(pass) = passes.last_mut().filter(|_| to_write.contains(period)) {
            pass.push(period);
        }
    }
    passes.retain(|pass| !pass.is_empty());
    passes
}

impl OpenFile {
    fn push(&mut self, table: &Table, row: &[Value<'_>]) -> Result<(), ExportError> {
        let pushed = match &mut self.writer {
            Writer::Text(format, out) => lines::row(*format, out, &table.columns, row),
            Writer::Parquet(file) => file.push(row),
        };
        self.rows += 1;
        pushed.map_err(at(&self.staged))
    }

    /// Memory of the rows not yet written.
    fn buffered_bytes(&self) -> usize {
        match &self.writer {
            Writer::Text(..) => 0,
            Writer::Parquet(file) => file.buffered_bytes(),
        }
    }

    /// Writes the buffered rows if they take more than `bytes_max`.
    fn flush_above(&mut self, bytes_max: usize) -> Result<(), ExportError> {
        match &mut self.writer {
            Writer::Parquet(file) if file.buffered_bytes() > bytes_max => {
                file.flush().map_err(at(&self.staged))
            }
            _ => Ok(()),
        }
    }
}
