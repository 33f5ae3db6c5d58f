//! What comparing the mirror with the API has found.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::Kind;
use crate::store::sample::Stratum;
use crate::sync::compare::Difference;

/// Requests beside those of the sample: whose key it is, and a total of each list.
const OTHER_REQUESTS: u32 = 1 + Kind::LISTS.len() as u32;

/// More rows than this are better compared by a full sync.
pub const ROWS_MAX: u32 = 100_000;

/// Differences that are told one by one.
const DIFFERENCES_MAX: usize = 200;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Rows to read, a request each.
    pub rows: u32,
    /// Picks those that chance picks.
    pub seed: u64,
}

impl Sampling {
    /// The most requests it takes, those aside that are repeated after an error.
    pub const fn requests_max(self) -> u32 {
        self.rows.saturating_add(OTHER_REQUESTS)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyReport {
    /// What was wanted.
    pub sampling: Sampling,
    /// By kind, in the order of a run.
    pub kinds: Vec<KindVerifyReport>,
    /// What differs, up to a bound.
    pub differences: Vec<RowDifference>,
    /// Creators of accounts that were seen to have been scraped.
    pub(super) moved: BTreeSet<String>,
    /// Keys of the rows that were compared.
    pub(super) seen: BTreeSet<(Kind, i64)>,
}

/// What was found of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindVerifyReport {
    /// Which kind.
    pub kind: Kind,
    /// Rows compared.
    pub read: u64,
    /// Of these, with nothing different.
    pub equal: u64,
    /// Of these, different as a later scrape explains.
    pub later: u64,
    /// Of these, different beyond that; they are repaired.
    pub drifted: u64,
    /// Rows that the API says are not there.
    pub missing: u64,
    /// Why some were not compared.
    pub skipped: Option<String>,
    /// The totals, where the API gives one.
    pub total: Option<Total>,
}

/// How many rows there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// In the mirror, removed ones aside.
    pub held: i64,
    /// Of these, suspected to be gone.
    pub suspected: i64,
    /// By the API.
    pub found: i64,
    /// Whether a difference is explained by scrapes that the mirror has not read yet.
    pub is_explained: bool,
}

impl Total {
    /// Whether they differ for no good reason.
    pub const fn differs(&self) -> bool {
        self.held != self.found && !self.is_explained
    }
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct RowDifference {
    /// Of what kind it is.
    pub kind: Kind,
    /// The API's id.
    pub id: String,
    /// Why it was read; `None` for one that was shown in passing.
    pub stratum: Option<Stratum>,
    /// What differs.
    pub what: Discrepancy,
}

/// What differs about a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Discrepancy {
    /// These columns; they are repaired.
    Columns(Vec<Difference>),
    /// The API says that it is not there. Whether that made it removed.
    Missing(bool),
}

impl VerifyReport {
    /// Nothing so far.
    pub const fn none(sampling: Sampling) -> Self {
        Self {
            sampling,
            kinds: Vec::new(),
            differences: Vec::new(),
            moved: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Whether anything differs beyond what a later scrape explains.
    pub fn differ(&self) -> bool {
        self.kinds.iter().any(|kind| {
            kind.drifted + kind.missing > 0 || kind.total.is_some_and(|total| total.differs())
        })
    }

    /// What is found of a kind.
    pub(super) fn of(&mut self, kind: Kind) -> &mut KindVerifyReport {
        let at = self.kinds.iter().position(|one| one.kind == kind).unwrap_or(self.kinds.len());
        if at == self.kinds.len() {
            self.kinds.push(KindVerifyReport::none(kind));
        }
        &mut self.kinds[at]
    }

    /// Keeps a difference, to be told.
    pub(super) fn tell(
        &mut self,
        kind: Kind,
        id: &str,
        stratum: Option<Stratum>,
        what: Discrepancy,
    ) {
        if self.differences.len() < DIFFERENCES_MAX {
            let id = id.to_owned();
            self.differences.push(RowDifference { kind, id, stratum, what });
        }
    }
}

impl KindVerifyReport {
    fn none(kind: Kind) -> Self {
        Self {
            kind,
            read: 0,
            equal: 0,
            later: 0,
            drifted: 0,
            missing: 0,
            skipped: None,
            total: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_scrape_explains_is_no_difference() {
        let sampling = Sampling { rows: 50, seed: 1 };
        assert_eq!(sampling.requests_max(), 55);
        let mut verify_report = VerifyReport::none(sampling);
        verify_report.of(Kind::Video).later = 3;
        let total = Total { held: 5, suspected: 0, found: 6, is_explained: true };
        verify_report.of(Kind::AccountVideo).total = Some(total);
        assert!(!verify_report.differ());
        verify_report.of(Kind::AccountVideo).total = Some(Total { is_explained: false, ..total });
        assert!(verify_report.differ());
        verify_report.of(Kind::AccountVideo).total = None;
        verify_report.of(Kind::Video).missing = 1;
        assert!(verify_report.differ());
    }
}
