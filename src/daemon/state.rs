//! What the daemon is about, and what leads from one state to the next. What a kind's own failures pause
//! is in the database; here is what stops everything.
//!
//! ```text
//! Starting ──key accepted──▶ Polling ◀──answer── Outage
//!     │                       │  ▲  └──no answer──▶ ▲
//!     └──────key refused──▶ KeyRefused ─────────────┘ (stays, and asks again later)
//! any of them ──database fails──▶ StorageFailed ──pause over──▶ where it was
//! any of them ──SIGTERM──▶ Draining
//! ```
//!
//! Times are times since boot, so that a step of the wall clock makes no pause longer or shorter. Chance, from
//! 0 to 1, spreads attempts, so that installations that failed together do not come back together.

use std::time::Duration;

use crate::retry::{Next, RetryCause, RetryPolicy};
use crate::sync::RunError;

/// An API that is down is tried again after at most five minutes.
const OUTAGE: RetryPolicy = policy(10, 300);
/// A full disk, a busy database.
const STORAGE: RetryPolicy = policy(5, 60);
/// Between the first two tries of a key that does not work; it doubles from there.
const PROBE_FIRST: Duration = Duration::from_secs(60);
/// And never grows beyond this.
const PROBE_MAX: Duration = Duration::from_secs(15 * 60);

const fn policy(first_s: u64, cap_s: u64) -> RetryPolicy {
    RetryPolicy {
        first: Duration::from_secs(first_s),
        cap: Duration::from_secs(cap_s),
        attempts_max: u32::MAX,
    }
}

/// What the daemon is about.
#[derive(Debug)]
pub enum State {
    /// Nobody has answered yet whose key it is.
    Starting {
        /// Failed attempts on end.
        failures: u32,
        /// When the next attempt is due.
        until: Duration,
    },
    /// Runs follow each other, whenever something is due.
    Polling {
        /// Failed attempts of the last outage; 0 once a run has come to its end since. Until then
        /// everything is tried just once.
        failures: u32,
        /// Until when the rate limit leaves nothing to ask for.
        until: Duration,
    },
    /// The API does not accept the key. Nothing is asked with it, but from time to time whether it works.
    KeyRefused {
        /// Its words.
        refusal: RunError,
        /// When it is tried again.
        probe: Probe,
        /// Attempts on end that came to no answer at all.
        failures: u32,
    },
    /// The API does not answer, or fails.
    Outage {
        /// Failed attempts on end.
        failures: u32,
        /// When the next attempt is due.
        until: Duration,
    },
    /// The database cannot be written. Nothing is asked of the API.
    StorageFailed {
        /// When the next attempt is due.
        until: Duration,
        /// What it goes on with.
        before: Box<State>,
    },
    /// On the way out.
    Draining,
}

impl State {
    /// The first one.
    pub const STARTING: Self = Self::Starting { failures: 0, until: Duration::ZERO };

    /// Its name, for the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting { .. } => "starting",
            Self::Polling { .. } => "polling",
            Self::KeyRefused { .. } => "key_refused",
            Self::Outage { .. } => "outage",
            Self::StorageFailed { .. } => "storage_failed",
            Self::Draining => "draining",
        }
    }

    /// How much longer nothing is asked for; `None` when there is no reason not to.
    pub fn rest_left(&self, now: Duration) -> Option<Duration> {
        let until = match self {
            Self::Starting { until, .. }
            | Self::Polling { until, .. }
            | Self::Outage { until, .. }
            | Self::StorageFailed { until, .. } => *until,
            Self::KeyRefused { probe, .. } => probe.next,
            Self::Draining => return None,
        };
        until.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// Whether the API was asked, and has not answered.
    pub const fn is_unanswered(&self) -> bool {
        matches!(self, Self::Outage { .. } | Self::Starting { failures: 1.., .. })
    }

    /// Whether the API was down, and no run has come to its end since.
    pub const fn is_recovering(&self) -> bool {
        matches!(self, Self::Polling { failures: 1.., .. })
    }

    /// The key is accepted, or a run came to its end.
    pub fn all_is_well(&mut self) {
        *self = Self::Polling { failures: 0, until: Duration::ZERO };
    }

    /// The API has answered a single request. How often it was down is only forgotten when a run comes to
    /// its end.
    pub fn answered(&mut self) {
        let failures = match self {
            Self::Outage { failures, .. } | Self::Polling { failures, .. } => *failures,
            _ => 0,
        };
        *self = Self::Polling { failures, until: Duration::ZERO };
    }

    /// The rate limit leaves nothing until then.
    pub fn limited(&mut self, until: Duration) {
        match self {
            Self::Starting { until: at, .. }
            | Self::Polling { until: at, .. }
            | Self::Outage { until: at, .. } => *at = until,
            Self::KeyRefused { probe, .. } => probe.next = until,
            Self::StorageFailed { .. } | Self::Draining => {}
        }
    }

    /// The API does not answer. Returns how long it is left alone.
    pub fn no_answer(&mut self, now: Duration, chance: f64) -> Duration {
        let failures = match self {
            Self::Starting { failures, .. }
            | Self::Polling { failures, .. }
            | Self::Outage { failures, .. }
            | Self::KeyRefused { failures, .. } => failures.saturating_add(1),
            Self::StorageFailed { .. } | Self::Draining => 1,
        };
        let pause = pause(OUTAGE, failures, chance);
        let at = now.saturating_add(pause);
        match self {
            Self::Starting { .. } => *self = Self::Starting { failures, until: at },
            Self::KeyRefused { probe, failures: before, .. } => {
                (probe.next, *before) = (at, failures)
            }
            _ => *self = Self::Outage { failures, until: at },
        }
        pause
    }

    /// The API does not accept the key.
    pub fn key_refused(&mut self, refusal: RunError, now: Duration) {
        let probe = match self {
            Self::KeyRefused { probe, .. } => probe.later(now),
            _ => Probe::first(now),
        };
        *self = Self::KeyRefused { refusal, probe, failures: 0 };
    }

    /// The database has failed so many times on end. Returns how long to wait.
    pub fn storage_failed(&mut self, failures: u32, now: Duration, chance: f64) -> Duration {
        let pause = pause(STORAGE, failures, chance);
        let before = Box::new(std::mem::replace(self, Self::Draining));
        *self = Self::StorageFailed { until: now.saturating_add(pause), before };
        pause
    }

    /// Goes on where the database had failed.
    pub fn try_storage(&mut self) {
        if let Self::StorageFailed { before, .. } = self {
            *self = std::mem::replace(before, Self::Draining);
        }
    }
}

