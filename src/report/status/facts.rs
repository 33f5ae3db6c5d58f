//! What `status` shows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::model::Kind;
use crate::report::rate::RateLimit;
use crate::store::status::{Sizes, Snapshot};

/// Everything `status` shows.
#[derive(Debug, Clone)]
pub struct Status {
    /// When it was asked.
    pub now: DateTime<Utc>,
    /// The mirror's file.
    pub database: PathBuf,
    /// Its size.
    pub sizes: Sizes,
    /// Whether somebody works on it.
    pub is_running: bool,
    /// What it says.
    pub snapshot: Snapshot,
    /// Whether requests may be sent.
    pub rate: RateLimit,
    /// When each kind is listed next.
    pub listings: BTreeMap<Kind, NextListing>,
}

/// When a kind is listed next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextListing {
    /// Its full syncs are off, or the server does not have it.
    Never,
    /// It is due.
    Now,
    /// At its next full sync.
    At(DateTime<Utc>),
}

impl Status {
    /// What is due now: videos by their schedule, and kinds to be listed.
    pub fn due_now(&self) -> (i64, Vec<Kind>) {
        let is_due = |(kind, listing): (&Kind, &NextListing)| {
            (*listing == NextListing::Now).then_some(*kind)
        };
        (self.snapshot.schedule.overdue, self.listings.iter().filter_map(is_due).collect())
    }

    /// When something is due next, and whether it is a kind's listing or, if none, videos.
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
