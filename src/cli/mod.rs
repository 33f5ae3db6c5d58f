//! The command line: what may be typed, and which file does it. One file per command.

mod backfill;
mod backup;
mod check;
mod completions;
mod context;
mod demo;
mod document;
pub mod exit;
mod export;
mod handover;
mod lines;
mod link;
mod man;
mod members;
mod outbox;
mod queueing;
mod report;
mod restore;
mod run;
mod sandbox;
mod schema;
mod session;
mod set;
mod spool;
mod status;
mod sync;
mod track;
mod unlink;
mod untrack;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

pub use context::{Context, Output, runtime, runtime_of_one};
pub use exit::{CliError, Exit};

use crate::clock::Clock;
use crate::config::{self, Environment, Flags};
use crate::logging::{self, LogFormat, LogSettings};
use crate::model::shown::escaped;
use crate::store::busy;

/// Keeps one SQLite file in step with one CreatorAudit organization, with history.
#[derive(Debug, Parser)]
#[command(name = "creatormirror", version, after_help = exit::help_section())]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Read the settings from this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "instance")]
    pub config: Option<PathBuf>,
    /// Read the settings from /etc/creatormirror/NAME/config.toml
    #[arg(long, global = true, value_name = "NAME", value_parser = config::instance_name)]
    pub instance: Option<String>,
    /// The mirror's file
    #[arg(long, global = true, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Where the API is: https, or http on loopback
    #[arg(long, global = true, value_name = "URL")]
    pub base_url: Option<String>,
    /// Read the API key from this file
    #[arg(long, global = true, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Log this level and above; without it RUST_LOG counts
    #[arg(long, global = true, value_name = "LEVEL", value_enum, conflicts_with = "quiet")]
    pub log_level: Option<LogLevel>,
    /// Write a line of text or a JSON object per log event
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// A level of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[expect(missing_docs, reason = "the names are the documentation, and would show in the help")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the mirror up to date once: one pass over what is due, then exit
    Sync(sync::SyncArgs),
    /// Keep the mirror up to date: the same pass again and again, until a signal comes
    Run(run::RunArgs),
    /// Ask for the daily metrics of past days, also of those before the mirror existed
    Backfill(backfill::BackfillArgs),
    /// Queue the creation of a video, an account or a creator
    Track(track::TrackArgs),
    /// Queue a change of a video, an account or a creator
    Set(set::SetArgs),
    /// Queue the deletion of a video, an account or a creator
    Untrack(untrack::UntrackArgs),
    /// Queue the linking of an account to a creator
    Link(link::LinkArgs),
    /// Queue the unlinking of an account from a creator
    Unlink(link::LinkArgs),
    /// The queue, its outcomes, its dead letters
    Outbox(outbox::OutboxArgs),
    /// Show at a glance how the mirror is doing, without key or network
    Status(status::StatusArgs),
    /// Check every precondition, a line each
    Check(check::CheckArgs),
    /// Make a page of pictures: the organization at a glance, without key or network
    Report(report::ReportArgs),
    /// Explain every view and column, without database or network
    Schema(schema::SchemaArgs),
    /// Compare a sample of the mirror with the API, and repair what differs
    Verify(verify::VerifyArgs),
    /// Copy the mirror to a file, also while others work on it
    Backup(backup::BackupArgs),
    /// Put a copy of the mirror in place of the database, safely; the replaced file is kept
    Restore(restore::RestoreArgs),
    /// Write tables and views to CSV, JSON Lines or Parquet, from one snapshot
    Export(export::ExportArgs),
    /// Serve a made-up API on loopback, to try things against
    Sandbox(sandbox::SandboxArgs),
    /// Mirror a simulated week in under a minute, with no key and no network
    Demo(demo::DemoArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(man::ManArgs),
}

/// Sets logging up and does what was typed. Returns how it ended, printed errors included.
pub fn run(cli: &Cli, environment: &Environment, clock: &Clock) -> Exit {
    logging::init(cli.log_settings(), environment, clock);
    let exit = match dispatch(cli, environment, clock) {
        Ok(exit) => exit,
        Err(error) => error.report(),
    };
    logging::flush(logging::FLUSH_MAX);
    exit
}

/// Says what is wrong with the command line, or what help was asked for, and returns the exit code.
pub fn refuse(error: &clap::Error, environment: &Environment) -> Exit {
    let text = error.render();
    if !error.use_stderr() {
        // A reader that has read enough is no error.
        let _ = error.print();
        return Exit::Done;
    }
    match logging::has_colour(environment) {
        true => logging::print_usage(&text.ansi().to_string()),
        false => logging::print_usage(&text.to_string()),
    }
    logging::flush(logging::FLUSH_MAX);
    Exit::Usage
}

