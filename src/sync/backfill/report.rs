//! The report of a backfill.

use chrono::NaiveDate;

use crate::api::Failure;
use crate::model::{Kind, KindOutcome};
use crate::sync::daily_metrics::MetricsCounts;
use crate::sync::run_error::RunError;

/// The report of a backfill, or of the daily metrics requested after a run.
#[derive(Debug)]
pub struct BackfillReport {
    /// The id of its last run in the log.
    pub run_id: i64,
    /// Number of days requested; `None` after a run.
    pub days: Option<u32>,
    /// The oldest day.
    pub from: Option<NaiveDate>,
    /// The newest day.
    pub to: Option<NaiveDate>,
    /// Number of requests sent.
    pub requests: i64,
    /// By kind.
    pub kinds: Vec<KindBackfillReport>,
    /// Number of resources whose ids the server refuses.
    pub refused_ids: usize,
    /// Number of account videos whose ids the endpoint does not accept.
    pub unaskable: u64,
    /// Whether the mirror is empty because nothing was ever listed.
    pub is_unfilled: bool,
    /// The error that ended it early, if any.
    pub run_error: Option<RunError>,
}

/// The part of one kind.
#[derive(Debug, Clone)]
pub struct KindBackfillReport {
    /// The kind.
    pub kind: Kind,
    /// Counts of resources.
    pub counts: MetricsCounts,
    /// Why the kind was given up, if it was.
    pub kind_outcome: Option<KindOutcome>,
    /// The failure that ended it, unless the endpoint is not supported.
    pub failure: Option<Failure>,
}

impl BackfillReport {
    /// Sums a count over the kinds.
    pub fn sum(&self, of: impl Fn(&MetricsCounts) -> u64) -> u64 {
        self.kinds.iter().map(|kind| of(&kind.counts)).sum()
    }
}
