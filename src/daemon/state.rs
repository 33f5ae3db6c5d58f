//! States of the daemon and their transitions. Backoff of a single kind is in the database; this is what pauses
//! everything.
//!
//! ```text
//! Starting ──key accepted──▶ Polling ◀──answer── Outage
//!     │                       │  ▲  └──no answer──▶ ▲
//!     └──────key refused──▶ KeyRefused ─────────────┘ (stays, and probes the key again later)
//! any state ──database fails──▶ StorageFailed ──pause over──▶ the state before
//! any state ──SIGTERM──▶ Draining
//! ```
//!
//! Instants are times since boot, so that a step of the wall clock changes no pause. `chance`, in 0..=1, is the jitter
//! that keeps installations that failed together from retrying together.

use std::time::Duration;

use crate::retry::RetryPolicy;
use crate::sync::RunError;

/// Backoff while the API is down.
const OUTAGE: RetryPolicy =
    RetryPolicy::unlimited(Duration::from_secs(10), Duration::from_secs(300));
/// Backoff while the database cannot be written: a full disk, a busy database.
const STORAGE: RetryPolicy =
    RetryPolicy::unlimited(Duration::from_secs(5), Duration::from_secs(60));
/// Pause between the first two probes of a key that does not work; it doubles up to [`PROBE_MAX`].
const PROBE_FIRST: Duration = Duration::from_secs(60);
/// Longest pause between two probes of a key.
const PROBE_MAX: Duration = Duration::from_secs(15 * 60);

/// State of the daemon.
#[derive(Debug)]
pub enum DaemonState {
    /// The API has not yet said which organization the key belongs to.
    Starting {
        /// Failed attempts in a row.
        failures: u32,
        /// When the next attempt is due.
        until: Duration,
    },
    /// Runs follow each other whenever something is due.
    Polling {
        /// Failed attempts of the last outage; 0 once a run has finished since. Until then every request is tried
        /// only once.
        failures: u32,
        /// When the rate limit permits the next request.
        until: Duration,
    },
    /// The API does not accept the key. The only requests are probes of the key.
    KeyRefused {
        /// The API's refusal.
        refusal: RunError,
        /// When the key is probed again.
        probe: Probe,
        /// Probes in a row that got no answer.
        failures: u32,
    },
    /// The API does not answer, or fails.
    Outage {
        /// Failed attempts in a row.
        failures: u32,
        /// When the next attempt is due.
        until: Duration,
    },
    /// The database cannot be written. No request is sent.
    StorageFailed {
        /// When the next attempt is due.
        until: Duration,
        /// The state to return to.
        before: Box<DaemonState>,
    },
    /// The daemon is shutting down.
    Draining,
}

impl DaemonState {
    /// The state at startup.
    pub const STARTING: Self = Self::Starting { failures: 0, until: Duration::ZERO };

    /// The name, for the log.
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

