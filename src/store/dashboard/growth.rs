//! Growth computed from the history: views gained by day and by post, and followers by day.
//!
//! Reads only the scrapes of the days shown, by primary key, and the last one before them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{CachedStatement, Connection};

use crate::model::Kind;
use crate::store::error::StoreResult;
use crate::store::history;
use crate::store::query::Query;

/// Seconds of a day.
pub const DAY_S: i64 = 86_400;
/// Days shown in charts, today included.
pub const DAYS: i64 = 30;
/// Maximum number of movers shown.
const MOVERS_MAX: usize = 10;
/// Days over which the movers' gains are counted.
pub const DAYS_OF_MOVERS: i64 = 7;

/// Views gained.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growth {
    /// By day (since 1970), from the first day with a known gain or daily metrics.
    pub days: BTreeMap<i64, Gain>,
    /// In the last 7 days.
    pub week: i64,
    /// In the 7 days before; `None` while the history is shorter.
    pub week_before: Option<i64>,
    /// The posts with the largest gains in the last 7 days, in descending order.
    pub movers: Vec<Mover>,
}

/// Views gained on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gain {
    /// By individually tracked videos.
    pub videos: i64,
    /// By account videos, except those that are tracked as videos too.
    pub posts: i64,
}

impl Gain {
    const fn of(&mut self, source: PostSource) -> &mut i64 {
        match source {
            PostSource::Video => &mut self.videos,
            PostSource::Post => &mut self.posts,
        }
    }
}

/// Where a post is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostSource {
    /// As an individually tracked video.
    Video,
    /// As an account video.
    Post,
}

/// A post and its gain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover {
    /// Where it is mirrored.
    pub source: PostSource,
    /// User name of the account that posted it.
    pub account: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
    /// Its description.
    pub caption: Option<String>,
    /// Current views.
    pub views: Option<i64>,
    /// Views gained.
    pub gained: i64,
    /// Scrapes of these days, and the last before them: Unix seconds and views.
    pub scrapes: Vec<(i64, i64)>,
}

/// Followers of all present accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followers {
    /// Current followers.
    pub total: i64,
    /// Gained in the last 7 days by accounts that were mirrored before.
    pub week: i64,
    /// At the end of each day (since 1970), from the day before the first known change. Before its first
    /// scrape an account counts with that scrape's followers, so that a new account makes no step.
    pub curve: BTreeMap<i64, i64>,
}

/// SQL for the scrapes of the resource `?1` with this count, between the times `?2` and `?3`, and the last
/// one before them.
fn scrapes(kind: Kind, count: &str) -> String {
    let (table, join) = (kind.name(), history::join(kind));
    format!(
        "SELECT s.at_s, s.{count} FROM {table} AS r JOIN {join}
         WHERE r.row_id = ?1 AND s.{count} IS NOT NULL AND s.at_s <= ?3
           AND s.at_s >= coalesce((SELECT s.at_s FROM {table} AS r JOIN {join}
                                   WHERE r.row_id = ?1 AND s.{count} IS NOT NULL AND s.at_s < ?2
                                   ORDER BY s.at_s DESC LIMIT 1), ?2)
         ORDER BY s.at_s, s.at_ns"
    )
}

/// Reads the views gained until `now`, Unix seconds.
pub(super) fn views(c: &Connection, now: i64) -> StoreResult<Growth> {
    let mut growth = Growth::default();
    let mut gainers = Vec::new();
    let mut first_gain = i64::MAX;
    let mut week_before = 0_i64;
    let since = now - DAYS_OF_MOVERS * DAY_S;
    for source in [PostSource::Video, PostSource::Post] {
        let mut scrapes = c.prepare_cached(&source.scrapes())?;
        for (row_id, is_listed) in source.row_ids(c)? {
            let history = read(&mut scrapes, row_id, first_day(now) * DAY_S, now)?;
            first_gain = history.get(1).map_or(first_gain, |(at, _)| first_gain.min(*at));
            let mut gained = 0_i64;
            for step in history.windows(2) {
                let [(_, before), (at, views)] = step else { continue };
                let gain = views.saturating_sub(*before);
                let of_day = growth.days.entry(day_of(*at)).or_default().of(source);
                *of_day = of_day.saturating_add(gain);
                if *at >= since {
                    gained = gained.saturating_add(gain);
                } else if *at >= since - DAYS_OF_MOVERS * DAY_S {
                    week_before = week_before.saturating_add(gain);
                }
            }
            growth.week = growth.week.saturating_add(gained);
            if gained > 0 && is_listed {
                gainers.push((gained, source, row_id));
            }
        }
    }
    for day in day_of(first_gain)..=day_of(now) {
        growth.days.entry(day).or_default();
    }
    add_daily_metrics(c, first_day(now), day_of(first_gain).min(day_of(now)), &mut growth.days)?;
    // The first of these days may be incomplete.
    let reaches_back = first_gain <= since - (DAYS_OF_MOVERS - 1) * DAY_S;
    growth.week_before = reaches_back.then_some(week_before);
    gainers.sort_by_key(|(gained, ..)| std::cmp::Reverse(*gained));
    gainers.truncate(MOVERS_MAX);
    for (gained, source, row_id) in gainers {
        let scrapes = read(&mut c.prepare_cached(&source.scrapes())?, row_id, since, now)?;
        let mover = c.one(&source.row(), [row_id], |row| {
            Ok(Mover {
                source,
                account: row.get(0)?,
                platform: row.get(1)?,
                caption: row.get(2)?,
                views: row.get(3)?,
                gained,
                scrapes,
            })
        })?;
        growth.movers.push(mover);
    }
    Ok(growth)
}

