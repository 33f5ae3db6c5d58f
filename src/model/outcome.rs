//! How a run ended for a kind, in one word.

use crate::model::named::named;

named! {
    /// How a run ended for a kind: `sync_log.outcome` and `coverage.last_outcome`.
    pub enum Outcome {
        /// Everything was confirmed.
        Complete = "complete",
        /// What was due was read; the kind was not listed.
        Polled = "polled",
        /// The listing has a flaw; the next run lists again.
        Incomplete = "incomplete",
        /// Complete, but some rows could not be decoded.
        RowsDropped = "rows_dropped",
        /// Complete, but `max_removals` holds removals back.
        RemovalsHeld = "removals_held",
        /// The server does not have it, or not for this key.
        Unavailable = "unavailable",
        /// The same, though the user wanted every row confirmed.
        Unconfirmed = "unconfirmed",
        /// All was read, but not the `last_scrape_time` of some rows: their history stops.
        ScrapesUnreadable = "scrapes_unreadable",
        /// A request failed for good.
        Failed = "failed",
        /// The rate limit lasts longer than allowed.
        RateLimited = "rate_limited",
        /// Stopped or crashed on the way.
        Interrupted = "interrupted",
        /// It has not ended.
        Running = "running",
    }
}

impl Outcome {
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

/// How a run ended for a kind, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindOutcome {
    /// In one word.
    pub outcome: Outcome,
    /// The API's error code, or ours.
    pub error_code: Option<String>,
    /// A sentence for people.
    pub detail: Option<String>,
    /// The API's id of the request that failed.
    pub request_id: Option<String>,
}

impl KindOutcome {
    /// One that needs no explanation.
    pub const fn of(outcome: Outcome) -> Self {
        Self { outcome, error_code: None, detail: None, request_id: None }
    }
}
