//! What is wanted of a run, and what it goes by.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono_tz::Tz;

use crate::model::Kind;
use crate::model::settings::RemovalCeiling;
use crate::pass::findings::Sampling;
use crate::plan::Sweep;
use crate::plan::work::Wish;
use crate::push::PushSettings;

/// What a pass goes by.
#[derive(Debug, Clone)]
pub struct PassSettings {
    /// Sweeps by kind; `None` where they are off.
    pub sweeps: BTreeMap<Kind, Option<Sweep>>,
    /// The zone of the sweeps' times.
    pub timezone: Tz,
    /// The most that one walk may remove.
    pub max_removals: RemovalCeiling,
    /// How long the log of passes is kept.
    pub log_retention: Duration,
    /// How long finished entries of the outbox are kept.
    pub outbox_retention: Duration,
    /// How long after a lost answer its outcome is looked up.
    pub reconcile_after: Duration,
}

impl PassSettings {
    /// Of these, what the outbox goes by.
    pub fn push(&self, order: &Order) -> PushSettings {
        PushSettings {
            reconcile_after: self.reconcile_after,
            retention: self.outbox_retention,
            stays: order.settles,
        }
    }
}

/// What is wanted of a pass.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Who asked, as in the log.
    pub trigger: &'static str,
    /// How much.
    pub wish: Wish,
    /// Only these kinds; all if empty.
    pub only: Vec<Kind>,
    /// How long what is due on one page waits for more.
    pub patience: Duration,
    /// Whether to stay until lost answers to writes are looked up.
    pub settles: bool,
    /// Whether it is settled whose key this is: a daemon asks once, not with every pass.
    pub is_identified: bool,
    /// Nothing but to compare the mirror with the API.
    pub verify: Option<Sampling>,
}

impl Order {
    /// Whether this kind is asked for.
    pub fn wants(&self, kind: Kind) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }
}
