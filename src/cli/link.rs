//! `link` and `unlink`: queue the linking of an account to a creator, and its end.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::queueing::{self, QueueArgs};
use crate::model::Kind;
use crate::model::outbox::{Action, Draft};
use crate::report::{Answer, CliError};

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

/// Runs the command: `link` or `unlink`.
pub fn run(args: &LinkArgs, action: Action, context: &Context) -> Result<Answer, CliError> {
    let draft = Draft {
        kind: Kind::Creator,
        action,
        subject: Some(args.creator.clone()),
        account: Some(args.account.clone()),
        body: None,
    };
    queueing::one(context, draft, &args.queue)
}
