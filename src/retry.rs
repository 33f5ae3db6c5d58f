//! When to try again: from what went wrong and how often, to a wait or to giving up.
//!
//! Nothing here sleeps, reads a clock or draws chance; the caller hands in the chance and acts on
//! the answer. The `backoff` crate is used as a calculator only, so that it can be replaced here
//! without anybody noticing.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Steps of the exponential series that are ever computed; by then any sane cap is reached.
const STEPS_MAX: u32 = 64;

/// What went wrong, as far as trying again is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// Nothing reached the server, or no answer came back.
    NoAnswer,
    /// The server says it cannot serve now, or failed.
    Failing,
    /// An answer came that is not what is documented.
    WrongAnswer,
    /// The server asks to wait; for how long, if it said so.
    Limited(Option<Duration>),
    /// Asking again would get the same answer.
    Final,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again, once `after` is over.
    Again {
        /// How long to wait first.
        after: Duration,
    },
    /// Enough was tried.
    GiveUp,
}

/// How patient the caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Upper bound of the wait after the first attempt; it doubles from there.
    pub first: Duration,
    /// Upper bound that no wait computed here passes.
    pub cap: Duration,
    /// Attempts in all, the first one included.
    pub attempts_max: u32,
}

impl RetryPolicy {
    /// Decides after attempt number `attempt` (the first is 1) ended in `cause`.
    ///
    /// `chance` lies in 0..=1 and picks the wait between nothing and the current bound: full
    /// jitter, so that clients which failed together do not come back together.
    ///
    /// A rate limit never makes this give up, because the server is well and the caller bounds the
    /// time it is willing to wait. A limit without a wait still gets a growing one, so that the
    /// caller's bound is reached.
    pub fn next(&self, cause: RetryCause, attempt: u32, chance: f64) -> Next {
        match cause {
            RetryCause::Final => Next::GiveUp,
            RetryCause::Limited(Some(wait)) if !wait.is_zero() => Next::Again { after: wait },
            RetryCause::Limited(_) => Next::Again { after: self.jittered(attempt, chance) },
            RetryCause::NoAnswer | RetryCause::Failing | RetryCause::WrongAnswer => {
                if attempt >= self.attempts_max {
                    Next::GiveUp
                } else {
                    Next::Again { after: self.jittered(attempt, chance) }
                }
            }
        }
    }

    fn jittered(&self, attempt: u32, chance: f64) -> Duration {
        let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 1.0 };
        let seconds = self.bound(attempt).as_secs_f64() * chance;
        Duration::try_from_secs_f64(seconds).unwrap_or(self.cap).min(self.cap)
    }

    /// The longest wait after this attempt: `first`, doubled per attempt, up to `cap`.
    fn bound(&self, attempt: u32) -> Duration {
        let first = self.first.min(self.cap);
        let mut series = ExponentialBackoff {
            initial_interval: first,
            current_interval: first,
            max_interval: self.cap,
            multiplier: 2.0,
            // The jitter is ours, because the crate's own draws chance by itself.
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut bound = first;
        for _ in 0..attempt.clamp(1, STEPS_MAX) {
            bound = series.next_backoff().unwrap_or(self.cap);
        }
        // The crate adds up to a nanosecond of chance even without randomization.
        whole_micros(bound).min(self.cap)
    }
}

fn whole_micros(length: Duration) -> Duration {
    Duration::new(length.as_secs(), length.subsec_micros().saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        first: Duration::from_millis(500),
        cap: Duration::from_secs(30),
        attempts_max: 5,
    };

    fn again(ms: u64) -> Next {
        Next::Again { after: Duration::from_millis(ms) }
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap_and_chance_scales_it() {
        let patient = RetryPolicy { attempts_max: u32::MAX, ..POLICY };
        let bounds: Vec<Next> =
            (1..=9).map(|attempt| patient.next(RetryCause::NoAnswer, attempt, 1.0)).collect();
        let expected = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
        assert_eq!(bounds, expected.map(again));
        assert_eq!(patient.next(RetryCause::Failing, 3, 0.25), again(500));
        assert_eq!(patient.next(RetryCause::Failing, 3, 0.0), again(0));
    }

    #[test]
    fn it_gives_up_after_the_last_attempt_and_at_once_when_asking_again_is_useless() {
        for cause in [RetryCause::NoAnswer, RetryCause::Failing, RetryCause::WrongAnswer] {
            assert_ne!(POLICY.next(cause, 4, 0.5), Next::GiveUp);
            assert_eq!(POLICY.next(cause, 5, 0.5), Next::GiveUp);
        }
        assert_eq!(POLICY.next(RetryCause::Final, 1, 0.5), Next::GiveUp);
    }

    #[test]
    fn a_limit_is_waited_out_for_exactly_as_long_as_the_server_said() {
        let wait = Duration::from_secs(77);
        assert_eq!(
            POLICY.next(RetryCause::Limited(Some(wait)), 99, 0.1),
            Next::Again { after: wait }
        );
    }

    #[test]
    fn a_limit_that_names_no_wait_backs_off() {
        assert_eq!(POLICY.next(RetryCause::Limited(None), 2, 1.0), again(1_000));
        assert_eq!(POLICY.next(RetryCause::Limited(Some(Duration::ZERO)), 99, 1.0), again(30_000));
    }

    proptest! {
        #[test]
        fn no_wait_passes_the_cap(
            first in 0u64..=u64::MAX, cap in 0u64..=1 << 40, attempt in any::<u32>(),
            chance in any::<f64>(),
        ) {
            let policy = RetryPolicy {
                first: Duration::from_millis(first),
                cap: Duration::from_millis(cap),
                attempts_max: u32::MAX,
            };
            match policy.next(RetryCause::Limited(None), attempt, chance) {
                Next::Again { after } => prop_assert!(after <= policy.cap),
                Next::GiveUp => prop_assert!(false),
            }
        }
    }
}
