//! Posts: the rows of `video` and `account_video` with the same key, and the days of their accounts.
//!
//! `account_day` holds what the posts of an account gained on each day. Whoever changes a scrape, the account of a post
//! or its publication computes the gains of the days concerned before and after, and adds the difference.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{CachedStatement, OptionalExtension, Transaction};

use crate::model::instant::{DAY_S, day_of};
use crate::model::{Instant, Kind, Row, Value, columns};
use crate::store::day_versions::{self, DayVersions};
use crate::store::error::StoreResult;
use crate::store::query::Query;

/// Largest gain of a post on a day that is believed, so that sums over accounts do not overflow.
const GAIN_MAX: i64 = 1_000_000_000_000;

/// Views, likes, comments and shares gained.
type Gains = [i64; 4];
type DayGains = BTreeMap<i64, Gains>;

/// Whether rows of this kind are posts.
pub const fn is_post(kind: Kind) -> bool {
    matches!(kind, Kind::Video | Kind::AccountVideo)
}

/// The key of a row's post: `platform:external_id`, or one made of its own id; `None` for kinds that are not posts.
pub fn key(kind: Kind, row: &Row) -> Option<String> {
    if !is_post(kind) {
        return None;
    }
    key_of(kind, row, &row.value(kind, "platform"), &row.value(kind, "external_id"))
}

/// The key that the row's post would have with this platform and external id.
pub fn key_of(
    kind: Kind,
    row: &Row,
    platform: &Value<'_>,
    external_id: &Value<'_>,
) -> Option<String> {
    let id_prefix = match kind {
        Kind::Video => "v",
        Kind::AccountVideo => "av",
        _ => return None,
    };
    let text =
        |value: &'_ Value<'_>| value.as_text().filter(|text| !text.is_empty()).map(str::to_owned);
    let platform = text(platform).unwrap_or_else(|| "unknown".to_owned());
    Some(match text(external_id) {
        Some(external_id) => format!("{platform}:{external_id}"),
        None => format!("{platform}:{id_prefix}:{}", row.id()),
    })
}

fn value(kind: Kind, row: &Row, name: &str) -> Option<String> {
    row.value(kind, name).into_text().map(|text| text.into_owned())
}

/// When a row's post was published, Unix seconds.
fn create_s(create_time: Option<String>) -> Option<i64> {
    Some(Instant::parse(&create_time?)?.seconds)
}

/// Writes the posts of rows of one kind.
pub struct Posts<'t> {
    tx: &'t Transaction<'t>,
    kind: Kind,
    insert: CachedStatement<'t>,
    find: CachedStatement<'t>,
}

/// The post of a row about to be inserted.
#[derive(Debug, Clone, Copy)]
pub struct NewMember {
    /// Number of the post.
    pub post: i64,
    /// Whether the row is its first.
    pub is_first: bool,
}

impl<'t> Posts<'t> {
    /// Prepares the statements; `None` if rows of this kind are not posts.
    pub fn new(tx: &'t Transaction<'t>, kind: Kind) -> StoreResult<Option<Self>> {
        if !is_post(kind) {
            return Ok(None);
        }
        let sql = format!(
            "INSERT INTO post (post_key, {}, account_id, create_s) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            kind.name()
        );
        Ok(Some(Self {
            tx,
            kind,
            insert: tx.prepare_cached(&sql)?,
            find: tx.prepare_cached("SELECT post FROM post WHERE post_key = ?1")?,
        }))
    }

    /// Returns the post of a row that will be inserted with this `row_id`.
    pub fn find_or_insert(&mut self, row: &Row, row_id: i64) -> StoreResult<NewMember> {
        let key = key(self.kind, row);
        let account = value(self.kind, row, "account_id");
        let created = create_s(value(self.kind, row, "create_time"));
        if self.insert.execute((&key, row_id, account, created))? > 0 {
            return Ok(NewMember { post: self.tx.last_insert_rowid(), is_first: true });
        }
        Ok(NewMember { post: self.find.query_row([key], |row| row.get(0))?, is_first: false })
    }

