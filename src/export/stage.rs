//! Writing the files of an export at a place aside, and the manifest that goes with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::PathBuf;

use rusqlite::Connection;

use crate::export::decide::decide;
use crate::export::destination::{Changes, Destination, Staged};
use crate::export::error::{ExportError, at};
use crate::export::excel;
use crate::export::manifest::{self, FileEntry, Format, Manifest, TableEntry};
use crate::export::parquet::ParquetFile;
use crate::export::text;
use crate::model::Value;
use crate::store::fingerprint;
use crate::store::public_tables::{self, RowFilter, Table};

/// Memory for rows that wait to be written, over all open files, bytes.
const WAITING_BYTES_MAX: usize = 32 << 20;

/// Months that are written in one reading. Each is an open file, and they share the memory: with more
/// of them, row groups would be small.
const OPEN_MONTHS_MAX: usize = 24;

/// Whoever watches is told after so many rows.
pub(super) const WATCHED_ROWS: u64 = 10_000;

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

/// An export that is being written.
pub struct Stage<'s> {
    c: &'s Connection,
    destination: &'s dyn Destination,
    recorded: Manifest,
    manifest: Manifest,
    /// Files of earlier runs, finished or not.
    ours: BTreeSet<String>,
    files: Vec<Staged>,
    opened: usize,
    removed: BTreeSet<String>,
    watch: Watch<'s>,
}

/// What there is of a table.
#[derive(Default)]
struct Parts {
    /// Fingerprints.
    months: BTreeMap<String, String>,
    written: Vec<FileEntry>,
    kept: Vec<FileEntry>,
}

/// A file that is being written.
struct Open {
    path: String,
    aside: PathBuf,
    month: Option<String>,
    sink: Sink,
    rows: u64,
}

enum Sink {
    Csv(BufWriter<File>),
    Excel(BufWriter<File>),
    Jsonl(BufWriter<File>),
    Parquet(Box<ParquetFile>),
}

impl<'s> Stage<'s> {
    /// Begins, given the manifest of what is there and the instant of the snapshot.
    pub fn new(
        c: &'s Connection,
        destination: &'s dyn Destination,
        recorded: Manifest,
        snapshot_at: String,
        watch: Watch<'s>,
    ) -> Self {
        let mut manifest = Manifest {
            creatormirror: env!("CARGO_PKG_VERSION").to_owned(),
            snapshot_at,
            ..recorded.clone()
        };
        // What a killed run may have left is written anew, or belongs to nothing any more.
        manifest.pending.clear();
        let removed = recorded.pending.clone();
        let ours = recorded.paths().into_iter().map(str::to_owned).collect();
        let files = Vec::new();
        Self { c, destination, recorded, manifest, ours, files, opened: 0, removed, watch }
    }

    /// Writes what is new of a table.
    pub fn table(&mut self, table: &Table, since: Option<&str>) -> Result<Exported, ExportError> {
        let former = self.recorded.tables.remove(table.name);
        // Months that would be written otherwise today are written, however early they are.
        let is_like = former.as_ref().is_none_or(|entry| entry.is_like(table));
        let since = since.filter(|_| table.time.is_some() && is_like);
        let is_by_month = table.time.is_some() && self.manifest.format == Format::Parquet;
        let Parts { months, written, kept } = match is_by_month {
            true => self.by_month(table, former.as_ref().filter(|_| is_like), since)?,
            false => Parts { written: vec![self.whole(table, since)?], ..Parts::default() },
        };
        let mut exported = Exported {
            name: table.name.to_owned(),
            rows: 0,
            written: written.len(),
            kept: kept.len(),
            removed: 0,
            bytes: 0,
        };
        let mut all: Vec<FileEntry> = written.into_iter().chain(kept).collect();
        all.sort_by(|one, other| one.path.cmp(&other.path));
        for file in &all {
            (exported.rows, exported.bytes) =
                (exported.rows + file.rows, exported.bytes + file.bytes);
        }
        for file in former.iter().flat_map(|entry| &entry.files) {
            if !all.iter().any(|one| one.path == file.path) {
                self.removed.insert(file.path.clone());
                exported.removed += 1;
            }
        }
        let entry = TableEntry {
            snapshot_at: self.manifest.snapshot_at.clone(),
            since: since.map(str::to_owned),
            rows: exported.rows,
            columns: manifest::columns(table),
            files: all,
            definition: manifest::definition(table),
            months,
        };
        self.manifest.tables.insert(table.name.to_owned(), entry);
        Ok(exported)
    }

