//! The history: one row per scrape, of accounts in `account_scrape`, of posts in `post_scrape`.

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params_from_iter};

use crate::model::instant::day_of;
use crate::model::{Instant, Kind, Row, Value, columns};
use crate::store::day_versions::{self, DayVersions};
use crate::store::error::StoreResult;

/// The time of the next scrape of a post from the same source.
const NEXT: &str = "SELECT at_s FROM post_scrape
                    WHERE post = ?1 AND (at_s, at_ns) > (?2, ?3) AND source = ?4
                    ORDER BY at_s, at_ns LIMIT 1";

/// Start of the year 2000: no earlier scrape time is true, and views have a row for every day from the first on.
const FIRST_MIN_S: i64 = 946_684_800;

/// The columns of what the post of a scrape gained on its day.
const GAINS: [&str; 5] =
    ["views_gained", "likes_gained", "comments_gained", "shares_gained", "saves_gained"];
type Gains = [Option<i64>; GAINS.len()];

/// Change of a row's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scrape {
    /// None: no scrape yet, or a known one with the same counts.
    Held,
    /// A new scrape.
    Added,
    /// A known scrape with other counts.
    Revised,
}

/// Adds the scrapes of rows of one kind.
pub struct History<'t> {
    add: CachedStatement<'t>,
    revise: CachedStatement<'t>,
    set_first: CachedStatement<'t>,
    /// Finds the next scrape of the same video: views show the difference.
    next: Option<CachedStatement<'t>>,
    versions: DayVersions<'t>,
    layout: Layout,
    /// Time of the earliest scrape in the mirror, Unix seconds.
    first_s: i64,
}

/// Positions of a scrape's values in the rows of a kind.
struct Layout {
    kind: Kind,
    counts: Vec<usize>,
    /// The interval of a video, the account of an account video.
    interval: Option<usize>,
}

impl<'t> History<'t> {
    /// Prepares the statements of a kind; `None` if it has no scrapes.
    pub fn new(tx: &'t Transaction<'_>, kind: Kind) -> StoreResult<Option<Self>> {
        let names = columns::history_columns(kind);
        if names.is_empty() {
            return Ok(None);
        }
        let (add, revise) = compose(kind, names);
        let layout = Layout {
            kind,
            counts: names.iter().filter_map(|name| columns::position(kind, name)).collect(),
            interval: match kind {
                Kind::Video => columns::position(kind, "scrape_interval_hours"),
                _ => columns::position(kind, "account_id"),
            },
        };
        let first_s: Option<i64> = tx
            .prepare_cached("SELECT first_scrape_s FROM instance")?
            .query_row([], |row| row.get(0))
            .optional()?
            .flatten();
        Ok(Some(Self {
            add: tx.prepare_cached(&add)?,
            revise: tx.prepare_cached(&revise)?,
            set_first: tx.prepare_cached(
                "UPDATE instance SET first_scrape_s = min(coalesce(first_scrape_s, ?1), ?1)",
            )?,
            next: (kind == Kind::Video).then(|| tx.prepare_cached(NEXT)).transpose()?,
            versions: DayVersions::new(tx)?,
            layout,
            first_s: first_s.unwrap_or(i64::MAX),
        }))
    }

    /// Adds the scrape of a row of the newest answer, or revises its counts.
    pub fn record(&mut self, owner: i64, row_id: i64, row: &Row) -> StoreResult<Scrape> {
        let Some(at) = row.scraped_at else { return Ok(Scrape::Held) };
        let added = self.add(owner, row_id, row)?;
        if added == Scrape::Added {
            return Ok(added);
        }
        let revised =
            self.revise.execute(params_from_iter(self.layout.values(owner, row_id, at, row)))?;
        if revised == 0 {
            return Ok(Scrape::Held);
        }
        self.changed(owner, row_id, at)?;
        Ok(Scrape::Revised)
    }

    /// Adds the scrape of a row if it is not in the history. `owner` is the account or post.
    pub fn add(&mut self, owner: i64, row_id: i64, row: &Row) -> StoreResult<Scrape> {
        let Some(at) = row.scraped_at else { return Ok(Scrape::Held) };
        if !self.insert(owner, row_id, row, at, Gains::default())? {
            return Ok(Scrape::Held);
        }
        self.changed(owner, row_id, at)?;
        Ok(Scrape::Added)
    }

    /// Adds the first scrape of a post, at `at`, with what the post gained on its day.
    pub fn add_first(
        &mut self,
        post: i64,
        row_id: i64,
        row: &Row,
        at: Instant,
        gains: Gains,
    ) -> StoreResult<()> {
        self.insert(post, row_id, row, at, gains)?;
        self.versions.scrape(self.layout.kind, at.seconds, None)
    }

