//! Flags that become members of a request's body, and how they get there.

use clap::Args;
use serde_json::{Map, Value, json};

/// Flags of what has an interval of its own.
#[derive(Debug, Clone, Args)]
pub struct Scraping {
    /// Scrape it every so many hours
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..))]
    interval: Option<u32>,
}

/// Flags of an account: what of its feed is collected.
#[derive(Debug, Clone, Args)]
pub struct Collecting {
    /// How many recent posts are collected, or `default`
    #[arg(long, value_name = "N", value_parser = cap)]
    max_posts: Option<Value>,
    /// How old collected posts may be, or `default`
    #[arg(long, value_name = "DAYS", value_parser = cap)]
    lookback_days: Option<Value>,
    #[command(flatten)]
    scraping: Scraping,
}

/// Puts a member into a body, where it was given.
pub fn put(
    body: &mut Map<String, Value>,
    name: &str,
    value: Option<&(impl serde::Serialize + ?Sized)>,
) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

impl Scraping {
    /// Adds what was given to a body.
    pub fn add_to(&self, body: &mut Map<String, Value>) {
        put(body, "scrape_interval_hours", self.interval.as_ref());
    }
}

impl Collecting {
    /// Adds what was given to a body.
    pub fn add_to(&self, body: &mut Map<String, Value>) {
        put(body, "max_recent_posts_per_account", self.max_posts.as_ref());
        put(body, "post_lookback_days", self.lookback_days.as_ref());
        self.scraping.add_to(body);
    }
}

/// Flags of everything.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// An entry of the metadata map; give it again for more. A change replaces the whole map
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
}

impl Common {
    /// Adds what was given to a body.
    pub fn add_to(&self, body: &mut Map<String, Value>) {
        if !self.metadata.is_empty() {
            let map: Map<String, Value> =
                self.metadata.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
            body.insert("metadata".to_owned(), Value::Object(map));
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is not of the form KEY=VALUE".to_owned()),
    }
}

/// A cap of an account: a number, or `default` for the organization's.
fn cap(text: &str) -> Result<Value, String> {
    match text {
        "default" => Ok(Value::Null),
        _ => match text.parse::<u32>() {
            Ok(number) if number > 0 => Ok(json!(number)),
            _ => Err("it is neither a whole number of at least 1 nor `default`".to_owned()),
        },
    }
}
