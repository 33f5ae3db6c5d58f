//! Reads everything that the dashboard (`report`) shows, in one snapshot.
//!
//! The API's counts may be of any size, so sums saturate.

mod growth;
mod tables;

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

pub use growth::{ByPlatform, DAYS, Gains, Growth, PLATFORMS};
pub use tables::{ROWS_MAX, Table, Tables};

/// Days for which requests are shown.
pub const DAYS_OF_REQUESTS: i64 = 14;

/// Data of the dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// Identity of the mirror.
    pub identity: Identity,
    /// Time of the first scrape in the history, Unix seconds.
    pub first_scrape: Option<i64>,
    /// Completeness and freshness of each kind.
    pub kinds: Vec<KindFreshness>,
    /// What was gained per day.
    pub growth: Growth,
    /// The tables, by name of their query in the cookbook.
    pub tables: Tables,
    /// Number of present posts.
    pub posts: i64,
    /// Of these, tracked individually.
    pub tracked_posts: i64,
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
    let (tables, [posts, tracked_posts]) = tables::read(&snapshot, now)?;
    Ok(Dashboard {
        identity: instance::identity(&snapshot)?,
        first_scrape: snapshot.value("SELECT first_scrape_s FROM instance", [])?,
        kinds: kinds(&snapshot)?,
        growth: growth::growth(&snapshot, now)?,
        tables,
        posts,
        tracked_posts,
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
        assert_eq!(
            (dashboard.posts, dashboard.tracked_posts, dashboard.first_scrape),
            (0, 0, None)
        );
        let growth = &dashboard.growth;
        assert!(growth.days.is_empty() && growth.week().is_none() && growth.followers.is_none());
        assert_eq!(dashboard.kinds.len(), 4);
        for (name, table) in &dashboard.tables {
            assert!(table.rows.is_empty() && !table.columns.is_empty(), "{name}");
        }
    }

    #[test]
    fn absurd_counts_do_not_overflow() {
        let (_folder, store) = mirror();
        let max = i64::MAX;
        let sql = format!(
            "INSERT INTO account (row_id, id, follower_count, view_count, like_count, comment_count, is_active,
                                  fingerprint, as_of, first_mirrored_at)
             VALUES (1, 'a', {max}, {max}, {max}, {max}, 1, 0, 0, 0), (2, 'b', {max}, {max}, 1, 1, 1, 0, 0, 0);
             INSERT INTO account_scrape (account, at_s, at_ns, follower_count)
             VALUES (1, {NOW} - 99999, 0, -{max}), (1, {NOW} - 8, 0, {max}), (2, {NOW} - 99999, 0, -{max}),
                    (2, {NOW} - 8, 0, {max});
             INSERT INTO post (post, post_key, video, account_id) VALUES (1, 'x:v:v', 1, 'a'), (2, 'x:v:w', 2, 'a');
             INSERT INTO video (row_id, post, id, view_count, like_count, account_id, fingerprint, as_of,
                                first_mirrored_at)
             VALUES (1, 1, 'v', {max}, {max}, 'a', 0, 0, 0), (2, 2, 'w', {max}, {max}, 'a', 0, 0, 0);
             INSERT INTO post_scrape (post, source, at_s, at_ns, view_count)
             VALUES (1, 1, {NOW} - 9, 0, -{max}), (1, 1, {NOW} - 8, 0, {max}), (1, 1, {max}, 0, 7);
             UPDATE instance SET first_scrape_s = {NOW} - 99999"
        );
        store.write(|tx| Ok(tx.execute_batch(&sql)?)).unwrap();
        let dashboard = store.read(|c| read(c, NOW)).unwrap();
        assert_eq!(dashboard.growth.followers, Some(max));
        assert_eq!(dashboard.growth.days[&day_of(NOW)].followers, [0, 0, max]);
        let campaigns = &dashboard.tables["campaigns"];
        assert_eq!(campaigns.value(&campaigns.rows[0], "posts").as_integer(), Some(2));
    }

    #[test]
    fn days_before_the_history_are_from_daily_metrics() {
        let (_folder, store) = mirror();
        let today = day_of(NOW);
        // Video 2 and post 1 are the same post; metrics of an unknown resource do not count.
        let sql = format!(
            "INSERT INTO account (row_id, id, platform, fingerprint, as_of, first_mirrored_at)
             VALUES (1, 'a', 'tiktok', 0, 0, 0), (2, 'b', 'instagram', 0, 0, 0);
             INSERT INTO post (post, post_key, video, account_video, account_id)
             VALUES (1, 'tiktok:x', 1, NULL, 'a'), (2, 'tiktok:y', 2, 1, NULL), (3, 'tiktok:z', NULL, 2, 'b');
             INSERT INTO account_day (account_id, day, views, likes, comments, shares)
             VALUES ('a', {today} - 1, 3, 0, 0, 0), ('a', {today}, 7, 0, 0, 0), ('', {today}, 5, 0, 0, 0);
             UPDATE instance SET first_synced_at = ({NOW} - 86400) * 1000000;
             INSERT INTO metric_day (slot, kind, day, date)
             VALUES (1, 'video', {today} - 2, ''), (2, 'account_video', {today} - 2, '-'),
                    (3, 'video', {today} - 1, '+'), (4, 'video', {today}, '=');
             INSERT INTO metric (slot, row_id, state, views)
             VALUES (1, 1, 1, 100), (1, 2, 1, {max}), (1, 9, 1, 1), (2, 1, 1, 7), (2, 2, 0, 8), (3, 1, 0, 40),
                    (3, 2, 2, 5), (4, 1, 0, 50);",
            max = i64::MAX
        );
        store.write(|tx| Ok(tx.execute_batch(&sql)?)).unwrap();
        let growth = store.read(|c| read(c, NOW)).unwrap().growth;
        let views: BTreeMap<i64, ByPlatform> =
            growth.days.iter().map(|(day, gains)| (*day, gains.views)).collect();
        // The history covers a part of the day of the first sync, and all days after it.
        let expected =
            [(today - 2, [100, 8, i64::MAX]), (today - 1, [40, 0, 0]), (today, [7, 0, 5])];
        assert_eq!(views, BTreeMap::from(expected));
        // No day since then is over.
        assert_eq!((growth.week(), growth.week_before()), (None, None));
    }
}