/// Adds the gains of days that the history does not cover completely, from the daily metrics if there are
/// any.
fn add_daily_metrics(
    c: &Connection,
    first: i64,
    last: i64,
    days: &mut BTreeMap<i64, Gain>,
) -> StoreResult<()> {
    let sql = "SELECT d.day, m.row_id, m.views
               FROM metric_day AS d JOIN metric AS m ON m.slot = d.slot
               WHERE d.kind = ?1 AND d.day BETWEEN ?2 AND ?3 AND m.state < 2 AND m.views IS NOT NULL";
    let mut statement = c.prepare(sql)?;
    for source in [PostSource::Video, PostSource::Post] {
        let row_ids: BTreeSet<i64> =
            source.row_ids(c)?.into_iter().map(|(row_id, _)| row_id).collect();
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        let mut rows = statement.query((source.kind().name(), first, last))?;
        while let Some(row) = rows.next()? {
            if row_ids.contains(&row.get(1)?) {
                let sum = sums.entry(row.get(0)?).or_default();
                *sum = sum.saturating_add(row.get(2)?);
            }
        }
        for (day, sum) in sums {
            *days.entry(day).or_default().of(source) = sum;
        }
    }
    Ok(())
}

/// Reads the followers until `now`, Unix seconds.
pub(super) fn followers(c: &Connection, now: i64) -> StoreResult<Followers> {
    let sql = "SELECT row_id, follower_count FROM account WHERE removed_at IS NULL";
    let accounts: Vec<(i64, Option<i64>)> = c.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut scrapes = c.prepare_cached(&scrapes(Kind::Account, "follower_count"))?;
    let mut found = Followers::default();
    let mut histories = Vec::new();
    for (row_id, count) in accounts {
        found.total = found.total.saturating_add(count.unwrap_or(0));
        let history = read(&mut scrapes, row_id, first_day(now) * DAY_S, now)?;
        if let (Some(then), Some((_, last))) = (at(&history, now - 7 * DAY_S), history.last()) {
            found.week = found.week.saturating_add(last.saturating_sub(then));
        }
        histories.push(history);
    }
    let first_change =
        histories.iter().filter_map(|history| history.get(1)).map(|(at, _)| *at).min();
    for day in first_change.map_or(i64::MAX, |at| day_of(at) - 1)..=day_of(now) {
        let end = (day + 1) * DAY_S - 1;
        let counts = histories.iter().filter_map(|history| at(history, end));
        found.curve.insert(day, counts.fold(0, i64::saturating_add));
    }
    Ok(found)
}

/// Returns the last count until `second`, or else the first one.
fn at(history: &[(i64, i64)], second: i64) -> Option<i64> {
    let end = history.partition_point(|(at, _)| *at <= second);
    history.get(end.saturating_sub(1)).map(|(_, count)| *count)
}

/// Returns the day of a Unix second, in days since 1970.
pub fn day_of(second: i64) -> i64 {
    second.div_euclid(DAY_S)
}

fn first_day(now: i64) -> i64 {
    day_of(now) - DAYS + 1
}

/// Returns the scrapes from `since` until `now` and the last one before them: Unix seconds and counts.
fn read(
    scrapes: &mut CachedStatement<'_>,
    row_id: i64,
    since: i64,
    now: i64,
) -> StoreResult<Vec<(i64, i64)>> {
    let rows = scrapes.query_map((row_id, since, now), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl PostSource {
    const fn kind(self) -> Kind {
        match self {
            Self::Video => Kind::Video,
            Self::Post => Kind::AccountVideo,
        }
    }

    /// Returns `row_id`s, and whether the rows are present.
    fn row_ids(self, c: &Connection) -> StoreResult<Vec<(i64, bool)>> {
        let sql = match self {
            Self::Video => "SELECT row_id, removed_at IS NULL FROM video",
            // A post that is also tracked as a video is counted there.
            Self::Post => {
                "SELECT p.row_id, p.removed_at IS NULL
                 FROM account_video AS p
                 LEFT JOIN video AS v ON v.external_id = p.external_id AND v.platform = p.platform
                 WHERE v.row_id IS NULL"
            }
        };
        c.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn scrapes(self) -> String {
        scrapes(self.kind(), "view_count")
    }

    fn row(self) -> String {
        let table = self.kind().name();
        format!(
            "SELECT account_username, platform, description, view_count FROM {table} WHERE row_id = ?1"
        )
    }
}
