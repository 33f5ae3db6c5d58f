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
    /// When each kind is walked next.
    pub walks: BTreeMap<Kind, NextWalk>,
}

/// When a kind is walked next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextWalk {
    /// Its sweeps are off, or the server does not have it.
    Never,
    /// It is due.
    Now,
    /// At its next sweep.
    At(DateTime<Utc>),
}

impl Status {
    /// What is due now: videos by their schedule, and kinds to be walked.
    pub fn due_now(&self) -> (i64, Vec<Kind>) {
        let is_due = |(kind, walk): (&Kind, &NextWalk)| (*walk == NextWalk::Now).then_some(*kind);
        (self.snapshot.schedule.overdue, self.walks.iter().filter_map(is_due).collect())
    }

    /// When something is due next, and whether it is a kind's walk or, if none, videos.
    pub fn next_due(&self) -> Option<(DateTime<Utc>, Option<Kind>)> {
        let walks = self.walks.iter().filter_map(|(kind, walk)| match walk {
            NextWalk::Never => None,
            NextWalk::Now => Some((self.now, Some(*kind))),
            NextWalk::At(at) => Some((*at, Some(*kind))),
        });
        let seconds = self.snapshot.schedule.next_due_at;
        let videos = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let videos = videos.map(|at| (at.max(self.now), None));
        walks.chain(videos).min_by_key(|(at, _)| *at)
    }
}
