//! Which requests show all that is due at the least cost.
//!
//! A page of the last listing can be read again by the cursor that opened it, and shows up to 200 rows
//! at once. A row that stands on no known page is read by its id. Accounts can also be followed by
//! their last scrape, newest first, which shows all that moved in a request or two. When any of this
//! would cost as much as listing the whole list, the listing is better: it also sees what is new.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::due::{DueAccountList, DueRow};
use crate::model::interval;

/// The most rows on a page.
const PAGE_ROWS: i64 = 200;

/// The requests that cover a set of due rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestPlan {
    /// Keys of pages to read again, the one that is due longest first.
    pub pages: Vec<i64>,
    /// Rows to read one by one: our `row_id` and the API's id.
    pub items: Vec<(i64, String)>,
}

/// What to do about the due rows of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Nothing is due.
    Nothing,
    /// These requests.
    Polls(RequestPlan),
    /// The whole list.
    Listing,
}

/// The rows whose page is worth reading at `now`. Those that are due on one page wait for each other
/// for up to `batch_delay_s`, but never so long that the next scrape could overwrite one unseen.
pub fn ready_rows(due: Vec<DueRow>, now: i64, batch_delay_s: i64) -> Vec<DueRow> {
    let mut deadlines: BTreeMap<Option<i64>, i64> = BTreeMap::new();
    for row in &due {
        let deadline = deadlines.entry(row.page).or_insert(i64::MAX);
        *deadline = (*deadline).min(latest(row, batch_delay_s));
    }
    let is_ready = |row: &DueRow| deadlines.get(&row.page).is_some_and(|deadline| *deadline <= now);
    due.into_iter().filter(is_ready).collect()
}

/// Until when a due row may wait for others, Unix seconds.
pub fn latest(row: &DueRow, batch_delay_s: i64) -> i64 {
    row.due
        .due_at
        .saturating_add(batch_delay_s.min(interval::longest_wait_s(row.facts.interval_hours)))
}

/// Chooses for `due`, the most overdue first, when a listing costs `listing_pages` requests.
pub fn choose(due: &[DueRow], listing_pages: i64) -> Choice {
    let mut request_plan = RequestPlan::default();
    let mut covered = BTreeSet::new();
    for row in due {
        match row.page {
            Some(page) if covered.insert(page) => request_plan.pages.push(page),
            Some(_) => {}
            None => request_plan.items.push((row.row_id, row.id.clone())),
        }
    }
    let requests = request_plan.pages.len().saturating_add(request_plan.items.len());
    let listing = usize::try_from(listing_pages.max(1)).unwrap_or(usize::MAX);
    match requests {
        0 => Choice::Nothing,
        n if n > listing || (n == listing && !request_plan.items.is_empty()) => Choice::Listing,
        _ => Choice::Polls(request_plan),
    }
}

/// Where a look at the accounts, newest scrape first, may stop: no due account can have been scraped
/// before this (Unix seconds) without our having seen it. `margin_s` is how late a scrape may show.
pub fn accounts_scraped_since(due: &[DueRow], margin_s: i64) -> i64 {
    let earliest = |row: &DueRow| {
        let interval_s = interval::seconds(row.facts.interval_hours);
        let expected = row.facts.last_scrape.map_or(0, |at| at.saturating_add(interval_s));
        expected.max(row.as_of / 1_000_000).saturating_sub(margin_s)
    };
    due.iter().map(earliest).min().unwrap_or(i64::MAX)
}

/// Whether reading the feeds one by one costs less than listing all of them.
pub fn account_lists_are_cheaper(account_lists: &[DueAccountList], listing_pages: i64) -> bool {
    let pages = |account_list: &DueAccountList| {
        account_list.videos.max(1).saturating_add(PAGE_ROWS - 1) / PAGE_ROWS
    };
    account_lists.iter().map(pages).sum::<i64>() < listing_pages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::due::{Due, Facts};

    fn video(row_id: i64, page: Option<i64>) -> DueRow {
        DueRow {
            row_id,
            id: format!("v{row_id}"),
            page,
            due: Due { due_at: 0, gap_s: 0 },
            as_of: 0,
            facts: Facts::default(),
        }
    }

    #[test]
    fn one_page_covers_all_its_videos() {
        let due = [video(1, Some(7)), video(2, Some(7)), video(3, None)];
        let Choice::Polls(request_plan) = choose(&due, 100) else { panic!() };
        assert_eq!(request_plan.pages, [7]);
        assert_eq!(request_plan.items, [(3, "v3".to_owned())]);
    }

    #[test]
    fn the_listing_is_taken_when_it_costs_no_more() {
        let due: Vec<_> = (0..5).map(|row_id| video(row_id, None)).collect();
        assert_eq!(choose(&due, 4), Choice::Listing);
        assert_eq!(choose(&due, 5), Choice::Listing);
        assert!(matches!(choose(&due, 6), Choice::Polls(_)));
        assert_eq!(choose(&[], 6), Choice::Nothing);
    }

    #[test]
    fn all_pages_due_are_read_by_their_validators_rather_than_listed() {
        let due: Vec<_> = (0..5).map(|row_id| video(row_id, Some(row_id))).collect();
        assert!(matches!(choose(&due, 5), Choice::Polls(_)));
    }

    #[test]
    fn dues_on_a_page_wait_for_each_other_but_not_for_too_long() {
        let at = |row_id, page, due_at| DueRow {
            due: Due { due_at, gap_s: 0 },
            ..video(row_id, Some(page))
        };
        let due = vec![at(1, 7, 100), at(2, 7, 350), at(3, 8, 390)];
        let row_ids = |now, batch_delay| -> Vec<i64> {
            ready_rows(due.clone(), now, batch_delay).into_iter().map(|row| row.row_id).collect()
        };
        assert_eq!(row_ids(399, 300), Vec::<i64>::new());
        // The oldest on page 7 has waited enough, and takes its neighbour along.
        assert_eq!(row_ids(400, 300), [1, 2]);
        assert_eq!(row_ids(400, 0), [1, 2, 3]);
        // However long we may wait, an hourly video waits for three quarters of its hour at most.
        let facts = Facts { interval_hours: Some(1), ..Facts::default() };
        let hourly = DueRow { facts, ..at(4, 9, 0) };
        assert_eq!(latest(&hourly, i64::MAX), 2_700);
    }

    #[test]
    fn feeds_are_read_one_by_one_while_that_is_cheaper() {
        let account_list =
            |videos| DueAccountList { account: 1, id: "a".to_owned(), videos, since: 0 };
        assert!(account_lists_are_cheaper(&[account_list(0), account_list(201)], 4));
        assert!(!account_lists_are_cheaper(&[account_list(0), account_list(201)], 3));
    }

    #[test]
    fn following_stops_where_no_due_account_can_be() {
        let hourly =
            |last_scrape| Facts { interval_hours: Some(1), last_scrape, ..Facts::default() };
        let due = [
            DueRow { as_of: 5_000_000_000, facts: hourly(None), ..video(1, None) },
            DueRow { as_of: 1_000_000_000, facts: hourly(Some(4_000)), ..video(2, None) },
        ];
        // The first was seen at 5,000 s; the second is expected at 4,000 + 3,600 s.
        assert_eq!(accounts_scraped_since(&due, 600), 4_400);
        assert_eq!(accounts_scraped_since(&[], 600), i64::MAX);
    }
}
