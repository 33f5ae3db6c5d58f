//! Progress of a simulated week: a bar over its hours on a terminal, a line per day elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::demo::{DAYS, Progress};
use crate::logging;
use crate::report::progress::View;
use crate::report::text::thousands;

const BAR: &str = "{prefix} [{bar:28}] {msg}";

/// Shows how far a week has come. When it is dropped, the bar is taken off the terminal.
#[derive(Debug)]
pub struct Week {
    bar: Option<ProgressBar>,
    lines: bool,
    days_told: i64,
}

/// Begins to show a week in this way.
pub fn start(view: View) -> Week {
    let bar = (view == View::Terminal).then(|| {
        let bars = MultiProgress::with_draw_target(logging::draw_target());
        logging::attach_progress(bars.clone());
        bars.add(bar())
    });
    Week { bar, lines: view == View::Log, days_told: 0 }
}

fn bar() -> ProgressBar {
    // The template is our own constant, and a test reads it.
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let hours = u64::try_from(DAYS * 24).unwrap_or(0);
    ProgressBar::new(hours).with_style(style.progress_chars("=> ")).with_prefix("a week")
}

impl Week {
    /// Shows where things stand.
    pub fn tell(&mut self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::try_from(progress.elapsed.num_hours()).unwrap_or(0));
            bar.set_message(format!("day {} of {DAYS}: {}", day(progress), counts(progress)));
        }
        let days = progress.elapsed.num_days();
        if self.lines && days > self.days_told {
            self.days_told = days;
            tracing::info!("day {days} of {DAYS} is over: {}", counts(progress));
        }
    }
}

impl Drop for Week {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            logging::detach_progress();
        }
    }
}

/// The day that it is, from 1.
fn day(progress: &Progress) -> i64 {
    (progress.elapsed.num_days() + 1).clamp(1, DAYS)
}

fn counts(progress: &Progress) -> String {
    format!("{} requests, {} scrapes", thousands(progress.requests), thousands(progress.scrapes))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn after(hours: i64) -> Progress {
        let elapsed = TimeDelta::hours(hours);
        let now = DateTime::UNIX_EPOCH + elapsed;
        Progress { now, elapsed, passes: 1, requests: 1_234, scrapes: 56_789, tracked: None }
    }

    #[test]
    fn days_are_counted_from_one_to_seven() {
        for (hours, expected) in [(0, 1), (23, 1), (24, 2), (167, 7), (168, 7), (169, 7)] {
            assert_eq!(day(&after(hours)), expected);
        }
        assert_eq!(counts(&after(0)), "1,234 requests, 56,789 scrapes");
    }

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
    }
}
