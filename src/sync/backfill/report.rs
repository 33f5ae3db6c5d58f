//! What came of a backfill.

use chrono::NaiveDate;

use crate::api::Failure;
use crate::model::Kind;
use crate::model::KindOutcome;
use crate::sync::daily_metrics::Done;
use crate::sync::run_error::RunError;

/// What came of a backfill, or of the days that are asked for as they end.
#[derive(Debug)]
pub struct BackfillReport {
    /// Its number in the log; of the last one, where it took several.
    pub run_id: i64,
    /// How many days were wanted; `None` for those that are asked for as they end.
    pub days: Option<u32>,
    /// The oldest day.
    pub from: Option<NaiveDate>,
    /// The newest day.
    pub to: Option<NaiveDate>,
    /// Requests sent in all.
    pub requests: i64,
    /// What it did, kind by kind.
    pub kinds: Vec<KindBackfillReport>,
    /// Resources whose ids the server refuses.
    pub refused_ids: usize,
    /// Account videos that cannot be asked for.
    pub unaskable: u64,
    /// Whether the mirror has nothing to ask for, because it was never filled.
    pub is_unfilled: bool,
    /// What stopped it, if anything did.
    pub run_error: Option<RunError>,
}

/// What a backfill did for a kind.
#[derive(Debug, Clone)]
pub struct KindBackfillReport {
    /// The kind.
    pub kind: Kind,
    /// In numbers.
    pub done: Done,
    /// How it ended, where it was given up.
    pub kind_outcome: Option<KindOutcome>,
    /// The failure that ended it, where one did that may pass.
    pub failure: Option<Failure>,
}

impl BackfillReport {
    /// The sum of a number over the kinds.
    pub fn sum(&self, of: impl Fn(&Done) -> u64) -> u64 {
        self.kinds.iter().map(|kind| of(&kind.done)).sum()
    }
}
