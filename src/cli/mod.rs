//! The command line: arguments, dispatch and logging setup. One file per command.

mod backfill;
mod backup;
mod bulk_input;
mod change;
mod check;
mod completions;
mod context;
mod demo;
mod denied;
mod errors;
mod export;
mod globals;
mod man;
mod mcp;
mod members;
mod outbox;
mod outcome;
mod queueing;
mod report;
mod restore;
mod run;
mod runtime;
mod sandbox;
mod schema;
mod service_manager;
mod session;
mod status;
mod submit_job;
mod sync;
mod track;
mod verify;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use context::Context;
use globals::Globals;

use crate::clock::Clock;
use crate::config::{Environment, Flags};
use crate::logging::{self, LogSettings};
use crate::model::outbox::Action;
use crate::report::{Answer, CliError, Exit, exit, terminal};

/// Mirrors a CreatorAudit organization into one SQLite file, with history.
#[derive(Debug, Parser)]
#[command(name = "creatormirror", version, after_help = exit::help_section())]
pub struct Cli {
    /// Global flags.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Whether the command has the flag `--json`.
    #[arg(skip)]
    is_json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the mirror up to date once, then exit
    Sync(sync::SyncArgs),
    /// Run the daemon, which keeps the mirror up to date
    Run,
    /// Fetch daily metrics of past days, including days before the mirror existed
    Backfill(backfill::BackfillArgs),
    /// Queue the creation of videos, accounts or creators
    Track(track::TrackArgs),
    /// Queue a change to a video, an account or a creator
    Set(change::SetArgs),
    /// Queue the deletion of a video, an account or a creator
    Untrack(change::UntrackArgs),
    /// Queue the linking of an account to a creator
    Link(change::LinkArgs),
    /// Queue the unlinking of an account from a creator
    Unlink(change::LinkArgs),
    /// List, show, retry or discard queued writes
    Outbox(outbox::OutboxArgs),
    /// Show the state of the mirror, without key or network
    Status(status::StatusArgs),
    /// Check every precondition, one line each
    Check(check::CheckArgs),
    /// Write an HTML dashboard of the organization, without key or network
    Report(report::ReportArgs),
    /// Describe every view and column, without database or network
    Schema(schema::SchemaArgs),
    /// Serve AI agents over the Model Context Protocol on stdin and stdout, without key or network
    Mcp(mcp::McpArgs),
    /// Compare a sample of the mirror with the API and repair differences
    Verify(verify::VerifyArgs),
    /// Copy the database to a file, even while it is in use
    Backup(backup::BackupArgs),
    /// Replace the database with a backup; the replaced file is kept
    Restore(restore::RestoreArgs),
    /// Export tables and views as CSV, JSON Lines or Parquet, from one snapshot
    Export(export::ExportArgs),
    /// Serve a simulated API on loopback
    Sandbox(sandbox::SandboxArgs),
    /// Mirror a simulated week, without key or network; `--database` keeps the mirror
    Demo(demo::DemoArgs),
    /// Print shell completions
    Completions(completions::CompletionsArgs),
    /// Print a manual page
    Man(man::ManArgs),
}

/// Initializes logging, runs the command and prints its answer or error. Returns the exit code.
pub fn run(cli: &Cli, environment: &Environment, clock: &Clock) -> Exit {
    logging::init(cli.log_settings(), environment, clock);
    runtime::handle_file_size_limit();
    let answer = match dispatch(cli, environment, clock) {
        // `--json` prints a document of every error but wrong usage.
        Err(error) if cli.is_json && error.exit != Exit::Usage => {
            Ok(Answer::of(true, String::new, || error.json()).with_result(Err(error)))
        }
        answer => answer,
    };
    let width = terminal::width(environment);
    let exit = match answer.and_then(|answer| answer.print(cli.globals.quiet, width)) {
        Ok(()) => Exit::Done,
        Err(error) => error.report(),
    };
    logging::flush(logging::FLUSH_MAX);
    exit
}

