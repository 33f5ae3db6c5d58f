//! The request plan: which requests read all due rows at the least cost.
//!
//! A page of the last listing can be read again by the cursor that opened it, and shows up to 200 rows.
//! A row on no known page is read by its id. Accounts can also be read by their last scrape, newest
//! first, which shows all that changed in one or two requests. When any of this would cost as much as
//! a listing, the listing is made instead, since it also finds new rows.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::due::{DueAccountList, DueRow};
use crate::model::interval;

/// The most rows on a page.
const PAGE_ROWS: i64 = 200;

/// The requests that cover a set of due rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestPlan {
    /// Ids of pages to read again, the most overdue first.
    pub pages: Vec<i64>,
    /// Rows to read one by one: the row id and the API's id.
    pub items: Vec<(i64, String)>,
}

impl RequestPlan {
    /// The plan for `due`, the most overdue first.
    pub fn covering(due: &[DueRow]) -> Self {
        let mut request_plan = Self::default();
        let mut covered = BTreeSet::new();
        for row in due {
            match row.page {
                Some(page) if covered.insert(page) => request_plan.pages.push(page),
                Some(_) => {}
                None => request_plan.items.push((row.row_id, row.id.clone())),
            }
        }
        request_plan
    }

    /// Number of requests.
    pub fn requests(&self) -> usize {
        self.pages.len().saturating_add(self.items.len())
    }

    /// Whether it is preferred to a listing of so many requests. As many pages are, as an ETag may save
    /// their bodies.
    pub fn is_cheaper_than(&self, listing_requests: i64) -> bool {
        let listing = usize::try_from(listing_requests.max(1)).unwrap_or(usize::MAX);
        self.requests() < listing || (self.requests() == listing && self.items.is_empty())
    }
}

/// Returns the rows whose page is worth reading at `now`. Due rows of one page wait for each other for
/// up to `batch_delay_s`, but never so long that the next scrape could overwrite one unseen.
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

/// Where reading accounts, newest scrape first, may stop: no due account can have an unseen scrape
/// before this (Unix seconds). `margin_s` is how late a scrape may appear in the API.
pub fn accounts_scraped_since(due: &[DueRow], margin_s: i64) -> i64 {
    let earliest = |row: &DueRow| {
        let interval_s = interval::seconds(row.facts.interval_hours);
        let expected = row.facts.last_scrape.map_or(0, |at| at.saturating_add(interval_s));
        expected.max(row.as_of / 1_000_000).saturating_sub(margin_s)
    };
    due.iter().map(earliest).min().unwrap_or(i64::MAX)
}

/// Whether reading the lists of these accounts costs less than listing all account videos.
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

    fn video(key: i64, page: Option<i64>) -> DueRow {
        DueRow {
            row_id: key,
            id: format!("v{key}"),
            page,
            due: Due { due_at: 0, gap_s: 0 },
            as_of: 0,
            facts: Facts::default(),
        }
    }

    #[test]
    fn one_page_covers_all_its_due_rows() {
        let due = [video(1, Some(7)), video(2, Some(7)), video(3, None)];
        let request_plan = RequestPlan::covering(&due);
        assert_eq!(request_plan.pages, [7]);
        assert_eq!(request_plan.items, [(3, "v3".to_owned())]);
    }

    #[test]
    fn listing_is_preferred_to_as_many_single_rows() {
        let due: Vec<_> = (0..5).map(|key| video(key, None)).collect();
        let request_plan = RequestPlan::covering(&due);
        assert!(!request_plan.is_cheaper_than(4) && !request_plan.is_cheaper_than(5));
        assert!(request_plan.is_cheaper_than(6));
        assert_eq!(RequestPlan::covering(&[]).requests(), 0);
    }

    #[test]
    fn pages_are_polled_with_their_etags_rather_than_listed() {
        let due: Vec<_> = (0..5).map(|key| video(key, Some(key))).collect();
        assert!(RequestPlan::covering(&due).is_cheaper_than(5));
    }

    #[test]
    fn due_rows_of_a_page_wait_for_each_other_within_bounds() {
        let at =
            |key, page, due_at| DueRow { due: Due { due_at, gap_s: 0 }, ..video(key, Some(page)) };
        let due = vec![at(1, 7, 100), at(2, 7, 350), at(3, 8, 390)];
        let keys = |now, batch_delay| -> Vec<i64> {
            ready_rows(due.clone(), now, batch_delay).into_iter().map(|row| row.row_id).collect()
        };
        assert_eq!(keys(399, 300), Vec::<i64>::new());
        // The oldest on page 7 has waited for the delay, and its page shows the other one as well.
        assert_eq!(keys(400, 300), [1, 2]);
        assert_eq!(keys(400, 0), [1, 2, 3]);
        // Whatever the delay, an hourly video waits for three quarters of its hour at most.
        let facts = Facts { interval_hours: Some(1), ..Facts::default() };
        let hourly = DueRow { facts, ..at(4, 9, 0) };
        assert_eq!(latest(&hourly, i64::MAX), 2_700);
    }

    #[test]
    fn account_lists_are_read_while_that_is_cheaper() {
        let account_list = |videos| DueAccountList { account: 1, id: "a".to_owned(), videos };
        assert!(account_lists_are_cheaper(&[account_list(0), account_list(201)], 4));
        assert!(!account_lists_are_cheaper(&[account_list(0), account_list(201)], 3));
    }

    #[test]
    fn recent_accounts_stop_where_no_due_account_can_follow() {
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
