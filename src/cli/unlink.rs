//! `unlink`: queues the unlinking of an account from a creator.

use super::link::{self, LinkArgs};
use super::{CliError, Context, Exit};
use crate::model::outbox::Action;

/// Runs the command.
pub fn run(args: &LinkArgs, context: &Context) -> Result<Exit, CliError> {
    link::queue(args, Action::Unlink, context)
}
