//! Progress events of a run, for progress bars, the watchdog heartbeat and metrics. They carry no secrets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::kind::Kind;
use crate::model::named::named;
use crate::model::outcome::Outcome;

/// A progress event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Work on a kind began. `resumed_pages` is above 0 when an interrupted listing is resumed.
    Started {
        /// The kind.
        kind: Kind,
        /// Pages that an earlier run had already written.
        resumed_pages: u64,
    },
    /// A page was written, or confirmed by a 304.
    Page {
        /// The kind.
        kind: Kind,
        /// Pages done in this listing, earlier runs included.
        pages: u64,
        /// Rows seen in this listing, earlier runs included.
        rows: u64,
        /// The server's total, if it gives one.
        total: Option<u64>,
    },
    /// A request ended.
    Answered {
        /// The kind that it read or wrote; `meta` for other requests.
        kind: Kind,
        /// Its HTTP status; `None` without an answer.
        status: Option<u16>,
    },
    /// An outbox entry was finished or postponed.
    Pushed {
        /// Entries done in this run.
        done: u64,
        /// Entries done, and those that are ready to be sent.
        total: u64,
    },
    /// A request for daily metrics begins; of kind `meta` when the backfill ends.
    Days {
        /// The kind.
        kind: Kind,
        /// Requests done.
        done: u64,
        /// Estimate of all requests.
        total: u64,
    },
    /// No request is sent for a while.
    Waiting {
        /// The reason.
        reason: Wait,
        /// Length of the wait.
        length: Duration,
    },
    /// A kind is finished for this run.
    Finished {
        /// The kind.
        kind: Kind,
        /// The outcome as in `sync_log.outcome`.
        outcome: Outcome,
        /// Pages done.
        pages: u64,
        /// Rows seen.
        rows: u64,
    },
}

named! {
    /// Reason of a wait.
    pub enum Wait {
        /// The server said 429, or 503 with Retry-After.
        RateLimited = "rate limited",
        /// Requests are spread over the rest of the rate-limit window.
        Pacing = "spreading the rate-limit budget",
        /// Backoff before a retry.
        Retry = "retrying",
        /// The answer to a write was lost; `reconcile_after` has not passed.
        Settling = "before looking up what a lost answer was",
    }
}

/// Receives events. Called from the run, so it must return quickly.
#[derive(Clone)]
pub struct Watcher(Arc<dyn Fn(&Event) + Send + Sync>);

impl Watcher {
    /// Creates a watcher that calls `f`.
    pub fn new(f: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    /// Creates a watcher that does nothing.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Reports an event.
    pub fn tell(&self, event: &Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}
