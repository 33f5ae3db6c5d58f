//! Growth out of the history: views gained by day and by post, followers by day.
//!
//! Only the scrapes of the days in question are read, by primary key, and the last one before them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{CachedStatement, Connection};

use crate::model::Kind;
use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Seconds of a day.
pub const DAY_S: i64 = 86_400;
/// Days that curves reach back, today included.
pub const DAYS: i64 = 30;
/// Posts that are shown for what they gained.
const MOVERS_MAX: usize = 10;
/// Days over which posts compete.
pub const DAYS_OF_MOVERS: i64 = 7;

/// Views gained in the last days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growth {
    /// By day (since 1970), from the first on which a gain could be seen, or for which the API was asked.
    pub days: BTreeMap<i64, Gain>,
    /// In the 7 days until now.
    pub week: i64,
    /// In the 7 days before them; `None` while the history does not reach back so far.
    pub week_before: Option<i64>,
    /// The posts that gained the most in the 7 days until now, the most first.
    pub movers: Vec<Mover>,
}

/// Views gained on a day, by where they were gained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gain {
    /// By individually tracked videos.
    pub videos: i64,
    /// By posts of accounts, but for those that are tracked as videos too.
    pub posts: i64,
}

impl Gain {
    const fn of(&mut self, subject: Subject) -> &mut i64 {
        match subject {
            Subject::Video => &mut self.videos,
            Subject::Post => &mut self.posts,
        }
    }
}

/// Where a post comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// It is tracked by itself.
    Video,
    /// It was found in an account's feed.
    Post,
}

/// A post and what it gained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover {
    /// Where it comes from.
    pub subject: Subject,
    /// Who posted it.
    pub account: Option<String>,
    /// Where.
    pub platform: Option<String>,
    /// What stands under it.
    pub caption: Option<String>,
    /// Its views now.
    pub views: Option<i64>,
    /// Views gained.
    pub gained: i64,
    /// Scrapes in these days and the last before them: Unix seconds, views.
    pub scrapes: Vec<(i64, i64)>,
}

/// Followers of all accounts that are not removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Followers {
    /// Now.
    pub total: i64,
    /// Gained in the 7 days until now by accounts that were known before.
    pub week: i64,
    /// At the end of each day (since 1970), from the day before the first that could show a change.
    /// Before its first scrape an account counts with what it had then, so that a new one is no leap.
    pub curve: BTreeMap<i64, i64>,
}

/// The scrapes of a resource, `?1`, that have this count: between two times, `?2` and `?3`, and the last
/// before them.
fn scrapes(kind: Kind, count: &str) -> String {
    let table = kind.name();
    format!(
        "SELECT at_s, {count} FROM {table}_scrape
         WHERE {table} = ?1 AND {count} IS NOT NULL AND at_s <= ?3
           AND at_s >= coalesce((SELECT at_s FROM {table}_scrape
                                 WHERE {table} = ?1 AND {count} IS NOT NULL AND at_s < ?2
                                 ORDER BY at_s DESC LIMIT 1), ?2)
         ORDER BY at_s, at_ns"
    )
}