    /// Deletes a post whose row was not inserted after all.
    pub fn forget(&self, member: NewMember) -> StoreResult<()> {
        if member.is_first {
            self.tx.exec("DELETE FROM post WHERE post = ?1", [member.post])?;
        }
        Ok(())
    }

    /// Updates a post after a row was added to it.
    pub fn add_member(&self, post: i64) -> StoreResult<()> {
        let before = contributions(self.tx, post)?;
        refresh(self.tx, post)?;
        replace(self.tx, before, &[post])
    }

    /// Moves a changed row, with its scrapes, to the post of its key, and updates both posts. Returns the post.
    pub fn update_member(&mut self, row: &Row, row_id: i64, former: i64) -> StoreResult<i64> {
        let key = key(self.kind, row);
        let found: Option<i64> = self.find.query_row([&key], |row| row.get(0)).optional()?;
        let mut before = contributions(self.tx, former)?;
        let post = match found {
            Some(post) => post,
            None if self.is_alone(former)? => {
                self.tx.exec("UPDATE post SET post_key = ?2 WHERE post = ?1", (former, &key))?;
                former
            }
            None => self.find_or_insert(row, row_id)?.post,
        };
        if post != former {
            before.extend(contributions(self.tx, post)?);
            let (table, source) = (self.kind.name(), source(self.kind, row_id));
            let sql = format!("UPDATE {table} SET post = ?2 WHERE row_id = ?1");
            self.tx.exec(&sql, (row_id, post))?;
            let sql = "UPDATE post_scrape SET post = ?3 WHERE post = ?1 AND source = ?2";
            self.tx.exec(sql, (former, source, post))?;
            refresh(self.tx, former)?;
        }
        refresh(self.tx, post)?;
        replace(self.tx, before, &[former, post])?;
        self.replace_versions(&[former, post])?;
        Ok(post)
    }

    /// Records for exports that the key or the scrapes of these posts changed.
    fn replace_versions(&self, posts: &[i64]) -> StoreResult<()> {
        let mut versions = DayVersions::new(self.tx)?;
        for post in posts {
            for day in days(self.tx, *post)? {
                versions.replace(day_versions::POST, day)?;
            }
        }
        Ok(())
    }

    fn is_alone(&self, post: i64) -> StoreResult<bool> {
        let sql = "SELECT (SELECT count(*) FROM video WHERE post = ?1)
                        + (SELECT count(*) FROM account_video WHERE post = ?1) = 1";
        self.tx.value(sql, [post])
    }
}

/// The column `source` of a row's scrapes.
pub const fn source(kind: Kind, row_id: i64) -> i64 {
    if matches!(kind, Kind::AccountVideo) { -row_id } else { row_id }
}

