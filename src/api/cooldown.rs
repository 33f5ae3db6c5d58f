//! A cooldown: a wait that survives restarts and steps of the wall clock.
//!
//! Within one boot it is measured on boot time, which never steps. After a reboot only the wall clock can
//! tell how much has passed, so the remaining time is bounded by the original length.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::BootTime;

/// A wait with its start on both clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// Boot id of its start; empty if the system has none.
    pub boot_id: String,
    /// Boot time at its start.
    pub boot_elapsed: Duration,
    /// Wall time at its start.
    pub since: DateTime<Utc>,
    /// Its length.
    pub length: Duration,
}

impl Cooldown {
    /// Starts a wait now.
    pub fn new(length: Duration, now: DateTime<Utc>, boot: &BootTime) -> Self {
        Self { boot_id: boot.boot_id.clone(), boot_elapsed: boot.elapsed, since: now, length }
    }

    /// The remaining time, at most its length.
    pub fn left(&self, now: DateTime<Utc>, boot: &BootTime) -> Duration {
        self.length.saturating_sub(self.passed(now, boot))
    }

    /// Time since its start; zero after a reboot if the wall clock is before the start.
    pub fn passed(&self, now: DateTime<Utc>, boot: &BootTime) -> Duration {
        if self.is_of(boot) {
            boot.elapsed.saturating_sub(self.boot_elapsed)
        } else {
            now.signed_duration_since(self.since).to_std().unwrap_or(Duration::ZERO)
        }
    }

    /// Rebases the wait to this boot's time. Otherwise a wall clock that was set back by a reboot would
    /// stop it until the clock has caught up.
    #[must_use]
    pub fn rebased(self, now: DateTime<Utc>, boot: &BootTime) -> Self {
        if self.is_of(boot) {
            return self;
        }
        Self::new(self.left(now, boot), now, boot)
    }

    /// Boot time before the start means another boot, even with the same id.
    fn is_of(&self, boot: &BootTime) -> bool {
        !boot.boot_id.is_empty()
            && boot.boot_id == self.boot_id
            && boot.elapsed >= self.boot_elapsed
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    fn clock() -> Clock {
        Clock::manual(DateTime::from_timestamp(1_750_000_000, 0).unwrap())
    }

    fn cooldown(seconds: u64, clock: &Clock) -> Cooldown {
        Cooldown::new(Duration::from_secs(seconds), clock.now(), &clock.boot())
    }

    fn left(cooldown: &Cooldown, clock: &Clock) -> u64 {
        cooldown.left(clock.now(), &clock.boot()).as_secs()
    }

    #[test]
    fn after_a_reboot_the_wall_clock_tells_within_bounds() {
        let clock = clock();
        let cooldown = cooldown(60, &clock);
        clock.reboot();
        clock.step_wall(TimeDelta::seconds(20));
        assert_eq!(left(&cooldown, &clock), 40);
        clock.step_wall(TimeDelta::days(365));
        assert_eq!(left(&cooldown, &clock), 0);
        clock.step_wall(TimeDelta::days(-999));
        assert_eq!(left(&cooldown, &clock), 60);
    }

    #[test]
    fn a_rebased_wait_runs_out_even_if_the_wall_clock_was_set_back() {
        let clock = clock();
        let cooldown = cooldown(60, &clock);
        clock.reboot();
        clock.step_wall(TimeDelta::days(-20_000));
        let cooldown = cooldown.rebased(clock.now(), &clock.boot());
        assert_eq!(left(&cooldown, &clock), 60);
        clock.advance(Duration::from_secs(25));
        let cooldown = cooldown.rebased(clock.now(), &clock.boot());
        assert_eq!(left(&cooldown, &clock), 35);
    }

    #[test]
    fn a_platform_without_boot_ids_goes_by_the_wall_clock() {
        let clock = clock();
        let nameless = |elapsed| BootTime { boot_id: String::new(), elapsed };
        let cooldown =
            Cooldown::new(Duration::from_secs(60), clock.now(), &nameless(Duration::ZERO));
        let later = clock.now() + TimeDelta::seconds(10);
        assert_eq!(cooldown.left(later, &nameless(Duration::MAX)), Duration::from_secs(50));
    }

    #[test]
    fn it_is_the_same_after_being_kept_as_json() {
        let cooldown = cooldown(60, &clock());
        let kept = serde_json::to_string(&cooldown).unwrap();
        assert_eq!(serde_json::from_str::<Cooldown>(&kept).unwrap(), cooldown);
    }

    proptest! {
        #[test]
        fn in_one_boot_no_step_of_the_wall_clock_matters(
            length in any::<u64>(),
            moves in proptest::collection::vec((0u64..1 << 30, -(1i64 << 40)..1 << 40), 0..20),
        ) {
            let clock = clock();
            let cooldown = cooldown(length, &clock);
            let mut passed = 0;
            for (ahead, step) in moves {
                clock.advance(Duration::from_secs(ahead));
                let shift = step.clamp(-3_000_000_000, 3_000_000_000);
                clock.step_wall(TimeDelta::seconds(shift));
                passed += ahead;
                prop_assert_eq!(left(&cooldown, &clock), length.saturating_sub(passed));
                let rebased = cooldown.clone().rebased(clock.now(), &clock.boot());
                prop_assert_eq!(&rebased, &cooldown);
            }
        }

        #[test]
        fn after_a_reboot_never_more_than_the_original_wait_is_left(
            length in any::<u64>(), step in -3_000_000_000i64..3_000_000_000,
        ) {
            let clock = clock();
            let cooldown = cooldown(length, &clock);
            clock.reboot();
            clock.step_wall(TimeDelta::seconds(step));
            prop_assert!(left(&cooldown, &clock) <= length);
            let rebased = cooldown.rebased(clock.now(), &clock.boot());
            prop_assert!(left(&rebased, &clock) <= length);
        }
    }
}
