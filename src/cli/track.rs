//! `track`: queues the creation of a video, an account or a creator, or of a file full of them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::bulk_input::{self, Spool};
use crate::cli::context::Context;
use crate::cli::members::{Collecting, Common, Scraping, put};
use crate::cli::queueing::{self, Asked, QueueArgs, Wrong};
use crate::model::Kind;
use crate::outbox::{post, validate};
use crate::report::{Answer, CliError, Exit};

/// Arguments of `track`.
#[derive(Debug, Clone, Args)]
pub struct TrackArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Track a post: its URL, its number, or on Instagram its shortcode
    Video(VideoArgs),
    /// Track a profile
    Account(AccountArgs),
    /// Create a creator, to whom accounts can be linked
    Creator(CreatorArgs),
}

#[derive(Debug, Clone, Args)]
struct VideoArgs {
    /// The post's URL, number or shortcode
    #[arg(value_name = "URL|ID", required_unless_present = "from", conflicts_with = "from")]
    identifier: Option<String>,
    /// Where it is, unless a URL says so: instagram or tiktok
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    #[command(flatten)]
    scraping: Scraping,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Clone, Args)]
struct AccountArgs {
    /// Where it is: instagram or tiktok
    #[arg(value_name = "PLATFORM", required_unless_present = "from", conflicts_with = "from")]
    platform: Option<String>,
    /// Its user name
    #[arg(value_name = "USERNAME", required_unless_present = "from", conflicts_with = "from")]
    username: Option<String>,
    /// A category of yours
    #[arg(long, value_name = "TEXT")]
    category: Option<String>,
    #[command(flatten)]
    collecting: Collecting,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Clone, Args)]
struct CreatorArgs {
    /// The creator's name
    #[arg(value_name = "NAME", required_unless_present = "from", conflicts_with = "from")]
    name: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Clone, Args)]
struct Shared {
    /// Do not collect anything for now
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    common: Common,
    /// Queue every line of this file (`-` for stdin), of any length: CSV with a header, or JSON Lines;
    /// one bad line queues nothing
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    queue: QueueArgs,
}

/// Runs the command.
pub fn run(args: &TrackArgs, context: &Context) -> Result<Answer, CliError> {
    let (kind, own, shared) = match &args.what {
        What::Video(args) => (Kind::Video, args.members(), &args.shared),
        What::Account(args) => (Kind::Account, args.members(), &args.shared),
        What::Creator(args) => (Kind::Creator, args.members(), &args.shared),
    };
    let mut members = own;
    if shared.paused {
        members.insert("is_active".to_owned(), json!(false));
    }
    shared.common.add_to(&mut members);
    let Some(file) = &shared.from else {
        let body = complete(kind, members).map_err(|why| CliError::new(Exit::Usage, why))?;
        return queueing::one(
            context,
            Asked::creation(kind, text(&body), None).draft,
            &shared.queue,
        );
    };
    let lines = checked(file, kind, &members)?;
    queueing::all(context, lines.read()?, &shared.queue)
}

/// Reads and checks a file to its end before anything is queued: one bad line queues nothing.
/// `members` is what the command line says; it holds for every line that does not say otherwise.
fn checked(file: &Path, kind: Kind, members: &Map<String, Value>) -> Result<Spool, CliError> {
    let mut spool = Spool::new(kind);
    let mut wrong = Wrong::default();
    bulk_input::read(file, kind, |line| {
        let body = line.members.and_then(|own| {
            let mut body = members.clone();
            body.extend(own);
            let body = complete(kind, body)?;
            validate::creation(kind, &body).map_err(|error| error.to_string())?;
            Ok(text(&body))
        });
        match body {
            Err(reason) => wrong.add(Some(line.number), &reason),
            Ok(body) if wrong.is_none() => spool.add(line.number, &body)?,
            Ok(_) => {}
        }
        Ok(())
    })?;
    if !wrong.is_none() {
        return Err(wrong.refusal());
    }
    match spool.count {
        0 => Err(CliError::new(Exit::Usage, "there is nothing in the file to be queued")),
        _ => Ok(spool),
    }
}

fn text(body: &Map<String, Value>) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

/// Fills in what the rest tells: the platform from the post's URL, and the form that the API knows.
fn complete(kind: Kind, mut body: Map<String, Value>) -> Result<Map<String, Value>, String> {
    if let Some(Value::String(platform)) = body.get("platform") {
        let platform = post::Platform::from_name(platform)?.name();
        body.insert("platform".to_owned(), json!(platform));
    }
    if kind == Kind::Video
        && let Some(Value::String(pasted)) = body.get("identifier")
    {
        let platform = match body.get("platform").and_then(Value::as_str) {
            Some(platform) => Some(post::Platform::from_name(platform)?),
            None => None,
        };
        let found = post::resolve(platform, pasted)?;
        let pasted = post::as_url(pasted.trim()).unwrap_or_else(|| pasted.trim().to_owned());
        body.insert("identifier".to_owned(), json!(pasted));
        body.insert("platform".to_owned(), json!(found.platform.name()));
    }
    if kind == Kind::Account
        && let Some(Value::String(username)) = body.get("username")
    {
        let username = username.trim().trim_start_matches('@').to_owned();
        body.insert("username".to_owned(), json!(username));
    }
    Ok(body)
}

impl VideoArgs {
    fn members(&self) -> Map<String, Value> {
        let mut body = Map::new();
        put(&mut body, "identifier", self.identifier.as_ref());
        put(&mut body, "platform", self.platform.as_ref());
        self.scraping.add_to(&mut body);
        body
    }
}

impl AccountArgs {
    fn members(&self) -> Map<String, Value> {
        let mut body = Map::new();
        put(&mut body, "platform", self.platform.as_ref());
        put(&mut body, "username", self.username.as_ref());
        put(&mut body, "category", self.category.as_ref());
        self.collecting.add_to(&mut body);
        body
    }
}

impl CreatorArgs {
    fn members(&self) -> Map<String, Value> {
        let mut body = Map::new();
        put(&mut body, "name", self.name.as_ref());
        body
    }
}