fn dispatch(cli: &Cli, environment: &Environment, clock: &Clock) -> Result<Exit, CliError> {
    let output = Output::of(&cli.globals);
    let context = |max_wait| {
        let flags = cli.globals.flags(max_wait);
        Context::load(&flags, environment, clock.clone(), output)
    };
    match &cli.command {
        Command::Sync(args) => sync::run(args, &context(args.max_wait)?),
        Command::Backfill(args) => backfill::run(args, &context(args.max_wait)?),
        Command::Run(_) => run::run(&context(None)?, &cli.globals.flags(None), environment),
        Command::Track(args) => track::run(args, &context(None)?),
        Command::Set(args) => set::run(args, &context(None)?),
        Command::Untrack(args) => untrack::run(args, &context(None)?),
        Command::Link(args) => link::run(args, &context(None)?),
        Command::Unlink(args) => unlink::run(args, &context(None)?),
        Command::Outbox(args) => outbox::run(args, &context(None)?),
        Command::Status(args) => status::run(args, &context(None)?),
        Command::Check(args) => check::run(args, context(None), environment, output),
        Command::Verify(args) => verify::run(args, &context(args.max_wait)?),
        Command::Backup(args) => backup::run(args, &context(None)?),
        Command::Restore(args) => restore::run(args, &context(None)?),
        Command::Export(args) => export::run(args, &context(None)?, environment),
        Command::Report(args) => report::run(args, &context(None)?),
        Command::Schema(args) => schema::run(args, cli.globals.database.as_deref()),
        Command::Sandbox(args) => sandbox::run(args, clock),
        Command::Demo(args) => demo::run(args, cli.globals.database.as_deref(), clock, output),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

impl Cli {
    fn log_settings(&self) -> LogSettings {
        let level = match self.globals.log_level {
            _ if self.globals.quiet => Some(LevelFilter::ERROR),
            level => level.map(LevelFilter::from),
        };
        let default_level = match &self.command {
            Command::Sync(_)
            | Command::Backfill(_)
            | Command::Run(_)
            | Command::Verify(_)
            | Command::Sandbox(_)
            | Command::Demo(_) => LevelFilter::INFO,
            // Their answer says it all.
            _ => LevelFilter::WARN,
        };
        LogSettings { level, default_level, format: self.globals.log_format }
    }
}

impl Globals {
    fn flags(&self, max_wait: Option<Duration>) -> Flags {
        Flags {
            config: self.config.clone(),
            instance: self.instance.clone(),
            database: self.database.clone(),
            base_url: self.base_url.clone(),
            api_key_file: self.api_key_file.clone(),
            max_wait,
        }
    }
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Writes an answer to stdout: text, JSON, or a page. What it says of the API's data is escaped here, if
/// it was not before.
fn answer(text: &[u8]) -> Result<(), CliError> {
    // On a terminal, progress is taken away before the answer stands there.
    logging::flush(logging::FLUSH_MAX);
    let text = String::from_utf8_lossy(text);
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(escaped(&text).as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| CliError::answer(&error))
}

/// A busy database is waited for no longer once a signal has come.
fn note_end() {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, busy::ending()) {
            tracing::warn!(%error, "cannot listen for signals");
        }
    }
}

/// Waits for SIGINT or SIGTERM. From this call on, not from when it is first waited for, they do not end
/// the process. To be called within a runtime.
fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    note_end();
    let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let wait = async |signal: io::Result<tokio::signal::unix::Signal>| match signal {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    async move {
        tokio::select! {
            () = wait(interrupt) => {}
            () = wait(terminate) => {}
        }
    }
}

/// Reads a duration on the command line.
fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .map_err(|why| format!("it {why}; durations are written `90s`, `5m`, `1h 30m` or `90d`"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn quiet_beats_every_default() {
        let level = |arguments: &[&str]| {
            let arguments = ["creatormirror"].iter().chain(arguments);
            let settings = Cli::try_parse_from(arguments).unwrap().log_settings();
            (settings.level, settings.default_level)
        };
        assert_eq!(level(&["sync"]), (None, LevelFilter::INFO));
        assert_eq!(level(&["status", "-q"]), (Some(LevelFilter::ERROR), LevelFilter::WARN));
        let asked = (Some(LevelFilter::TRACE), LevelFilter::INFO);
        assert_eq!(level(&["--log-level", "trace", "sync"]), asked);
    }

    #[test]
    fn durations_that_lack_a_unit_are_explained() {
        assert!(duration("90").unwrap_err().starts_with("it has no unit; durations are written"));
    }
}
