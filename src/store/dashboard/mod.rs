//! Reads everything that the dashboard (`report`) shows, in one snapshot.
//!
//! The API's counts may be of any size, so sums saturate.

mod growth;

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::model::Kind;
use crate::model::instant::{DAY_S, day_of};
use crate::store::analysis::{self, Ages};
use crate::store::error::StoreResult;
use crate::store::instance::{self, Identity};
use crate::store::listings::{self, KindState};
use crate::store::outbox::{self, Summary};
use crate::store::query::Query;

pub use growth::{DAYS, DAYS_OF_MOVERS, Followers, Growth, Mover, Split};

/// Days for which requests are shown.
pub const DAYS_OF_REQUESTS: i64 = 14;
/// Maximum number of creators shown.
const CREATORS_MAX: usize = 12;

/// Data of the dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Identity of the mirror.
    pub identity: Identity,
    /// Completeness and freshness of each kind.
    pub kinds: Vec<KindFreshness>,
    /// Views gained by day, and the top movers.
    pub growth: Growth,
    /// Followers over time.
    pub followers: Followers,
    /// Number of present posts.
    pub posts: Split,
    /// The creators with the most views, by engagement rate.
    pub creators: Vec<Engagement>,
    /// Requests sent, by day (since 1970) and kind.
    pub requests: BTreeMap<(i64, String), RequestCounts>,
    /// Entries of the outbox by state.
    pub outbox: Summary,
}

/// Completeness and freshness of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct KindFreshness {
    /// Which kind.
    pub kind: Kind,
    /// Present rows.
    pub rows: i64,
    /// Removed rows.
    pub removed: i64,
    /// State of its listings.
    pub state: KindState,
    /// Age of the latest scrapes; `None` without any.
    pub ages: Option<Ages>,
}

/// Totals of a creator's accounts and posts; `creator` is `None` for accounts without one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Engagement {
    /// The creator's name.
    pub creator: Option<String>,
    /// Number of present accounts.
    pub accounts: i64,
    /// Their followers.
    pub followers: i64,
    /// Views of their posts.
    pub views: i64,
    /// Likes, comments and shares of the posts with views, as far as known.
    pub engagement: i64,
    /// Views of the posts with a known like, comment or share count.
    pub engaged_views: i64,
}

impl Engagement {
    /// Engagement per view; `None` without views.
    pub fn rate(&self) -> Option<f64> {
        // The rounding of counts beyond 2^53 is not visible in a rate.
        (self.engaged_views > 0).then(|| self.engagement as f64 / self.engaged_views as f64)
    }
}

/// Requests sent for a kind on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Requests sent.
    pub requests: i64,
    /// Of these, answered 304.
    pub not_modified: i64,
}

/// Reads everything at `now`, Unix seconds.
pub fn read(c: &Connection, now: i64) -> StoreResult<Dashboard> {
    let snapshot = c.unchecked_transaction()?;
    let posts = growth::posts(&snapshot)?;
    Ok(Dashboard {
        identity: instance::identity(&snapshot)?,
        kinds: kinds(&snapshot)?,
        growth: growth::views(&snapshot, &posts, now)?,
        followers: growth::followers(&snapshot, now)?,
        posts: growth::count(&posts),
        creators: creators(&snapshot)?,
        requests: requests(&snapshot, now)?,
        outbox: outbox::summary(&snapshot)?,
    })
}

fn kinds(c: &Connection) -> StoreResult<Vec<KindFreshness>> {
    let ages = analysis::ages(c)?;
    let freshness = |kind: Kind| {
        let (rows, removed) = listings::counts(c, kind)?;
        let ages = ages.iter().find(|ages| ages.kind == kind.name()).cloned();
        Ok(KindFreshness { kind, rows, removed, state: listings::state(c, kind)?, ages })
    };
    Kind::LISTS.into_iter().map(freshness).collect()
}

fn creators(c: &Connection) -> StoreResult<Vec<Engagement>> {
    let sql = "SELECT a.id, a.creator_id, coalesce(c.name, a.creator_name), a.follower_count
         FROM account AS a LEFT JOIN creator AS c ON c.id = a.creator_id
         WHERE a.removed_at IS NULL";
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut creator_of: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut found: BTreeMap<Option<String>, Engagement> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let creator: Option<String> = row.get(1)?;
        let one = found.entry(creator.clone()).or_default();
        one.creator = row.get(2)?;
        one.accounts += 1;
        one.followers = one.followers.saturating_add(row.get::<_, Option<i64>>(3)?.unwrap_or(0));
        creator_of.insert(row.get(0)?, creator);
    }
    let sql = "SELECT account_id, view_count, like_count, comment_count, share_count
               FROM post_state WHERE removed_at IS NULL AND account_id IS NOT NULL AND view_count IS NOT NULL";
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let creator = creator_of.get(&row.get::<_, String>(0)?);
        let Some(one) = creator.and_then(|creator| found.get_mut(creator)) else { continue };
        let views: i64 = row.get(1)?;
        one.views = one.views.saturating_add(views);
        let counts: [Option<i64>; 3] = [row.get(2)?, row.get(3)?, row.get(4)?];
        if counts.iter().any(Option::is_some) {
            one.engaged_views = one.engaged_views.saturating_add(views);
            let sum = counts.into_iter().flatten().fold(0, i64::saturating_add);
            one.engagement = one.engagement.saturating_add(sum);
        }
    }
    let mut found: Vec<Engagement> = found.into_values().collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.views));
    found.truncate(CREATORS_MAX);
    found.sort_by(|one, other| other.rate().unwrap_or(-1.0).total_cmp(&one.rate().unwrap_or(-1.0)));
    Ok(found)
}

