//! How a run ended for a kind, in one word.

use std::fmt;

use serde::Serialize;

/// How a run ended for a kind: `sync_log.outcome` and `coverage.last_outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was confirmed.
    Complete,
    /// What was due was read; the kind was not listed.
    Polled,
    /// The listing has a flaw; the next run lists again.
    Incomplete,
    /// Complete, but some rows could not be decoded.
    RowsDropped,
    /// Complete, but `max_removals` holds removals back.
    RemovalsHeld,
    /// The server does not have it, or not for this key.
    Unavailable,
    /// The same, though the user wanted every row confirmed.
    Unconfirmed,
    /// All was read, but not the `last_scrape_time` of some rows: their history stops.
    ScrapesUnreadable,
    /// A request failed for good.
    Failed,
    /// The rate limit lasts longer than allowed.
    RateLimited,
    /// Stopped or crashed on the way.
    Interrupted,
    /// It has not ended.
    Running,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Complete,
        Self::Polled,
        Self::Incomplete,
        Self::RowsDropped,
        Self::RemovalsHeld,
        Self::Unavailable,
        Self::Unconfirmed,
        Self::ScrapesUnreadable,
        Self::Failed,
        Self::RateLimited,
        Self::Interrupted,
        Self::Running,
    ];

    /// Its name in SQL and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Polled => "polled",
            Self::Incomplete => "incomplete",
            Self::RowsDropped => "rows_dropped",
            Self::RemovalsHeld => "removals_held",
            Self::Unavailable => "unavailable",
            Self::Unconfirmed => "unconfirmed",
            Self::ScrapesUnreadable => "scrapes_unreadable",
            Self::Failed => "failed",
            Self::RateLimited => "rate_limited",
            Self::Interrupted => "interrupted",
            Self::Running => "running",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// Whether the kind has to be listed again before its next full sync.
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Incomplete | Self::Failed | Self::RateLimited | Self::Interrupted)
    }

    /// Whether the kind's own work failed, so that it is tried again after a pause. A rate limit has a
    /// deadline of its own, and what was interrupted goes on.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Incomplete | Self::Failed)
    }

    /// Whether all went as the user would expect.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Complete | Self::Polled | Self::Unavailable)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a run ended for a kind, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// In one word.
    pub outcome: Outcome,
    /// The API's error code, or ours.
    pub error_code: Option<String>,
    /// A sentence for people.
    pub detail: Option<String>,
    /// The API's id of the request that failed.
    pub request_id: Option<String>,
}

impl Ending {
    /// One that needs no explanation.
    pub const fn of(outcome: Outcome) -> Self {
        Self { outcome, error_code: None, detail: None, request_id: None }
    }
}
