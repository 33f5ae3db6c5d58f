//! How a listing came out, and how long a list can be.

use crate::api::Failure;
use crate::model::BadRow;
use crate::store::listings::Listing;

/// The most rows of a list of which neither the server nor an earlier listing says how many it has.
const UNKNOWN_ROWS_MAX: i64 = 1_000_000;
/// The most rows of any list.
const ROWS_MAX: i64 = 50_000_000;
/// How much longer than its last listing a list may be.
const GROWTH_MAX: i64 = 10;
/// How many rows a list may have beyond the number that the server gave at its beginning; or a tenth of
/// that number.
const SLACK_ROWS: i64 = 1_000;
/// How many rows with something wrong are kept to be named.
const NOTED_MAX: usize = 100;

/// How a listing came out.
#[derive(Debug)]
pub struct ListingResult {
    /// The listing, with its numbers.
    pub listing: Listing,
    /// Why it is not complete, if it is not.
    pub reason: Option<IncompleteReason>,
    /// What is worth telling of its pages, in this run.
    pub notes: Notes,
}

/// What is worth telling of its pages.
#[derive(Debug, Default)]
pub struct Notes {
    /// Rows that could not be decoded; the first of them.
    pub bad: Vec<BadRow>,
    /// Rows whose JSON was repaired, likewise.
    pub repaired: Vec<BadRow>,
    /// The server's name for the last request that was answered.
    pub request_id: Option<String>,
}

impl Notes {
    /// Adds those of a page, as far as there is room.
    pub fn add(&mut self, bad: Vec<BadRow>, repaired: Vec<BadRow>) {
        for (notes, more) in [(&mut self.bad, bad), (&mut self.repaired, repaired)] {
            notes.extend(more);
            notes.truncate(NOTED_MAX);
        }
    }
}

/// What makes a listing incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncompleteReason {
    /// A cursor came twice: the list goes in a circle.
    CursorRepeated,
    /// The cursor was refused again and again.
    CursorRefused(Failure),
    /// The list ended before the number of rows the server itself gives.
    EndedShort {
        /// Rows met.
        seen: i64,
        /// Rows there are, by the server.
        total: i64,
    },
    /// Page after page without anything new.
    Endless,
    /// It goes on beyond what it can have.
    TooLong {
        /// Rows met.
        seen: i64,
        /// The most it was expected to have.
        expected: i64,
    },
    /// The server says that it left rows out by a filter that was not asked for.
    Filtered(Vec<String>),
    /// The whole list is refused: it is not there for us.
    EndpointRefused(Failure),
}

/// How many rows a list may have, by the number that the server gives and by the last complete listing.
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
    fn a_list_may_grow_while_it_is_listed_but_not_without_end() {
        assert_eq!(rows_max(Some(10), None), 1_010);
        assert_eq!(rows_max(Some(100_000), Some(5)), 110_000);
        assert_eq!(rows_max(None, None), UNKNOWN_ROWS_MAX);
        assert_eq!(rows_max(None, Some(2_000_000)), 20_000_000);
    }

    proptest! {
        #[test]
        fn no_number_of_the_server_makes_a_list_endless(total in any::<i64>(), last in 0_i64.., is_told in any::<bool>()) {
            let max = rows_max(is_told.then_some(total.max(0)), Some(last));
            prop_assert!((0..=ROWS_MAX).contains(&max));
        }
    }
}
