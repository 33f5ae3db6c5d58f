//! When a row was and will be scraped: a grid per phase of unchanged interval, with fixed jitter.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::sandbox::moment::{Moment, SECOND};

/// The most that a scrape is late, in milliseconds, and as a part of the interval.
const JITTER_MS_MAX: i64 = 90 * SECOND;
const JITTER_PART_OF_INTERVAL: i64 = 50;
/// What is resumed, added or sped up is scraped this soon.
const FIRST_AFTER_MS: std::ops::Range<i64> = 2 * SECOND..6 * SECOND;

/// The scrapes of one row, past and to come.
#[derive(Debug, Clone)]
pub struct Schedule {
    seed: u64,
    whole_seconds: bool,
    past: Vec<Phase>,
    running: Option<Phase>,
}

/// Scrapes on one grid.
#[derive(Debug, Clone)]
struct Phase {
    first: Moment,
    interval_ms: i64,
    done: u32,
}

impl Schedule {
    /// A schedule that never starts by itself.
    pub fn idle(seed: u64, whole_seconds: bool) -> Self {
        Self { seed, whole_seconds, past: Vec::new(), running: None }
    }

    /// Starts, or changes the interval of, the scraping. The next scrape comes within seconds
    /// after the very first start and after a pause, else one new interval after the last.
    pub fn run(&mut self, now: Moment, interval_ms: i64) {
        let soon = now
            .plus(self.spread(FIRST_AFTER_MS.end - FIRST_AFTER_MS.start, 0) + FIRST_AFTER_MS.start);
        let was_running = self.running.is_some();
        let first = match self.last() {
            Some(last) if was_running => soon.max(last.plus(interval_ms)),
            _ => soon,
        };
        self.stop();
        self.running = Some(Phase { first: self.rounded(first), interval_ms, done: 0 });
    }

    /// Ends the scraping; what was scraped stays.
    pub fn stop(&mut self) {
        if let Some(phase) = self.running.take()
            && phase.done > 0
        {
            self.past.push(phase);
        }
    }

    /// When the next scrape is due.
    pub fn next(&self) -> Option<Moment> {
        self.running.as_ref().map(|phase| self.time(phase, phase.done))
    }

    /// Lets every scrape happen that is due at `now`. Says whether there was one.
    pub fn advance(&mut self, now: Moment) -> bool {
        let Some(mut phase) = self.running.take() else { return false };
        let due = self.due_by(&phase, now);
        let moved = due > phase.done;
        phase.done = phase.done.max(due);
        self.running = Some(phase);
        moved
    }

    /// The first scrape that happened.
    pub fn first(&self) -> Option<Moment> {
        self.phases().find(|phase| phase.done > 0).map(|phase| self.time(phase, 0))
    }

    /// The last scrape that happened.
    pub fn last(&self) -> Option<Moment> {
        let phase = self.running.iter().chain(self.past.iter().rev()).find(|s| s.done > 0)?;
        Some(self.time(phase, phase.done - 1))
    }

    /// Every scrape that happened, in order.
    pub fn all(&self) -> impl Iterator<Item = Moment> + '_ {
        self.phases().flat_map(|phase| (0..phase.done).map(|k| self.time(phase, k)))
    }

    /// The last scrape that happened at or before `at`.
    pub fn last_before(&self, at: Moment) -> Option<Moment> {
        let found =
            |phase| Some(self.time(phase, self.due_by(phase, at).min(phase.done).checked_sub(1)?));
        self.phases().filter_map(found).next_back()
    }

    /// The first scrape that happened at or after `at`.
    pub fn first_after(&self, at: Moment) -> Option<Moment> {
        let mut phases = self.phases().map(|s| (s, self.due_by(s, at.plus(-1))));
        let (phase, before) = phases.find(|(phase, before)| *before < phase.done)?;
        Some(self.time(phase, before))
    }

    /// How many scrapes of a phase are due at or before `at`.
    fn due_by(&self, phase: &Phase, at: Moment) -> u32 {
        // All but the last, which may be late, by division.
        let grid = (at.0 - phase.first.0).div_euclid(phase.interval_ms.max(1));
        let mut due = u32::try_from(grid.max(0)).unwrap_or(u32::MAX);
        while self.time(phase, due) <= at {
            due += 1;
        }
        due
    }

    fn phases(&self) -> impl DoubleEndedIterator<Item = &Phase> {
        self.past.iter().chain(&self.running)
    }

    fn time(&self, phase: &Phase, k: u32) -> Moment {
        if k == 0 {
            return phase.first;
        }
        let widest = (phase.interval_ms / JITTER_PART_OF_INTERVAL).min(JITTER_MS_MAX);
        let late = self.spread(widest, phase.first.0 as u64 ^ u64::from(k));
        self.rounded(phase.first.plus(i64::from(k) * phase.interval_ms + late))
    }

    fn spread(&self, below: i64, salt: u64) -> i64 {
        let drawn = xxh3_64_with_seed(&salt.to_le_bytes(), self.seed);
        (drawn % below.max(1).unsigned_abs()) as i64
    }

    fn rounded(&self, at: Moment) -> Moment {
        if self.whole_seconds { at.whole_second() } else { at }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::moment::{DAY, HOUR};
    use super::*;

    const START: Moment = Moment(1_750_000_000_000);

    proptest! {
        #[test]
        fn steps_and_one_leap_scrape_at_the_same_times(
            seed: u64, interval in 1..49i64, steps in prop::collection::vec(1..20 * HOUR, 1..40),
        ) {
            let mut stepped = Schedule::idle(seed, seed % 2 == 0);
            stepped.run(START, interval * HOUR);
            let mut leapt = stepped.clone();
            let mut now = START;
            for step in steps {
                now = now.plus(step);
                stepped.advance(now);
            }
            leapt.advance(now);
            let times: Vec<_> = stepped.all().collect();
            prop_assert_eq!(&times, &leapt.all().collect::<Vec<_>>());
            prop_assert!(times.is_sorted_by(|a, b| a < b));
            prop_assert!(stepped.next().is_some_and(|next| next > now));
            for probe in [START, now.plus(-3 * HOUR), now] {
                let before = times.iter().rev().find(|t| **t <= probe).copied();
                let after = times.iter().find(|t| **t >= probe).copied();
                prop_assert_eq!(stepped.last_before(probe), before);
                prop_assert_eq!(stepped.first_after(probe), after);
            }
        }
    }

    #[test]
    fn a_pause_leaves_a_hole_and_a_new_interval_counts_from_the_last_scrape() {
        let mut schedule = Schedule::idle(7, true);
        schedule.run(START, 24 * HOUR);
        schedule.advance(START.plus(3 * DAY));
        schedule.stop();
        let last = schedule.last();
        assert!(!schedule.advance(START.plus(9 * DAY)));
        assert_eq!((schedule.last(), schedule.next()), (last, None));
        schedule.run(START.plus(9 * DAY), 24 * HOUR);
        assert!(schedule.advance(START.plus(9 * DAY + 10 * SECOND)));
        schedule.run(START.plus(9 * DAY + HOUR), 6 * HOUR);
        let next = schedule.next().map(|next| next.hours_since(START.plus(9 * DAY)));
        assert!(next.is_some_and(|hours| (5.9..6.1).contains(&hours)), "{next:?}");
    }
}
