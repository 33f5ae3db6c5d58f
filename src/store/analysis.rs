//! Queries for the demo's report: fastest growing videos, freshness, requests sent.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::model::{Instant, Kind};
use crate::store::error::StoreResult;
use crate::store::history;
use crate::store::query::{Query, from_row};

/// A video and the views it gained over its whole history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grower {
    /// The API's id.
    pub video_id: String,
    /// User name of the account that posted it.
    pub account: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
    /// Current views.
    pub views: Option<i64>,
    /// Views gained since its first scrape.
    pub gained: i64,
}

from_row!(Grower: video_id, account, platform, views, gained);

/// Returns the videos that gained the most views, in descending order.
pub fn growers(c: &Connection, limit: u32) -> StoreResult<Vec<Grower>> {
    let sql = "SELECT v.id AS video_id, v.account_username AS account, v.platform, v.view_count AS views,
                      g.gained
               FROM (SELECT video_id, sum(views_gained) AS gained FROM video_growth GROUP BY video_id) AS g
               JOIN video_latest AS v ON v.id = g.video_id
               WHERE g.gained > 0
               ORDER BY g.gained DESC, v.id
               LIMIT ?1";
    c.all(sql, [limit], Grower::from_row)
}

/// Returns the time of each of a video's scrapes, in Unix seconds, and its views.
pub fn views(c: &Connection, video_id: &str) -> StoreResult<Vec<(i64, i64)>> {
    let sql = "SELECT s.at_s, s.view_count
               FROM video AS v JOIN post_scrape AS s ON s.post = v.post AND s.source = v.row_id
               WHERE v.id = ?1 AND s.view_count IS NOT NULL
               ORDER BY s.at_s, s.at_ns";
    c.all(sql, [video_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Age of a kind's latest scrapes. Paused and unavailable rows do not count.
#[derive(Debug, Clone, PartialEq)]
pub struct Ages {
    /// The kind's name.
    pub kind: String,
    /// Number of rows.
    pub rows: i64,
    /// Age of the newest, hours.
    pub newest_hours: f64,
    /// Age of the oldest, hours.
    pub oldest_hours: f64,
    /// Rows whose next scrape is overdue.
    pub overdue: i64,
}

from_row!(Ages: kind, rows, newest_hours, oldest_hours, overdue);

/// Returns the ages by kind, at SQLite's own current time.
pub fn ages(c: &Connection) -> StoreResult<Vec<Ages>> {
    // A row past its expected time that is not overdue is paused or unavailable.
    let sql = "SELECT kind, count(*) AS rows, min(age_hours) AS newest_hours, max(age_hours) AS oldest_hours,
                      sum(is_overdue) AS overdue
               FROM freshness
               WHERE is_overdue = 1 OR julianday(expected_at) >= julianday('now')
               GROUP BY kind
               ORDER BY kind";
    c.all(sql, [], Ages::from_row)
}

/// Requests sent for a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindRequests {
    /// The kind's name.
    pub kind: String,
    /// Requests sent.
    pub requests: i64,
    /// Of these, answered 304.
    pub not_modified: i64,
}

from_row!(KindRequests: kind, requests, not_modified);

/// Returns the requests by kind, over all runs in the log.
pub fn requests(c: &Connection) -> StoreResult<Vec<KindRequests>> {
    let sql = "SELECT kind, sum(requests) AS requests, sum(not_modified) AS not_modified FROM sync_log GROUP BY kind ORDER BY kind";
    c.all(sql, [], KindRequests::from_row)
}

/// Returns every scrape in the history of a kind: the resource's id (`platform:id` for an account video)
/// and its time.
pub fn scrapes(c: &Connection, kind: Kind) -> StoreResult<BTreeSet<(String, Instant)>> {
    let table = kind.name();
    let id = match kind {
        Kind::AccountVideo => "r.platform || ':' || r.id",
        _ => "r.id",
    };
    let sql =
        format!("SELECT {id}, s.at_s, s.at_ns FROM {table} AS r JOIN {}", history::join(kind));
    c.all(&sql, [], |row| Ok((row.get(0)?, Instant { seconds: row.get(1)?, nanos: row.get(2)? })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::store::testing::mirror;

    /// Three videos with two scrapes each, an hour apart: one grew, one shrank, one is unknown.
    fn filled_mirror() -> (tempfile::TempDir, Database) {
        let (folder, store) = mirror();
        store
            .write(|tx| {
                for (row_id, before, now) in [(1, Some(5), Some(9)), (2, Some(5), Some(4)), (3, None, Some(7))] {
                    tx.execute(
                        "INSERT INTO video (row_id, id, last_scrape_time, scrape_interval_hours, is_active,
                                            view_count, fingerprint, as_of, first_mirrored_at)
                         VALUES (?1, 'v' || ?1, '2025-06-15T16:06:40Z', 24, ?1 <> 3, ?2, 0, 0, 0)",
                        (row_id, now),
                    )?;
                    for (at, views) in [(1_750_000_000, before), (1_750_003_600, now)] {
                        let sql = "INSERT INTO post_scrape (source, at_s, at_ns, view_count) VALUES (?1, ?2, 0, ?3)";
                        tx.execute(sql, (row_id, at, views))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        (folder, store)
    }

    #[test]
    fn growers_are_videos_with_a_known_gain() {
        let (_folder, store) = filled_mirror();
        let growers = store.read(|c| growers(c, 5)).unwrap();
        assert_eq!(growers.len(), 1);
        assert_eq!((growers[0].video_id.as_str(), growers[0].gained), ("v1", 4));
        let seen = store.read(|c| views(c, "v3")).unwrap();
        assert_eq!(seen, [(1_750_003_600, 7)]);
    }

    #[test]
    fn ages_leave_out_paused_videos() {
        let (_folder, store) = filled_mirror();
        let ages = store.read(ages).unwrap();
        assert_eq!(ages.len(), 1);
        assert_eq!((ages[0].kind.as_str(), ages[0].rows, ages[0].overdue), ("video", 2, 2));
        assert!(ages[0].oldest_hours > 24.0);
    }

    #[test]
    fn scrapes_have_id_and_time() {
        let (_folder, store) = filled_mirror();
        let scrapes = store.read(|c| scrapes(c, Kind::Video)).unwrap();
        assert_eq!(scrapes.len(), 6);
        let first = Instant { seconds: 1_750_000_000, nanos: 0 };
        assert!(scrapes.contains(&("v1".to_owned(), first)));
    }
}
