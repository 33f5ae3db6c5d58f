//! How long dues wait for each other, when the budget does not carry them all at once.
//!
//! A control loop rather than a forecast: while the rate limit holds polls back, patience grows by
//! half with every pass; while it does not, it shrinks back to what the user asked for. Longer
//! patience covers more dues with every page, so the demand falls until the budget carries it.

use std::time::Duration;

/// Beyond this an hourly video could be scraped again before its scrape was read.
const PATIENCE_MAX: Duration = Duration::from_secs(45 * 60);

/// The patience after a pass over dues, given whether the budget held it back.
pub fn next(patience: Duration, target: Duration, was_pressed: bool) -> Duration {
    let longer = (patience * 3 / 2).max(Duration::from_secs(1));
    match was_pressed {
        true => longer.min(PATIENCE_MAX).max(target),
        false => (patience * 9 / 10).max(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_secs(300);

    #[test]
    fn it_grows_under_pressure_and_comes_back() {
        let mut patience = TARGET;
        for _ in 0..20 {
            patience = next(patience, TARGET, true);
        }
        assert_eq!(patience, PATIENCE_MAX);
        for _ in 0..60 {
            patience = next(patience, TARGET, false);
        }
        assert_eq!(patience, TARGET);
    }

    #[test]
    fn a_longer_target_is_kept() {
        let target = Duration::from_secs(7_200);
        assert_eq!(next(target, target, true), target);
    }
}
