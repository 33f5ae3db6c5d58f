//! Daily metrics: what is to be asked for, what was answered, and how far they reach.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};

use crate::model::metrics::Metrics;
use crate::model::{Kind, SubjectKind};
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// How long a bound that was learned is believed, microseconds.
const BOUND_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

/// A resource to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its row_id in our tables.
    pub row_id: i64,
    /// The API's id.
    pub id: String,
    /// Whether it was asked for before its figures had settled.
    pub is_again: bool,
}

from_row!(Subject: row_id, id, is_again);

/// A day and what to look for on it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What of.
    pub subject_kind: SubjectKind,
    /// The day as a number.
    pub day: i64,
    /// The day as text.
    pub date: String,
    /// Whether figures that were not final when they were asked for are so by now.
    pub has_settled: bool,
}

/// What is known of a resource and a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayMetrics {
    /// The figures; they may change while they are not final.
    Figures {
        /// What was counted.
        metrics: Metrics,
        /// Whether they are final.
        is_final: bool,
    },
    /// The API does not know it.
    NotFound,
}

/// Whether something was published by a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Published {
    /// By that day, as far as is known.
    By,
    /// Later than that.
    Later,
}

/// The condition on the rows `r` of a lot: there still, in a form in which they can be asked for, and
/// published by then or not. `?1` is the day's text.
fn eligible(subject_kind: SubjectKind, published: Published) -> String {
    let there = "r.removed_at IS NULL";
    let published = match published {
        Published::By => "(r.create_time IS NULL OR substr(r.create_time, 1, 10) <= ?1)",
        Published::Later => "substr(r.create_time, 1, 10) > ?1",
    };
    match subject_kind.platform() {
        None if subject_kind == SubjectKind::Accounts => format!("{there} AND ?1 = ?1"),
        None => format!("{there} AND {published}"),
        // The request takes whole numbers, and the answer is keyed by them as they are usually written.
        Some(platform) => format!(
            "{there} AND {published} AND r.platform = '{platform}'
             AND r.id = CAST(CAST(r.id AS INTEGER) AS TEXT)"
        ),
    }
}

fn pending(subject_kind: SubjectKind, published: Published, what: &str) -> String {
    let (table, eligible) = (subject_kind.kind().name(), eligible(subject_kind, published));
    format!(
        "SELECT {what}
         FROM {table} AS r
         LEFT JOIN metric AS m
             ON m.slot = (SELECT slot FROM metric_day WHERE kind = '{table}' AND day = ?2) AND m.row_id = r.row_id
         WHERE r.row_id > ?4 AND {eligible} AND (m.state IS NULL OR (m.state = 0 AND ?3))"
    )
}

/// The next resources after the row_id `after` that are to be asked for, in the order of their keys.
pub fn next(
    c: &Connection,
    wanted: &Wanted,
    after: i64,
    limit: usize,
) -> StoreResult<Vec<Subject>> {
    subjects(c, wanted, Published::By, after, limit)
}

/// Resources that were published after the day, for a request that has room for them.
pub fn later(c: &Connection, wanted: &Wanted, limit: usize) -> StoreResult<Vec<Subject>> {
    match wanted.subject_kind {
        SubjectKind::Accounts => Ok(Vec::new()),
        _ => subjects(c, wanted, Published::Later, i64::MIN, limit),
    }
}

fn subjects(
    c: &Connection,
    wanted: &Wanted,
    published: Published,
    after: i64,
    limit: usize,
) -> StoreResult<Vec<Subject>> {
    let what = "r.row_id, r.id, m.state IS NOT NULL AS is_again";
    let sql = pending(wanted.subject_kind, published, what) + " ORDER BY r.row_id LIMIT ?5";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = (&wanted.date, wanted.day, wanted.has_settled, after, limit);
    c.all(&sql, parameters, Subject::from_row)
}

/// How many resources are to be asked for.
pub fn count(c: &Connection, wanted: &Wanted) -> StoreResult<u64> {
    let sql = pending(wanted.subject_kind, Published::By, "count(*)");
    let parameters = (&wanted.date, wanted.day, wanted.has_settled, i64::MIN);
    Ok(c.value::<i64>(&sql, parameters)?.unsigned_abs())
}

/// Whether anything was answered for on that day.
pub fn is_begun(c: &Connection, kind: Kind, day: i64) -> StoreResult<bool> {
    let sql = "SELECT EXISTS (
                   SELECT 1 FROM metric_day AS d JOIN metric AS m ON m.slot = d.slot
                   WHERE d.kind = ?1 AND d.day = ?2)";
    c.value(sql, (kind.name(), day))
}

