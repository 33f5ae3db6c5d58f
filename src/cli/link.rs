//! `link`: queues the linking of an account to a creator.

use clap::Args;

use crate::cli::queueing::{self, QueueArgs};
use crate::cli::{CliError, Context, Exit};
use crate::model::Kind;
use crate::model::outbox::{Action, Draft};

/// Arguments of `link` and `unlink`.
#[derive(Debug, Clone, Args)]
pub struct LinkArgs {
    /// The creator: its id, the beginning of its id, or @N for the result of entry N
    #[arg(value_name = "CREATOR")]
    pub creator: String,
    /// The account: likewise, or platform:username
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// How to queue.
    #[command(flatten)]
    pub queue: QueueArgs,
}

/// Runs the command.
pub fn run(args: &LinkArgs, context: &Context) -> Result<Exit, CliError> {
    queue(args, Action::Link, context)
}

/// Queues what is done to a link.
pub(super) fn queue(args: &LinkArgs, action: Action, context: &Context) -> Result<Exit, CliError> {
    let draft = Draft {
        kind: Kind::Creator,
        action,
        subject: Some(args.creator.clone()),
        account: Some(args.account.clone()),
        body: None,
    };
    queueing::one(context, draft, &args.queue)
}