/// Reads what was gained until `now`, in Unix seconds.
pub(super) fn views(c: &Connection, now: i64) -> StoreResult<Growth> {
    let mut growth = Growth::default();
    let mut gainers = Vec::new();
    let mut first_gain = i64::MAX;
    let mut week_before = 0_i64;
    let since = now - DAYS_OF_MOVERS * DAY_S;
    for subject in [Subject::Video, Subject::Post] {
        let mut scrapes = c.prepare_cached(&subject.scrapes())?;
        for (row_id, is_listed) in subject.row_ids(c)? {
            let history = read(&mut scrapes, row_id, first_day(now) * DAY_S, now)?;
            first_gain = history.get(1).map_or(first_gain, |(at, _)| first_gain.min(*at));
            let mut gained = 0_i64;
            for step in history.windows(2) {
                let [(_, before), (at, views)] = step else { continue };
                let gain = views.saturating_sub(*before);
                let of_day = growth.days.entry(day_of(*at)).or_default().of(subject);
                *of_day = of_day.saturating_add(gain);
                if *at >= since {
                    gained = gained.saturating_add(gain);
                } else if *at >= since - DAYS_OF_MOVERS * DAY_S {
                    week_before = week_before.saturating_add(gain);
                }
            }
            growth.week = growth.week.saturating_add(gained);
            if gained > 0 && is_listed {
                gainers.push((gained, subject, row_id));
            }
        }
    }
    for day in day_of(first_gain)..=day_of(now) {
        growth.days.entry(day).or_default();
    }
    before_the_mirror(c, first_day(now), day_of(first_gain).min(day_of(now)), &mut growth.days)?;
    // The first of these days may be seen in part.
    let reaches_back = first_gain <= since - (DAYS_OF_MOVERS - 1) * DAY_S;
    growth.week_before = reaches_back.then_some(week_before);
    gainers.sort_by_key(|(gained, ..)| std::cmp::Reverse(*gained));
    gainers.truncate(MOVERS_MAX);
    for (gained, subject, row_id) in gainers {
        let scrapes = read(&mut c.prepare_cached(&subject.scrapes())?, row_id, since, now)?;
        let mover = c.one(&subject.row(), [row_id], |row| {
            Ok(Mover {
                subject,
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

/// Adds what the API counted on days that the history does not reach, or reaches in part, where that
/// was asked for.
fn before_the_mirror(
    c: &Connection,
    first: i64,
    last: i64,
    days: &mut BTreeMap<i64, Gain>,
) -> StoreResult<()> {
    let sql = "SELECT d.day, m.row_id, m.views
               FROM metric_day AS d JOIN metric AS m ON m.slot = d.slot
               WHERE d.kind = ?1 AND d.day BETWEEN ?2 AND ?3 AND m.state < 2 AND m.views IS NOT NULL";
    let mut statement = c.prepare(sql)?;
    for subject in [Subject::Video, Subject::Post] {
        let row_ids: BTreeSet<i64> =
            subject.row_ids(c)?.into_iter().map(|(row_id, _)| row_id).collect();
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        let mut rows = statement.query((subject.kind().name(), first, last))?;
        while let Some(row) = rows.next()? {
            if row_ids.contains(&row.get(1)?) {
                let sum = sums.entry(row.get(0)?).or_default();
                *sum = sum.saturating_add(row.get(2)?);
            }
        }
        for (day, sum) in sums {
            *days.entry(day).or_default().of(subject) = sum;
        }
    }
    Ok(())
}

/// Reads the followers until `now`, in Unix seconds.
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

/// The count as last seen by then, or the first one that was seen.
fn at(history: &[(i64, i64)], second: i64) -> Option<i64> {
    let seen = history.partition_point(|(at, _)| *at <= second);
    history.get(seen.saturating_sub(1)).map(|(_, count)| *count)
}

/// The day since 1970 that a Unix second is in.
pub fn day_of(second: i64) -> i64 {
    second.div_euclid(DAY_S)
}

fn first_day(now: i64) -> i64 {
    day_of(now) - DAYS + 1
}

/// The scrapes from `since` until `now` and the last before them: Unix seconds and counts.
fn read(
    scrapes: &mut CachedStatement<'_>,
    row_id: i64,
    since: i64,
    now: i64,
) -> StoreResult<Vec<(i64, i64)>> {
    let rows = scrapes.query_map((row_id, since, now), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Subject {
    const fn kind(self) -> Kind {
        match self {
            Self::Video => Kind::Video,
            Self::Post => Kind::AccountVideo,
        }
    }

    /// Keys, and whether the API still lists them.
    fn row_ids(self, c: &Connection) -> StoreResult<Vec<(i64, bool)>> {
        let sql = match self {
            Self::Video => "SELECT row_id, removed_at IS NULL FROM video",
            // A post that is tracked by itself is counted there.
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