/// How many resources of a lot there are by the day they were published, `YYYY-MM-DD`; those whose
/// day is not known are under the empty text, which is before all others.
pub fn by_publication(
    c: &Connection,
    subject_kind: SubjectKind,
) -> StoreResult<BTreeMap<String, u64>> {
    let published = match subject_kind {
        SubjectKind::Accounts => "''",
        _ => "coalesce(substr(r.create_time, 1, 10), '')",
    };
    let (table, eligible) = (subject_kind.kind().name(), eligible(subject_kind, Published::By));
    let sql = format!("SELECT {published}, count(*) FROM {table} AS r WHERE {eligible} GROUP BY 1");
    c.all(&sql, ["9999-12-31"], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))
}

/// Account videos that cannot be asked for, because of their platform or their id.
pub fn unaskable(c: &Connection) -> StoreResult<u64> {
    let sql = "SELECT count(*) FROM account_video
               WHERE removed_at IS NULL
                 AND NOT (platform IN ('instagram', 'tiktok') AND id = CAST(CAST(id AS INTEGER) AS TEXT))";
    Ok(c.value::<i64>(sql, [])?.unsigned_abs())
}

/// Writes what was answered for a day. Returns how many rows are new or other than before.
pub fn write(
    tx: &Transaction<'_>,
    wanted: &Wanted,
    told: &[(Subject, DayMetrics)],
) -> StoreResult<i64> {
    let kind = wanted.subject_kind.kind();
    let slot = slot(tx, kind, wanted.day, &wanted.date)?;
    let mut changed = 0;
    for (subject, told) in told {
        name(tx, wanted.subject_kind, subject)?;
        changed += match told {
            DayMetrics::Figures { metrics, is_final } => {
                figures(tx, slot, subject.row_id, metrics, *is_final)?
            }
            DayMetrics::NotFound => not_found(tx, slot, subject.row_id)?,
        };
    }
    Ok(changed)
}

fn slot(tx: &Transaction<'_>, kind: Kind, day: i64, date: &str) -> StoreResult<i64> {
    let sql = "SELECT slot FROM metric_day WHERE kind = ?1 AND day = ?2";
    match tx.optional(sql, (kind, day), |row| row.get(0))? {
        Some(slot) => Ok(slot),
        None => {
            let sql = "INSERT INTO metric_day (kind, day, date) VALUES (?1, ?2, ?3)";
            Ok(tx.prepare_cached(sql)?.insert((kind.name(), day, date))?)
        }
    }
}

/// Notes under which id a resource is shown.
fn name(tx: &Transaction<'_>, subject_kind: SubjectKind, subject: &Subject) -> StoreResult<()> {
    let sql =
        "INSERT INTO metric_subject (kind, row_id, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    match subject_kind.platform() {
        None => tx.exec(sql, (subject_kind.kind(), subject.row_id, &subject.id)),
        Some(platform) => tx
            .exec(sql, (subject_kind.kind(), subject.row_id, format!("{platform}:{}", subject.id))),
    }
}

/// A figure that a later answer does not give any more stays.
fn figures(
    tx: &Transaction<'_>,
    slot: i64,
    row_id: i64,
    metrics: &Metrics,
    is_final: bool,
) -> StoreResult<i64> {
    let before = "SELECT views, plays, likes, comments, shares, engagement
                  FROM metric WHERE slot = ?1 AND row_id = ?2 AND state < 2";
    let before: Option<Metrics> = tx.optional(before, (slot, row_id), |row| {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?])
    })?;
    let mut now = *metrics;
    for (figure, before) in now.iter_mut().zip(before.unwrap_or_default()) {
        *figure = figure.or(before);
    }
    let [views, plays, likes, comments, shares, engagement] = now;
    let sql = "INSERT OR REPLACE INTO metric
                   (slot, row_id, state, views, plays, likes, comments, shares, engagement)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let row = (slot, row_id, is_final, views, plays, likes, comments, shares, engagement);
    tx.exec(sql, row)?;
    Ok(i64::from(before != Some(now)))
}

/// Figures that were told before stay, as the last ones of this day.
fn not_found(tx: &Transaction<'_>, slot: i64, row_id: i64) -> StoreResult<i64> {
    let sql = "INSERT INTO metric (slot, row_id, state) VALUES (?1, ?2, 2)
               ON CONFLICT DO UPDATE SET state = max(state, 1)";
    tx.exec(sql, (slot, row_id))?;
    Ok(0)
}

