//! Questions about the mirrored figures, for reports: what grew, how fresh it is, what it cost.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::model::{Instant, Kind};
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// A video and what it gained over its whole history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grower {
    /// Its id.
    pub video_id: String,
    /// Who posted it.
    pub account: Option<String>,
    /// Where.
    pub platform: Option<String>,
    /// Its views now.
    pub views: Option<i64>,
    /// Its views more than at its first scrape.
    pub gained: i64,
}

from_row!(Grower: video_id, account, platform, views, gained);

/// The videos that gained the most views, the fastest first.
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

/// When each of a video's scrapes was, in Unix seconds, and the views it found.
pub fn views(c: &Connection, video_id: &str) -> StoreResult<Vec<(i64, i64)>> {
    let sql = "SELECT s.at_s, s.view_count
               FROM video_scrape AS s JOIN video AS v ON v.row_id = s.video
               WHERE v.id = ?1 AND s.view_count IS NOT NULL
               ORDER BY s.at_s, s.at_ns";
    c.all(sql, [video_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// How old the figures of a kind are. Only what is still being collected counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Ages {
    /// The kind's name.
    pub kind: String,
    /// Rows that are still being collected.
    pub rows: i64,
    /// Hours since the latest scrape.
    pub newest_hours: f64,
    /// Hours since the scrape that is longest ago.
    pub oldest_hours: f64,
    /// Rows whose next scrape should have been seen by now.
    pub overdue: i64,
}

from_row!(Ages: kind, rows, newest_hours, oldest_hours, overdue);

/// The ages by kind, at SQLite's own now.
pub fn ages(c: &Connection) -> StoreResult<Vec<Ages>> {
    // What is past its expectation without being overdue is paused or unavailable.
    let sql = "SELECT kind, count(*) AS rows, min(age_hours) AS newest_hours, max(age_hours) AS oldest_hours,
                      sum(is_overdue) AS overdue
               FROM freshness
               WHERE is_overdue = 1 OR julianday(expected_at) >= julianday('now')
               GROUP BY kind
               ORDER BY kind";
    c.all(sql, [], Ages::from_row)
}

/// What was spent on a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The kind's name.
    pub kind: String,
    /// Requests sent.
    pub requests: i64,
    /// Of these, answered with 304.
    pub not_modified: i64,
}

from_row!(Spent: kind, requests, not_modified);

/// Requests by kind, over every run in the log.
pub fn spent(c: &Connection) -> StoreResult<Vec<Spent>> {
    let sql = "SELECT kind, sum(requests) AS requests, sum(not_modified) AS not_modified FROM sync_log GROUP BY kind ORDER BY kind";
    c.all(sql, [], Spent::from_row)
}

/// Every scrape of a kind in the history: of what, and when. An account video is `platform:id`.
pub fn scrapes(c: &Connection, kind: Kind) -> StoreResult<BTreeSet<(String, Instant)>> {
    let table = kind.name();
    let id = match kind {
        Kind::AccountVideo => "r.platform || ':' || r.id",
        _ => "r.id",
    };
    let sql = format!(
        "SELECT {id}, s.at_s, s.at_ns FROM {table}_scrape AS s JOIN {table} AS r ON r.row_id = s.{table}"
    );
    c.all(&sql, [], |row| Ok((row.get(0)?, Instant { seconds: row.get(1)?, nanos: row.get(2)? })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::store::open::IfMissing;

    /// Three videos with two scrapes each, an hour apart: one grew, one shrank, one is unknown.
    fn mirror() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
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
                        let sql = "INSERT INTO video_scrape (video, at_s, at_ns, view_count) VALUES (?1, ?2, 0, ?3)";
                        tx.execute(sql, (row_id, at, views))?;
                    }
                }
                Ok(())
            })
            .unwrap();
        (folder, store)
    }

    #[test]
    fn only_what_is_known_to_have_grown_is_a_grower() {
        let (_folder, store) = mirror();
        let growers = store.read(|c| growers(c, 5)).unwrap();
        assert_eq!(growers.len(), 1);
        assert_eq!((growers[0].video_id.as_str(), growers[0].gained), ("v1", 4));
        let seen = store.read(|c| views(c, "v3")).unwrap();
        assert_eq!(seen, [(1_750_003_600, 7)]);
    }

    #[test]
    fn what_is_paused_has_no_age() {
        let (_folder, store) = mirror();
        let ages = store.read(ages).unwrap();
        assert_eq!(ages.len(), 1);
        assert_eq!((ages[0].kind.as_str(), ages[0].rows, ages[0].overdue), ("video", 2, 2));
        assert!(ages[0].oldest_hours > 24.0);
    }

    #[test]
    fn every_scrape_is_told_with_its_id() {
        let (_folder, store) = mirror();
        let scrapes = store.read(|c| scrapes(c, Kind::Video)).unwrap();
        assert_eq!(scrapes.len(), 6);
        let first = Instant { seconds: 1_750_000_000, nanos: 0 };
        assert!(scrapes.contains(&("v1".to_owned(), first)));
    }
}
