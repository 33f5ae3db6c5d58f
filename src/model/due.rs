//! Due times of accounts and videos: due rows, and the facts that decide when a row is due next.

use crate::model::instant::Instant;
use crate::model::kind::Kind;
use crate::model::row::Row;

/// When a resource is due, and the gap before the next poll if it has not been scraped by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Unix seconds.
    pub due_at: i64,
    /// Seconds between the last two fruitless polls; 0 after a scrape was seen.
    pub gap_s: i64,
}

/// A resource that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    /// Row id in the kind's table.
    pub row_id: i64,
    /// The API's id.
    pub id: String,
    /// The stored page that shows it; `None` if no page is known.
    pub page: Option<i64>,
    /// Its due time before this poll.
    pub due: Due,
    /// Start of the request that showed it last, microseconds.
    pub as_of: i64,
    /// Facts that decide when it is due next.
    pub facts: Facts,
}

/// An account that was scraped, so that its account videos must be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueAccountList {
    /// Row id of the account.
    pub account: i64,
    /// The API's id of the account.
    pub id: String,
    /// Account videos of it in the mirror.
    pub videos: i64,
}

/// Facts that decide when a resource is polled next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Paused, or unavailable on its platform: read by full syncs only.
    pub is_idle: bool,
    /// Hours between scrapes, where the API says.
    pub interval_hours: Option<i64>,
    /// Last scrape, Unix seconds; `None` before the first.
    pub last_scrape: Option<i64>,
    /// When tracking began, Unix seconds.
    pub added_at: Option<i64>,
}

impl Facts {
    /// The facts of a decoded row.
    pub fn of(kind: Kind, row: &Row) -> Self {
        let number = |name| row.value(kind, name).as_integer();
        Self {
            is_idle: number("is_active") == Some(0) || number("is_unavailable") == Some(1),
            interval_hours: number("scrape_interval_hours"),
            last_scrape: row.scraped_at.map(|at| at.seconds),
            added_at: seconds(row.value(kind, "added_at").as_text()),
        }
    }
}

/// Unix seconds of an instant in the mirror's form.
pub fn seconds(text: Option<&str>) -> Option<i64> {
    text.and_then(Instant::parse).map(|at| at.seconds)
}

/// Result of a poll of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A scrape, or a resource, that the mirror did not hold.
    NewScrape,
    /// The scrape that the mirror already holds.
    Unchanged,
}

/// Computes the next due time of a row: a pure function and its inputs besides the row. The row writer gets it as data,
/// so that `store` does not call `schedule`.
#[derive(Debug, Clone, Copy)]
pub struct DueRule {
    /// Arguments: the row's facts, its previous due time, the poll's result, `now`, `freshness_s`.
    pub next: fn(Facts, Option<Due>, Seen, i64, i64) -> Option<Due>,
    /// Unix seconds.
    pub now: i64,
    /// How long a due row may wait, seconds.
    pub freshness_s: i64,
}

impl DueRule {
    /// Returns when a row is due next; `None` if it is not polled any more.
    pub fn apply(&self, facts: Facts, before: Option<Due>, seen: Seen) -> Option<Due> {
        (self.next)(facts, before, seen, self.now, self.freshness_s)
    }
}