    /// What there is to be done.
    pub fn finish(mut self) -> Changes {
        let in_use = self.manifest.paths();
        self.removed.retain(|path| !in_use.contains(path.as_str()));
        // What a killed run left in doubt, and this one did not look at, stays in doubt.
        let mut doubtful = self.recorded.pending;
        doubtful.retain(|path| in_use.contains(path.as_str()));
        self.files.iter().for_each(|file| _ = doubtful.remove(&file.path));
        self.manifest.pending = doubtful;
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

    /// A table in one file.
    fn whole(&mut self, table: &Table, since: Option<&str>) -> Result<FileEntry, ExportError> {
        let format = self.manifest.format;
        let path = match format {
            Format::Parquet => format!("{}/part-0.parquet", table.name),
            _ => format!("{}.{}", table.name, format.extension()),
        };
        let mut open = self.open(table, path, None)?;
        let which = since.map_or(RowFilter::All, RowFilter::Since);
        let watch = &mut self.watch;
        public_tables::rows(self.c, table, which, |row| {
            open.push(table, row)?;
            open.make_room(WAITING_BYTES_MAX)?;
            if open.rows.is_multiple_of(WATCHED_ROWS) {
                watch(table.name, open.rows);
            }
            Ok::<_, ExportError>(())
        })?;
        self.close(table, open)
    }

    /// A table in a file per month.
    fn by_month(
        &mut self,
        table: &Table,
        former: Option<&TableEntry>,
        since: Option<&str>,
    ) -> Result<Parts, ExportError> {
        let months = fingerprint::months(self.c, table)?;
        let mut months: BTreeMap<String, String> =
            months.into_iter().map(|(month, sum)| (month, format!("{sum:032x}"))).collect();
        let is_intact = |file: &FileEntry| {
            !self.recorded.pending.contains(&file.path)
                && self.destination.length(&file.path) == Some(file.bytes)
        };
        let deeds = decide(former, &months, since, is_intact);
        let mut written = Vec::new();
        let to_write: Vec<&String> = deeds.write.iter().collect();
        for chunk in to_write.chunks(OPEN_MONTHS_MAX) {
            let chunk: BTreeSet<String> = chunk.iter().map(|month| (*month).clone()).collect();
            written.extend(self.write_months(table, &chunk)?);
        }
        months.retain(|month, _| deeds.write.contains(month));
        let mut kept = Vec::new();
        if let Some(former) = former {
            let is_kept = |month: &String| deeds.keep.contains(month);
            let recorded = former.months.iter().filter(|(month, _)| is_kept(month));
            months.extend(recorded.map(|(month, sum)| (month.clone(), sum.clone())));
            let files = former.files.iter();
            kept.extend(files.filter(|file| file.month.as_ref().is_some_and(is_kept)).cloned());
        }
        Ok(Parts { months, written, kept })
    }

    fn write_months(
        &mut self,
        table: &Table,
        months: &BTreeSet<String>,
    ) -> Result<Vec<FileEntry>, ExportError> {
        let mut open: BTreeMap<String, Open> = BTreeMap::new();
        let (mut rows, mut waiting) = (0, 0);
        let c = self.c;
        public_tables::rows(c, table, RowFilter::Of(months), |row| {
            let Some(month) = table.month(row) else { return Ok(()) };
            if !open.contains_key(month) {
                let path = format!("{}/month={month}/part-0.parquet", table.name);
                let file = self.open(table, path, Some(month))?;
                open.insert(month.to_owned(), file);
            }
            if let Some(file) = open.get_mut(month) {
                let before = file.waiting_bytes();
                file.push(table, row)?;
                waiting = waiting + file.waiting_bytes() - before;
            }
            if waiting > WAITING_BYTES_MAX {
                let largest = open.values_mut().max_by_key(|file| file.waiting_bytes());
                if let Some(largest) = largest {
                    waiting -= largest.waiting_bytes();
                    largest.make_room(0)?;
                }
            }
            rows += 1;
            if rows % WATCHED_ROWS == 0 {
                (self.watch)(table.name, rows);
            }
            Ok::<_, ExportError>(())
        })?;
        open.into_values().map(|file| self.close(table, file)).collect()
    }

    /// Begins a file that belongs to `path`. What stands there must be ours.
    fn open(
        &mut self,
        table: &Table,
        path: String,
        month: Option<&str>,
    ) -> Result<Open, ExportError> {
        if self.destination.length(&path).is_some() && !self.ours.contains(&path) {
            return Err(ExportError::NotOurs(path));
        }
        self.opened += 1;
        let aside = self.destination.aside().join(self.opened.to_string());
        let options = OpenOptions::new().write(true).create_new(true).clone();
        let begun = options.open(&aside).and_then(|file| {
            Ok(match self.manifest.format {
                Format::Csv => {
                    let mut out = BufWriter::new(file);
                    text::csv_header(&mut out, &table.columns)?;
                    Sink::Csv(out)
                }
                Format::Excel => {
                    let mut out = BufWriter::new(file);
                    excel::header(&mut out, &table.columns)?;
                    Sink::Excel(out)
                }
                Format::Jsonl => Sink::Jsonl(BufWriter::new(file)),
                Format::Parquet => {
                    let notes = self.notes(table.name);
                    let file = ParquetFile::create(file, table.name, &table.columns, &notes)?;
                    Sink::Parquet(Box::new(file))
                }
            })
        });
        let sink = begun.map_err(at(&aside))?;
        Ok(Open { path, aside, month: month.map(str::to_owned), sink, rows: 0 })
    }

    /// What a Parquet file says of itself.
    fn notes(&self, table: &str) -> [(&'static str, String); 4] {
        let organization = self.manifest.organization_id.clone();
        [
            ("table", table.to_owned()),
            ("snapshot_at", self.manifest.snapshot_at.clone()),
            ("organization_id", organization.unwrap_or_default()),
            ("version", self.manifest.creatormirror.clone()),
        ]
    }

    /// Ends a file: its bytes are on the disk.
    fn close(&mut self, table: &Table, open: Open) -> Result<FileEntry, ExportError> {
        let Open { path, aside, month, sink, rows } = open;
        let ended = || -> io::Result<(u64, u64)> {
            let (file, unfit) = match sink {
                Sink::Csv(out) | Sink::Excel(out) | Sink::Jsonl(out) => (out.into_inner()?, 0),
                Sink::Parquet(file) => file.finish()?,
            };
            file.sync_all()?;
            Ok((file.metadata()?.len(), unfit))
        };
        let (bytes, unfit) = ended().map_err(at(&aside))?;
        if unfit > 0 {
            let table = table.name;
            tracing::warn!(table, unfit, "values that do not fit their column are NULL in {path}");
        }
        self.files.push(Staged { path: path.clone(), aside });
        Ok(FileEntry { path, month, rows, bytes })
    }
}

impl Open {
    fn push(&mut self, table: &Table, row: &[Value<'_>]) -> Result<(), ExportError> {
        let pushed = match &mut self.sink {
            Sink::Csv(out) => text::csv_row(out, row),
            Sink::Excel(out) => excel::row(out, &table.columns, row),
            Sink::Jsonl(out) => text::json_row(out, &table.columns, row),
            Sink::Parquet(file) => file.push(row),
        };
        self.rows += 1;
        pushed.map_err(at(&self.aside))
    }

    /// Memory of the rows that wait to be written.
    fn waiting_bytes(&self) -> usize {
        match &self.sink {
            Sink::Csv(_) | Sink::Excel(_) | Sink::Jsonl(_) => 0,
            Sink::Parquet(file) => file.waiting_bytes(),
        }
    }

    /// Writes the rows that wait, if they take more than this.
    fn make_room(&mut self, bytes_max: usize) -> Result<(), ExportError> {
        match &mut self.sink {
            Sink::Parquet(file) if file.waiting_bytes() > bytes_max => {
                file.flush().map_err(at(&self.aside))
            }
            _ => Ok(()),
        }
    }
}
