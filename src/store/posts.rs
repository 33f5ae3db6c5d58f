//! Posts: the rows of `video` and `account_video` with the same key, and the days of their accounts.
//!
//! The last scrape of a post on a day has what the post gained on that day, and `account_day` the sums over the posts of
//! an account. Whoever changes a scrape, its post, or the account or publication of a post computes the gains anew, and
//! adds the difference to `account_day`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use rusqlite::{CachedStatement, OptionalExtension, Transaction};

use crate::model::instant::{DAY_S, day_of};
use crate::model::{Instant, Kind, Row, Value, columns};
use crate::store::day_versions::{self, DayVersions};
use crate::store::error::StoreResult;
use crate::store::history::{History, Scrape, source};
use crate::store::query::Query;

/// Largest gain of a post on a day that is believed, so that sums over accounts do not overflow.
const GAIN_MAX: i64 = 1_000_000_000_000;

/// Views, likes, comments and shares gained.
type Gains = [i64; 4];
/// Gains by account, empty if it is not tracked, and day.
type AccountGains = BTreeMap<(String, i64), Gains>;

/// The counts whose gains scrapes have, in the order of their columns.
const COUNTS: [&str; 5] =
    ["view_count", "like_count", "comment_count", "share_count", "saved_count"];

/// All scrapes of a post.
const ALL: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Whether rows of this kind are posts.
pub const fn is_post(kind: Kind) -> bool {
    matches!(kind, Kind::Video | Kind::AccountVideo)
}

/// The key of a row's post: `platform:external_id`, or one made of its own id; `None` for kinds that are not posts.
pub fn key(kind: Kind, row: &Row) -> Option<String> {
    Positions::of(kind)?.key(kind, row)
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

/// When a post was published, Unix seconds.
fn create_s(create_time: &str) -> Option<i64> {
    Some(Instant::parse(create_time)?.seconds)
}

/// Positions of what posts take from the rows of a kind.
struct Positions {
    platform: usize,
    external_id: usize,
    account_id: usize,
    create_time: usize,
    counts: [usize; COUNTS.len()],
}

impl Positions {
    /// `None` if rows of this kind are not posts.
    fn of(kind: Kind) -> Option<Self> {
        let at = |name| columns::position(kind, name).filter(|_| is_post(kind));
        let [views, likes, comments, shares, saves] = COUNTS.map(at);
        Some(Self {
            platform: at("platform")?,
            external_id: at("external_id")?,
            account_id: at("account_id")?,
            create_time: at("create_time")?,
            counts: [views?, likes?, comments?, shares?, saves?],
        })
    }

    fn key(&self, kind: Kind, row: &Row) -> Option<String> {
        key_of(kind, row, &row.value_at(self.platform), &row.value_at(self.external_id))
    }
}

/// Writes the posts of rows of one kind.
pub struct Posts<'t> {
    tx: &'t Transaction<'t>,
    kind: Kind,
    positions: Positions,
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
    /// When it was published, Unix seconds.
    create_s: Option<i64>,
}

impl<'t> Posts<'t> {
    /// Prepares the statements; `None` if rows of this kind are not posts.
    pub fn new(tx: &'t Transaction<'t>, kind: Kind) -> StoreResult<Option<Self>> {
        let Some(positions) = Positions::of(kind) else { return Ok(None) };
        let sql = format!(
            "INSERT INTO post (post_key, {}, account_id, create_s) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            kind.name()
        );
        Ok(Some(Self {
            tx,
            kind,
            positions,
            insert: tx.prepare_cached(&sql)?,
            find: tx.prepare_cached("SELECT post FROM post WHERE post_key = ?1")?,
        }))
    }

    /// Returns the post of a row that will be inserted with this `row_id`.
    pub fn find_or_insert(&mut self, row: &Row, row_id: i64) -> StoreResult<NewMember> {
        let key = self.positions.key(self.kind, row);
        let account = row.value_at(self.positions.account_id);
        let created = row.value_at(self.positions.create_time);
        let create_s = created.as_text().and_then(create_s);
        if self.insert.execute((&key, row_id, account, create_s))? > 0 {
            return Ok(NewMember { post: self.tx.last_insert_rowid(), is_first: true, create_s });
        }
        let post = self.find.query_row([key], |row| row.get(0))?;
        Ok(NewMember { post, is_first: false, create_s })
    }

