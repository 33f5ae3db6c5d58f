//! State of a server: its settings, and the number of entries it queued.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::SubsecRound;
use serde_json::Value;

use crate::clock::Clock;
use crate::config::Config;
use crate::mcp::answer::ToolResult;
use crate::report::status;
use crate::store::StoreResult;
use crate::store::readonly::Reader;

/// Longest JSON of the rows of an answer, bytes.
pub const BYTES_MAX: usize = 200_000;

/// Most entries that a server queues.
pub const ENTRIES_MAX: u32 = 20;

/// Members of an outbox entry that are not shown: what was requested, and how it is recognized.
const HIDDEN: [&str; 5] = ["body", "path", "method", "idempotency_key", "former_keys"];

/// Settings of the server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Settings of the mirror.
    pub config: Config,
    /// Clock.
    pub clock: Clock,
    /// Longest run of a query.
    pub timeout: Duration,
    /// Most rows of an answer.
    pub max_rows: usize,
    /// Whether tools may queue writes.
    pub allow_writes: bool,
}

/// State of a server.
#[derive(Debug)]
pub struct Session {
    /// Its settings.
    pub settings: Settings,
    /// Entries queued so far.
    pub queued: AtomicU32,
    /// Whether the server ends; calls stop.
    pub is_closing: Arc<AtomicBool>,
}

/// When a call stops: at its deadline, when the client cancels it, or when the server ends.
#[derive(Debug, Clone)]
pub struct Stop {
    clock: Clock,
    /// Time since boot.
    deadline: Duration,
    is_cancelled: Arc<AtomicBool>,
    is_closing: Arc<AtomicBool>,
}

impl Stop {
    /// Whether the deadline has passed.
    pub fn is_late(&self) -> bool {
        self.clock.boot().elapsed >= self.deadline
    }

    fn is_stopped(&self) -> bool {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        is_set(&self.is_cancelled) || is_set(&self.is_closing) || self.is_late()
    }

    /// The same, with a deadline at most this far away.
    pub fn within(&self, length: Duration) -> Self {
        let deadline = self.clock.boot().elapsed.saturating_add(length).min(self.deadline);
        Self { deadline, ..self.clone() }
    }
}

impl Session {
    /// Creates the state of a server.
    pub fn new(settings: Settings) -> Self {
        Self { settings, queued: AtomicU32::new(0), is_closing: Arc::default() }
    }

    /// Path of the database.
    pub fn database(&self) -> &Path {
        &self.settings.config.database
    }

    /// Starts the time of a call.
    pub fn start(&self, is_cancelled: Arc<AtomicBool>) -> Stop {
        let clock = self.settings.clock.clone();
        let deadline = clock.boot().elapsed.saturating_add(self.settings.timeout);
        Stop { clock, deadline, is_cancelled, is_closing: Arc::clone(&self.is_closing) }
    }

    /// Opens the database for queries that end when `stop` says so.
    pub fn reader(&self, stop: &Stop) -> StoreResult<Reader> {
        let stop = stop.clone();
        Reader::open(self.database(), move || stop.is_stopped())
    }

    /// Says how fresh the mirror is, when the server starts.
    pub fn freshness(&self) -> StoreResult<String> {
        let mut status = status::read(&self.settings.config, &self.settings.clock)?;
        status.now = status.now.trunc_subsecs(0);
        let document = status::json(&status);
        let kinds = document["kinds"].as_array().map(Vec::as_slice).unwrap_or_default();
        let complete = kinds.iter().filter_map(|kind| {
            Some(format!("{} {}", kind["kind"].as_str()?, kind["complete_as_of"].as_str()?))
        });
        let complete: Vec<String> = complete.collect();
        let complete = match complete.is_empty() {
            true => "no kind is mirrored completely yet".to_owned(),
            false => format!("complete as of: {}", complete.join(", ")),
        };
        let now = document["now"].as_str().unwrap_or_default();
        Ok(format!(
            "At the start of this session, {now}, {complete}. Call status for the present state."
        ))
    }

    /// Returns the document of `status --json`, without the bodies of queued writes.
    pub fn status(&self) -> ToolResult {
        let status = status::read(&self.settings.config, &self.settings.clock)?;
        let mut document = status::json(&status);
        if let Some(Value::Array(letters)) = document.pointer_mut("/outbox/dead_letters") {
            letters.iter_mut().for_each(hide_request);
        }
        Ok(document)
    }
}

/// Removes what was requested from an outbox entry.
pub fn hide_request(entry: &mut Value) {
    if let Value::Object(members) = entry {
        members.retain(|name, _| !HIDDEN.contains(&name.as_str()));
    }
}
