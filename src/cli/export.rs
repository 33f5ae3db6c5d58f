//! `export`: tables and views for tools outside SQLite. It needs neither key nor network (but for a
//! bucket) nor lock, so that it works beside whoever writes.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::Args;
use secrecy::SecretString;

use crate::cli::context::Context;
use crate::cli::globals::one_of;
use crate::cli::runtime;
use crate::config::Environment;
use crate::export::{
    self, Bucket, Destination, ExportError, ExportRequest, Folder, Format, StagingFolder,
};
use crate::logging;
use crate::model::Instant;
use crate::model::shown::escaped;
use crate::report::progress::{ProgressDisplay, View};
use crate::report::text::thousands;
use crate::report::{Answer, CliError, Exit, export as report};
use crate::store::Database;

/// Variables whose values must not be seen.
const SECRET: [&str; 3] = ["SECRET", "TOKEN", "KEY"];

/// What `--format` takes; to `Format::Excel` leads `--excel`.
const FORMATS: [Format; 3] = [Format::Csv, Format::Jsonl, Format::Parquet];

/// Where Linux keeps temporary files that are too large for memory, file-hierarchy(7).
const LARGE_FILES: &str = "/var/tmp";

/// Arguments of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Only these tables and views
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// The same, as a flag; may come several times, or with commas
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    table: Vec<String>,
    /// What to write
    #[arg(long, value_name = "FORMAT", value_parser = one_of(&FORMATS, Format::name))]
    format: Format,
    /// Write CSV that spreadsheets open safely: with a byte order mark, ids as text, formulas of
    /// others as text, and instants as Excel knows them
    #[arg(long)]
    excel: bool,
    /// Where to: a folder, s3://BUCKET/PREFIX with the usual AWS_ variables, or - for one table on stdout
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Of what grows with time, only rows of the month this date or instant is in, and later ones
    #[arg(long, value_name = "DATE", value_parser = month)]
    since: Option<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// What `--out` names to export to stdout.
const STDOUT: &str = "-";

/// Runs the command.
pub fn run(
    args: &ExportArgs,
    context: &Context,
    environment: &Environment,
) -> Result<Answer, CliError> {
    let format = match (args.format, args.excel) {
        (Format::Csv, true) => Format::Excel,
        (format, false) => format,
        (format, true) => {
            let message = format!("`--excel` is for CSV, not for `--format {format}`");
            return Err(CliError::new(Exit::Usage, message).hint("`--format csv --excel`"));
        }
    };
    let request = ExportRequest {
        format,
        tables: args.tables.iter().chain(&args.table).cloned().collect(),
        since: args.since.clone(),
    };
    let failed = |error: ExportError| told(context, &error);
    let store = context.open_to_read()?;
    export::check(&store, &request).map_err(failed)?;
    if args.out == Path::new(STDOUT) {
        if args.json {
            let message = "`--json` reports on files; `--out -` writes the table itself to stdout";
            return Err(CliError::new(Exit::Usage, message).hint("`--format jsonl` writes JSON"));
        }
        to_stdout(&store, &request, context.view).map_err(failed)?;
        return Ok(Answer::none());
    }
    let address = args.out.to_str().filter(|out| Bucket::is_address(out));
    let destination: Box<dyn Destination> = match address {
        None => Box::new(Folder::open(&args.out).map_err(failed)?),
        Some(address) => {
            let runtime = runtime::runtime_of_one()?;
            let otherwise = environment.text("TMPDIR").unwrap_or(LARGE_FILES);
            let aside = StagingFolder::create(store.path(), Path::new(otherwise));
            let aside = aside.map_err(failed)?;
            let bucket = Bucket::open(address, variables(environment), aside, runtime);
            Box::new(bucket.map_err(failed)?)
        }
    };
    let progress = ProgressDisplay::single(context.view);
    let mut watch = |table: &str, rows: u64| {
        progress.spin(format!("{table}: {} rows", thousands(rows)));
    };
    let outcome = export::run(&store, &context.clock, &request, &*destination, &mut watch);
    drop(progress);
    let outcome = outcome.map_err(failed)?;
    let out = args.out.display().to_string();
    Ok(Answer::report(
        args.json,
        || report::text(&outcome, &out),
        || report::json(&outcome, &request, &out),
    ))
}

