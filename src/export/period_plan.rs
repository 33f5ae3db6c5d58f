//! Plans which months and days of a table are written, kept or removed. Pure.
//!
//! A month that is over is a period, and so is each day of the month that is not. Texts `YYYY-MM` and `YYYY-MM-DD`.

use std::collections::{BTreeMap, BTreeSet};

use crate::export::manifest::{FileEntry, TableEntry};
use crate::store::fingerprint::{Days, Retention};

/// Length of `YYYY-MM`.
const MONTH_BYTES: usize = 7;

/// The periods of a table, by what the export does with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PeriodPlan {
    /// New or changed since the last export.
    pub write: BTreeSet<String>,
    /// Unchanged.
    pub keep: BTreeSet<String>,
    /// Without rows now, or part of another period.
    pub remove: BTreeSet<String>,
}

/// Returns the month of a period.
pub fn month(period: &str) -> &str {
    period.get(..MONTH_BYTES).unwrap_or(period)
}

/// Returns the period of a day among these.
pub fn period_of<'d, T>(day: &'d str, periods: &BTreeMap<String, T>) -> &'d str {
    if periods.contains_key(day) { day } else { month(day) }
}

/// Returns the fingerprints of periods, from those of days. Days of `open_month` are periods of their own.
pub fn periods(
    days: &Days,
    open_month: &str,
    recorded: Option<&TableEntry>,
) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<&str, u128> = BTreeMap::new();
    for (day, fingerprint) in &days.fingerprints {
        let is_open = month(day) == open_month;
        let is_by_day = match &days.retention {
            Retention::All => is_open,
            // Rows of an exported file may be deleted by now, and another file would lack them.
            Retention::Newest(deleted_to) => {
                let is_whole = recorded.is_some_and(|entry| entry.periods.contains_key(month(day)));
                !is_whole && (is_open || has_lost_days(recorded, month(day), deleted_to.as_deref()))
            }
        };
        let sum = sums.entry(if is_by_day { day } else { month(day) }).or_default();
        *sum = match days.retention {
            Retention::All => sum.wrapping_add(*fingerprint),
            // That of the last day, because earlier ones may be deleted.
            Retention::Newest(_) => *fingerprint,
        };
    }
    sums.into_iter().map(|(period, sum)| (period.to_owned(), format!("{sum:032x}"))).collect()
}

/// Whether rows of exported days of a month may be deleted by now.
fn has_lost_days(recorded: Option<&TableEntry>, of_month: &str, deleted_to: Option<&str>) -> bool {
    let mut recorded = recorded.into_iter().flat_map(|entry| entry.periods.keys());
    recorded.any(|period| {
        period.len() > MONTH_BYTES
            && month(period) == of_month
            && deleted_to.is_some_and(|last| period.as_str() <= last)
    })
}

