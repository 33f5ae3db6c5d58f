//! When an account or video is due next. Pure: facts and `now` in, an instant out.
//!
//! A row changes when the API scrapes it, `scrape_interval_hours` after its last scrape. It is due
//! just after that. If the poll shows no new scrape, it is polled again after growing gaps.

use crate::model::due::{Due, Facts, Seen};
use crate::model::interval;

/// Time between an expected scrape and the poll for it, seconds.
const MARGIN_S: i64 = 30;
/// Shortest gap between polls of a row that was never scraped, seconds.
const FIRST_SCRAPE_S_MIN: i64 = 5;
/// Longest gap between polls of a row that was never scraped, seconds.
const FIRST_SCRAPE_S_MAX: i64 = 24 * 3_600;

/// Returns when a row seen at `now` (Unix seconds) is due next; `None` takes it off the schedule.
/// `before` is its schedule until now, `freshness_s` how long a due row may wait.
pub fn next(
    facts: Facts,
    before: Option<Due>,
    seen: Seen,
    now: i64,
    freshness_s: i64,
) -> Option<Due> {
    if facts.is_idle {
        return None;
    }
    let Some(last_scrape) = facts.last_scrape else {
        let age = now.saturating_sub(facts.added_at.unwrap_or(now)).max(0);
        let gap_s = (age / 10).clamp(FIRST_SCRAPE_S_MIN, FIRST_SCRAPE_S_MAX);
        return Some(Due { due_at: now.saturating_add(gap_s), gap_s });
    };
    let interval_s = interval::seconds(facts.interval_hours);
    let expected = last_scrape.saturating_add(interval_s).saturating_add(MARGIN_S);
    if expected > now {
        return Some(Due { due_at: expected, gap_s: 0 });
    }
    // The scrape is late. An answer before the gap is over, as of a full sync, does not lengthen it.
    let before = before.filter(|_| seen == Seen::Unchanged);
    if let Some(waiting) = before.filter(|due| due.gap_s > 0 && due.due_at > now) {
        return Some(waiting);
    }
    let doubled = before.map_or(0, |due| due.gap_s.saturating_mul(2));
    let gap_s = doubled.max(freshness_s).min(interval_s / 4).max(1);
    Some(Due { due_at: now.saturating_add(gap_s), gap_s })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000;
    const FRESH: i64 = 300;

    fn scraped(ago: i64, hours: i64) -> Facts {
        Facts { interval_hours: Some(hours), last_scrape: Some(NOW - ago), ..Facts::default() }
    }

    #[test]
    fn due_just_after_the_scrape_interval() {
        let due = next(scraped(600, 6), None, Seen::NewScrape, NOW, FRESH).unwrap();
        assert_eq!(due, Due { due_at: NOW - 600 + 6 * 3_600 + MARGIN_S, gap_s: 0 });
    }

    #[test]
    fn late_scrape_is_polled_after_gaps_that_double_up_to_a_quarter_of_the_interval() {
        let (mut now, mut before, mut gaps) = (NOW, None, Vec::new());
        for _ in 0..7 {
            let facts = Facts {
                interval_hours: Some(8),
                last_scrape: Some(NOW - 9 * 3_600),
                ..Facts::default()
            };
            let due = next(facts, before, Seen::Unchanged, now, FRESH).unwrap();
            gaps.push(due.gap_s);
            (now, before) = (due.due_at, Some(due));
        }
        assert_eq!(gaps, [300, 600, 1_200, 2_400, 4_800, 7_200, 7_200]);
    }

    #[test]
    fn answer_within_a_gap_changes_nothing_and_a_new_scrape_resets_the_gap() {
        let late = scraped(9 * 3_600, 8);
        let before = Due { due_at: NOW + 100, gap_s: 2_400 };
        assert_eq!(next(late, Some(before), Seen::Unchanged, NOW, FRESH), Some(before));
        assert_eq!(next(late, Some(before), Seen::NewScrape, NOW, FRESH).unwrap().gap_s, FRESH);
    }

    #[test]
    fn never_scraped_video_is_polled_by_its_age() {
        let added = |ago| Facts { added_at: Some(NOW - ago), ..Facts::default() };
        let gap = |ago| next(added(ago), None, Seen::NewScrape, NOW, FRESH).unwrap().due_at - NOW;
        assert_eq!((gap(0), gap(100), gap(36_000), gap(10_000_000)), (5, 10, 3_600, 86_400));
    }

    #[test]
    fn idle_video_is_not_polled() {
        let facts = Facts { is_idle: true, ..scraped(600, 6) };
        assert_eq!(next(facts, None, Seen::NewScrape, NOW, FRESH), None);
    }

    proptest! {
        #[test]
        fn next_poll_is_always_later(
            hours in any::<Option<i64>>(), last in any::<Option<i64>>(), added in any::<Option<i64>>(),
            gap in 0..i64::MAX, due_at in any::<i64>(), is_new in any::<bool>(),
        ) {
            let facts = Facts { is_idle: false, interval_hours: hours, last_scrape: last, added_at: added };
            let seen = if is_new { Seen::NewScrape } else { Seen::Unchanged };
            let due = next(facts, Some(Due { due_at, gap_s: gap }), seen, NOW, FRESH).unwrap();
            prop_assert!(due.due_at > NOW);
        }
    }
}
