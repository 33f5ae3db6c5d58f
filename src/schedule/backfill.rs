//! Which daily metrics to request, in what order and in how many requests. Pure.
//!
//! A request is for one day and one kind of ids, as many as the server accepts. Days come newest first.
//! The metrics of the last two days may still change: a day that was requested while it was one of them
//! is requested once more when it no longer is, and never again after that.

use std::time::Duration;

use chrono::{Days, NaiveDate};

use crate::model::metrics::{day, number};
use crate::model::{Kind, RateBudget, SubjectKind};

/// The most ids of one request, as the API documents.
pub const IDS_MAX: usize = 200;
/// The most days of one backfill.
pub const DAYS_MAX: u32 = 3_650;
/// The last days whose metrics may still change: yesterday and the day before.
const UNSETTLED_DAYS: i64 = 2;
/// The most days requested without a backfill, after a long pause or a clock step.
const GROWTH_DAYS_MAX: i64 = 366;

/// The daily metrics of one kind of ids on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// The ids.
    pub subject_kind: SubjectKind,
    /// The UTC day.
    pub day: NaiveDate,
}

/// Returns the `count` days that end yesterday, newest first.
pub fn days(today: NaiveDate, count: u32) -> Vec<NaiveDate> {
    (1..=u64::from(count)).map_while(|ago| today.checked_sub_days(Days::new(ago))).collect()
}

/// Whether the metrics of `day` are final on `today`.
pub fn is_settled(day: NaiveDate, today: NaiveDate) -> bool {
    number(today).saturating_sub(number(day)) > UNSETTLED_DAYS
}

/// The tasks of these days, day by day.
pub fn tasks(days: &[NaiveDate]) -> Vec<Task> {
    let of_day = |day: &NaiveDate| {
        let day = *day;
        SubjectKind::ALL.into_iter().map(move |subject_kind| Task { subject_kind, day })
    };
    days.iter().flat_map(of_day).collect()
}

/// Returns what to request of a kind after its backfill: the days from `grows_from` on that were not
/// requested, and those that became final since. `requested` holds all days from `grows_from` on that were
/// requested, `open` the days that were not final when they were.
pub fn growth(
    kind: Kind,
    grows_from: Option<i64>,
    requested: &[i64],
    open: &[i64],
    today: NaiveDate,
) -> Vec<Task> {
    let Some(grows_from) = grows_from else { return Vec::new() };
    let yesterday = number(today).saturating_sub(1);
    let first = grows_from.max(yesterday.saturating_sub(GROWTH_DAYS_MAX).saturating_add(1));
    let mut days: Vec<NaiveDate> =
        (first..=yesterday).filter(|number| !requested.contains(number)).filter_map(day).collect();
    days.extend(open.iter().filter_map(|open| day(*open)).filter(|day| is_settled(*day, today)));
    days.sort_unstable();
    days.dedup();
    days.reverse();
    tasks(&days).into_iter().filter(|task| task.subject_kind.kind() == kind).collect()
}

/// The most ids of one request, learned from the server's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    ids: usize,
    /// The bound before it was halved.
    before_guess: Option<usize>,
    /// Whether so many ids were accepted. That more are not is still a guess: a single invalid id may
    /// have been the cause.
    is_proved: bool,
}

/// What to do after a request was refused for its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Send fewer ids.
    Fewer,
    /// A single id was refused.
    Alone,
}

impl Bound {
    /// The learned bound, or the documented one.
    pub fn known(learned: Option<usize>) -> Self {
        let ids = learned.unwrap_or(IDS_MAX).clamp(1, IDS_MAX);
        Self { ids, before_guess: None, is_proved: false }
    }

    /// The most ids of the next request.
    pub fn ids(self) -> usize {
        self.ids
    }

    /// Whether the bound is being searched, so that each request depends on the previous answer.
    pub fn is_sought(self) -> bool {
        self.before_guess.is_some() && !self.is_proved
    }

    /// Records that `sent` ids were refused. `stated` is the bound in the server's message.
    pub fn refused(&mut self, sent: usize, stated: Option<usize>) -> Refused {
        if let Some(stated) = stated.filter(|stated| (1..sent).contains(stated)) {
            *self = Self::known(Some(stated));
            return Refused::Fewer;
        }
        self.is_proved = false;
        if sent <= 1 {
            // The cause was the id, not the number of ids.
            self.ids = self.before_guess.take().unwrap_or(self.ids);
            return Refused::Alone;
        }
        self.before_guess.get_or_insert(self.ids);
        self.ids = sent.div_ceil(2);
        Refused::Fewer
    }

