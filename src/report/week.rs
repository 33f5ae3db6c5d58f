//! Progress of a simulated week: a bar over its hours on a terminal, a line per day elsewhere.

use crate::demo::{self, DAYS};
use crate::report::progress::{Progress, View};
use crate::report::text::thousands;

/// Shows how far a week has come.
#[derive(Debug)]
pub struct Week {
    bar: Progress,
    lines: bool,
    days_told: i64,
}

/// Begins to show a week in this way.
pub fn start(view: View) -> Week {
    Week { bar: Progress::of_one(view), lines: view == View::Log, days_told: 0 }
}

impl Week {
    /// Shows where things stand.
    pub fn tell(&mut self, done: &demo::DemoProgress) {
        let days = done.elapsed.num_days();
        let hours = |hours: i64| u64::try_from(hours).unwrap_or(0);
        let message = format!("day {} of {DAYS}: {}", day(done), counts(done));
        self.bar.tell("a week", hours(done.elapsed.num_hours()), hours(DAYS * 24), message);
        if self.lines && days > self.days_told {
            self.days_told = days;
            tracing::info!("day {days} of {DAYS} is over: {}", counts(done));
        }
    }
}

/// The day that it is, from 1.
fn day(progress: &demo::DemoProgress) -> i64 {
    (progress.elapsed.num_days() + 1).clamp(1, DAYS)
}

fn counts(progress: &demo::DemoProgress) -> String {
    format!("{} requests, {} scrapes", thousands(progress.requests), thousands(progress.scrapes))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn after(hours: i64) -> demo::DemoProgress {
        let elapsed = TimeDelta::hours(hours);
        let now = DateTime::UNIX_EPOCH + elapsed;
        demo::DemoProgress {
            now,
            elapsed,
            runs: 1,
            requests: 1_234,
            scrapes: 56_789,
            tracked: None,
        }
    }

    #[test]
    fn days_are_counted_from_one_to_seven() {
        for (hours, expected) in [(0, 1), (23, 1), (24, 2), (167, 7), (168, 7), (169, 7)] {
            assert_eq!(day(&after(hours)), expected);
        }
        assert_eq!(counts(&after(0)), "1,234 requests, 56,789 scrapes");
    }
}
