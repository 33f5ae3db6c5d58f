//! `unlink`: queues the unlinking of an account from a creator.

use crate::cli::link::{self, LinkArgs};
use crate::cli::{CliError, Context, Exit};
use crate::model::outbox::Action;

/// Runs the command.
pub fn run(args: &LinkArgs, context: &Context) -> Result<Exit, CliError> {
    link::queue(args, Action::Unlink, context)
}
