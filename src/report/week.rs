//! Progress of the demo's simulated week: a bar on a terminal, a log line per day elsewhere.

use crate::demo::{self, DAYS};
use crate::report::progress::{ProgressDisplay, View};
use crate::report::text::counted;

/// Shows the progress of a simulated week.
#[derive(Debug)]
pub struct WeekProgress {
    bar: ProgressDisplay,
    is_logged: bool,
    days_logged: i64,
}

/// Starts the display.
pub fn start(view: View) -> WeekProgress {
    let bar = ProgressDisplay::single(view);
    WeekProgress { bar, is_logged: view == View::Log, days_logged: 0 }
}

impl WeekProgress {
    /// Shows the current progress.
    pub fn update(&mut self, done: &demo::DemoProgress) {
        let days = done.elapsed.num_days();
        let hours = |hours: i64| u64::try_from(hours).unwrap_or(0);
        let message = format!("day {} of {DAYS}: {}", day(done), counts(done));
        self.bar.update("a week", hours(done.elapsed.num_hours()), hours(DAYS * 24), message);
        if self.is_logged && days > self.days_logged {
            self.days_logged = days;
            let (requests, scrapes) = (done.requests, done.scrapes);
            tracing::info!(day = days, days = DAYS, requests, scrapes, "day simulated");
        }
    }
}

/// Number of the current day, from 1.
fn day(progress: &demo::DemoProgress) -> i64 {
    (progress.elapsed.num_days() + 1).clamp(1, DAYS)
}

fn counts(progress: &demo::DemoProgress) -> String {
    let (requests, scrapes) = (progress.requests, progress.scrapes);
    format!("{}, {}", counted(requests, "request"), counted(scrapes, "scrape"))
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
    fn days_are_numbered_from_one_to_seven() {
        for (hours, expected) in [(0, 1), (23, 1), (24, 2), (167, 7), (168, 7), (169, 7)] {
            assert_eq!(day(&after(hours)), expected);
        }
        assert_eq!(counts(&after(0)), "1,234 requests, 56,789 scrapes");
    }
}