/// Sets what a post takes from its rows; deletes it if none is left.
fn refresh(tx: &Transaction<'_>, post: i64) -> StoreResult<()> {
    let sql = "SELECT v.row_id, a.row_id, coalesce(v.account_id, a.account_id), coalesce(v.create_time, a.create_time)
               FROM (SELECT 1)
               LEFT JOIN video AS v ON v.row_id = (SELECT max(row_id) FROM video WHERE post = ?1)
               LEFT JOIN account_video AS a ON a.row_id = (SELECT max(row_id) FROM account_video WHERE post = ?1)";
    type Found = (Option<i64>, Option<i64>, Option<String>, Option<String>);
    let (video, account_video, account, created): Found =
        tx.one(sql, [post], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    if video.or(account_video).is_none() {
        return tx.exec("DELETE FROM post WHERE post = ?1", [post]);
    }
    let sql = "UPDATE post SET video = ?2, account_video = ?3, account_id = ?4, create_s = ?5 WHERE post = ?1";
    tx.exec(sql, (post, video, account_video, account, create_s(created)))?;
    set_views_7d(tx, post)
}

/// Takes the views of a post at the age of 7 days from its history.
fn set_views_7d(tx: &Transaction<'_>, post: i64) -> StoreResult<()> {
    let sql = "SELECT p.views_7d, (SELECT g.views FROM post_age AS g WHERE g.post = p.post AND g.hours = 168)
               FROM post AS p WHERE p.post = ?1";
    type Found = (Option<i64>, Option<i64>);
    let found: Option<Found> = tx.optional(sql, [post], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match found {
        Some((former, views)) if former != views => {
            tx.exec("UPDATE post SET views_7d = ?2 WHERE post = ?1", (post, views))
        }
        _ => Ok(()),
    }
}

/// What a post adds to the days of its account: the account, and the gains by day.
fn contributions(tx: &Transaction<'_>, post: i64) -> StoreResult<Vec<(String, DayGains)>> {
    let Some(account) = account(tx, post)? else { return Ok(Vec::new()) };
    let gains = days(tx, post)?.into_iter().map(|day| Ok((day, gains(tx, post, day)?)));
    Ok(vec![(account, gains.collect::<StoreResult<_>>()?)])
}

/// The account of a post, empty if it is not tracked; `None` without such a post.
fn account(tx: &Transaction<'_>, post: i64) -> StoreResult<Option<String>> {
    let sql = "SELECT coalesce(account_id, '') FROM post WHERE post = ?1";
    tx.optional(sql, [post], |row| row.get(0))
}

/// The days on which a post was scraped.
fn days(tx: &Transaction<'_>, post: i64) -> StoreResult<BTreeSet<i64>> {
    let sql = "SELECT at_s FROM post_scrape WHERE post = ?1";
    let times: Vec<i64> = tx.all(sql, [post], |row| row.get(0))?;
    Ok(times.into_iter().map(day_of).collect())
}

/// Replaces former contributions to the days of accounts by those of these posts now.
fn replace(
    tx: &Transaction<'_>,
    before: Vec<(String, DayGains)>,
    posts: &[i64],
) -> StoreResult<()> {
    let posts: BTreeSet<i64> = posts.iter().copied().collect();
    let mut changes: BTreeMap<(String, i64), Gains> = BTreeMap::new();
    let mut count = |contributions: Vec<(String, DayGains)>, sign: i64| {
        for (account, days) in contributions {
            for (day, gains) in days {
                let change = changes.entry((account.clone(), day)).or_default();
                *change = sum(*change, gains.map(|gain| sign * gain));
            }
        }
    };
    count(before, -1);
    for post in posts {
        count(contributions(tx, post)?, 1);
    }
    for ((account, day), change) in changes {
        credit(tx, &account, day, change)?;
    }
    Ok(())
}

fn sum(one: Gains, other: Gains) -> Gains {
    std::array::from_fn(|n| one[n].saturating_add(other[n]))
}

/// What a post gained on a day as `post_daily` shows it; unknown gains as 0.
fn gains(tx: &Transaction<'_>, post: i64, day: i64) -> StoreResult<Gains> {
    let sql = "SELECT s.view_count, s.like_count, s.comment_count, s.share_count,
                      b.view_count, b.like_count, b.comment_count, b.share_count,
                      b.post IS NOT NULL,
                      b.post IS NULL AND (
                          SELECT q.at_s <= p.create_s + 5400 * max(coalesce(q.interval_hours, 24), 1)
                          FROM post_scrape AS q WHERE q.post = p.post
                          ORDER BY q.at_s, q.at_ns, q.source DESC LIMIT 1
                      )
               FROM post AS p
               CROSS JOIN post_scrape AS s ON s.post = p.post AND (s.at_s, s.at_ns, s.source) = (
                   SELECT q.at_s, q.at_ns, q.source FROM post_scrape AS q
                   WHERE q.post = p.post AND q.at_s >= ?2 AND q.at_s < ?2 + 86400
                   ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC LIMIT 1
               )
               LEFT JOIN post_scrape AS b ON b.post = p.post AND (b.at_s, b.at_ns, b.source) = (
                   SELECT q.at_s, q.at_ns, q.source FROM post_scrape AS q
                   WHERE q.post = p.post AND q.at_s < ?2
                   ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC LIMIT 1
               )
               WHERE p.post = ?1";
    let found = tx.optional(sql, (post, day.saturating_mul(DAY_S)), |row| {
        let has_before: bool = row.get(8)?;
        let is_new = row.get::<_, Option<bool>>(9)?.unwrap_or(false);
        let mut gains = Gains::default();
        for (n, gain) in gains.iter_mut().enumerate() {
            let (last, before): (Option<i64>, Option<i64>) = (row.get(n)?, row.get(n + 4)?);
            let known = match (last, before) {
                (Some(last), Some(before)) if has_before => last.saturating_sub(before),
                (Some(last), None) if is_new => last,
                _ => 0,
            };
            *gain = known.clamp(-GAIN_MAX, GAIN_MAX);
        }
        Ok(gains)
    })?;
    Ok(found.unwrap_or_default())
}

fn credit(tx: &Transaction<'_>, account: &str, day: i64, change: Gains) -> StoreResult<()> {
    if change == Gains::default() {
        return Ok(());
    }
    let sql = "INSERT INTO account_day (account_id, day, views, likes, comments, shares) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (account_id, day) DO UPDATE
               SET views = views + excluded.views, likes = likes + excluded.likes,
                   comments = comments + excluded.comments, shares = shares + excluded.shares";
    let [views, likes, comments, shares] = change;
    tx.exec(sql, (account, day, views, likes, comments, shares))
}

/// Adds the first scrape of a post to the days of its account: what it shows is the gain of that day if the post was
/// published shortly before. The same as [`gains`], without reading what was just written. Only such a scrape can show
/// the views at the age of 7 days on its own, if the interval is long.
pub fn count_first_scrape(
    tx: &Transaction<'_>,
    kind: Kind,
    post: i64,
    row: &Row,
    at: Instant,
) -> StoreResult<()> {
    let Some(created) = create_s(value(kind, row, "create_time")) else { return Ok(()) };
    let account = value(kind, row, "account_id").unwrap_or_default();
    let interval = match columns::position(kind, "scrape_interval_hours") {
        Some(column) => row.value_at(column).as_integer(),
        None => {
            let sql = "SELECT scrape_interval_hours FROM account WHERE id = ?1";
            tx.optional(sql, [&account], |row| row.get(0))?.flatten()
        }
    };
    let shortly_s = interval.unwrap_or(24).max(1).saturating_mul(5_400);
    if at.seconds > created.saturating_add(shortly_s) {
        return Ok(());
    }
    if at.seconds >= created.saturating_add(7 * DAY_S) {
        set_views_7d(tx, post)?;
    }
    let counts = ["view_count", "like_count", "comment_count", "share_count"];
    let gains = counts.map(|name| row.value(kind, name).as_integer().unwrap_or(0));
    let gains = gains.map(|gain| gain.clamp(-GAIN_MAX, GAIN_MAX));
    credit(tx, &account, day_of(at.seconds), gains)
}

/// The gains of the days that a scrape has a part in, before it is written.
#[derive(Debug)]
pub struct DaysBefore {
    post: i64,
    days: Vec<(i64, Gains)>,
}

impl DaysBefore {
    /// Reads the gains of the day of a scrape, and of the day of the next scrape after it.
    pub fn read(tx: &Transaction<'_>, post: i64, at: Instant) -> StoreResult<Self> {
        let day = day_of(at.seconds);
        let sql = "SELECT at_s FROM post_scrape WHERE post = ?1 AND at_s >= ?2 ORDER BY at_s, at_ns LIMIT 1";
        let next = (post, (day + 1).saturating_mul(DAY_S));
        let next: Option<i64> = tx.optional(sql, next, |row| row.get(0))?;
        let days = [Some(day), next.map(day_of)];
        let days = days.into_iter().flatten().map(|day| Ok((day, gains(tx, post, day)?)));
        Ok(Self { post, days: days.collect::<StoreResult<_>>()? })
    }

    /// Adds the differences to the days of the post's account, after the scrape was written.
    pub fn apply(self, tx: &Transaction<'_>) -> StoreResult<()> {
        set_views_7d(tx, self.post)?;
        let Some(account) = account(tx, self.post)? else { return Ok(()) };
        for (day, before) in self.days {
            let after = gains(tx, self.post, day)?;
            credit(tx, &account, day, sum(after, before.map(|gain| -gain)))?;
        }
        Ok(())
    }
}
