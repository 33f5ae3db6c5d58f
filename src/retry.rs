//! Retry policy: the cause of a failure and the number of the attempt decide between a wait (exponential backoff with
//! full jitter) and giving up.
//!
//! Nothing here sleeps, reads a clock or draws random numbers: the caller passes `chance`, a random number in
//! 0..=1, and acts on the decision. The `backoff` crate only computes the series, so that it can be replaced here.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Maximum number of steps computed of the exponential series. Any cap is reached before.
const STEPS_MAX: u32 = 64;

/// Cause of a failure, as far as a retry is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// The request did not reach the server, or no answer came back.
    NoAnswer,
    /// The server is unavailable or failed.
    Failing,
    /// The answer does not have the documented form.
    WrongAnswer,
    /// The server's rate limit, with the wait it asked for, if any.
    Limited(Option<Duration>),
    /// A retry would get the same answer.
    Final,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Wait this long, then try again.
    RetryAfter(Duration),
    /// Report the failure.
    GiveUp,
}

/// Bounds of waits and attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Upper bound of the wait after the first attempt; it doubles with each further attempt.
    pub first: Duration,
    /// Upper bound of every wait computed here.
    pub cap: Duration,
    /// Maximum number of attempts, including the first.
    pub attempts_max: u32,
}

impl RetryPolicy {
    /// Returns a policy that never gives up.
    pub const fn unlimited(first: Duration, cap: Duration) -> Self {
        Self { first, cap, attempts_max: u32::MAX }
    }

    /// Decides what to do after attempt number `attempt` (the first is 1) failed with `cause`.
    ///
    /// `chance` selects the wait between zero and the current bound (full jitter), so that clients that failed
    /// together do not retry together.
    ///
    /// A rate limit never leads to [`RetryDecision::GiveUp`]: the caller bounds its own total wait. A limit without a
    /// wait gets a growing one, so that the caller's bound is reached.
    pub fn next(&self, cause: RetryCause, attempt: u32, chance: f64) -> RetryDecision {
        match cause {
            RetryCause::Final => RetryDecision::GiveUp,
            RetryCause::Limited(Some(wait)) if !wait.is_zero() => RetryDecision::RetryAfter(wait),
            RetryCause::NoAnswer | RetryCause::Failing | RetryCause::WrongAnswer
                if attempt >= self.attempts_max =>
            {
                RetryDecision::GiveUp
            }
            _ => RetryDecision::RetryAfter(self.jittered(attempt, chance)),
        }
    }

    /// Returns the pause after `failures` failures in a row: between half of the current bound and the bound, so that
    /// it is never zero.
    pub fn pause(&self, failures: u32, chance: f64) -> Duration {
        self.jittered(failures, chance.clamp(0.0, 1.0).mul_add(0.5, 0.5))
    }

    fn jittered(&self, attempt: u32, chance: f64) -> Duration {
        let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 1.0 };
        let seconds = self.bound(attempt).as_secs_f64() * chance;
        Duration::try_from_secs_f64(seconds).unwrap_or(self.cap).min(self.cap)
    }

    /// Returns the longest wait after this attempt: `first`, doubled per attempt, up to `cap`.
    fn bound(&self, attempt: u32) -> Duration {
        let first = self.first.min(self.cap);
        let mut series = ExponentialBackoff {
            initial_interval: first,
            current_interval: first,
            max_interval: self.cap,
            multiplier: 2.0,
            // The crate would draw its own random numbers.
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut bound = first;
        for _ in 0..attempt.clamp(1, STEPS_MAX) {
            bound = series.next_backoff().unwrap_or(self.cap);
        }
        // The crate adds up to a nanosecond of jitter even without randomization.
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

    fn retry_after(ms: u64) -> RetryDecision {
        RetryDecision::RetryAfter(Duration::from_millis(ms))
    }

    #[test]
    fn wait_doubles_up_to_the_cap_and_is_scaled_by_chance() {
        let policy = RetryPolicy::unlimited(POLICY.first, POLICY.cap);
        let bounds: Vec<RetryDecision> =
            (1..=9).map(|attempt| policy.next(RetryCause::NoAnswer, attempt, 1.0)).collect();
        let expected = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
        assert_eq!(bounds, expected.map(retry_after));
        assert_eq!(policy.next(RetryCause::Failing, 3, 0.25), retry_after(500));
        assert_eq!(policy.next(RetryCause::Failing, 3, 0.0), retry_after(0));
        assert_eq!(policy.pause(3, 0.0), Duration::from_secs(1));
        assert_eq!(policy.pause(99, 1.0), Duration::from_secs(30));
    }

    #[test]
    fn gives_up_after_the_last_attempt_and_on_a_final_cause() {
        for cause in [RetryCause::NoAnswer, RetryCause::Failing, RetryCause::WrongAnswer] {
            assert_ne!(POLICY.next(cause, 4, 0.5), RetryDecision::GiveUp);
            assert_eq!(POLICY.next(cause, 5, 0.5), RetryDecision::GiveUp);
        }
        assert_eq!(POLICY.next(RetryCause::Final, 1, 0.5), RetryDecision::GiveUp);
    }

    #[test]
    fn rate_limit_wait_is_exactly_what_the_server_asked_for() {
        let wait = Duration::from_secs(77);
        assert_eq!(
            POLICY.next(RetryCause::Limited(Some(wait)), 99, 0.1),
            RetryDecision::RetryAfter(wait)
        );
    }

    #[test]
    fn rate_limit_without_a_wait_backs_off() {
        assert_eq!(POLICY.next(RetryCause::Limited(None), 2, 1.0), retry_after(1_000));
        assert_eq!(
            POLICY.next(RetryCause::Limited(Some(Duration::ZERO)), 99, 1.0),
            retry_after(30_000)
        );
    }

    proptest! {
        #[test]
        fn wait_never_exceeds_the_cap(
            first in 0u64..=u64::MAX, cap in 0u64..=1 << 40, attempt in any::<u32>(),
            chance in any::<f64>(),
        ) {
            let policy = RetryPolicy::unlimited(Duration::from_millis(first), Duration::from_millis(cap));
            match policy.next(RetryCause::Limited(None), attempt, chance) {
                RetryDecision::RetryAfter(after) => prop_assert!(after <= policy.cap),
                RetryDecision::GiveUp => prop_assert!(false),
            }
        }
    }
}