/// Compares the recorded fingerprints with the current ones. Periods before `since` are kept.
pub fn period_plan(
    recorded: Option<&TableEntry>,
    current: &BTreeMap<String, String>,
    retention: &Retention,
    since: Option<&str>,
    is_intact: impl Fn(&FileEntry) -> bool,
) -> PeriodPlan {
    let mut plan = PeriodPlan::default();
    let is_early = |period: &str| since.is_some_and(|since| period < since);
    let has_intact_file = |entry: &TableEntry, period: &str| {
        let mut files = entry.files.iter();
        files.all(|file| file.period.as_deref() != Some(period) || is_intact(file))
    };
    let is_unchanged = |period: &str, fingerprint: &str| {
        recorded.is_some_and(|entry| {
            entry.periods.get(period).is_some_and(|recorded| recorded == fingerprint)
                && has_intact_file(entry, period)
        })
    };
    for (period, fingerprint) in current.iter().filter(|(period, _)| !is_early(period)) {
        match is_unchanged(period, fingerprint) {
            true => plan.keep.insert(period.clone()),
            false => plan.write.insert(period.clone()),
        };
    }
    let Some(entry) = recorded else { return plan };
    for period in entry.periods.keys() {
        // One file of a month replaces those of its days.
        let is_replaced = period.len() > MONTH_BYTES && current.contains_key(month(period));
        let is_deleted = !is_replaced
            && matches!(retention, Retention::Newest(Some(last)) if period <= last)
            && has_intact_file(entry, period);
        if is_early(period) || is_deleted && !current.contains_key(period) {
            plan.keep.insert(period.clone());
        } else if !current.contains_key(period) {
            plan.remove.insert(period.clone());
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn periods_of(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(period, hash)| ((*period).to_owned(), (*hash).to_owned())).collect()
    }

    fn set(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|period| (*period).to_owned()).collect()
    }

    fn entry(all: &[(&str, &str)]) -> TableEntry {
        let file = |period: &str| FileEntry {
            path: format!("t/{period}"),
            period: Some(period.to_owned()),
            rows: 1,
            bytes: 1,
        };
        TableEntry {
            snapshot_at: String::new(),
            since: None,
            rows: 3,
            columns: Vec::new(),
            files: all.iter().map(|(period, _)| file(period)).collect(),
            definition: String::new(),
            periods: periods_of(all),
        }
    }

    fn recorded() -> TableEntry {
        let all = [("2026-01", "a"), ("2026-02", "b"), ("2026-03", "c"), ("2026-04", "d")];
        let mut entry = entry(&all);
        // April has no rows, and so no file.
        entry.files.pop();
        entry
    }

    fn days(all: &[(&str, u128)], retention: Retention) -> Days {
        let fingerprints = all.iter().map(|(day, sum)| ((*day).to_owned(), *sum)).collect();
        Days { fingerprints, retention }
    }

    #[test]
    fn only_changed_periods_are_written() {
        let now = periods_of(&[
            ("2026-02", "B"),
            ("2026-03", "c"),
            ("2026-04", "d"),
            ("2026-05-01", "e"),
        ]);
        let plan = period_plan(Some(&recorded()), &now, &Retention::All, None, |_| true);
        assert_eq!(plan.write, set(&["2026-02", "2026-05-01"]));
        assert_eq!(plan.keep, set(&["2026-03", "2026-04"]));
        assert_eq!(plan.remove, set(&["2026-01"]));
    }

    #[test]
    fn period_with_a_damaged_file_is_written_again() {
        let recorded = recorded();
        let now = &recorded.periods;
        let plan = period_plan(Some(&recorded), now, &Retention::All, None, |file| {
            file.period.as_deref() != Some("2026-03")
        });
        assert_eq!(plan.write, set(&["2026-03"]));
    }

    #[test]
    fn periods_before_since_are_kept() {
        let now = periods_of(&[("2026-02", "B"), ("2026-03", "C")]);
        let since = Some("2026-03");
        let plan = period_plan(Some(&recorded()), &now, &Retention::All, since, |_| false);
        assert_eq!(plan.write, set(&["2026-03"]));
        assert_eq!(plan.keep, set(&["2026-01", "2026-02"]));
        assert_eq!(plan.remove, set(&["2026-04"]));
        let first = period_plan(None, &now, &Retention::All, since, |_| false);
        assert_eq!((first.write, first.keep), (set(&["2026-03"]), set(&[])));
    }

    #[test]
    fn days_of_the_open_month_become_one_file_when_it_ends() {
        let held = [("2026-10-31", 1), ("2026-11-01", 2), ("2026-11-02", 3)];
        let held = days(&held, Retention::All);
        let open = periods(&held, "2026-11", None);
        assert_eq!(open.keys().collect::<Vec<_>>(), ["2026-10", "2026-11-01", "2026-11-02"]);
        let recorded = TableEntry { periods: open, ..entry(&[]) };
        let ended = periods(&held, "2026-12", Some(&recorded));
        assert_eq!(ended["2026-11"], format!("{:032x}", 5));
        let plan = period_plan(Some(&recorded), &ended, &Retention::All, None, |_| true);
        assert_eq!((plan.write, plan.keep), (set(&["2026-11"]), set(&["2026-10"])));
        assert_eq!(plan.remove, set(&["2026-11-01", "2026-11-02"]));
    }

    #[test]
    fn deleted_rows_of_a_log_stay_exported() {
        let hash = |n: u128| format!("{n:032x}");
        let (one, two, three) = (hash(1), hash(2), hash(3));
        let recorded = entry(&[("2026-10", &one), ("2026-11-01", &two), ("2026-11-02", &three)]);
        // October and 1 November are deleted, 2 November in part.
        let retention = Retention::Newest(Some("2026-11-02".to_owned()));
        let left = days(&[("2026-11-02", 3), ("2026-12-01", 4)], retention.clone());
        let now = periods(&left, "2026-12", Some(&recorded));
        let plan = period_plan(Some(&recorded), &now, &retention, None, |_| true);
        assert_eq!(plan.write, set(&["2026-12-01"]));
        assert_eq!(plan.keep, set(&["2026-10", "2026-11-01", "2026-11-02"]));
        assert_eq!(plan.remove, set(&[]));
        // Nothing was deleted: the month becomes one file.
        let retention = Retention::Newest(None);
        let all = [("2026-10-07", 1), ("2026-11-01", 2), ("2026-11-02", 3)];
        let now = periods(&days(&all, retention.clone()), "2026-12", Some(&recorded));
        let plan = period_plan(Some(&recorded), &now, &retention, None, |_| true);
        assert_eq!((plan.write, plan.keep), (set(&["2026-11"]), set(&["2026-10"])));
        assert_eq!(plan.remove, set(&["2026-11-01", "2026-11-02"]));
    }
}
