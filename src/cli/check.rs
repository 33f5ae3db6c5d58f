//! `check`: every precondition, a line each, with what to do where one fails.

use clap::Args;

use super::{CliError, Context, Exit};

/// Flags of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(_args: &CheckArgs, _context: &Context) -> Result<Exit, CliError> {
    Err(super::not_built_yet())
}
