//! How long everything is left alone after a failure that is everybody's; what a kind's own failures
//! pause is in the database. Pure but for the chance that spreads attempts.
//!
//! Times are times since boot, so that a step of the wall clock makes no pause longer or shorter.

use std::time::Duration;

use crate::retry::{Next, RetryPolicy, Trouble};

/// An API that is down is tried again after at most five minutes.
const OUTAGE: RetryPolicy = policy(10, 300);
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

    const NOW: Duration = Duration::from_secs(1_000);

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
}