fn requests(c: &Connection, now: i64) -> StoreResult<BTreeMap<(i64, String), RequestCounts>> {
    let first = (day_of(now) - DAYS_OF_REQUESTS + 1) * DAY_S;
    let sql = "SELECT started_at / 86400000000, kind, sum(requests), sum(not_modified)
               FROM kind_run WHERE started_at >= ?1 * 1000000 GROUP BY 1, 2";
    c.all(sql, [first], |row| {
        let requests = RequestCounts { requests: row.get(2)?, not_modified: row.get(3)? };
        Ok(((row.get(0)?, row.get(1)?), requests))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::mirror;

    const NOW: i64 = 1_780_000_000;

    #[test]
    fn empty_mirror_has_an_empty_dashboard() {
        let (_folder, store) = mirror();
        let dashboard = store.read(|c| read(c, NOW)).unwrap();
        assert!(dashboard.growth.days.is_empty() && dashboard.growth.movers.is_empty());
        assert!(dashboard.followers.curve.is_empty() && dashboard.creators.is_empty());
        assert_eq!(dashboard.kinds.len(), 4);
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let (_folder, store) = mirror();
        let max = i64::MAX;
        let sql = format!(
            "INSERT INTO account (row_id, id, follower_count, view_count, like_count, comment_count,
                                  fingerprint, as_of, first_mirrored_at)
             VALUES (1, 'a', {max}, {max}, {max}, {max}, 0, 0, 0), (2, 'b', {max}, {max}, 1, 1, 0, 0, 0);
             INSERT INTO account_scrape (account, at_s, at_ns, follower_count)
             VALUES (1, {NOW} - 9, 0, -{max}), (1, {NOW} - 8, 0, {max}), (2, {NOW} - 8, 0, {max});
             INSERT INTO post (post, post_key, video, account_id) VALUES (1, 'x:v:v', 1, 'a');
             INSERT INTO video (row_id, post, id, view_count, like_count, fingerprint, as_of, first_mirrored_at)
             VALUES (1, 1, 'v', {max}, {max}, 0, 0, 0);
             INSERT INTO post_scrape (post, source, at_s, at_ns, view_count)
             VALUES (1, 1, {NOW} - 9, 0, -{max}), (1, 1, {NOW} - 8, 0, {max}), (1, 1, {max}, 0, 7);"
        );
        store.write(|tx| Ok(tx.execute_batch(&sql)?)).unwrap();
        let dashboard = store.read(|c| read(c, NOW)).unwrap();
        assert_eq!(dashboard.followers.total, max);
        assert_eq!(dashboard.growth.week, max);
        assert_eq!(dashboard.creators[0].views, max);
    }

    #[test]
    fn days_before_the_history_are_from_daily_metrics() {
        let (_folder, store) = mirror();
        let today = day_of(NOW);
        // Video 2 and post 1 are the same post; metrics of an unknown resource do not count.
        let sql = format!(
            "INSERT INTO video (row_id, id, external_id, platform, fingerprint, as_of, first_mirrored_at)
             VALUES (1, 'v', 'x', 'tiktok', 0, 0, 0), (2, 'w', 'y', 'tiktok', 0, 0, 0);
             INSERT INTO account_video (row_id, id, external_id, platform, fingerprint, as_of, first_mirrored_at)
             VALUES (1, 'p', 'y', 'tiktok', 0, 0, 0), (2, 'q', 'z', 'tiktok', 0, 0, 0);
             UPDATE video SET post = row_id;
             UPDATE account_video SET post = row_id + 1;
             INSERT INTO post (post, post_key, video, account_video)
             VALUES (1, 'tiktok:x', 1, NULL), (2, 'tiktok:y', 2, 1), (3, 'tiktok:z', NULL, 2);
             INSERT INTO post_scrape (post, source, at_s, at_ns, view_count)
             VALUES (1, 1, {yesterday}, 0, 10), (1, 1, {yesterday} + 9, 0, 13), (1, 1, {NOW} - 1, 0, 20);
             INSERT INTO metric_day (slot, kind, day, date)
             VALUES (1, 'video', {today} - 2, ''), (2, 'account_video', {today} - 2, '-'),
                    (3, 'video', {today} - 1, '+'), (4, 'video', {today}, '=');
             INSERT INTO metric (slot, row_id, state, views)
             VALUES (1, 1, 1, 100), (1, 2, 1, {max}), (2, 1, 1, 7), (2, 2, 0, 8), (3, 1, 0, 40),
                    (3, 2, 2, 5), (4, 1, 0, 50);",
            yesterday = (today - 1) * DAY_S,
            max = i64::MAX
        );
        store.write(|tx| Ok(tx.execute_batch(&sql)?)).unwrap();
        let days = store.read(|c| read(c, NOW)).unwrap().growth.days;
        let expected = [
            (today - 2, Split { tracked: i64::MAX, others: 8 }),
            // The history covers a part of the first day, and all days after it.
            (today - 1, Split { tracked: 40, others: 0 }),
            (today, Split { tracked: 7, others: 0 }),
        ];
        assert_eq!(days, BTreeMap::from(expected));
    }
}
