//! Settings and options of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::settings::RemovalCeiling;
use crate::model::{Kind, Zone};
use crate::outbox::OutboxSettings;
use crate::schedule::FullSyncSchedule;
use crate::schedule::decision::RunScope;
use crate::sync::verify_report::Sampling;

/// Settings that apply to every run.
#[derive(Debug, Clone)]
pub struct SyncSettings {
    /// Full-sync schedules by kind; `None` where they are off.
    pub full_syncs: BTreeMap<Kind, Option<FullSyncSchedule>>,
    /// The time zone of the schedules.
    pub timezone: Zone,
    /// The most that one listing may remove.
    pub max_removals: RemovalCeiling,
    /// How long the log of runs is kept.
    pub log_retention: Duration,
    /// How long the log of changes is kept; `None` for good.
    pub change_log_retention: Option<Duration>,
    /// How long finished entries of the outbox are kept.
    pub outbox_retention: Duration,
    /// How long after a lost answer a write is reconciled.
    pub reconcile_after: Duration,
}

impl SyncSettings {
    /// The settings of the outbox.
    pub fn outbox_settings(&self, options: &RunOptions) -> OutboxSettings {
        OutboxSettings {
            reconcile_after: self.reconcile_after,
            retention: self.outbox_retention,
            waits_for_outcome: options.waits_for_outcome,
        }
    }
}

/// Options of one run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// What started the run, as stored in `run.trigger`.
    pub trigger: &'static str,
    /// Whether everything is listed anew, and whether held removals are applied.
    pub scope: RunScope,
    /// Only these kinds; all if empty.
    pub only: Vec<Kind>,
    /// How long due rows of one page wait for each other.
    pub batch_delay: Duration,
    /// Whether to wait in this run until writes with lost answers are reconciled.
    pub waits_for_outcome: bool,
    /// Whether the key's organization was checked: a daemon checks once, not with every run.
    pub is_identified: bool,
    /// Only compares a sample of the mirror with the API.
    pub verify: Option<Sampling>,
}

impl RunOptions {
    /// Whether the run includes this kind.
    pub fn wants(&self, kind: Kind) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }
}
