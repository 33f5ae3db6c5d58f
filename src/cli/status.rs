//! `status`: shows the state of the mirror from the database alone. Needs neither key, network,
//! lock nor write access.

use clap::Args;

use crate::cli::context::Context;
use crate::report::status as report;
use crate::report::{Answer, CliError};

/// Flags of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &StatusArgs, context: &Context) -> Result<Answer, CliError> {
    let status = report::read(&context.config, &context.clock);
    let status = status.map_err(|error| context.store_error(&error))?;
    Ok(Answer::of(args.json, || report::text(&status, context.width), || report::json(&status)))
}
