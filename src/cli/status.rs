//! `status`: how the mirror is doing, from the database alone.

use clap::Args;

use super::{CliError, Context, Exit};

/// Flags of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(_args: &StatusArgs, _context: &Context) -> Result<Exit, CliError> {
    Err(super::not_built_yet())
}
