//! What the organization gained per day: the sums of `post_daily` and of `account_daily`.

use std::collections::{BTreeMap, HashMap};

use rusqlite::Connection;

use crate::model::Kind;
use crate::model::instant::day_of;
use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Days shown in charts, today included.
pub const DAYS: i64 = 30;
/// Platforms that are shown separately.
pub const PLATFORMS: [&str; 2] = ["tiktok", "instagram"];

/// A figure of the accounts on each of [`PLATFORMS`], and of all others: those on another platform or not tracked.
pub type ByPlatform = [i64; PLATFORMS.len() + 1];

/// What was gained in a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gains {
    /// Views of posts.
    pub views: ByPlatform,
    /// Followers of accounts.
    pub followers: ByPlatform,
}

/// What the organization gained per day, in days since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growth {
    /// The present day.
    pub today: i64,
    /// Start of the first complete sync, Unix seconds; gains are completely known from the next day on.
    pub first_synced: Option<i64>,
    /// The gains of each day from the first one with any, today included.
    pub days: BTreeMap<i64, Gains>,
    /// Followers of the present accounts; `None` if no count is known.
    pub followers: Option<i64>,
}

impl Growth {
    /// Sums the last 7 complete days; `None` if the mirror has no complete day.
    pub fn week(&self) -> Option<Gains> {
        self.is_complete_from(self.today - 1).then(|| self.sum(self.today - 7))
    }

    /// Sums the 7 days before; `None` if the mirror did not exist before them.
    pub fn week_before(&self) -> Option<Gains> {
        let first = self.today - 14;
        self.is_complete_from(first).then(|| self.sum(first))
    }

    fn is_complete_from(&self, day: i64) -> bool {
        self.first_synced.is_some_and(|at| day_of(at) < day)
    }

    fn sum(&self, first: i64) -> Gains {
        let mut sum = Gains::default();
        for (_, gains) in self.days.range(first..first + 7) {
            for n in 0..sum.views.len() {
                sum.views[n] = sum.views[n].saturating_add(gains.views[n]);
                sum.followers[n] = sum.followers[n].saturating_add(gains.followers[n]);
            }
        }
        sum
    }
}

/// Returns the place of a platform in [`ByPlatform`].
fn place(platform: Option<&str>) -> usize {
    let known = PLATFORMS.iter().position(|known| Some(*known) == platform);
    known.unwrap_or(PLATFORMS.len())
}

/// Reads the growth until `now`, Unix seconds.
pub(super) fn growth(c: &Connection, now: i64) -> StoreResult<Growth> {
    let today = day_of(now);
    let first = today - DAYS + 1;
    let sql = "SELECT first_synced_at FROM instance";
    let synced: Option<i64> = c.value(sql, [])?;
    let first_synced = synced.map(|micros| micros.div_euclid(1_000_000));
    let followers = "SELECT follower_count FROM account WHERE removed_at IS NULL AND follower_count IS NOT NULL";
    let followers: Vec<i64> = c.all(followers, [], |row| row.get(0))?;
    let followers = followers.into_iter().reduce(i64::saturating_add);
    let mut growth = Growth { today, first_synced, days: BTreeMap::new(), followers };
    let sql = "SELECT d.day, a.platform, d.views, 0
               FROM account_day AS d LEFT JOIN account AS a ON a.id = d.account_id
               WHERE d.day BETWEEN ?1 AND ?2
               UNION ALL
               SELECT d.day, a.platform, 0, CAST(d.followers_gained AS INTEGER)
               FROM account_row_day AS d JOIN account AS a ON a.row_id = d.account
               WHERE d.day BETWEEN ?1 AND ?2 AND d.followers_gained IS NOT NULL";
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query([first, today])?;
    while let Some(row) = rows.next()? {
        let place = place(row.get_ref(1)?.as_str_or_null().unwrap_or(None));
        let gains = growth.days.entry(row.get(0)?).or_default();
        gains.views[place] = gains.views[place].saturating_add(row.get(2)?);
        gains.followers[place] = gains.followers[place].saturating_add(row.get(3)?);
    }
    add_daily_metrics(c, first, first_synced.map_or(today, day_of), &mut growth.days)?;
    growth.days.retain(|_, gains| *gains != Gains::default());
    if let Some(first) = growth.days.keys().next().copied() {
        for day in first..=today {
            growth.days.entry(day).or_default();
        }
    }
    Ok(growth)
}

/// Replaces the views of the days that the history does not cover completely by the daily metrics, if there are any.
/// A post in both kinds counts as a video.
fn add_daily_metrics(
    c: &Connection,
    first: i64,
    last: i64,
    days: &mut BTreeMap<i64, Gains>,
) -> StoreResult<()> {
    let sql = "SELECT count(*) FROM metric_day WHERE day BETWEEN ?1 AND ?2";
    if c.value::<i64>(sql, [first, last])? == 0 {
        return Ok(());
    }
    let sql = "SELECT d.day, m.row_id, m.views
               FROM metric_day AS d JOIN metric AS m ON m.slot = d.slot
               WHERE d.kind = ?1 AND d.day BETWEEN ?2 AND ?3 AND m.state < 2 AND m.views IS NOT NULL";
    let mut statement = c.prepare(sql)?;
    let mut sums: BTreeMap<i64, ByPlatform> = BTreeMap::new();
    for (kind, row_id) in [
        (Kind::Video, "p.video"),
        (Kind::AccountVideo, "iif(p.video IS NULL, p.account_video, NULL)"),
    ] {
        let sql = format!(
            "SELECT {row_id}, a.platform FROM post AS p LEFT JOIN account AS a ON a.id = p.account_id
             WHERE {row_id} IS NOT NULL"
        );
        let places: HashMap<i64, usize> = c.all(&sql, [], |row| {
            Ok((row.get(0)?, place(row.get::<_, Option<String>>(1)?.as_deref())))
        })?;
        let mut rows = statement.query((kind.name(), first, last))?;
        while let Some(row) = rows.next()? {
            if let Some(place) = places.get(&row.get(1)?) {
                let sum = &mut sums.entry(row.get(0)?).or_default()[*place];
                *sum = sum.saturating_add(row.get(2)?);
            }
        }
    }
    for (day, views) in sums {
        days.entry(day).or_default().views = views;
    }
    Ok(())
}
