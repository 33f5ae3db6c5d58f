//! The schedule of videos: when each is expected to change. Found by an index on the time, so that
//! the videos that are not due cost nothing.

use rusqlite::{Connection, Transaction};

use super::StoreResult;

/// When a video is due, and after how long a gap it will be asked again if nothing has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Unix seconds.
    pub due_at: i64,
    /// Seconds between the last two fruitless polls; 0 after a scrape was seen.
    pub gap_s: i64,
}

/// A video whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueVideo {
    /// Its key in our tables.
    pub key: i64,
    /// The API's id.
    pub id: String,
    /// The page it stands on.
    pub page: Option<i64>,
    /// Its schedule until now.
    pub due: Due,
    /// Its `scrape_interval_hours`.
    pub interval_hours: Option<i64>,
    /// Its `last_scrape_time`, as text.
    pub last_scrape_time: Option<String>,
    /// Its `added_at`, as text.
    pub added_at: Option<String>,
}

const SELECT: &str = "SELECT v.key, v.id, v.page, d.due_at, d.gap_s, v.scrape_interval_hours,
                             v.last_scrape_time, v.added_at
                      FROM video_due AS d JOIN video AS v ON v.key = d.video";

/// Up to `limit` videos due at `now`, Unix seconds, the most overdue first.
pub fn find(c: &Connection, now: i64, limit: i64) -> StoreResult<Vec<DueVideo>> {
    let sql = format!("{SELECT} WHERE d.due_at <= ?1 ORDER BY d.due_at LIMIT ?2");
    let mut statement = c.prepare_cached(&sql)?;
    let rows = statement.query_map((now, limit), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The videos on a page that are due at `now`.
pub fn on_page(c: &Connection, page: i64, now: i64) -> StoreResult<Vec<DueVideo>> {
    let sql = format!(
        "{SELECT} WHERE d.due_at <= ?2
           AND d.video IN (SELECT j.value FROM page AS p, json_each(p.members) AS j WHERE p.page = ?1)"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let rows = statement.query_map((page, now), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The video of this key, if it is on the schedule.
pub fn one(c: &Connection, key: i64) -> StoreResult<Option<DueVideo>> {
    let mut statement = c.prepare_cached(&format!("{SELECT} WHERE d.video = ?1"))?;
    let mut rows = statement.query_map([key], read)?;
    Ok(rows.next().transpose()?)
}

/// Sets when a video is due; `None` takes it off the schedule.
pub fn set(tx: &Transaction<'_>, key: i64, due: Option<Due>) -> StoreResult<()> {
    match due {
        Some(due) => {
            let sql = "INSERT INTO video_due (video, due_at, gap_s) VALUES (?1, ?2, ?3)
                       ON CONFLICT (video) DO UPDATE SET due_at = excluded.due_at, gap_s = excluded.gap_s";
            tx.prepare_cached(sql)?.execute((key, due.due_at, due.gap_s))?;
        }
        None => {
            tx.prepare_cached("DELETE FROM video_due WHERE video = ?1")?.execute([key])?;
        }
    }
    Ok(())
}

/// When the next video is due, Unix seconds.
pub fn next(c: &Connection) -> StoreResult<Option<i64>> {
    Ok(c.query_row("SELECT min(due_at) FROM video_due", [], |row| row.get(0))?)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<DueVideo> {
    Ok(DueVideo {
        key: row.get(0)?,
        id: row.get(1)?,
        page: row.get(2)?,
        due: Due { due_at: row.get(3)?, gap_s: row.get(4)? },
        interval_hours: row.get(5)?,
        last_scrape_time: row.get(6)?,
        added_at: row.get(7)?,
    })
}
