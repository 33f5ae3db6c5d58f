//! `demo`: a simulated week against the embedded API, with no key, network or questions.

use std::path::Path;

use clap::Args;

use super::{CliError, Exit, Output};

/// Flags of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// The same seed makes the same week
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
}

/// Runs the command. The mirror goes to `database` if one was named. No settings are read, so that
/// the demo works whatever they are.
pub fn run(_args: &DemoArgs, _database: Option<&Path>, _output: Output) -> Result<Exit, CliError> {
    Err(super::not_built_yet())
}