/// Prints a command-line error, or the requested help or version, and returns the exit code.
pub fn print_usage_error(error: &clap::Error, environment: &Environment) -> Exit {
    let text = error.render();
    if !error.use_stderr() {
        // Help and version. A closed pipe is not an error.
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

fn dispatch(cli: &Cli, environment: &Environment, clock: &Clock) -> Result<Answer, CliError> {
    let view = cli.globals.view();
    let context = |max_wait| {
        let flags = Flags { max_wait, ..cli.globals.flags.clone() };
        Context::load(&flags, environment, clock.clone(), view)
    };
    match &cli.command {
        Command::Sync(args) => sync::run(args, &context(args.max_wait)?),
        Command::Backfill(args) => backfill::run(args, &context(args.max_wait)?),
        Command::Run => run::run(&context(None)?, &cli.globals.flags, environment),
        Command::Track(args) => track::run(args, &context(None)?),
        Command::Set(args) => change::set(args, &context(None)?),
        Command::Untrack(args) => change::untrack(args, &context(None)?),
        Command::Link(args) => change::link(args, Action::Link, &context(None)?),
        Command::Unlink(args) => change::link(args, Action::Unlink, &context(None)?),
        Command::Outbox(args) => outbox::run(args, &context(None)?),
        Command::Status(args) => status::run(args, &context(None)?),
        Command::Check(args) => check::run(args, context(None), environment, view),
        Command::Verify(args) => verify::run(args, &context(args.max_wait)?),
        Command::Backup(args) => backup::run(args, &context(None)?),
        Command::Restore(args) => restore::run(args, &context(None)?),
        Command::Export(args) => export::run(args, &context(None)?, environment),
        Command::Report(args) => report::run(args, &context(None)?),
        Command::Schema(args) => schema::run(args, cli.globals.flags.database.as_deref()),
        Command::Mcp(args) => mcp::run(args, &cli.globals, &context(None)?),
        Command::Sandbox(args) => sandbox::run(args, clock),
        Command::Demo(args) => {
            let width = terminal::width(environment);
            demo::run(args, cli.globals.flags.database.as_deref(), clock, view, width)
        }
        Command::Completions(args) => Ok(completions::run(args, Cli::command())),
        Command::Man(args) => man::run(args, Cli::command()),
    }
}

impl Cli {
    /// Parses the command line of the process.
    pub fn of_process() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        Ok(Self { is_json: has_json(&matches), ..Self::from_arg_matches(&matches)? })
    }

    fn log_settings(&self) -> LogSettings {
        let level = match self.globals.log_level {
            _ if self.globals.quiet => Some(LevelFilter::ERROR),
            level => level,
        };
        let default_level = match &self.command {
            Command::Sync(_)
            | Command::Backfill(_)
            | Command::Run
            | Command::Verify(_)
            | Command::Sandbox(_)
            | Command::Demo(_) => LevelFilter::INFO,
            // The answer contains everything that would be logged at info.
            _ => LevelFilter::WARN,
        };
        LogSettings { level, default_level, format: self.globals.log_format }
    }
}

/// Whether the innermost subcommand has the flag `--json`.
fn has_json(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, matches)) => has_json(matches),
        None => matches.try_get_one("json").is_ok_and(|json| json == Some(&true)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn clap_definition_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn quiet_overrides_the_default_level() {
        let level = |arguments: &[&str]| {
            let arguments = ["creatormirror"].iter().chain(arguments);
            let settings = Cli::try_parse_from(arguments).unwrap().log_settings();
            (settings.level, settings.default_level)
        };
        assert_eq!(level(&["sync"]), (None, LevelFilter::INFO));
        assert_eq!(level(&["status", "-q"]), (Some(LevelFilter::ERROR), LevelFilter::WARN));
        let trace = (Some(LevelFilter::TRACE), LevelFilter::INFO);
        assert_eq!(level(&["--log-level", "trace", "sync"]), trace);
    }
}
