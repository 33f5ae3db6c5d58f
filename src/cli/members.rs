//! Flags that several commands turn into members of a request body.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::outbox::body::quoted;
use crate::report::{CliError, CliResult, Exit};

/// Flags of videos and accounts.
#[derive(Debug, Clone, Args)]
pub struct IntervalArgs {
    /// Scrape interval in hours
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..))]
    interval: Option<u32>,
}

/// Flags of accounts.
#[derive(Debug, Clone, Args)]
pub struct FeedArgs {
    /// Number of recent posts to collect, or `default`
    #[arg(long, value_name = "N", value_parser = limit)]
    max_posts: Option<Value>,
    /// Maximum age of collected posts in days, or `default`
    #[arg(long, value_name = "DAYS", value_parser = limit)]
    lookback_days: Option<Value>,
    #[command(flatten)]
    interval: IntervalArgs,
}

/// Sets a member of a body if the flag was given.
pub fn set_member(
    body: &mut Map<String, Value>,
    name: &str,
    value: Option<&(impl serde::Serialize + ?Sized)>,
) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

impl IntervalArgs {
    /// Adds the given flags to a body.
    pub fn add_to(&self, body: &mut Map<String, Value>) {
        set_member(body, "scrape_interval_hours", self.interval.as_ref());
    }
}

impl FeedArgs {
    /// Adds the given flags to a body.
    pub fn add_to(&self, body: &mut Map<String, Value>) {
        set_member(body, "max_recent_posts_per_account", self.max_posts.as_ref());
        set_member(body, "post_lookback_days", self.lookback_days.as_ref());
        self.interval.add_to(body);
    }
}

/// Flags of videos, accounts and creators.
#[derive(Debug, Clone, Default, Args)]
pub struct MetadataArgs {
    /// Metadata entry; repeat for more. `set` replaces all metadata
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    metadata: Vec<(String, String)>,
}

impl MetadataArgs {
    /// Adds the given flags to a body.
    pub fn add_to(&self, body: &mut Map<String, Value>) -> CliResult {
        let mut map = Map::new();
        for (key, value) in &self.metadata {
            if map.insert(key.clone(), json!(value)).is_some() {
                let message = format!("--metadata: key {} comes twice", quoted(key));
                return Err(CliError::new(Exit::Usage, message));
            }
        }
        if !map.is_empty() {
            body.insert("metadata".to_owned(), Value::Object(map));
        }
        Ok(())
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Parses a limit of an account: a number, or `default` (null) for the organization's limit.
fn limit(text: &str) -> Result<Value, String> {
    match text {
        "default" => Ok(Value::Null),
        _ => match text.parse::<u32>() {
            Ok(number) if number > 0 => Ok(json!(number)),
            _ => Err("expected a whole number of at least 1, or `default`".to_owned()),
        },
    }
}
