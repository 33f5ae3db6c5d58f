//! `untrack`: queues a deletion. What is mirrored of it stays, marked as removed.

use clap::{Args, Subcommand};

use crate::cli::context::Context;
use crate::cli::queueing::{self, QueueArgs};
use crate::model::Kind;
use crate::model::outbox::{Action, Draft};
use crate::report::{Answer, CliError};

/// Arguments of `untrack`.
#[derive(Debug, Clone, Args)]
pub struct UntrackArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Stop tracking a video
    Video(Named),
    /// Stop tracking an account
    Account(Named),
    /// Delete a creator; its accounts stay
    Creator(Named),
}

#[derive(Debug, Clone, Args)]
struct Named {
    /// Its id, the beginning of its id, for an account platform:username, or @N for the result of entry N
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    queue: QueueArgs,
}

/// Runs the command.
pub fn run(args: &UntrackArgs, context: &Context) -> Result<Answer, CliError> {
    let (kind, named) = match &args.what {
        What::Video(named) => (Kind::Video, named),
        What::Account(named) => (Kind::Account, named),
        What::Creator(named) => (Kind::Creator, named),
    };
    let subject = Some(named.id.clone());
    let draft = Draft { kind, action: Action::Untrack, subject, account: None, body: None };
    queueing::one(context, draft, &named.queue)
}
