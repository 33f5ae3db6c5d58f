//! Plans which months of a table are written, kept or removed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::export::manifest::{FileEntry, TableEntry};

/// The months of a table, by what the export does with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MonthPlan {
    /// New or changed since the last export.
    pub write: BTreeSet<String>,
    /// Unchanged.
    pub keep: BTreeSet<String>,
    /// Without rows now.
    pub remove: BTreeSet<String>,
}

/// Compares the recorded fingerprints with the current ones. Months before `since` are kept.
pub fn month_plan(
    recorded: Option<&TableEntry>,
    current: &BTreeMap<String, String>,
    since: Option<&str>,
    is_intact: impl Fn(&FileEntry) -> bool,
) -> MonthPlan {
    let mut plan = MonthPlan::default();
    let is_early = |month: &str| since.is_some_and(|since| month < since);
    let unchanged = |month: &str, fingerprint: &str| {
        let entry = recorded?;
        let is_same = entry.months.get(month).is_some_and(|recorded| recorded == fingerprint);
        let mut files = entry.files.iter().filter(|file| file.month.as_deref() == Some(month));
        Some(is_same && files.all(&is_intact))
    };
    for (month, fingerprint) in current.iter().filter(|(month, _)| !is_early(month)) {
        match unchanged(month, fingerprint) {
            Some(true) => plan.keep.insert(month.clone()),
            _ => plan.write.insert(month.clone()),
        };
    }
    for month in recorded.into_iter().flat_map(|entry| entry.months.keys()) {
        if is_early(month) {
            plan.keep.insert(month.clone());
        } else if !current.contains_key(month) {
            plan.remove.insert(month.clone());
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn months(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(month, hash)| ((*month).to_owned(), (*hash).to_owned())).collect()
    }

    fn set(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|month| (*month).to_owned()).collect()
    }

    fn recorded() -> TableEntry {
        let file = |month: &str| FileEntry {
            path: format!("t/month={month}/part-0.parquet"),
            month: Some(month.to_owned()),
            rows: 1,
            bytes: 1,
        };
        TableEntry {
            snapshot_at: String::new(),
            since: None,
            rows: 3,
            columns: Vec::new(),
            files: ["2026-01", "2026-02", "2026-03"].map(file).to_vec(),
            definition: String::new(),
            months: months(&[
                ("2026-01", "a"),
                ("2026-02", "b"),
                ("2026-03", "c"),
                ("2026-04", "d"),
            ]),
        }
    }

    #[test]
    fn only_changed_months_are_written() {
        let now = months(&[("2026-02", "B"), ("2026-03", "c"), ("2026-04", "d"), ("2026-05", "e")]);
        let plan = month_plan(Some(&recorded()), &now, None, |_| true);
        assert_eq!(plan.write, set(&["2026-02", "2026-05"]));
        // April has no rows, and so no file.
        assert_eq!(plan.keep, set(&["2026-03", "2026-04"]));
        assert_eq!(plan.remove, set(&["2026-01"]));
    }

    #[test]
    fn month_with_a_damaged_file_is_written_again() {
        let recorded = recorded();
        let plan = month_plan(Some(&recorded), &recorded.months, None, |file| {
            file.month.as_deref() != Some("2026-03")
        });
        assert_eq!(plan.write, set(&["2026-03"]));
    }

    #[test]
    fn months_before_since_are_kept() {
        let now = months(&[("2026-02", "B"), ("2026-03", "C")]);
        let plan = month_plan(Some(&recorded()), &now, Some("2026-03"), |_| false);
        assert_eq!(plan.write, set(&["2026-03"]));
        assert_eq!(plan.keep, set(&["2026-01", "2026-02"]));
        assert_eq!(plan.remove, set(&["2026-04"]));
        let first = month_plan(None, &now, Some("2026-03"), |_| false);
        assert_eq!((first.write, first.keep), (set(&["2026-03"]), set(&[])));
    }
}
