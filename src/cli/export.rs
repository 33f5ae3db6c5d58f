//! `export`: tables and views for tools outside SQLite. It needs neither key nor network (but for a
//! bucket) nor lock, so that it works beside whoever writes.

use std::path::Path;

use chrono::NaiveDate;
use clap::Args;
use secrecy::SecretString;

use crate::cli::context::Context;
use crate::cli::globals::one_of;
use crate::cli::runtime;
use crate::config::Environment;
use crate::export::{
    self, Bucket, Destination, ExportError, Folder, Format, Request, StagingFolder,
};
use crate::logging;
use crate::model::Instant;
use crate::report::progress::Progress;
use crate::report::text::thousands;
use crate::report::{Answer, CliError, Exit, export as report};

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
    /// Where to: a folder, or s3://BUCKET/PREFIX with the usual AWS_ variables
    #[arg(long, value_name = "DIR")]
    out: String,
    /// Of what grows with time, only rows of the month this date or instant is in, and later ones
    #[arg(long, value_name = "DATE", value_parser = month)]
    since: Option<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

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
    let request = Request {
        format,
        tables: args.tables.iter().chain(&args.table).cloned().collect(),
        since: args.since.clone(),
    };
    let failed = |error: ExportError| told(context, &error);
    let store = context.open_to_read()?;
    export::check(&store, &request).map_err(failed)?;
    let destination: Box<dyn Destination> = match Bucket::is_address(&args.out) {
        false => Box::new(Folder::open(Path::new(&args.out)).map_err(failed)?),
        true => {
            let runtime = runtime::runtime_of_one()?;
            let otherwise = environment.text("TMPDIR").unwrap_or(LARGE_FILES);
            let aside = StagingFolder::create(store.path(), Path::new(otherwise));
            let aside = aside.map_err(failed)?;
            let bucket = Bucket::open(&args.out, variables(environment), aside, runtime);
            Box::new(bucket.map_err(failed)?)
        }
    };
    let progress = Progress::of_one(context.view);
    let mut watch = |table: &str, rows: u64| {
        progress.spin(format!("{table}: {} rows", thousands(rows)));
    };
    let outcome = export::run(&store, &context.clock, &request, &*destination, &mut watch);
    drop(progress);
    let outcome = outcome.map_err(failed)?;
    Ok(Answer::report(
        args.json,
        || report::text(&outcome, &args.out),
        || report::json(&outcome, &request, &args.out),
    ))
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
