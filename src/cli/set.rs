//! `set`: queues a change of a video, an account or a creator.

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
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
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
    /// Its id, the beginning of its id, for an account platform:username, or @N for the result of entry N
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

/// Runs the command.
pub fn run(args: &SetArgs, context: &Context) -> Result<Answer, CliError> {
    let mut body = Map::new();
    let (kind, shared) = match &args.what {
        What::Video { scraping, shared } => {
            scraping.add_to(&mut body);
            (Kind::Video, shared)
        }
        What::Account { category, collecting, shared } => {
            let or_none = |text: &String| if text.is_empty() { Value::Null } else { json!(text) };
            put(&mut body, "category", category.as_ref().map(or_none).as_ref());
            collecting.add_to(&mut body);
            (Kind::Account, shared)
        }
        What::Creator { name, shared } => {
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