    /// Returns how much longer no request may be sent; `None` if one may be sent now.
    pub fn pause_left(&self, now: Duration) -> Option<Duration> {
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

    /// Whether the last requests got no answer.
    pub const fn is_unanswered(&self) -> bool {
        matches!(self, Self::Outage { .. } | Self::Starting { failures: 1.., .. })
    }

    /// Whether no run has finished since the last outage.
    pub const fn is_recovering(&self) -> bool {
        matches!(self, Self::Polling { failures: 1.., .. })
    }

    /// The key was accepted, or a run finished.
    pub fn recovered(&mut self) {
        *self = Self::Polling { failures: 0, until: Duration::ZERO };
    }

    /// The API answered a single request. The failures of the outage are kept until a run finishes.
    pub fn answered(&mut self) {
        let failures = match self {
            Self::Outage { failures, .. } | Self::Polling { failures, .. } => *failures,
            _ => 0,
        };
        *self = Self::Polling { failures, until: Duration::ZERO };
    }

    /// The rate limit permits no request before `until`.
    pub fn rate_limited(&mut self, until: Duration) {
        match self {
            Self::Starting { until: at, .. }
            | Self::Polling { until: at, .. }
            | Self::Outage { until: at, .. } => *at = until,
            Self::KeyRefused { probe, .. } => probe.next = until,
            Self::StorageFailed { .. } | Self::Draining => {}
        }
    }

    /// The API did not answer. Returns the pause before the next attempt.
    pub fn no_answer(&mut self, now: Duration, chance: f64) -> Duration {
        let failures = match self {
            Self::Starting { failures, .. }
            | Self::Polling { failures, .. }
            | Self::Outage { failures, .. }
            | Self::KeyRefused { failures, .. } => failures.saturating_add(1),
            Self::StorageFailed { .. } | Self::Draining => 1,
        };
        let pause = OUTAGE.pause(failures, chance);
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

    /// The API refused the key.
    pub fn key_refused(&mut self, refusal: RunError, now: Duration) {
        let probe = match self {
            Self::KeyRefused { probe, .. } => probe.next_probe(now),
            _ => Probe::first(now),
        };
        *self = Self::KeyRefused { refusal, probe, failures: 0 };
    }

    /// The database failed `failures` times in a row. Returns the pause before the next attempt.
    pub fn storage_failed(&mut self, failures: u32, now: Duration, chance: f64) -> Duration {
        let pause = STORAGE.pause(failures, chance);
        let before = Box::new(std::mem::replace(self, Self::Draining));
        *self = Self::StorageFailed { until: now.saturating_add(pause), before };
        pause
    }

    /// Returns from [`Self::StorageFailed`] to the state before, to try the database again.
    pub fn retry_storage(&mut self) {
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
    /// After the first refusal.
    pub fn first(now: Duration) -> Self {
        Self { gap: PROBE_FIRST, next: now.saturating_add(PROBE_FIRST) }
    }

    /// After another failed probe.
    pub fn next_probe(self, now: Duration) -> Self {
        let gap = self.gap.saturating_mul(2).min(PROBE_MAX);
        Self { gap, next: now.saturating_add(self.gap) }
    }

    /// Returns how much longer the key is not tried; `None` when a probe is due.
    pub fn pause_left(self, now: Duration) -> Option<Duration> {
        self.next.checked_sub(now).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn polling() -> DaemonState {
        DaemonState::Polling { failures: 0, until: Duration::ZERO }
    }

    fn refusal() -> RunError {
        RunError::OtherOrganization { bound: "a".to_owned(), found: "b".to_owned(), key_name: None }
    }

    #[test]
    fn outage_is_retried_within_five_minutes() {
        let mut state = polling();
        let first = state.no_answer(NOW, 0.0);
        assert_eq!((first, state.name()), (Duration::from_secs(5), "outage"));
        assert_eq!(state.pause_left(NOW), Some(first));
        assert_eq!(state.pause_left(NOW + first), None);
        let pauses: Vec<_> = (0..20).map(|_| state.no_answer(NOW, 1.0)).collect();
        assert_eq!(pauses.iter().max(), Some(&Duration::from_secs(300)));
        // One answer does not reset the backoff.
        state.answered();
        assert!(state.is_recovering() && state.pause_left(NOW).is_none());
        assert_eq!(state.no_answer(NOW, 1.0), Duration::from_secs(300));
        state.recovered();
        assert!(!state.is_recovering());
        assert_eq!(state.no_answer(NOW, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn refused_key_is_probed_with_growing_pauses_up_to_15_minutes() {
        let (mut state, mut now, mut gaps) = (polling(), NOW, Vec::new());
        for _ in 0..7 {
            state.key_refused(refusal(), now);
            let left = state.pause_left(now).unwrap();
            gaps.push(left.as_secs());
            now += left;
        }
        assert_eq!(gaps, [60, 60, 120, 240, 480, 900, 900]);
        // An outage does not end the refusal.
        state.no_answer(now, 0.0);
        assert_eq!(
            (state.name(), state.pause_left(now)),
            ("key_refused", Some(Duration::from_secs(5)))
        );
        state.recovered();
        assert_eq!(state.name(), "polling");
    }

    #[test]
    fn start_without_an_answer_keeps_the_starting_state() {
        let mut state = DaemonState::STARTING;
        state.rate_limited(NOW + Duration::from_secs(9));
        assert!(!state.is_unanswered());
        assert_eq!(state.pause_left(NOW), Some(Duration::from_secs(9)));
        state.no_answer(NOW, 0.5);
        assert!(state.is_unanswered() && state.name() == "starting");
        state.answered();
        assert!(state.name() == "polling" && !state.is_recovering());
    }

    #[test]
    fn storage_failure_returns_to_the_state_before() {
        for (mut state, name) in [
            (DaemonState::STARTING, "starting"),
            (DaemonState::Outage { failures: 3, until: NOW }, "outage"),
            (
                DaemonState::KeyRefused {
                    refusal: refusal(),
                    probe: Probe::first(NOW),
                    failures: 0,
                },
                "key_refused",
            ),
        ] {
            assert_eq!(state.storage_failed(1, NOW, 1.0), Duration::from_secs(5));
            assert_eq!(state.name(), "storage_failed");
            assert_eq!(state.pause_left(NOW), Some(Duration::from_secs(5)));
            state.retry_storage();
            assert_eq!(state.name(), name);
        }
        assert_eq!(polling().storage_failed(40, NOW, 1.0), Duration::from_secs(60));
    }
}
