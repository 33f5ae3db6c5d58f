//! `set`, `untrack`, `link` and `unlink`: queue a change, a deletion, and what is done to a link. What is
//! mirrored of what is deleted stays, marked as removed.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::context::Context;
use crate::cli::members::{Collecting, Common, Scraping, put};
use crate::cli::queueing::{self, QueueArgs};
use crate::model::Kind;
use crate::model::outbox::{Action, Draft};
use crate::report::{Answer, CliError};

/// Arguments of `set`.
#[derive(Debug, Clone, Args)]
pub struct SetArgs {
    #[command(subcommand)]
    what: Change,
}

#[derive(Debug, Clone, Subcommand)]
enum Change {
    /// Change a tracked video
    Video {
        #[command(flatten)]
        scraping: Scraping,
        #[command(flatten)]
        shared: Shared,
    },
    /// Change a tracked account
    Account {
        /// A category of yours; an empty one takes it away
        #[arg(long, value_name = "TEXT")]
        category: Option<String>,
        #[command(flatten)]
        collecting: Collecting,
        #[command(flatten)]
        shared: Shared,
    },
    /// Change a creator; to pause one pauses its accounts
    Creator {
        /// Another name
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(Debug, Clone, Args)]
struct Shared {
    /// Its id or at least its first 8 characters, for an account platform:username, or @N for the result of entry N
    #[arg(value_name = "ID")]
    id: String,
    /// Stop collecting
    #[arg(long, conflicts_with = "active")]
    paused: bool,
    /// Go on collecting
    #[arg(long)]
    active: bool,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    queue: QueueArgs,
}

/// Arguments of `untrack`.
#[derive(Debug, Clone, Args)]
pub struct UntrackArgs {
    #[command(subcommand)]
    what: Deletion,
}

#[derive(Debug, Clone, Subcommand)]
enum Deletion {
    /// Stop tracking a video
    Video(Named),
    /// Stop tracking an account
    Account(Named),
    /// Delete a creator; its accounts stay
    Creator(Named),
}

#[derive(Debug, Clone, Args)]
struct Named {
    /// Its id or at least its first 8 characters, for an account platform:username, or @N for the result of entry N
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    queue: QueueArgs,
}

/// Arguments of `link` and `unlink`.
#[derive(Debug, Clone, Args)]
pub struct LinkArgs {
    /// The creator: its id or at least its first 8 characters, or @N for the result of entry N
    #[arg(value_name = "CREATOR")]
    pub creator: String,
    /// The account: likewise, or platform:username
    #[arg(value_name = "ACCOUNT")]
    pub account: String,
    /// How to queue.
    #[command(flatten)]
    pub queue: QueueArgs,
}

/// Runs `set`.
pub fn set(args: &SetArgs, context: &Context) -> Result<Answer, CliError> {
    let mut body = Map::new();
    let (kind, shared) = match &args.what {
        Change::Video { scraping, shared } => {
            scraping.add_to(&mut body);
            (Kind::Video, shared)
        }
        Change::Account { category, collecting, shared } => {
            let or_none = |text: &String| if text.is_empty() { Value::Null } else { json!(text) };
            put(&mut body, "category", category.as_ref().map(or_none).as_ref());
            collecting.add_to(&mut body);
            (Kind::Account, shared)
        }
        Change::Creator { name, shared } => {
            put(&mut body, "name", name.as_ref());
            (Kind::Creator, shared)
        }
    };
    if shared.paused || shared.active {
        put(&mut body, "is_active", Some(&shared.active));
    }
    shared.common.add_to(&mut body);
    let draft = Draft {
        kind,
        action: Action::Set,
        subject: Some(shared.id.clone()),
        account: None,
        body: Some(serde_json::to_string(&body).unwrap_or_default()),
    };
    queueing::one(context, draft, &shared.queue)
}

/// Runs `untrack`.
pub fn untrack(args: &UntrackArgs, context: &Context) -> Result<Answer, CliError> {
    let (kind, named) = match &args.what {
        Deletion::Video(named) => (Kind::Video, named),
        Deletion::Account(named) => (Kind::Account, named),
        Deletion::Creator(named) => (Kind::Creator, named),
    };
    let subject = Some(named.id.clone());
    let draft = Draft { kind, action: Action::Untrack, subject, account: None, body: None };
    queueing::one(context, draft, &named.queue)
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
    queueing::one(context, draft, &args.queue)
}
