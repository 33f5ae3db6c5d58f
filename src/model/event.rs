//! What a run tells whoever watches it: progress, waits and their reasons. Carries no secrets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::kind::Kind;
use crate::model::outcome::Outcome;

/// Something a watcher may want to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A kind is being worked on. `resumed_pages` is above 0 when an interrupted listing goes on.
    Started {
        /// Which kind.
        kind: Kind,
        /// Pages that an earlier run had already written.
        resumed_pages: u64,
    },
    /// A page was written, or confirmed by a 304.
    Page {
        /// Which kind.
        kind: Kind,
        /// Pages done in this listing, earlier runs included.
        pages: u64,
        /// Rows seen in this listing, earlier runs included.
        rows: u64,
        /// Rows the server says there are, where it says so.
        total: Option<u64>,
    },
    /// A request is over.
    Answered {
        /// Its HTTP status; `None` when no answer came.
        status: Option<u16>,
    },
    /// An entry of the outbox is at its end, or put off.
    Pushed {
        /// Entries done in this run.
        done: u64,
        /// These, and those that are ready.
        total: u64,
    },
    /// Days are being asked for. Told before a request, and of kind `meta` when that is over.
    Days {
        /// Which kind.
        kind: Kind,
        /// Requests done.
        done: u64,
        /// Requests in all, as far as can be foreseen.
        total: u64,
    },
    /// Nothing is sent for a while.
    Waiting {
        /// Why.
        reason: Wait,
        /// How long.
        length: Duration,
    },
    /// A kind is done for this run.
    Finished {
        /// Which kind.
        kind: Kind,
        /// The outcome as in `sync_log.outcome`.
        outcome: Outcome,
        /// Pages done.
        pages: u64,
        /// Rows seen.
        rows: u64,
    },
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The server said 429, or 503 with Retry-After.
    RateLimited,
    /// The rest of the rate-limit window is being spread.
    Pacing,
    /// An attempt failed and is about to be repeated.
    Retry,
    /// A write's answer was lost, and the write may still be at work.
    Settling,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimited => "rate limited",
            Self::Pacing => "spreading the rate-limit budget",
            Self::Retry => "retrying",
            Self::Settling => "before looking up what a lost answer was",
        })
    }
}

/// Receives events. Called from the run, so it must be quick.
#[derive(Clone)]
pub struct Watcher(Arc<dyn Fn(&Event) + Send + Sync>);

impl Watcher {
    /// A watcher that calls `f`.
    pub fn new(f: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    /// A watcher that does nothing.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Hands the event on.
    pub fn tell(&self, event: &Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}