/// When a key that does not work is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    gap: Duration,
    next: Duration,
}

impl Probe {
    /// After the first time.
    pub fn first(now: Duration) -> Self {
        Self { gap: PROBE_FIRST, next: now.saturating_add(PROBE_FIRST) }
    }

    /// After one more.
    pub fn later(self, now: Duration) -> Self {
        let gap = self.gap.saturating_mul(2).min(PROBE_MAX);
        Self { gap, next: now.saturating_add(self.gap) }
    }

    /// How much longer it is not tried; `None` when it is time.
    pub fn rest_left(self, now: Duration) -> Option<Duration> {
        self.next.checked_sub(now).filter(|left| !left.is_zero())
    }
}

/// Between half of the bound and the whole, so that it is never nothing.
fn pause(policy: RetryPolicy, times: u32, chance: f64) -> Duration {
    match policy.next(RetryCause::Failing, times, chance.mul_add(0.5, 0.5)) {
        Next::Again { after } => after,
        Next::GiveUp => policy.cap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn polling() -> State {
        State::Polling { failures: 0, until: Duration::ZERO }
    }

    fn refusal() -> RunError {
        RunError::OtherOrganization { bound: "a".to_owned(), found: "b".to_owned(), key_name: None }
    }

    #[test]
    fn an_outage_is_tried_again_within_five_minutes_however_long_it_lasts() {
        let mut state = polling();
        let first = state.no_answer(NOW, 0.0);
        assert_eq!((first, state.name()), (Duration::from_secs(5), "outage"));
        assert_eq!(state.rest_left(NOW), Some(first));
        assert_eq!(state.rest_left(NOW + first), None);
        let pauses: Vec<_> = (0..20).map(|_| state.no_answer(NOW, 1.0)).collect();
        assert_eq!(pauses.iter().max(), Some(&Duration::from_secs(300)));
        // One answer does not make it well: the next failure rests long again.
        state.answered();
        assert!(state.is_recovering() && state.rest_left(NOW).is_none());
        assert_eq!(state.no_answer(NOW, 1.0), Duration::from_secs(300));
        state.all_is_well();
        assert!(!state.is_recovering());
        assert_eq!(state.no_answer(NOW, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn a_refused_key_is_tried_more_slowly_up_to_a_quarter_of_an_hour() {
        let (mut state, mut now, mut gaps) = (polling(), NOW, Vec::new());
        for _ in 0..7 {
            state.key_refused(refusal(), now);
            let left = state.rest_left(now).unwrap();
            gaps.push(left.as_secs());
            now += left;
        }
        assert_eq!(gaps, [60, 60, 120, 240, 480, 900, 900]);
        // An outage meanwhile does not make the key good.
        state.no_answer(now, 0.0);
        assert_eq!(
            (state.name(), state.rest_left(now)),
            ("key_refused", Some(Duration::from_secs(5)))
        );
        state.all_is_well();
        assert_eq!(state.name(), "polling");
    }

    #[test]
    fn a_start_without_an_answer_stays_one() {
        let mut state = State::STARTING;
        state.limited(NOW + Duration::from_secs(9));
        assert!(!state.is_unanswered());
        assert_eq!(state.rest_left(NOW), Some(Duration::from_secs(9)));
        state.no_answer(NOW, 0.5);
        assert!(state.is_unanswered() && state.name() == "starting");
        state.answered();
        assert!(state.name() == "polling" && !state.is_recovering());
    }

    #[test]
    fn after_the_database_it_goes_on_where_it_was() {
        for (mut state, name) in [
            (State::STARTING, "starting"),
            (State::Outage { failures: 3, until: NOW }, "outage"),
            (
                State::KeyRefused { refusal: refusal(), probe: Probe::first(NOW), failures: 0 },
                "key_refused",
            ),
        ] {
            assert_eq!(state.storage_failed(1, NOW, 1.0), Duration::from_secs(5));
            assert_eq!(state.name(), "storage_failed");
            assert_eq!(state.rest_left(NOW), Some(Duration::from_secs(5)));
            state.try_storage();
            assert_eq!(state.name(), name);
        }
        assert_eq!(polling().storage_failed(40, NOW, 1.0), Duration::from_secs(60));
    }
}