/// Writes one table to stdout: as it is, but for a terminal, which it must not steer.
fn to_stdout(store: &Database, request: &ExportRequest, view: View) -> Result<(), ExportError> {
    let stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    let progress = ProgressDisplay::single(if is_terminal { View::Silent } else { view });
    let mut out = BufWriter::new(stdout);
    let mut write = |line: &[u8]| match is_terminal {
        true if line.is_empty() => Ok(()),
        true => {
            let line = String::from_utf8_lossy(line);
            writeln!(out, "{}", escaped(line.trim_end_matches(['\r', '\n'])))
        }
        false => out.write_all(line),
    };
    let mut watch = |table: &str, rows: u64| {
        progress.spin(format!("{table}: {} rows", thousands(rows)));
    };
    export::stream(store, request, &mut write, &mut watch)?;
    out.flush().map_err(ExportError::Stream)
}

/// The variables that say how to reach S3. From here on what is secret of them cannot appear on
/// stderr.
fn variables(environment: &Environment) -> Vec<(String, String)> {
    let names = environment.names(export::VARIABLES);
    let variables = names.filter_map(|name| {
        let value = environment.text(name)?.to_owned();
        if SECRET.iter().any(|word| name.contains(word)) {
            logging::hide(&SecretString::from(value.clone()));
        }
        Some((name.to_owned(), value))
    });
    variables.collect()
}

/// What a failure means to the user.
fn told(context: &Context, error: &ExportError) -> CliError {
    let found = |exit| CliError::from_error(exit, error);
    match error {
        ExportError::Store(error) => context.storage(error),
        ExportError::UnknownTable { known, .. } => {
            found(Exit::Usage).hint(format!("there are {}", known.join(", ")))
        }
        ExportError::NotOurs(_) => {
            found(Exit::Usage).hint("nothing was changed; name another folder")
        }
        ExportError::OtherExport(_) => {
            found(Exit::Usage).hint("a folder or prefix holds one export; name another one")
        }
        ExportError::Busy(_) => found(Exit::TryAgain),
        ExportError::Address { .. } => found(Exit::Config)
            .hint("AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL say how to reach it"),
        ExportError::NoStream(_) => found(Exit::Usage)
            .hint("`export --format csv --out - videos` writes one table; `--out DIR` writes several"),
        ExportError::Stream(error) => CliError::answer(error),
        ExportError::Io { .. } => {
            found(Exit::Storage).hint("the next run makes good what this one left undone")
        }
        ExportError::Bucket { .. } => found(Exit::Storage)
            .hint("the next run makes good what this one left undone")
            .hint("AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL say how to reach it"),
    }
}

/// The month of a date or an instant.
fn month(text: &str) -> Result<String, String> {
    let day = |text: &str| text.parse::<NaiveDate>().ok();
    let found = day(text)
        .or_else(|| day(&format!("{text}-01")))
        .or_else(|| Some(Instant::parse(text)?.to_utc()?.date_naive()));
    match found {
        Some(day) => Ok(day.format("%Y-%m").to_string()),
        None => Err("a date is written 2026-11-20, an instant 2026-11-20T08:00:00Z".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_month() {
        for (text, expected) in [
            ("2026-11-20", "2026-11"),
            ("2026-11", "2026-11"),
            ("2026-11-30T23:30:00-01:00", "2026-12"),
            ("2026-11-20T08:00:00.5Z", "2026-11"),
        ] {
            assert_eq!(month(text).as_deref(), Ok(expected));
        }
        for text in ["", "yesterday", "2026", "2026-13-01", "2026-02-30", "2026-11-20T08:00:00"] {
            assert!(month(text).is_err(), "{text}");
        }
    }
}