    /// Deletes a post whose row was not inserted after all.
    pub fn forget(&self, member: NewMember) -> StoreResult<()> {
        if member.is_first {
            self.tx.exec("DELETE FROM post WHERE post = ?1", [member.post])?;
        }
        Ok(())
    }

    /// Adds the first scrape of a new post. What it shows was gained on its day if the post was published shortly before;
    /// only then can it show the views at the age of 7 days on its own, if the interval is long.
    pub fn add_first_scrape(
        &self,
        history: &mut History<'_>,
        NewMember { post, create_s, .. }: NewMember,
        row_id: i64,
        row: &Row,
    ) -> StoreResult<Scrape> {
        let Some(at) = row.scraped_at else { return Ok(Scrape::Held) };
        let account = row.value_at(self.positions.account_id);
        let account = account.as_text().unwrap_or_default();
        let is_new = match create_s {
            Some(create_s) => at.seconds <= create_s.saturating_add(self.shortly_s(row, account)?),
            None => false,
        };
        let gain = |count| row.value_at(count).as_integer().filter(|_| is_new);
        let gains = self.positions.counts.map(gain);
        history.add_first(post, row_id, row, at, gains)?;
        if is_new && create_s.is_some_and(|from_s| at.seconds >= from_s.saturating_add(7 * DAY_S)) {
            set_views_7d(self.tx, post)?;
        }
        let [views, likes, comments, shares, _] = gains.map(believed);
        credit(self.tx, account, day_of(at.seconds), [views, likes, comments, shares])?;
        Ok(Scrape::Added)
    }

    /// How long after its publication the first scrape of a row's post has to come, seconds.
    fn shortly_s(&self, row: &Row, account: &str) -> StoreResult<i64> {
        let interval = match columns::position(self.kind, "scrape_interval_hours") {
            Some(column) => row.value_at(column).as_integer(),
            None => {
                let sql = "SELECT scrape_interval_hours FROM account WHERE id = ?1";
                self.tx.optional(sql, [account], |row| row.get(0))?.flatten()
            }
        };
        Ok(interval.unwrap_or(24).max(1).saturating_mul(5_400))
    }

    /// Updates a post after a row was added to it.
    pub fn add_member(&self, post: i64) -> StoreResult<()> {
        let mut gains = AccountGains::new();
        count(self.tx, post, ALL, -1, &mut gains)?;
        refresh(self.tx, post)?;
        replace(self.tx, gains, &[post], ALL)
    }

