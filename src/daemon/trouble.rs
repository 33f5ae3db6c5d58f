//! How long what failed is left alone: per kind where it is a kind's own trouble, for everything
//! where it is everybody's. Pure but for the chance that spreads attempts.
//!
//! Times are times since boot, so that a step of the wall clock makes no pause longer or shorter.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::Failure;
use crate::model::Kind;
use crate::pass::{KindReport, Report};
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
    /// Whether the API has answered since the last outage; what it can do is to be seen.
    has_answered: bool,
    storage: u32,
    rest_until: Option<Duration>,
    kinds: BTreeMap<Kind, (u32, Duration)>,
    /// How often asking for the days that have ended has failed, and until when it rests.
    days: (u32, Duration),
}

impl Troubles {
    /// Nothing is asked for until then.
    pub fn rest(&mut self, until: Duration) {
        self.rest_until = Some(until);
    }

    /// How much longer nothing is asked for; `None` when there is no reason not to.
    pub fn rest_left(&self, now: Duration) -> Option<Duration> {
        self.rest_until?.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// The API is down: rests, and says how long.
    pub fn outage(&mut self, now: Duration) -> Duration {
        self.outages = self.outages.saturating_add(1);
        self.has_answered = false;
        let pause = pause(OUTAGE, self.outages);
        self.rest(now.saturating_add(pause));
        pause
    }

    /// Whether the API was down when it was asked last.
    pub fn is_down(&self) -> bool {
        self.outages > 0 && !self.has_answered
    }

    /// Whether it was down, and no pass has come to its end since.
    pub fn is_recovering(&self) -> bool {
        self.outages > 0
    }

    /// The API has answered a single request. How often it was down is only forgotten when a pass
    /// comes to its end.
    pub fn has_answered(&mut self) {
        self.has_answered = true;
        self.rest_until = None;
    }

    /// The database failed: says how long to wait.
    pub fn storage(&mut self) -> Duration {
        self.storage = self.storage.saturating_add(1);
        pause(STORAGE, self.storage)
    }

    /// A pass came to its end.
    pub fn all_is_well(&mut self) {
        self.outages = 0;
        self.storage = 0;
        self.rest_until = None;
    }

    /// Notes which kinds came out well and which did not. The kind at whose turn a pass was stopped
    /// is not to blame: that is everybody's trouble, and rests by itself.
    pub fn note_kinds(&mut self, report: &Report, now: Duration) {
        for KindReport { turn, failure } in &report.kinds {
            let Some(kind) = Kind::from_name(&turn.kind) else { continue };
            if !outcome::is_unfinished(Some(&turn.outcome)) {
                self.kinds.remove(&kind);
            } else if report.stop.is_none() {
                let (fails, _) = self.kinds.get(&kind).copied().unwrap_or_default();
                let fails = fails.saturating_add(1);
                let is_failing = |failure: &Failure| {
                    matches!(failure.trouble(), Trouble::NoAnswer | Trouble::Failing)
                };
                let policy = if failure.as_ref().is_some_and(is_failing) { OUTAGE } else { FLAWED };
                self.kinds.insert(kind, (fails, now.saturating_add(pause(policy, fails))));
            }
        }
    }

    /// Days could not be had.
    pub fn days_failed(&mut self, now: Duration) {
        let fails = self.days.0.saturating_add(1);
        self.days = (fails, now.saturating_add(pause(FLAWED, fails)));
    }

    /// Days were had.
    pub fn days_well(&mut self) {
        self.days = (0, Duration::ZERO);
    }

    /// How much longer no days are asked for unless somebody wants them; `None` when there is no reason
    /// not to.
    pub fn days_left(&self, now: Duration) -> Option<Duration> {
        self.days.1.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// The kinds that are left alone at `now`.
    pub fn held(&self, now: Duration) -> Vec<Kind> {
        self.kinds.iter().filter(|(_, (_, until))| *until > now).map(|(kind, _)| *kind).collect()
    }

    /// How long until the first of them is taken up again.
    pub fn hold_left(&self, now: Duration) -> Option<Duration> {
        let lefts = self.kinds.values().filter_map(|(_, until)| until.checked_sub(now));
        lefts.filter(|left| !left.is_zero()).min()
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
    use crate::pass::Stop;
    use crate::store::passes::{Tally, Turn};

    const NOW: Duration = Duration::from_secs(1_000);

    fn failed(kind: Kind, stop: Option<Stop>) -> Report {
        let turn = Turn {
            kind: kind.name().to_owned(),
            trigger: "due".to_owned(),
            tally: Tally::default(),
            outcome: outcome::FAILED.to_owned(),
            error_code: None,
            detail: None,
            request_id: None,
        };
        Report {
            pass: 1,
            kinds: vec![KindReport { turn, failure: None }],
            pushed: crate::model::outbox::Pushed::default(),
            stop,
            key_name: None,
            daily: None,
            verified: None,
        }
    }

    #[test]
    fn an_outage_is_tried_again_within_five_minutes_however_long_it_lasts() {
        let mut troubles = Troubles::default();
        let first = troubles.outage(NOW);
        assert!(first >= Duration::from_secs(5) && first <= Duration::from_secs(10), "{first:?}");
        assert_eq!(troubles.rest_left(NOW), Some(first));
        assert_eq!(troubles.rest_left(NOW + first), None);
        let pauses: Vec<_> = (0..20).map(|_| troubles.outage(NOW)).collect();
        assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(300)));
        assert!(pauses.last().unwrap() >= &Duration::from_secs(150));
        troubles.all_is_well();
        assert_eq!(troubles.rest_left(NOW), None);
    }

    #[test]
    fn a_kind_is_held_for_its_own_failures_alone() {
        let mut troubles = Troubles::default();
        for stop in [Stop::RateLimited(NOW), Stop::Interrupted] {
            troubles.note_kinds(&failed(Kind::Video, Some(stop)), NOW);
        }
        assert_eq!((troubles.held(NOW), troubles.hold_left(NOW)), (vec![], None));
        troubles.note_kinds(&failed(Kind::Video, None), NOW);
        assert_eq!(troubles.held(NOW), [Kind::Video]);
        let left = troubles.hold_left(NOW).unwrap();
        assert!(left >= Duration::from_secs(30), "{left:?}");
        // A hold that is over is nothing to wake up for.
        assert_eq!((troubles.held(NOW + left), troubles.hold_left(NOW + left)), (vec![], None));
    }
}
