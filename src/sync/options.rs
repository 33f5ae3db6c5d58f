//! What is wanted of a run, and what it goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;

use crate::model::Kind;
use crate::model::settings::RemovalCeiling;
use crate::outbox::OutboxSettings;
use crate::schedule::FullSyncSchedule;
use crate::schedule::decision::RunScope;
use crate::sync::verify_report::Sampling;

/// What a run goes by.
#[derive(Debug, Clone)]
pub struct SyncSettings {
    /// Full syncs by kind; `None` where they are off.
    pub full_syncs: BTreeMap<Kind, Option<FullSyncSchedule>>,
    /// The zone of the full syncs' times.
    pub timezone: Tz,
    /// The most that one listing may remove.
    pub max_removals: RemovalCeiling,
    /// How long the log of runs is kept.
    pub log_retention: Duration,
    /// How long finished entries of the outbox are kept.
    pub outbox_retention: Duration,
    /// How long after a lost answer its outcome is looked up.
    pub reconcile_after: Duration,
}

impl SyncSettings {
    /// Of these, what the outbox goes by.
    pub fn push(&self, options: &RunOptions) -> OutboxSettings {
        OutboxSettings {
            reconcile_after: self.reconcile_after,
            retention: self.outbox_retention,
            waits_for_outcome: options.waits_for_outcome,
        }
    }
}

/// What is wanted of a run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Who asked, as in the log.
    pub trigger: &'static str,
    /// How much.
    pub scope: RunScope,
    /// Only these kinds; all if empty.
    pub only: Vec<Kind>,
    /// How long what is due on one page waits for more.
    pub batch_delay: Duration,
    /// Whether to stay until lost answers to writes are looked up.
    pub waits_for_outcome: bool,
    /// Whether it is settled whose key this is: a daemon asks once, not with every run.
    pub is_identified: bool,
    /// Nothing but to compare the mirror with the API.
    pub verify: Option<Sampling>,
}

impl RunOptions {
    /// Whether this kind is asked for.
    pub fn wants(&self, kind: Kind) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }
}
