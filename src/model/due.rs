//! The schedule of accounts and videos: what is due, and what decides when it is due again.

use crate::model::instant::Instant;
use crate::model::kind::Kind;
use crate::model::row::Row;

/// When a resource is due, and after how long a gap it will be asked again if nothing has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Unix seconds.
    pub due_at: i64,
    /// Seconds between the last two fruitless polls; 0 after a scrape was seen.
    pub gap_s: i64,
}

/// A resource whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    /// Its key in our tables.
    pub key: i64,
    /// The API's id.
    pub id: String,
    /// The page it stands on.
    pub page: Option<i64>,
    /// Its schedule until now.
    pub due: Due,
    /// When it was last seen, a stamp.
    pub as_of: i64,
    /// What decides about its next poll.
    pub facts: Facts,
}

/// An account whose videos are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueAccountList {
    /// The account's key in our tables.
    pub account: i64,
    /// The API's id of the account.
    pub id: String,
    /// How many account videos are held of it.
    pub videos: i64,
    /// Since when, a stamp.
    pub since: i64,
}

/// What decides about the next poll of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Paused, or gone from its platform: full syncs alone look at it.
    pub is_idle: bool,
    /// Hours between scrapes, where the API says.
    pub interval_hours: Option<i64>,
    /// Last scrape, Unix seconds; `None` before the first.
    pub last_scrape: Option<i64>,
    /// When tracking began, Unix seconds.
    pub added_at: Option<i64>,
}

impl Facts {
    /// Those of a decoded row.
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

/// What a poll has just shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A scrape that was not known before, or a resource that was not.
    NewScrape,
    /// The scrape that was known already.
    Nothing,
}

/// How the next due time of a row is computed: a pure function and what it needs besides the row. Given to
/// whoever writes rows.
#[derive(Debug, Clone, Copy)]
pub struct DueRule {
    /// Of the row's facts, its schedule until now, what was seen, and the two numbers below.
    pub next: fn(Facts, Option<Due>, Seen, i64, i64) -> Option<Due>,
    /// Unix seconds.
    pub now: i64,
    /// How long a due row may wait, seconds.
    pub freshness_s: i64,
}

impl DueRule {
    /// When a row is due next; `None` when it leaves the schedule.
    pub fn apply(&self, facts: Facts, before: Option<Due>, seen: Seen) -> Option<Due> {
        (self.next)(facts, before, seen, self.now, self.freshness_s)
    }
}