    /// Records that `sent` ids were accepted. Returns the bound if this proves a lower one.
    pub fn answered(&mut self, sent: usize) -> Option<usize> {
        let is_proof = self.before_guess.is_some() && !self.is_proved && sent >= self.ids;
        self.is_proved |= is_proof;
        is_proof.then_some(self.ids)
    }
}

/// Returns the bound that a refusal states: the greatest number in its text below `sent`. Parts of dates
/// and fractions do not count.
pub fn stated_bound(text: &str, sent: usize) -> Option<usize> {
    let is_part =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '/' | ',');
    text.split(|c| !is_part(c))
        .filter_map(|word| {
            let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            // As in `max:100`.
            word.rsplit(':').next()?.parse::<usize>().ok()
        })
        .filter(|number| (1..sent).contains(number))
        .max()
}

/// Number of requests for so many ids.
pub fn requests(ids: u64, bound: usize) -> u64 {
    ids.div_ceil(u64::try_from(bound.max(1)).unwrap_or(1))
}

/// Estimates how long so many requests take: `left` in this rate-limit window, then `per_window` in each
/// that follows. The length of a window is guessed from the rest of this one: a minute, an hour or a day.
pub fn time(requests: u64, left: RateBudget, per_window: u64) -> Duration {
    let rest = requests.saturating_sub(left.requests);
    if rest == 0 {
        return Duration::ZERO;
    }
    let window = [60, 3_600, 86_400].into_iter().find(|seconds| left.time.as_secs() <= *seconds);
    let window = Duration::from_secs(window.unwrap_or(left.time.as_secs()));
    let windows = rest.div_ceil(per_window.max(1)).saturating_sub(1);
    let whole = window.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX));
    left.time.saturating_add(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn grown(tasks: &[Task]) -> Vec<String> {
        tasks.iter().map(|task| format!("{:?} {}", task.subject_kind, task.day)).collect()
    }

    #[test]
    fn days_end_yesterday_and_come_newest_first() {
        let days = days(date("2024-03-01"), 2);
        assert_eq!(days, [date("2024-02-29"), date("2024-02-28")]);
        let tasks = tasks(&days);
        assert_eq!(tasks.len(), 8);
        assert_eq!(tasks[0], Task { subject_kind: SubjectKind::Accounts, day: date("2024-02-29") });
        assert_eq!(
            tasks[7],
            Task { subject_kind: SubjectKind::TiktokPosts, day: date("2024-02-28") }
        );
    }

    #[test]
    fn yesterday_and_the_day_before_are_not_final() {
        let today = date("2026-11-20");
        assert!(!is_settled(date("2026-11-19"), today));
        assert!(!is_settled(date("2026-11-18"), today));
        assert!(is_settled(date("2026-11-17"), today));
    }

    #[test]
    fn growth_covers_days_that_ended_and_days_that_became_final() {
        let today = date("2026-11-20");
        let t = number(today);
        let of = |from, requested: &[i64], open: &[i64]| {
            grown(&growth(Kind::Video, from, requested, open, today))
        };
        assert_eq!(of(None, &[], &[t - 9]), [""; 0], "nothing without a backfill");
        assert_eq!(of(Some(t), &[], &[]), [""; 0], "a backfill today");
        // Requested yesterday, when both days were not final.
        assert_eq!(
            of(Some(t - 1), &[], &[t - 2, t - 3]),
            ["Videos 2026-11-19", "Videos 2026-11-17"]
        );
        assert_eq!(of(Some(t - 1), &[t - 1], &[t - 1, t - 2]), [""; 0]);
        // A clock that was years ahead.
        assert_eq!(of(Some(t - 9_000), &[], &[]).len(), 366);
        let posts = growth(Kind::AccountVideo, Some(t - 1), &[], &[], today);
        assert_eq!(grown(&posts), ["InstagramPosts 2026-11-19", "TiktokPosts 2026-11-19"]);
    }

    #[test]
    fn bound_is_read_from_the_text_of_a_refusal() {
        for (text, bound) in [
            ("must have at most 50 items", Some(50)),
            ("List should have at most 100 items after validation, not 200", Some(100)),
            ("too many ids: 200, maximum is 64.", Some(64)),
            ("max_items=25", Some(25)),
            ("maximum:25", Some(25)),
            ("start_date 2026-11-19 is too early", None),
            ("at most 500 items", None),
            ("at most 1,000 items", None),
            ("at most 20, not 200", Some(20)),
            ("at most 200 items", None),
            ("at most 0 items", None),
            ("must be UUIDs", None),
            ("", None),
        ] {
            assert_eq!(stated_bound(text, 200), bound, "{text}");
        }
    }

    #[test]
    fn unstated_bound_is_found_by_halving_and_kept_when_proved() {
        let mut bound = Bound::known(None);
        assert_eq!(bound.refused(200, None), Refused::Fewer);
        assert_eq!(bound.refused(100, None), Refused::Fewer);
        assert_eq!((bound.ids(), bound.answered(20)), (50, None), "fewer ids prove nothing");
        assert_eq!(bound.answered(50), Some(50));
        assert_eq!(bound.answered(50), None);
    }

    #[test]
    fn refused_single_id_does_not_lower_the_bound() {
        let mut bound = Bound::known(Some(8));
        for sent in [8, 4, 2] {
            assert_eq!(bound.refused(sent, None), Refused::Fewer);
        }
        assert_eq!(bound.refused(1, None), Refused::Alone);
        assert_eq!(bound.ids(), 8);
    }

    #[test]
    fn invalid_id_among_others_does_not_lower_the_bound() {
        let mut bound = Bound::known(None);
        let (mut requested, mut requests) = (0, 0);
        while requested < 2_000 {
            let sent = bound.ids();
            requests += 1;
            // The server rejects the id with the number 7.
            let is_refused = (requested..requested + sent).contains(&7);
            if !is_refused {
                bound.answered(sent);
                requested += sent;
            } else if bound.refused(sent, None) == Refused::Alone {
                requested += 1;
            }
        }
        assert_eq!(bound.ids(), IDS_MAX);
        assert!(requests < 30, "{requests}");
    }

    #[test]
    fn estimated_time_covers_this_window_and_the_next_ones() {
        let left = RateBudget { requests: 100, time: Duration::from_secs(20) };
        let seconds = |requests| time(requests, left, 500).as_secs();
        assert_eq!([seconds(100), seconds(101), seconds(600), seconds(601)], [0, 20, 20, 80]);
        assert!(time(u64::MAX, left, 0) > Duration::from_secs(86_400));
    }

    proptest! {
        #[test]
        fn ids_fit_into_the_fewest_requests(ids in 0u64..5_000, bound in 1usize..=200) {
            let requests = requests(ids, bound);
            prop_assert!(requests * bound as u64 >= ids);
            prop_assert!(requests == 0 || (requests - 1) * (bound as u64) < ids);
        }

        #[test]
        fn halving_ends_for_any_bound(max in 0usize..=200, names in any::<bool>()) {
            let mut bound = Bound::known(None);
            let mut tries = 0;
            loop {
                tries += 1;
                let sent = bound.ids();
                if sent <= max {
                    bound.answered(sent);
                    break;
                }
                if bound.refused(sent, names.then_some(max)) == Refused::Alone {
                    prop_assert_eq!(max, 0);
                    break;
                }
            }
            prop_assert!(tries <= 10, "{}", tries);
            prop_assert!(max == 0 || bound.ids() * 2 > max.min(200));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}", sent in any::<usize>()) {
            let bound = stated_bound(&text, sent);
            prop_assert!(bound.is_none_or(|bound| bound >= 1 && bound < sent));
        }

        #[test]
        fn growth_requests_each_finished_day_once(
            from in 0i64..40, requested in prop::collection::vec(0i64..40, 0..20),
            open in prop::collection::vec(0i64..40, 0..20),
        ) {
            let today = day(30).unwrap();
            let tasks = growth(Kind::Account, Some(from), &requested, &open, today);
            let days: Vec<i64> = tasks.iter().map(|task| number(task.day)).collect();
            prop_assert!(days.windows(2).all(|pair| pair[0] > pair[1]), "{:?}", days);
            for n in 0..40 {
                let is_new = (from..30).contains(&n) && !requested.contains(&n);
                let has_settled = open.contains(&n) && n < 28;
                prop_assert_eq!(days.contains(&n), is_new || has_settled, "{}", n);
            }
        }
    }
}
