//! `export`: writes tables and views for other tools. Needs neither key, lock nor network (except
//! for a bucket).

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::Args;
use secrecy::SecretString;

use crate::cli::context::Context;
use crate::cli::errors;
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
use crate::report::text::counted;
use crate::report::{Answer, CliError, Exit, export as report};
use crate::store::Database;

/// Parts of names of variables that contain secrets.
const SECRET_NAMES: [&str; 3] = ["SECRET", "TOKEN", "KEY"];

/// Values of `--format`; `--excel` selects `Format::Excel`.
const FORMATS: [Format; 3] = [Format::Csv, Format::Jsonl, Format::Parquet];

/// Directory for large temporary files, see file-hierarchy(7).
const LARGE_TEMP_FOLDER: &str = "/var/tmp";

/// Arguments of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Export only these tables and views; without names, all but those that compute a row for every
    /// day or window: account_daily, account_weekly, creator_daily, post_age_metrics, post_daily,
    /// post_gains and video_gains
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// The same as a flag; repeat it or separate names by commas
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    table: Vec<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_parser = one_of(&FORMATS, Format::name))]
    format: Format,
    /// Write CSV that spreadsheets open safely: with a byte order mark, ids and formulas as text,
    /// and timestamps in Excel's format
    #[arg(long)]
    excel: bool,
    /// Destination: a directory, s3://BUCKET/PREFIX (uses AWS_ variables), or - for one table on
    /// stdout
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Of tables that grow with time, export only months from this date or instant on
    #[arg(long, value_name = "DATE", value_parser = month)]
    since: Option<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Value of `--out` for stdout.
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
            let message = format!("`--excel` cannot be used with `--format {format}`");
            return Err(CliError::new(Exit::Usage, message).hint("use `--format csv --excel`"));
        }
    };
    let request = ExportRequest {
        format,
        tables: args.tables.iter().chain(&args.table).cloned().collect(),
        since: args.since.clone(),
    };
    let failed = |error: ExportError| export_error(context, &error);
    let store = context.open_to_read()?;
    export::check(&store, &request).map_err(failed)?;
    if args.out == Path::new(STDOUT) {
        if args.json {
            let message =
                "`--json` cannot be used with `--out -`, which writes the table to stdout";
            return Err(
                CliError::new(Exit::Usage, message).hint("use `--format jsonl` to write JSON")
            );
        }
        write_to_stdout(&store, &request, context.view).map_err(failed)?;
        return Ok(Answer::none());
    }
    let address = args.out.to_str().filter(|out| Bucket::is_address(out));
    let destination: Box<dyn Destination> = match address {
        None => Box::new(Folder::open(&args.out).map_err(failed)?),
        Some(address) => {
            let runtime = runtime::current_thread()?;
            let fallback = environment.text("TMPDIR").unwrap_or(LARGE_TEMP_FOLDER);
            let staging =
                StagingFolder::create(store.path(), Path::new(fallback)).map_err(failed)?;
            let bucket = Bucket::open(address, s3_variables(environment), staging, runtime);
            Box::new(bucket.map_err(failed)?)
        }
    };
    let progress = ProgressDisplay::single(context.view);
    let mut watch = |table: &str, rows: u64| {
        progress.spin(format!("{table}: {}", counted(rows, "row")));
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

/// Writes one table to stdout. Escapes control characters if that is a terminal.
fn write_to_stdout(
    store: &Database,
    request: &ExportRequest,
    view: View,
) -> Result<(), ExportError> {
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
        progress.spin(format!("{table}: {}", counted(rows, "row")));
    };
    export::stream(store, request, &mut write, &mut watch)?;
    out.flush().map_err(ExportError::Stream)
}

/// Returns the variables that configure access to S3. Secrets among them are redacted from stderr
/// from now on.
fn s3_variables(environment: &Environment) -> Vec<(String, String)> {
    let names = environment.names(export::VARIABLES);
    let variables = names.filter_map(|name| {
        let value = environment.text(name)?.to_owned();
        if SECRET_NAMES.iter().any(|word| name.contains(word)) {
            logging::add_secret(&SecretString::from(value.clone()));
        }
        Some((name.to_owned(), value))
    });
    variables.collect()
}

fn export_error(context: &Context, error: &ExportError) -> CliError {
    const S3_HINT: &str = "AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL configure access to S3";
    const REPEAT_HINT: &str = "run the export again to complete it";
    let with = |exit| CliError::from_error(exit, error);
    match error {
        ExportError::Store(error) => context.store_error(error),
        ExportError::UnknownTable { known, .. } => {
            with(Exit::Usage).hint(format!("known tables: {}", known.join(", ")))
        }
        ExportError::NotOurs(_) => {
            with(Exit::Usage).hint("nothing was changed; name another directory")
        }
        ExportError::OtherExport(_) => {
            with(Exit::Usage).hint("use a separate directory or prefix for each export")
        }
        ExportError::Busy(_) => with(Exit::TryAgain),
        ExportError::Address { .. } => with(Exit::Config).hint(S3_HINT),
        ExportError::NoStream(_) => with(Exit::Usage)
            .hint("name one table, as in `export --format csv --out - videos`, or use `--out DIR`"),
        ExportError::Stream(error) => CliError::answer(error),
        ExportError::Io { source, .. } => {
            with(Exit::Storage).hint(errors::io_hint(source).unwrap_or(REPEAT_HINT))
        }
        ExportError::Bucket { .. } => with(Exit::Storage).hint(REPEAT_HINT).hint(S3_HINT),
    }
}

/// Parses a date or an instant and returns its month, as `YYYY-MM`.
fn month(text: &str) -> Result<String, String> {
    let day = |text: &str| text.parse::<NaiveDate>().ok();
    let date = day(text)
        .or_else(|| day(&format!("{text}-01")))
        .or_else(|| Some(Instant::parse(text)?.to_utc()?.date_naive()));
    date.map(|date| date.format("%Y-%m").to_string())
        .ok_or_else(|| "expected a date such as 2026-11-20 or 2026-11-20T08:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::public_tables::ONLY_IF_NAMED;

    #[test]
    fn help_names_the_tables_that_are_exported_only_if_named() {
        let mut command = ExportArgs::augment_args(clap::Command::new("export"));
        let help = command.render_long_help().to_string();
        for table in ONLY_IF_NAMED {
            assert!(help.contains(table), "{table}");
        }
    }

    #[test]
    fn month_accepts_dates_and_instants() {
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
