//! `track`: queues the creation of a video, an account or a creator, or of many from a file.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::bulk_input::{self, Spool};
use crate::cli::context::Context;
use crate::cli::members::{FeedArgs, IntervalArgs, MetadataArgs, set_member};
use crate::cli::queueing::{self, LineErrors, QueueArgs, QueueRequest};
use crate::model::Kind;
use crate::outbox::{post, validate};
use crate::report::{Answer, CliError, Exit};

/// Arguments of `track`.
#[derive(Debug, Clone, Args)]
pub struct TrackArgs {
    #[command(subcommand)]
    target: TrackTarget,
}

#[derive(Debug, Clone, Subcommand)]
enum TrackTarget {
    /// Track a post
    Video(VideoArgs),
    /// Track an account
    Account(AccountArgs),
    /// Create a creator, to which accounts can be linked
    Creator(CreatorArgs),
}

#[derive(Debug, Clone, Args)]
struct VideoArgs {
    /// URL of the post, its numeric id, or its Instagram shortcode
    #[arg(value_name = "URL|ID", required_unless_present = "from", conflicts_with = "from")]
    identifier: Option<String>,
    /// instagram or tiktok; required unless a URL is given
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    #[command(flatten)]
    interval: IntervalArgs,
    #[command(flatten)]
    shared: SharedTrackArgs,
}

#[derive(Debug, Clone, Args)]
struct AccountArgs {
    /// instagram or tiktok; or the profile's URL alone
    #[arg(value_name = "PLATFORM", required_unless_present = "from", conflicts_with = "from")]
    platform: Option<String>,
    /// User name, or the profile's URL
    #[arg(value_name = "USERNAME", conflicts_with = "from")]
    username: Option<String>,
    /// Category
    #[arg(long, value_name = "TEXT")]
    category: Option<String>,
    #[command(flatten)]
    feed: FeedArgs,
    #[command(flatten)]
    shared: SharedTrackArgs,
}

#[derive(Debug, Clone, Args)]
struct CreatorArgs {
    /// Name
    #[arg(value_name = "NAME", required_unless_present = "from", conflicts_with = "from")]
    name: Option<String>,
    #[command(flatten)]
    shared: SharedTrackArgs,
}

#[derive(Debug, Clone, Args)]
struct SharedTrackArgs {
    /// Create it paused, without collecting
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    metadata: MetadataArgs,
    /// Queue every line of this file (`-` for stdin): CSV with a header, JSON Lines, or one URL per
    /// line; if a line is invalid, nothing is queued
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    queue: QueueArgs,
}

/// Runs the command.
pub fn run(args: &TrackArgs, context: &Context) -> Result<Answer, CliError> {
    let mut members = Map::new();
    let (kind, shared) = match &args.target {
        TrackTarget::Video(args) => {
            set_member(&mut members, "identifier", args.identifier.as_ref());
            set_member(&mut members, "platform", args.platform.as_ref());
            args.interval.add_to(&mut members);
            (Kind::Video, &args.shared)
        }
        TrackTarget::Account(args) => {
            let (platform, username) = match (&args.platform, &args.username) {
                (Some(url), None) if post::as_url(url).is_some() => (None, Some(url)),
                (Some(_), None) => {
                    let message = "the user name is missing";
                    return Err(CliError::new(Exit::Usage, message)
                        .hint("use `track account PLATFORM USERNAME`, or the profile's URL"));
                }
                (platform, username) => (platform.as_ref(), username.as_ref()),
            };
            set_member(&mut members, "platform", platform);
            set_member(&mut members, "username", username);
            set_member(&mut members, "category", args.category.as_ref());
            args.feed.add_to(&mut members);
            (Kind::Account, &args.shared)
        }
        TrackTarget::Creator(args) => {
            set_member(&mut members, "name", args.name.as_ref());
            (Kind::Creator, &args.shared)
        }
    };
    if shared.paused {
        members.insert("is_active".to_owned(), json!(false));
    }
    shared.metadata.add_to(&mut members)?;
    let Some(file) = &shared.from else {
        let body =
            validate::normalize(kind, members).map_err(|why| CliError::new(Exit::Usage, why))?;
        let request = QueueRequest::creation(kind, Value::Object(body).to_string(), None);
        return queueing::queue_one(context, request.draft, &shared.queue);
    };
    let spool = spool(file, kind, &members)?;
    queueing::queue_all(context, spool.read()?, &shared.queue)
}

/// Reads and validates a whole file before anything is queued. `defaults` are the members given by
/// flags, for lines that do not set them.
fn spool(file: &Path, kind: Kind, defaults: &Map<String, Value>) -> Result<Spool, CliError> {
    let mut spool = Spool::new(kind);
    let mut errors = LineErrors::default();
    bulk_input::read(file, kind, |line| {
        let body = line.members.and_then(|members| {
            let mut body = defaults.clone();
            body.extend(members);
            let body = validate::normalize(kind, body)?;
            validate::creation(kind, &body).map_err(|error| error.to_string())?;
            Ok(Value::Object(body).to_string())
        });
        match body {
            Err(reason) => errors.add(Some(line.number), &reason),
            Ok(body) if errors.is_empty() => spool.add(line.number, &body)?,
            Ok(_) => {}
        }
        Ok(())
    })?;
    errors.into_result()?;
    match spool.count {
        0 => Err(CliError::new(Exit::Usage, "nothing to queue: the file has no lines")),
        _ => Ok(spool),
    }
}
