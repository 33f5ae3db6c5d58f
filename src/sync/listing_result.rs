//! The result of a listing, and the most rows that a list may have.

use crate::api::Failure;
use crate::model::BadRow;
use crate::store::listings::Listing;

/// The most rows of a list whose length neither the server nor an earlier listing tells.
const UNKNOWN_ROWS_MAX: i64 = 1_000_000;
/// The most rows of any list.
const ROWS_MAX: i64 = 50_000_000;
/// How many times as long as in its last listing a list may be.
const GROWTH_MAX: i64 = 10;
/// How many rows a list may have beyond `total_count`, or a tenth of that if it is more.
const SLACK_ROWS: i64 = 1_000;
/// The most undecodable rows that are kept for messages.
const NOTED_MAX: usize = 100;

/// The result of a listing.
#[derive(Debug)]
pub struct ListingResult {
    /// The listing with its counts.
    pub listing: Listing,
    /// Why it is incomplete; `None` if it is complete.
    pub reason: Option<IncompleteReason>,
    /// Notes on the pages read in this run.
    pub notes: Notes,
}

/// Notes on the pages of a listing.
#[derive(Debug, Default)]
pub struct Notes {
    /// The first rows that could not be decoded.
    pub bad: Vec<BadRow>,
    /// The first rows whose JSON was repaired.
    pub repaired: Vec<BadRow>,
    /// The API's id of the last request.
    pub request_id: Option<String>,
    /// The largest `total_count` of the pages.
    pub total_max: i64,
}

impl Notes {
    /// Adds the rows of a page, up to the bound.
    pub fn add(&mut self, bad: Vec<BadRow>, repaired: Vec<BadRow>) {
        for (notes, more) in [(&mut self.bad, bad), (&mut self.repaired, repaired)] {
            notes.extend(more);
            notes.truncate(NOTED_MAX);
        }
    }
}

/// Why a listing is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncompleteReason {
    /// A cursor came twice.
    CursorRepeated,
    /// The cursor was refused, also after starting over.
    CursorRefused(Failure),
    /// The list ended before `total_count` rows.
    EndedShort {
        /// Rows seen.
        seen: i64,
        /// The API's `total_count`.
        total: i64,
    },
    /// Many successive pages without a new row.
    Endless,
    /// The list has more rows than it may have.
    TooLong {
        /// Rows seen.
        seen: i64,
        /// The most rows it may have.
        expected: i64,
    },
    /// The API applied filters that were not requested.
    Filtered(Vec<String>),
    /// The list is refused for this key.
    EndpointRefused(Failure),
}

/// The most rows a list may have, by `total_count` and by the rows of the last complete listing.
pub fn rows_max(total: Option<i64>, last: Option<i64>) -> i64 {
    match (total, last) {
        (Some(total), _) => total.saturating_add((total / 10).max(SLACK_ROWS)),
        (None, last) => last.unwrap_or(0).saturating_mul(GROWTH_MAX).max(UNKNOWN_ROWS_MAX),
    }
    .min(ROWS_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn list_may_grow_while_it_is_read_within_a_bound() {
        assert_eq!(rows_max(Some(10), None), 1_010);
        assert_eq!(rows_max(Some(100_000), Some(5)), 110_000);
        assert_eq!(rows_max(None, None), UNKNOWN_ROWS_MAX);
        assert_eq!(rows_max(None, Some(2_000_000)), 20_000_000);
    }

    proptest! {
        #[test]
        fn row_bound_is_finite_for_any_total(total in any::<i64>(), last in 0_i64.., has_total in any::<bool>()) {
            let max = rows_max(has_total.then_some(total.max(0)), Some(last));
            prop_assert!((0..=ROWS_MAX).contains(&max));
        }
    }
}