/// Notes that everything of a kind was asked for on a day.
pub fn day_done(
    tx: &Transaction<'_>,
    kind: Kind,
    day: i64,
    date: &str,
    is_settled: bool,
    at: i64,
) -> StoreResult<()> {
    let slot = slot(tx, kind, day, date)?;
    let sql = "UPDATE metric_day
               SET asked_at = coalesce(asked_at, ?2),
                   settled_at = CASE WHEN ?3 THEN coalesce(settled_at, ?2) ELSE settled_at END
               WHERE slot = ?1";
    tx.exec(sql, (slot, at, is_settled))
}

/// Where a kind stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growing {
    /// The first day that no backfill was for; `None` before the first backfill.
    pub from: Option<i64>,
    /// The days from then on that were asked for.
    pub asked: Vec<i64>,
    /// The days of any time that were asked for before they had settled, and not since.
    pub open: Vec<i64>,
}

/// Where a kind stands.
pub fn growing(c: &Connection, kind: Kind) -> StoreResult<Growing> {
    let sql = "SELECT grows_from FROM metric_kind WHERE kind = ?1";
    let from: Option<i64> = c.value(sql, [kind])?;
    if from.is_none() {
        return Ok(Growing::default());
    }
    let sql = "SELECT day, day >= ?2, settled_at IS NULL FROM metric_day
               WHERE kind = ?1 AND asked_at IS NOT NULL AND (day >= ?2 OR settled_at IS NULL)";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query((kind.name(), from))?;
    let mut growing = Growing { from, ..Growing::default() };
    while let Some(row) = rows.next()? {
        let day = row.get(0)?;
        if row.get(1)? {
            growing.asked.push(day);
        }
        if row.get(2)? {
            growing.open.push(day);
        }
    }
    Ok(growing)
}

/// From this day on days are asked for as they end, if they are not already.
pub fn grow_from(tx: &Transaction<'_>, kind: Kind, day: i64) -> StoreResult<()> {
    let sql = "UPDATE metric_kind SET grows_from = coalesce(grows_from, ?2) WHERE kind = ?1";
    tx.exec(sql, (kind.name(), day))
}

/// How many ids a request of the kind may have, where that was learned and is still believed.
pub fn bound(c: &Connection, kind: Kind, now: i64) -> StoreResult<Option<usize>> {
    let sql = "SELECT ids_max FROM metric_kind WHERE kind = ?1 AND ids_max_until > ?2";
    let bound: Option<i64> = c.optional(sql, (kind, now), |row| row.get(0))?;
    Ok(bound.and_then(|bound| usize::try_from(bound).ok()))
}

/// Remembers how many ids a request of the kind may have.
pub fn learn_bound(tx: &Transaction<'_>, kind: Kind, ids: usize, now: i64) -> StoreResult<()> {
    let sql = "UPDATE metric_kind SET ids_max = ?2, ids_max_until = ?3 WHERE kind = ?1";
    let ids = i64::try_from(ids).unwrap_or(i64::MAX);
    tx.exec(sql, (kind.name(), ids, now.saturating_add(BOUND_MICROS)))
}

/// How far the daily metrics of a kind reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The kind.
    pub kind: Kind,
    /// The oldest day that was asked for.
    pub from: String,
    /// The newest one.
    pub to: String,
    /// How many days were.
    pub days: i64,
    /// Whether days are asked for as they end.
    pub is_growing: bool,
}

from_row!(Reach: kind, from, to, days, is_growing);

/// How far the daily metrics reach, of the kinds that have any.
pub fn reach(c: &Connection) -> StoreResult<Vec<Reach>> {
    let sql = "SELECT kind, min(date) AS \"from\", max(date) AS \"to\", count(*) AS days,
                      (SELECT grows_from IS NOT NULL FROM metric_kind AS k WHERE k.kind = d.kind) AS is_growing
               FROM metric_day AS d WHERE kind = ?1 AND asked_at IS NOT NULL HAVING count(*) > 0";
    let found = SubjectKind::KINDS.into_iter().map(|kind| c.optional(sql, [kind], Reach::from_row));
    found.filter_map(Result::transpose).collect()
}

/// Whether there is anything to ask for, and whether the lists of it were ever mirrored whole.
pub fn has_rows(c: &Connection) -> StoreResult<(bool, bool)> {
    let sql = "SELECT EXISTS (SELECT 1 FROM account) OR EXISTS (SELECT 1 FROM video)
                      OR EXISTS (SELECT 1 FROM account_video),
                      EXISTS (SELECT 1 FROM kind_state
                              WHERE kind IN ('account', 'video', 'account_video') AND complete_as_of IS NOT NULL)";
    c.one(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}
