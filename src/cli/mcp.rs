//! `mcp`: serves AI agents over the Model Context Protocol, from the database alone. Needs neither key, network nor
//! lock.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::globals::{Globals, duration, one_of};
use crate::cli::runtime;
use crate::mcp::{Client, Server, Settings, client_config};
use crate::report::{Answer, CliError, Exit};

/// Default of `--timeout`.
const TIMEOUT_DEFAULT: &str = "10s";
/// Largest `--timeout`.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Default of `--max-rows`.
const ROWS_DEFAULT: u16 = 200;

/// Arguments of `mcp`.
#[derive(Debug, Clone, Args)]
pub struct McpArgs {
    /// Longest run of a query, at most 10m
    #[arg(long, value_name = "DURATION", default_value = TIMEOUT_DEFAULT, value_parser = timeout)]
    timeout: Duration,
    /// Most rows of an answer, at most 5000
    #[arg(long, value_name = "N", default_value_t = ROWS_DEFAULT, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    max_rows: u16,
    /// Offer tools that queue writes, as `track`, `set`, `link` and `unlink` do
    #[arg(long)]
    allow_writes: bool,
    #[command(subcommand)]
    command: Option<McpCommand>,
}

#[derive(Debug, Clone, Subcommand)]
enum McpCommand {
    /// Print what a client needs to start the server: a shell command (claude-code, vscode), a link (cursor), lines for
    /// ~/.codex/config.toml (codex), or JSON for a configuration file (claude-desktop, generic)
    Config {
        /// The client
        #[arg(value_name = "CLIENT", value_parser = one_of(&Client::ALL, Client::name))]
        client: Client,
    },
}

/// Runs the command.
pub fn run(args: &McpArgs, globals: &Globals, context: &Context) -> Result<Answer, CliError> {
    if let Some(McpCommand::Config { client }) = &args.command {
        return config(*client, args, globals, context);
    }
    let settings = Settings {
        config: context.config.clone(),
        clock: context.clock.clone(),
        timeout: args.timeout,
        max_rows: usize::from(args.max_rows),
        allow_writes: args.allow_writes,
    };
    let server = Server::new(settings).map_err(|error| context.store_error(&error))?;
    let runtime = runtime::current_thread()?;
    runtime.block_on(async { server.serve(runtime::stop_signal()).await });
    // A read of stdin cannot be cancelled; the process ends without it.
    runtime.shutdown_background();
    Ok(Answer::none())
}

/// Prints the configuration of a client, with the flags of this command.
fn config(
    client: Client,
    args: &McpArgs,
    globals: &Globals,
    context: &Context,
) -> Result<Answer, CliError> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| {
        CliError::new(Exit::Storage, "cannot find this program").because(&error)
    })?;
    let mut arguments = vec!["mcp".to_owned()];
    if let Some(file) = &globals.flags.config {
        arguments.extend(["--config".to_owned(), absolute(file)?]);
    }
    if let Some(name) = &globals.flags.instance {
        arguments.extend(["--instance".to_owned(), name.clone()]);
    }
    arguments.extend(["--database".to_owned(), absolute(&context.config.database)?]);
    if Ok(args.timeout) != duration(TIMEOUT_DEFAULT) {
        arguments
            .extend(["--timeout".to_owned(), humantime::format_duration(args.timeout).to_string()]);
    }
    if args.max_rows != ROWS_DEFAULT {
        arguments.extend(["--max-rows".to_owned(), args.max_rows.to_string()]);
    }
    if args.allow_writes {
        arguments.push("--allow-writes".to_owned());
    }
    Ok(Answer::text(client_config::text(client, &absolute(&program)?, &arguments)))
}

fn absolute(path: &Path) -> Result<String, CliError> {
    let failed =
        |error| CliError::new(Exit::Storage, "cannot find the current folder").because(&error);
    let path = std::path::absolute(path).map_err(failed)?;
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| CliError::new(Exit::Config, format!("`{}` is not UTF-8", path.display())))
}

fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        length if length > TIMEOUT_MAX => Err("it is longer than 10m".to_owned()),
        length if length < Duration::from_millis(1) => Err("it is shorter than 1ms".to_owned()),
        length => Ok(length),
    }
}
