//! Outcome of a run for one kind.

use crate::model::named::named;

named! {
    /// Outcome of a run for one kind: `sync_log.outcome` and `coverage.last_outcome`.
    pub enum Outcome {
        /// The listing is complete; every row was confirmed.
        Complete = "complete",
        /// Due rows were read; the kind was not listed.
        Polled = "polled",
        /// The listing is not complete; it is tried again after a pause.
        Incomplete = "incomplete",
        /// Complete, but some rows could not be decoded.
        RowsDropped = "rows_dropped",
        /// Complete, but `max_removals` holds removals back.
        RemovalsHeld = "removals_held",
        /// The server does not offer the endpoint, or not to this key.
        Unavailable = "unavailable",
        /// The same, although `--full` asked for every row to be confirmed.
        Unconfirmed = "unconfirmed",
        /// Some rows have a `last_scrape_time` that cannot be read: their history stops.
        ScrapesUnreadable = "scrapes_unreadable",
        /// A request failed after all retries.
        Failed = "failed",
        /// The rate limit lasts longer than `max_wait`.
        RateLimited = "rate_limited",
        /// Stopped by a signal or a crash.
        Interrupted = "interrupted",
        /// Not finished yet.
        Running = "running",
    }
}

impl Outcome {
    /// Whether the kind has to be listed again before its next full sync.
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Incomplete | Self::Failed | Self::RateLimited | Self::Interrupted)
    }

    /// Whether the kind is tried again after a growing pause. A rate limit has its own end, and an interrupted listing is
    /// resumed.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Incomplete | Self::Failed)
    }

    /// Whether the kind counts as successful for the exit code.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Complete | Self::Polled | Self::Unavailable)
    }
}

/// Outcome of a run for one kind, with the failure behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindOutcome {
    /// The outcome.
    pub outcome: Outcome,
    /// The API's error code, or ours.
    pub error_code: Option<String>,
    /// Explanation for users.
    pub detail: Option<String>,
    /// The API's id of the request that failed.
    pub request_id: Option<String>,
}

impl KindOutcome {
    /// An outcome without an explanation.
    pub const fn of(outcome: Outcome) -> Self {
        Self { outcome, error_code: None, detail: None, request_id: None }
    }
}
