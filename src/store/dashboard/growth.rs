//! Growth computed from the history: views gained by day and by post, and followers by day.
//!
//! Reads only the scrapes of the days shown, by primary key, and the last one before them.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection};

use crate::model::Kind;
use crate::model::instant::{DAY_S, day_of};
use crate::store::error::StoreResult;
use crate::store::query::Query;

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
    pub days: BTreeMap<i64, Split>,
    /// In the last 7 days.
    pub week: i64,
    /// In the 7 days before; `None` while the history is shorter.
    pub week_before: Option<i64>,
    /// The posts with the largest gains in the last 7 days, in descending order.
    pub movers: Vec<Mover>,
}

/// A figure of individually tracked posts, and of other posts of accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Split {
    /// Of individually tracked posts.
    pub tracked: i64,
    /// Of other posts of accounts.
    pub others: i64,
}

impl Split {
    const fn of(&mut self, is_tracked: bool) -> &mut i64 {
        match is_tracked {
            true => &mut self.tracked,
            false => &mut self.others,
        }
    }
}

/// A post and its gain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover {
    /// Whether it is tracked individually.
    pub is_tracked: bool,
    /// User name of the account that posted it.
    pub account: Option<String>,
    /// Its platform.
    pub platform: Option<String>,
    /// Its description.
    pub caption: Option<String>,
    /// Its page on the platform.
    pub url: Option<String>,
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

/// SQL for the scrapes of an account or post `?1` with this count, between the times `?2` and `?3`, and the last
/// one before them.
fn scrapes(owner: &str, count: &str) -> String {
    format!(
        "SELECT at_s, {count} FROM {owner}_scrape
         WHERE {owner} = ?1 AND {count} IS NOT NULL AND at_s <= ?3
           AND at_s >= coalesce((SELECT at_s FROM {owner}_scrape
                                 WHERE {owner} = ?1 AND {count} IS NOT NULL AND at_s < ?2
                                 ORDER BY at_s DESC LIMIT 1), ?2)
         ORDER BY at_s, at_ns"
    )
}

/// A post of the mirror.
pub(super) struct Post {
    post: i64,
    post_key: String,
    is_tracked: bool,
    is_present: bool,
    /// Time of its first scrape if it was published shortly before: then it gained its whole views.
    starts_at: Option<i64>,
    rows: [Option<i64>; 2],
}

/// Reads all posts.
pub(super) fn posts(c: &Connection) -> StoreResult<Vec<Post>> {
    // Published at most 1.5 intervals before, as in the views.
    let sql = "SELECT p.post, p.post_key, v.row_id IS NOT NULL AND v.removed_at IS NULL,
                      v.row_id IS NOT NULL AND v.removed_at IS NULL OR a.row_id IS NOT NULL AND a.removed_at IS NULL,
                      (SELECT CASE WHEN s.at_s <= p.create_s + 5400 * max(coalesce(s.interval_hours, 24), 1) THEN s.at_s END
                       FROM post_scrape AS s WHERE s.post = p.post
                       ORDER BY s.at_s, s.at_ns, s.source DESC LIMIT 1),
                      p.video, p.account_video
               FROM post AS p
               LEFT JOIN video AS v ON v.row_id = p.video
               LEFT JOIN account_video AS a ON a.row_id = p.account_video";
    c.all(sql, [], |row| {
        Ok(Post {
            post: row.get(0)?,
            post_key: row.get(1)?,
            is_tracked: row.get(2)?,
            is_present: row.get(3)?,
            starts_at: row.get(4)?,
            rows: [row.get(5)?, row.get(6)?],
        })
    })
}

/// Counts the present posts.
pub(super) fn count(posts: &[Post]) -> Split {
    let mut found = Split::default();
    for post in posts.iter().filter(|post| post.is_present) {
        *found.of(post.is_tracked) += 1;
    }
    found
}

impl Post {
    /// The gains until `now`, by the second of their later scrape.
    fn gains(&self, history: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let first = history.first().filter(|(at, _)| Some(*at) == self.starts_at);
        let steps = history.windows(2).filter_map(|step| match step {
            [(_, before), (at, views)] => Some((*at, views.saturating_sub(*before))),
            _ => None,
        });
        first.copied().into_iter().chain(steps).collect()
    }
}

