//! Backoff after failed listings, polls and daily metrics. Pure: failures and chance in, a pause out.

use std::time::Duration;

use crate::model::backoff::{BackoffScope, PAUSE_MICROS_MAX};
use crate::retry::RetryPolicy;

/// First pause of a listing, longer than that of a poll since a failed listing costs all its pages.
const LISTING_FIRST: Duration = Duration::from_secs(5 * 60);
/// Longest pause of a listing without a full-sync schedule.
const LISTING_MAX: Duration = Duration::from_micros(PAUSE_MICROS_MAX.unsigned_abs());
/// Polls: at most half an hour, so that an hourly scrape is not overwritten unseen.
const POLL: RetryPolicy =
    RetryPolicy::unlimited(Duration::from_secs(60), Duration::from_secs(30 * 60));
/// Daily metrics: the API keeps past days, so they can wait.
const DAYS: RetryPolicy =
    RetryPolicy::unlimited(Duration::from_secs(5 * 60), Duration::from_secs(3_600));

/// Returns the pause after `failures` in a row. `interval`, the time between two full syncs of the
/// kind, bounds the pause of a listing. `chance` (0 to 1) picks from the upper half of the pause.
pub fn pause(
    scope: BackoffScope,
    failures: u32,
    interval: Option<Duration>,
    chance: f64,
) -> Duration {
    let cap = interval.unwrap_or(LISTING_MAX).clamp(LISTING_FIRST, LISTING_MAX);
    let policy = match scope {
        BackoffScope::Listing => RetryPolicy { first: LISTING_FIRST, cap, ..POLL },
        BackoffScope::Poll => POLL,
        BackoffScope::Days => DAYS,
    };
    policy.pause(failures, chance)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn backoff_of_a_listing_doubles_up_to_its_interval() {
        let minutes = |interval| -> Vec<u64> {
            let of =
                |failures| pause(BackoffScope::Listing, failures, interval, 1.0).as_secs() / 60;
            (1..=11).map(of).collect()
        };
        assert_eq!(minutes(None), [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 1_440, 1_440]);
        assert_eq!(minutes(Some(HOUR))[2..5], [20, 40, 60]);
        assert_eq!(minutes(Some(Duration::from_secs(60)))[..2], [5, 5]);
        assert_eq!(pause(BackoffScope::Listing, 1, None, 0.0), LISTING_FIRST / 2);
    }

    proptest! {
        #[test]
        fn pause_stays_within_its_bounds(
            failures in any::<u32>(), interval_s in prop::option::of(any::<u64>()), chance in any::<f64>(),
        ) {
            let interval = interval_s.map(Duration::from_secs);
            for (scope, cap) in [
                (BackoffScope::Listing, LISTING_MAX),
                (BackoffScope::Poll, POLL.cap),
                (BackoffScope::Days, DAYS.cap),
            ] {
                let pause = pause(scope, failures, interval, chance);
                prop_assert!(pause >= Duration::from_secs(30) && pause <= cap, "{pause:?}");
            }
        }
    }
}
