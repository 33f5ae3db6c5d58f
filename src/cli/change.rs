//! `set`, `untrack`, `link` and `unlink`: queue a change, a deletion, or a change to a link.
//! Mirrored rows of a deleted resource stay, marked as removed.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::members::{FeedArgs, IntervalArgs, MetadataArgs, set_member};
use crate::cli::queueing::{self, QueueArgs};
use crate::model::Kind;
use crate::model::outbox::{Action, Draft};
use crate::report::{Answer, CliError, Exit};

/// Arguments of `set`.
#[derive(Debug, Clone, Args)]
pub struct SetArgs {
    #[command(subcommand)]
    target: SetTarget,
}

#[derive(Debug, Clone, Subcommand)]
enum SetTarget {
    /// Change a tracked video
    Video {
        #[command(flatten)]
        interval: IntervalArgs,
        #[command(flatten)]
        shared: SharedSetArgs,
    },
    /// Change a tracked account
    Account {
        /// Category; an empty one removes it
        #[arg(long, value_name = "TEXT")]
        category: Option<String>,
        #[command(flatten)]
        feed: FeedArgs,
        #[command(flatten)]
        shared: SharedSetArgs,
    },
    /// Change a creator; pausing it pauses its accounts
    Creator {
        /// New name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        shared: SharedSetArgs,
    },
}

#[derive(Debug, Clone, Args)]
struct SharedSetArgs {
    /// Id or a unique prefix of at least 8 characters, platform:username of an account, or @N for
    /// the result of entry N
    #[arg(value_name = "ID")]
    id: String,
    /// Pause collecting
    #[arg(long, conflicts_with = "active")]
    paused: bool,
    /// Resume collecting
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    metadata: MetadataArgs,
    #[command(flatten)]
    queue: QueueArgs,
}

/// Arguments of `untrack`.
#[derive(Debug, Clone, Args)]
pub struct UntrackArgs {
    #[command(subcommand)]
    target: UntrackTarget,
}

#[derive(Debug, Clone, Subcommand)]
enum UntrackTarget {
    /// Stop tracking a video
    Video(TargetArgs),
    /// Stop tracking an account
    Account(TargetArgs),
    /// Delete a creator; its accounts stay
    Creator(TargetArgs),
}

#[derive(Debug, Clone, Args)]
struct TargetArgs {
    /// Id or a unique prefix of at least 8 characters, platform:username of an account, or @N for
    /// the result of entry N
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    queue: QueueArgs,
}

/// Arguments of `link` and `unlink`.
#[derive(Debug, Clone, Args)]
pub struct LinkArgs {
    /// Creator: id or a unique prefix of at least 8 characters, or @N for the result of entry N
    #[arg(value_name = "CREATOR")]
    pub creator: String,
    /// Account: likewise, or platform:username
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// Queueing flags.
    #[command(flatten)]
    pub queue: QueueArgs,
}

/// Runs `set`.
pub fn set(args: &SetArgs, context: &Context) -> Result<Answer, CliError> {
    let mut body = Map::new();
    let (kind, shared) = match &args.target {
        SetTarget::Video { interval, shared } => {
            interval.add_to(&mut body);
            (Kind::Video, shared)
        }
        SetTarget::Account { category, feed, shared } => {
            let or_null = |text: &String| if text.is_empty() { Value::Null } else { json!(text) };
            set_member(&mut body, "category", category.as_ref().map(or_null).as_ref());
            feed.add_to(&mut body);
            (Kind::Account, shared)
        }
        SetTarget::Creator { name, shared } => {
            set_member(&mut body, "name", name.as_ref());
            (Kind::Creator, shared)
        }
    };
    if shared.paused || shared.active {
        set_member(&mut body, "is_active", Some(&shared.active));
    }
    shared.metadata.add_to(&mut body)?;
    if body.is_empty() {
        let own = match kind {
            Kind::Account => "--category, --interval, --max-posts, --lookback-days, ",
            Kind::Creator => "--name, ",
            _ => "--interval, ",
        };
        let flags = format!("{own}--metadata, --paused, --active");
        return Err(CliError::new(Exit::Usage, "nothing to change").hint(format!("use {flags}")));
    }
    let draft = Draft {
        kind,
        action: Action::Set,
        subject: Some(shared.id.clone()),
        account: None,
        body: Some(serde_json::to_string(&body).unwrap_or_default()),
    };
    queueing::queue_one(context, draft, &shared.queue)
}

/// Runs `untrack`.
pub fn untrack(args: &UntrackArgs, context: &Context) -> Result<Answer, CliError> {
    let (kind, target) = match &args.target {
        UntrackTarget::Video(target) => (Kind::Video, target),
        UntrackTarget::Account(target) => (Kind::Account, target),
        UntrackTarget::Creator(target) => (Kind::Creator, target),
    };
    let subject = Some(target.id.clone());
    let draft = Draft { kind, action: Action::Untrack, subject, account: None, body: None };
    queueing::queue_one(context, draft, &target.queue)
}

/// Runs `link` or `unlink`.
pub fn link(args: &LinkArgs, action: Action, context: &Context) -> Result<Answer, CliError> {
    let draft = Draft {
        kind: Kind::Creator,
        action,
        subject: Some(args.creator.clone()),
        account: Some(args.account.clone()),
        body: None,
    };
    queueing::queue_one(context, draft, &args.queue)
}