/// Reads the views that these posts gained until `now`, Unix seconds.
pub(super) fn views(c: &Connection, posts: &[Post], now: i64) -> StoreResult<Growth> {
    let mut growth = Growth::default();
    let mut gainers = Vec::new();
    let mut first_gain = i64::MAX;
    let mut week_before = 0_i64;
    let since = now - DAYS_OF_MOVERS * DAY_S;
    let mut statement = c.prepare_cached(&scrapes("post", "view_count"))?;
    for post in posts {
        let history = read(&mut statement, post.post, first_day(now) * DAY_S, now)?;
        let mut gained = 0_i64;
        for (at, gain) in post.gains(&history) {
            first_gain = first_gain.min(at);
            let of_day = growth.days.entry(day_of(at)).or_default().of(post.is_tracked);
            *of_day = of_day.saturating_add(gain);
            if at >= since {
                gained = gained.saturating_add(gain);
            } else if at >= since - DAYS_OF_MOVERS * DAY_S {
                week_before = week_before.saturating_add(gain);
            }
        }
        growth.week = growth.week.saturating_add(gained);
        if gained > 0 && post.is_present {
            gainers.push((gained, post));
        }
    }
    for day in day_of(first_gain)..=day_of(now) {
        growth.days.entry(day).or_default();
    }
    let last = day_of(first_gain).min(day_of(now));
    add_daily_metrics(c, first_day(now), last, posts, &mut growth.days)?;
    // The first of these days may be incomplete.
    let reaches_back = first_gain <= since - (DAYS_OF_MOVERS - 1) * DAY_S;
    growth.week_before = reaches_back.then_some(week_before);
    gainers.sort_by_key(|(gained, _)| std::cmp::Reverse(*gained));
    gainers.truncate(MOVERS_MAX);
    for (gained, post) in gainers {
        let scrapes = read(&mut statement, post.post, since, now)?;
        growth.movers.push(mover(c, post, gained, scrapes)?);
    }
    Ok(growth)
}

fn mover(c: &Connection, post: &Post, gained: i64, scrapes: Vec<(i64, i64)>) -> StoreResult<Mover> {
    let sql = "SELECT account_username, platform, description, url, view_count FROM posts WHERE post_key = ?1";
    c.one(sql, [&post.post_key], |row| {
        Ok(Mover {
            is_tracked: post.is_tracked,
            account: row.get(0)?,
            platform: row.get(1)?,
            caption: row.get(2)?,
            url: row.get(3)?,
            views: row.get(4)?,
            gained,
            scrapes,
        })
    })
}

/// Adds the gains of days that the history does not cover completely, from the daily metrics if there are
/// any. A post in both kinds counts as a video.
fn add_daily_metrics(
    c: &Connection,
    first: i64,
    last: i64,
    posts: &[Post],
    days: &mut BTreeMap<i64, Split>,
) -> StoreResult<()> {
    let sql = "SELECT d.day, m.row_id, m.views
               FROM metric_day AS d JOIN metric AS m ON m.slot = d.slot
               WHERE d.kind = ?1 AND d.day BETWEEN ?2 AND ?3 AND m.state < 2 AND m.views IS NOT NULL";
    let mut statement = c.prepare(sql)?;
    let videos = posts.iter().filter_map(|post| Some((post.rows[0]?, post.is_tracked)));
    let others = posts.iter().filter(|post| post.rows[0].is_none());
    let others = others.filter_map(|post| Some((post.rows[1]?, post.is_tracked)));
    let mut sums: BTreeMap<(i64, bool), i64> = BTreeMap::new();
    for (kind, row_ids) in [
        (Kind::Video, videos.collect::<BTreeMap<_, _>>()),
        (Kind::AccountVideo, others.collect::<BTreeMap<_, _>>()),
    ] {
        let mut rows = statement.query((kind.name(), first, last))?;
        while let Some(row) = rows.next()? {
            if let Some(is_tracked) = row_ids.get(&row.get(1)?) {
                let sum = sums.entry((row.get(0)?, *is_tracked)).or_default();
                *sum = sum.saturating_add(row.get(2)?);
            }
        }
    }
    for ((day, is_tracked), sum) in sums {
        *days.entry(day).or_default().of(is_tracked) = sum;
    }
    Ok(())
}

/// Reads the followers until `now`, Unix seconds.
pub(super) fn followers(c: &Connection, now: i64) -> StoreResult<Followers> {
    let sql = "SELECT row_id, follower_count FROM account WHERE removed_at IS NULL";
    let accounts: Vec<(i64, Option<i64>)> = c.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut scrapes = c.prepare_cached(&scrapes("account", "follower_count"))?;
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