    fn insert(
        &mut self,
        owner: i64,
        row_id: i64,
        row: &Row,
        at: Instant,
        gains: Gains,
    ) -> StoreResult<bool> {
        let gains = gains.iter().map(|gain| gain.map_or(Value::Null, Value::Integer));
        let gains = gains.take(if self.layout.kind == Kind::Account { 0 } else { GAINS.len() });
        let values = self.layout.values(owner, row_id, at, row).chain(gains);
        let added = self.add.execute(params_from_iter(values))?;
        if added > 0 && (FIRST_MIN_S..self.first_s).contains(&at.seconds) {
            self.first_s = at.seconds;
            self.set_first.execute([at.seconds])?;
        }
        Ok(added > 0)
    }

    /// Records for exports that a video was edited, perhaps paused: the time to its next scrape is then no gap.
    pub fn edited(&mut self, owner: i64, row_id: i64, at_micros: i64) -> StoreResult<()> {
        let before_s = at_micros.saturating_sub(1).div_euclid(1_000_000);
        match self.next(owner, row_id, Instant { seconds: before_s, nanos: 999_999_999 })? {
            Some(next_s) => self.versions.replace(day_versions::PAIR, day_of(next_s)),
            None => Ok(()),
        }
    }

    fn changed(&mut self, owner: i64, row_id: i64, at: Instant) -> StoreResult<()> {
        let next_s = self.next(owner, row_id, at)?;
        self.versions.scrape(self.layout.kind, at.seconds, next_s)
    }

    fn next(&mut self, owner: i64, row_id: i64, after: Instant) -> StoreResult<Option<i64>> {
        let Some(next) = &mut self.next else { return Ok(None) };
        let parameters = (owner, after.seconds, after.nanos, row_id);
        Ok(next.query_row(parameters, |row| row.get(0)).optional()?)
    }
}

impl Layout {
    /// The values that both statements take: the account or post, the time, the source, the interval or the account that
    /// has it, and the counts.
    fn values<'a>(
        &'a self,
        owner: i64,
        row_id: i64,
        at: Instant,
        row: &'a Row,
    ) -> impl Iterator<Item = Value<'a>> + 'a {
        let own = [owner, at.seconds, i64::from(at.nanos), source(self.kind, row_id)];
        let interval = self.interval.map_or(Value::Null, |position| row.value_at(position));
        let counts = self.counts.iter().map(|position| row.value_at(*position));
        own.map(Value::Integer).into_iter().chain([interval]).chain(counts)
    }
}

/// The column `source` of a row's scrapes.
pub const fn source(kind: Kind, row_id: i64) -> i64 {
    if matches!(kind, Kind::AccountVideo) { -row_id } else { row_id }
}

/// The SQL that joins the scrapes `s` of the resource `r`.
pub const fn join(kind: Kind) -> &'static str {
    match kind {
        Kind::Video => "post_scrape AS s ON s.post = r.post AND s.source = r.row_id",
        Kind::AccountVideo => "post_scrape AS s ON s.post = r.post AND s.source = -r.row_id",
        _ => "account_scrape AS s ON s.account = r.row_id",
    }
}

/// Composes the statements that add and revise a scrape.
fn compose(kind: Kind, names: &[&str]) -> (String, String) {
    let (table, key, values, same_key) = match kind {
        Kind::Video | Kind::AccountVideo => (
            "post_scrape",
            "post, at_s, at_ns, source, interval_hours",
            match kind {
                Kind::Video => "?1, ?2, ?3, ?4, ?5",
                _ => "?1, ?2, ?3, ?4, (SELECT scrape_interval_hours FROM account WHERE id = ?5)",
            },
            "post = ?1 AND at_s = ?2 AND at_ns = ?3 AND source = ?4",
        ),
        _ => (
            "account_scrape",
            "account, at_s, at_ns",
            "?1, ?2, ?3",
            "account = ?1 AND at_s = ?2 AND at_ns = ?3",
        ),
    };
    let numbered = || names.iter().zip((6..).map(|n| format!("?{n}")));
    let gains: &[&str] = if kind == Kind::Account { &[] } else { &GAINS };
    let added = [names, gains].concat();
    let new = (6..).take(added.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let sets = numbered().map(|(name, n)| format!("{name} = coalesce({n}, {name})"));
    let news = numbered().map(|(name, n)| format!("({n} IS NOT NULL AND {n} IS NOT {name})"));
    (
        format!(
            "INSERT INTO {table} ({key}, {})
             VALUES ({values}, {new})
             ON CONFLICT DO NOTHING",
            added.join(", ")
        ),
        format!(
            "UPDATE {table} SET {} WHERE {same_key} AND ({})",
            sets.collect::<Vec<_>>().join(", "),
            news.collect::<Vec<_>>().join(" OR ")
        ),
    )
}
