//! How long what failed is left alone: per kind where it is a kind's own trouble, for everything
//! where it is everybody's. Pure but for the chance that spreads attempts.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Kind;
use crate::pass::Report;
use crate::poll::settle::outcome;
use crate::retry::{Next, RetryPolicy, Trouble};

/// An API that is down is tried again after at most five minutes.
const OUTAGE: RetryPolicy = policy(10, 300);
/// A walk that does not come out whole costs all its pages; it is not repeated all the time.
const FLAWED: RetryPolicy = policy(60, 3_600);
/// A full disk, a busy database.
const STORAGE: RetryPolicy = policy(5, 60);

const fn policy(first_s: u64, cap_s: u64) -> RetryPolicy {
    RetryPolicy {
        first: Duration::from_secs(first_s),
        cap: Duration::from_secs(cap_s),
        attempts_max: u32::MAX,
    }
}

/// What is wrong at present.
#[derive(Debug, Default)]
pub struct Troubles {
    outages: u32,
    storage: u32,
    rest_until: Option<DateTime<Utc>>,
    kinds: BTreeMap<Kind, (u32, DateTime<Utc>)>,
}

impl Troubles {
    /// Nothing is asked for until then.
    pub fn rest(&mut self, until: DateTime<Utc>) {
        self.rest_until = Some(until);
    }

    /// Until when nothing is asked for.
    pub fn everything_rests_until(&self) -> Option<DateTime<Utc>> {
        self.rest_until
    }

    /// The API is down: rests, and says how long.
    pub fn outage(&mut self, now: DateTime<Utc>) -> Duration {
        self.outages = self.outages.saturating_add(1);
        let pause = pause(OUTAGE, self.outages);
        self.rest(now + TimeDelta::from_std(pause).unwrap_or_default());
        pause
    }

    /// The database failed: says how long to wait.
    pub fn storage(&mut self, _now: DateTime<Utc>) -> Duration {
        self.storage = self.storage.saturating_add(1);
        pause(STORAGE, self.storage)
    }

    /// A pass came to its end.
    pub fn all_is_well(&mut self) {
        self.outages = 0;
        self.storage = 0;
        self.rest_until = None;
    }

    /// Notes which kinds came out well and which did not.
    pub fn note_kinds(&mut self, report: &Report, now: DateTime<Utc>) {
        for turn in report.kinds.iter().map(|kind| &kind.turn) {
            let Some(kind) = Kind::from_name(&turn.kind) else { continue };
            if !outcome::is_unfinished(Some(&turn.outcome)) {
                self.kinds.remove(&kind);
                continue;
            }
            let (fails, _) = self.kinds.get(&kind).copied().unwrap_or_default();
            let fails = fails.saturating_add(1);
            let until = now + TimeDelta::from_std(pause(FLAWED, fails)).unwrap_or_default();
            self.kinds.insert(kind, (fails, until));
        }
    }

    /// The kinds that are left alone at `now`.
    pub fn held(&self, now: DateTime<Utc>) -> Vec<Kind> {
        self.kinds.iter().filter(|(_, (_, until))| *until > now).map(|(kind, _)| *kind).collect()
    }

    /// When the first of them is taken up again.
    pub fn next_hold_ends(&self) -> Option<DateTime<Utc>> {
        self.kinds.values().map(|(_, until)| *until).min()
    }
}

/// Between half of the bound and the whole, so that it is never nothing.
fn pause(policy: RetryPolicy, times: u32) -> Duration {
    let chance = rand::random_range(0.5..=1.0);
    match policy.next(Trouble::Failing, times, chance) {
        Next::Again { after } => after,
        Next::GiveUp => policy.cap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn an_outage_is_tried_again_within_five_minutes_however_long_it_lasts() {
        let mut troubles = Troubles::default();
        let first = troubles.outage(now());
        assert!(first >= Duration::from_secs(5) && first <= Duration::from_secs(10), "{first:?}");
        let pauses: Vec<_> = (0..20).map(|_| troubles.outage(now())).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(300)));
        assert!(pauses.last().unwrap() >= &Duration::from_secs(150));
        troubles.all_is_well();
        assert_eq!(troubles.everything_rests_until(), None);
    }
}
