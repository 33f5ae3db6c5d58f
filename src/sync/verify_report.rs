//! The report of `verify`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::Kind;
use crate::store::sample::Stratum;
use crate::sync::compare::Difference;

/// Requests beside those of the sample: `GET /whoami` and a total per list.
const OTHER_REQUESTS: u32 = 1 + Kind::LISTS.len() as u32;

/// The most rows of a sample; a full sync compares more.
pub const ROWS_MAX: u32 = 100_000;

/// The most differences that are listed.
const DIFFERENCES_MAX: usize = 200;

/// The sample to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Rows to read, one request each.
    pub rows: u32,
    /// Seed of the random part.
    pub seed: u64,
}

impl Sampling {
    /// The most requests, retries aside.
    pub const fn requests_max(self) -> u32 {
        self.rows.saturating_add(OTHER_REQUESTS)
    }
}

/// The result of the comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyReport {
    /// The sample.
    pub sampling: Sampling,
    /// By kind, in the order of a run.
    pub kinds: Vec<KindVerifyReport>,
    /// The rows that differ, up to a bound.
    pub differences: Vec<RowDifference>,
    /// Creators with accounts that were scraped since the mirror read them.
    pub(super) newly_scraped: BTreeSet<String>,
    /// Row ids of the compared rows.
    pub(super) seen: BTreeSet<(Kind, i64)>,
}

/// The result for one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindVerifyReport {
    /// The kind.
    pub kind: Kind,
    /// Rows compared.
    pub read: u64,
    /// Of these, equal.
    pub equal: u64,
    /// Of these, with differences that a later scrape explains.
    pub later: u64,
    /// Of these, with other differences; they were repaired.
    pub drifted: u64,
    /// Rows answered with 404.
    pub missing: u64,
    /// Why rows were not compared.
    pub skipped: Option<String>,
    /// The totals, if the API gives one.
    pub total: Option<Total>,
}

/// Numbers of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// In the mirror, without removed ones.
    pub held: i64,
    /// Of these, with a sign of removal.
    pub suspected: i64,
    /// In the API.
    pub found: i64,
    /// Whether scrapes that the mirror has not read yet explain the difference.
    pub is_explained: bool,
}

impl Total {
    /// Whether they differ without an explanation.
    pub const fn differs(&self) -> bool {
        self.held != self.found && !self.is_explained
    }
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct RowDifference {
    /// Its kind.
    pub kind: Kind,
    /// The API's id.
    pub id: String,
    /// Why it was read; `None` if it was not part of the sample.
    pub stratum: Option<Stratum>,
    /// What differs.
    pub what: Discrepancy,
}

/// What differs about a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Discrepancy {
    /// These columns; they were repaired.
    Columns(Vec<Difference>),
    /// The API answered 404; whether the row was marked removed.
    Missing(bool),
}

impl VerifyReport {
    /// An empty report.
    pub const fn none(sampling: Sampling) -> Self {
        Self {
            sampling,
            kinds: Vec::new(),
            differences: Vec::new(),
            newly_scraped: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Whether anything differs without an explanation.
    pub fn differ(&self) -> bool {
        self.kinds.iter().any(|kind| {
            kind.drifted + kind.missing > 0 || kind.total.is_some_and(|total| total.differs())
        })
    }

    /// The result for one kind.
    pub(super) fn of(&mut self, kind: Kind) -> &mut KindVerifyReport {
        let at = self.kinds.iter().position(|one| one.kind == kind).unwrap_or(self.kinds.len());
        if at == self.kinds.len() {
            self.kinds.push(KindVerifyReport {
                kind,
                read: 0,
                equal: 0,
                later: 0,
                drifted: 0,
                missing: 0,
                skipped: None,
                total: None,
            });
        }
        &mut self.kinds[at]
    }

    /// Adds a difference, up to the bound.
    pub(super) fn add(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explained_differences_do_not_count() {
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
