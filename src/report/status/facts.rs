//! The facts that `status` shows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::model::Kind;
use crate::report::rate::RateLimit;
use crate::store::status::{Sizes, Snapshot};

/// The state of the mirror at one moment.
#[derive(Debug, Clone)]
pub struct Status {
    /// When the state was read.
    pub now: DateTime<Utc>,
    /// Path of the database.
    pub database: PathBuf,
    /// Sizes of the database files.
    pub sizes: Sizes,
    /// Whether a process holds the lock.
    pub is_running: bool,
    /// State read from the database.
    pub snapshot: Snapshot,
    /// State of the rate limiter.
    pub rate: RateLimit,
    /// The next listing of each kind.
    pub listings: BTreeMap<Kind, NextListing>,
}

/// The next listing of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextListing {
    /// Full syncs are off, or the server does not support the kind.
    Never,
    /// The listing is due.
    Now,
    /// At the next full sync.
    At(DateTime<Utc>),
}

impl Status {
    /// Returns what is due now: the number of overdue videos, and the kinds to list.
    pub fn due_now(&self) -> (i64, Vec<Kind>) {
        let is_due = |(kind, listing): (&Kind, &NextListing)| {
            (*listing == NextListing::Now).then_some(*kind)
        };
        (self.snapshot.schedule.overdue, self.listings.iter().filter_map(is_due).collect())
    }

    /// Returns when the next work is due, and the kind to list; no kind means videos by their schedule.
    pub fn next_due(&self) -> Option<(DateTime<Utc>, Option<Kind>)> {
        let listings = self.listings.iter().filter_map(|(kind, listing)| match listing {
            NextListing::Never => None,
            NextListing::Now => Some((self.now, Some(*kind))),
            NextListing::At(at) => Some((*at, Some(*kind))),
        });
        let seconds = self.snapshot.schedule.next_due_at;
        let videos = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let videos = videos.map(|at| (at.max(self.now), None));
        listings.chain(videos).min_by_key(|(at, _)| *at)
    }
}