    /// Moves a changed row, with its scrapes, to the post of its key, and updates both posts. Returns the post.
    pub fn update_member(&mut self, row: &Row, row_id: i64, former: i64) -> StoreResult<i64> {
        let key = self.positions.key(self.kind, row);
        let found: Option<i64> = self.find.query_row([&key], |row| row.get(0)).optional()?;
        let mut gains = AccountGains::new();
        count(self.tx, former, ALL, -1, &mut gains)?;
        let post = match found {
            Some(post) => post,
            None if self.is_alone(former)? => {
                self.tx.exec("UPDATE post SET post_key = ?2 WHERE post = ?1", (former, &key))?;
                former
            }
            None => self.find_or_insert(row, row_id)?.post,
        };
        if post != former {
            count(self.tx, post, ALL, -1, &mut gains)?;
            let (table, source) = (self.kind.name(), source(self.kind, row_id));
            let sql = format!("UPDATE {table} SET post = ?2 WHERE row_id = ?1");
            self.tx.exec(&sql, (row_id, post))?;
            let sql = "UPDATE post_scrape SET post = ?3 WHERE post = ?1 AND source = ?2";
            self.tx.exec(sql, (former, source, post))?;
            refresh(self.tx, former)?;
        }
        refresh(self.tx, post)?;
        replace(self.tx, gains, &[former, post], ALL)?;
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
    tx.exec(sql, (post, video, account_video, account, created.as_deref().and_then(create_s)))?;
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

/// The days on which a post was scraped.
fn days(tx: &Transaction<'_>, post: i64) -> StoreResult<BTreeSet<i64>> {
    let sql = "SELECT at_s FROM post_scrape WHERE post = ?1";
    let times: Vec<i64> = tx.all(sql, [post], |row| row.get(0))?;
    Ok(times.into_iter().map(day_of).collect())
}

/// Updates the gains of a post after its scrape at this instant was added or revised: those of that day and of the next
/// with a scrape, and the scrape before, which may have been the last of the day.
pub fn count_scrape(tx: &Transaction<'_>, post: i64, at: Instant) -> StoreResult<()> {
    let sql = "SELECT (SELECT max(at_s) FROM post_scrape WHERE post = ?1 AND at_s < ?2),
                      (SELECT min(at_s) FROM post_scrape WHERE post = ?1 AND at_s >= ?3)";
    let end = |at_s: i64| (day_of(at_s) + 1).saturating_mul(DAY_S);
    let parameters = (post, at.seconds, end(at.seconds));
    type Found = (Option<i64>, Option<i64>);
    let (before, next): Found = tx.one(sql, parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let span = before.unwrap_or(at.seconds)..=end(next.unwrap_or(at.seconds)) - 1;
    let mut gains = AccountGains::new();
    count(tx, post, span.clone(), -1, &mut gains)?;
    set_views_7d(tx, post)?;
    replace(tx, gains, &[post], span)
}

/// Adds the gains of a post on the days of its account, times `sign`, as its scrapes in a span of Unix seconds have them.
fn count(
    tx: &Transaction<'_>,
    post: i64,
    span: RangeInclusive<i64>,
    sign: i64,
    gains: &mut AccountGains,
) -> StoreResult<()> {
    let sql = "SELECT coalesce(p.account_id, ''), s.at_s, s.views_gained, s.likes_gained, s.comments_gained, s.shares_gained
               FROM post AS p CROSS JOIN post_scrape AS s ON s.post = p.post
               WHERE p.post = ?1 AND s.at_s BETWEEN ?2 AND ?3
                   AND coalesce(s.views_gained, s.likes_gained, s.comments_gained, s.shares_gained) IS NOT NULL";
    type Found = ((String, i64), [Option<i64>; 4]);
    let rows: Vec<Found> = tx.all(sql, (post, span.start(), span.end()), |row| {
        let day = (row.get(0)?, day_of(row.get(1)?));
        Ok((day, [row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?]))
    })?;
    for (day, gained) in rows {
        let sums = gains.entry(day).or_default();
        *sums = std::array::from_fn(|n| sums[n].saturating_add(sign * believed(gained[n])));
    }
    Ok(())
}

/// A gain as sums count it; 0 if unknown.
fn believed(gain: Option<i64>) -> i64 {
    gain.unwrap_or(0).clamp(-GAIN_MAX, GAIN_MAX)
}

/// Computes what the scrapes of these posts in a span show as gained. `gains` has what is to be added to the days of
/// accounts instead: minus what the posts showed before.
fn replace(
    tx: &Transaction<'_>,
    mut gains: AccountGains,
    posts: &[i64],
    span: RangeInclusive<i64>,
) -> StoreResult<()> {
    let sql = "UPDATE post_scrape AS s
               SET (next_day, views_gained, likes_gained, comments_gained, shares_gained, saves_gained) = (
                   SELECT g.next_day, g.views_gained, g.likes_gained, g.comments_gained, g.shares_gained, g.saves_gained
                   FROM post_scrape_gains AS g
                   WHERE g.post = s.post AND g.at_s = s.at_s AND g.at_ns = s.at_ns AND g.source = s.source
               )
               WHERE s.post = ?1 AND s.at_s BETWEEN ?2 AND ?3";
    for post in posts.iter().copied().collect::<BTreeSet<_>>() {
        tx.exec(sql, (post, span.start(), span.end()))?;
        count(tx, post, span.clone(), 1, &mut gains)?;
    }
    for ((account, day), change) in gains {
        credit(tx, &account, day, change)?;
    }
    Ok(())
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
