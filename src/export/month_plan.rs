//! Which months of a table are written, which stay as they are, and which go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::export::manifest::{FileEntry, TableEntry};

/// What is done about the months of a table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// They are new, or hold something else than their file.
    pub write: BTreeSet<String>,
    /// They are as they were.
    pub keep: BTreeSet<String>,
    /// Their rows are gone.
    pub remove: BTreeSet<String>,
}

/// Compares what was exported with the fingerprints of what there is. Months before `since` are
/// not looked at.
pub fn decide(
    recorded: Option<&TableEntry>,
    now: &BTreeMap<String, String>,
    since: Option<&str>,
    is_intact: impl Fn(&FileEntry) -> bool,
) -> Deeds {
    let mut deeds = Deeds::default();
    let is_early = |month: &str| since.is_some_and(|since| month < since);
    let unchanged = |month: &str, fingerprint: &str| {
        let entry = recorded?;
        let is_same = entry.months.get(month).is_some_and(|recorded| recorded == fingerprint);
        let mut files = entry.files.iter().filter(|file| file.month.as_deref() == Some(month));
        Some(is_same && files.all(&is_intact))
    };
    for (month, fingerprint) in now.iter().filter(|(month, _)| !is_early(month)) {
        match unchanged(month, fingerprint) {
            Some(true) => deeds.keep.insert(month.clone()),
            _ => deeds.write.insert(month.clone()),
        };
    }
    for month in recorded.into_iter().flat_map(|entry| entry.months.keys()) {
        if is_early(month) {
            deeds.keep.insert(month.clone());
        } else if !now.contains_key(month) {
            deeds.remove.insert(month.clone());
        }
    }
    deeds
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
    fn only_what_changed_is_written() {
        let now = months(&[("2026-02", "B"), ("2026-03", "c"), ("2026-04", "d"), ("2026-05", "e")]);
        let deeds = decide(Some(&recorded()), &now, None, |_| true);
        assert_eq!(deeds.write, set(&["2026-02", "2026-05"]));
        // April has no rows, and so no file that could be missing.
        assert_eq!(deeds.keep, set(&["2026-03", "2026-04"]));
        assert_eq!(deeds.remove, set(&["2026-01"]));
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_is_written_again() {
        let recorded = recorded();
        let deeds = decide(Some(&recorded), &recorded.months, None, |file| {
            file.month.as_deref() != Some("2026-03")
        });
        assert_eq!(deeds.write, set(&["2026-03"]));
    }

    #[test]
    fn early_months_are_not_looked_at() {
        let now = months(&[("2026-02", "B"), ("2026-03", "C")]);
        let deeds = decide(Some(&recorded()), &now, Some("2026-03"), |_| false);
        assert_eq!(deeds.write, set(&["2026-03"]));
        assert_eq!(deeds.keep, set(&["2026-01", "2026-02"]));
        assert_eq!(deeds.remove, set(&["2026-04"]));
        let first = decide(None, &now, Some("2026-03"), |_| false);
        assert_eq!((first.write, first.keep), (set(&["2026-03"]), set(&[])));
    }
}
