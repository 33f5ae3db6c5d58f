//! The batch delay: how long due rows of one page wait for each other when the rate budget is short.
//!
//! A longer delay reads more due rows with every page, so it takes fewer requests. It is lengthened to
//! the least value at which the polls until the end of the rate-limit window fit into the remaining
//! budget. It is computed anew before every run, which corrects wrong forecasts within the window.

use std::time::Duration;

use crate::model::RateBudget;

/// Longest delay, seconds; beyond it an hourly video could be scraped again before its scrape was read.
const BATCH_DELAY_S_MAX: i64 = 45 * 60;
/// Longest forecast, seconds: a row is due at most once within it.
const HORIZON_S_MAX: u64 = 3_600;

/// A row that will be due, and the page that shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upcoming {
    /// The page, or a number unique to the row where it is on no page.
    pub page: i64,
    /// When it is due, Unix seconds.
    pub due_at: i64,
}

/// Returns the part of the budget that falls within the forecast.
pub fn within_horizon(remaining: RateBudget) -> RateBudget {
    let horizon = Duration::from_secs(HORIZON_S_MAX);
    if remaining.time <= horizon {
        return remaining;
    }
    let part = horizon.as_secs_f64() / remaining.time.as_secs_f64();
    RateBudget { requests: (remaining.requests as f64 * part) as u64, time: horizon }
}

/// Returns the least delay, from `target` on, at which the polls fit into `remaining`. `upcoming` is sorted.
pub fn affordable(
    upcoming: &[Upcoming],
    now: i64,
    remaining: RateBudget,
    target: Duration,
) -> Duration {
    let seconds = |length: Duration| i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    let until = now.saturating_add(seconds(remaining.time));
    let cost = |batch_delay_s| polls(upcoming, now, until, batch_delay_s);
    let (mut short, mut long) = (seconds(target), BATCH_DELAY_S_MAX.max(seconds(target)));
    if cost(short) <= remaining.requests {
        return target;
    }
    // `short` never fits. `long` is the upper bound even where it does not fit.
    while long.saturating_sub(short) > 1 {
        let middle = short.midpoint(long);
        match cost(middle) <= remaining.requests {
            true => long = middle,
            false => short = middle,
        }
    }
    // Where pages have waited equally long, some of them are read within the window.
    let chosen = if cost(long) < remaining.requests { short } else { long };
    Duration::from_secs(chosen.unsigned_abs())
}

/// Requests before `until`, if each page is read when its first due row has waited for `batch_delay_s`.
fn polls(upcoming: &[Upcoming], now: i64, until: i64, batch_delay_s: i64) -> u64 {
    let (mut polls, mut read) = (0_u64, None);
    for row in upcoming {
        if read.is_some_and(|(page, at)| page == row.page && row.due_at <= at) {
            continue;
        }
        let at = row.due_at.saturating_add(batch_delay_s).max(now);
        polls = polls.saturating_add(u64::from(at < until));
        read = Some((row.page, at));
    }
    polls
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TARGET: Duration = Duration::from_secs(300);

    fn rows(rows: &[(i64, i64)]) -> Vec<Upcoming> {
        let mut rows: Vec<_> =
            rows.iter().map(|(page, due_at)| Upcoming { page: *page, due_at: *due_at }).collect();
        rows.sort_unstable();
        rows
    }

    fn remaining(requests: u64, seconds: u64) -> RateBudget {
        RateBudget { requests, time: Duration::from_secs(seconds) }
    }

    #[test]
    fn delay_is_the_target_where_the_budget_suffices() {
        let upcoming = rows(&[(1, 0), (1, 200), (1, 400), (2, 0)]);
        // Page 1 at 300 and at 700, page 2 at 300.
        assert_eq!(affordable(&upcoming, 0, remaining(3, 3_600), TARGET), TARGET);
        assert_eq!(affordable(&upcoming, 0, remaining(2, 600), TARGET), TARGET);
    }

    #[test]
    fn delay_grows_until_the_polls_fit() {
        let upcoming = rows(&[(1, 0), (1, 200), (1, 400), (2, 0)]);
        // With 400 seconds one poll sees all of page 1.
        let batch_delay = affordable(&upcoming, 0, remaining(2, 3_600), TARGET);
        assert_eq!(batch_delay, Duration::from_secs(400));
        // Of two pages that wait equally long one may be read before the window ends.
        let batch_delay = affordable(&upcoming, 0, remaining(1, 600), TARGET);
        assert_eq!(batch_delay, Duration::from_secs(599));
        // Nothing may be sent until the window ends at 600.
        let batch_delay = affordable(&upcoming, 0, remaining(0, 600), TARGET);
        assert_eq!(batch_delay, Duration::from_secs(600));
    }

    #[test]
    fn delay_never_loses_an_hourly_scrape() {
        let upcoming = rows(&[(1, 0), (2, 0), (3, 0)]);
        let lengthened = affordable(&upcoming, 0, remaining(1, 3_600), TARGET);
        assert_eq!(lengthened, Duration::from_secs(BATCH_DELAY_S_MAX.unsigned_abs()));
        let target = Duration::from_secs(7_200);
        assert_eq!(affordable(&upcoming, 9_000, remaining(1, 3_600), target), target);
    }

    #[test]
    fn forecast_is_an_hour_at_most() {
        assert_eq!(within_horizon(remaining(24_000, 24 * 3_600)), remaining(1_000, 3_600));
        assert_eq!(within_horizon(remaining(10, 60)), remaining(10, 60));
    }

    proptest! {
        #[test]
        fn longer_delay_never_costs_more_requests(
            due in prop::collection::vec((0..5i64, 0..4_000i64), 0..60), batch_delay_s in 0..3_000i64,
        ) {
            let upcoming = rows(&due);
            let cost = |batch_delay_s| polls(&upcoming, 0, i64::MAX, batch_delay_s);
            prop_assert!(cost(batch_delay_s + 60) <= cost(batch_delay_s));
        }
    }
}
