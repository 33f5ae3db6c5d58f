//! Daily metrics: which resources to request for a day, the answers, and the days covered.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};

use crate::model::metrics::Metrics;
use crate::model::{Kind, SubjectKind};
use crate::store::day_versions::{self, DayVersions};
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// How long a learned limit of ids per request is valid, microseconds.
const IDS_MAX_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

/// A resource to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its row_id in our tables.
    pub row_id: i64,
    /// The API's id.
    pub id: String,
    /// Whether it was requested before, when its figures were not final.
    pub is_again: bool,
}

from_row!(Subject: row_id, id, is_again);

/// A day and the resources to request for it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which resources.
    pub subject_kind: SubjectKind,
    /// The day, in days since 1970.
    pub day: i64,
    /// The day as `YYYY-MM-DD`.
    pub date: String,
    /// Whether figures that were not final when they were requested are final by now.
    pub has_settled: bool,
}

/// Answer for a resource and a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayMetrics {
    /// The figures, which may change until they are final.
    Figures {
        /// The figures.
        metrics: Metrics,
        /// Whether they are final.
        is_final: bool,
    },
    /// The API does not know the resource.
    NotFound,
}

/// Whether a resource was published by a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Published {
    /// By that day, or at an unknown time.
    By,
    /// After that day.
    Later,
}

/// SQL condition on rows `r` that can be requested: present, with a valid id, and published by the day
/// `?1` or later.
fn eligible(subject_kind: SubjectKind, published: Published) -> String {
    let present = "r.removed_at IS NULL";
    let published = match published {
        Published::By => "(r.create_time IS NULL OR substr(r.create_time, 1, 10) <= ?1)",
        Published::Later => "substr(r.create_time, 1, 10) > ?1",
    };
    match subject_kind.platform() {
        None if subject_kind == SubjectKind::Accounts => format!("{present} AND ?1 = ?1"),
        None => format!("{present} AND {published}"),
        // The request takes integers, and the answer is keyed by them in canonical form.
        Some(platform) => format!(
            "{present} AND {published} AND r.platform = '{platform}'
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

/// Returns the next resources to request after the `row_id` `after`, in this order.
pub fn next(
    c: &Connection,
    wanted: &Wanted,
    after: i64,
    limit: usize,
) -> StoreResult<Vec<Subject>> {
    subjects(c, wanted, Published::By, after, limit)
}

/// Returns resources that were published after the day, for a request that has room for them.
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

/// Returns the number of resources to request.
pub fn count(c: &Connection, wanted: &Wanted) -> StoreResult<u64> {
    let sql = pending(wanted.subject_kind, Published::By, "count(*)");
    let parameters = (&wanted.date, wanted.day, wanted.has_settled, i64::MIN);
    Ok(c.value::<i64>(&sql, parameters)?.unsigned_abs())
}

/// Whether there is any answer for that day.
pub fn is_begun(c: &Connection, kind: Kind, day: i64) -> StoreResult<bool> {
    let sql = "SELECT EXISTS (
                   SELECT 1 FROM metric_day AS d JOIN metric AS m ON m.slot = d.slot
                   WHERE d.kind = ?1 AND d.day = ?2)";
    c.value(sql, (kind.name(), day))
}

/// Returns the number of resources by the day they were published, `YYYY-MM-DD`; an empty text, which sorts
/// first, if it is unknown.
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

/// Returns the number of account videos that cannot be requested because of their platform or id.
pub fn count_not_requestable(c: &Connection) -> StoreResult<u64> {
    let sql = "SELECT count(*) FROM account_video
               WHERE removed_at IS NULL
                 AND NOT (platform IN ('instagram', 'tiktok') AND id = CAST(CAST(id AS INTEGER) AS TEXT))";
    Ok(c.value::<i64>(sql, [])?.unsigned_abs())
}

/// Writes the answers for a day. Returns the number of rows that are new or changed.
pub fn write(
    tx: &Transaction<'_>,
    wanted: &Wanted,
    answers: &[(Subject, DayMetrics)],
) -> StoreResult<i64> {
    let kind = wanted.subject_kind.kind();
    let slot = slot(tx, kind, wanted.day, &wanted.date)?;
    let mut changed = 0;
    for (subject, answer) in answers {
        write_subject(tx, wanted.subject_kind, subject)?;
        changed += match answer {
            DayMetrics::Figures { metrics, is_final } => {
                write_figures(tx, slot, subject.row_id, metrics, *is_final)?
            }
            DayMetrics::NotFound => write_not_found(tx, slot, subject.row_id)?,
        };
    }
    if changed > 0 {
        DayVersions::new(tx)?.replace(day_versions::METRIC, wanted.day)?;
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

/// Saves the id under which the view shows a resource.
fn write_subject(
    tx: &Transaction<'_>,
    subject_kind: SubjectKind,
    subject: &Subject,
) -> StoreResult<()> {
    let id = match subject_kind.platform() {
        None => subject.id.clone(),
        Some(platform) => format!("{platform}:{}", subject.id),
    };
    let sql =
        "INSERT INTO metric_subject (kind, row_id, id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    tx.exec(sql, (subject_kind.kind(), subject.row_id, id))
}

/// Writes figures; a figure that is missing from a later answer stays.
fn write_figures(
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

/// Records that the API does not know a resource. Former figures stay and are final.
fn write_not_found(tx: &Transaction<'_>, slot: i64, row_id: i64) -> StoreResult<i64> {
    let sql = "INSERT INTO metric (slot, row_id, state) VALUES (?1, ?2, 2)
               ON CONFLICT DO UPDATE SET state = max(state, 1)";
    tx.exec(sql, (slot, row_id))?;
    Ok(0)
}

/// Records that all resources of a kind were requested for a day.
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

/// Which days of a kind were requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestedDays {
    /// The day of the first backfill, since which days are requested as they end; `None` before it.
    pub from: Option<i64>,
    /// The days from then on that were requested.
    pub asked: Vec<i64>,
    /// All days that were requested before their figures were final, and not since.
    pub open: Vec<i64>,
}

/// Returns which days of a kind were requested.
pub fn requested_days(c: &Connection, kind: Kind) -> StoreResult<RequestedDays> {
    let sql = "SELECT grows_from FROM metric_kind WHERE kind = ?1";
    let from: Option<i64> = c.value(sql, [kind])?;
    if from.is_none() {
        return Ok(RequestedDays::default());
    }
    let sql = "SELECT day, day >= ?2, settled_at IS NULL FROM metric_day
               WHERE kind = ?1 AND asked_at IS NOT NULL AND (day >= ?2 OR settled_at IS NULL)";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query((kind.name(), from))?;
    let mut found = RequestedDays { from, ..RequestedDays::default() };
    while let Some(row) = rows.next()? {
        let day = row.get(0)?;
        if row.get(1)? {
            found.asked.push(day);
        }
        if row.get(2)? {
            found.open.push(day);
        }
    }
    Ok(found)
}

/// Sets the day from which days are requested as they end, unless it is set already.
pub fn request_days_from(tx: &Transaction<'_>, kind: Kind, day: i64) -> StoreResult<()> {
    let sql = "UPDATE metric_kind SET grows_from = coalesce(grows_from, ?2) WHERE kind = ?1";
    tx.exec(sql, (kind.name(), day))
}

/// Returns the learned limit of ids per request of the kind, if it is still valid.
pub fn ids_max(c: &Connection, kind: Kind, now: i64) -> StoreResult<Option<usize>> {
    let sql = "SELECT ids_max FROM metric_kind WHERE kind = ?1 AND ids_max_until > ?2";
    let bound: Option<i64> = c.optional(sql, (kind, now), |row| row.get(0))?;
    Ok(bound.and_then(|bound| usize::try_from(bound).ok()))
}

/// Saves the learned limit of ids per request of the kind.
pub fn save_ids_max(tx: &Transaction<'_>, kind: Kind, ids: usize, now: i64) -> StoreResult<()> {
    let sql = "UPDATE metric_kind SET ids_max = ?2, ids_max_until = ?3 WHERE kind = ?1";
    let ids = i64::try_from(ids).unwrap_or(i64::MAX);
    tx.exec(sql, (kind.name(), ids, now.saturating_add(IDS_MAX_MICROS)))
}

/// Range of the daily metrics of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsRange {
    /// The kind.
    pub kind: Kind,
    /// The oldest day that was requested, `YYYY-MM-DD`.
    pub from: String,
    /// The newest one.
    pub to: String,
    /// Number of days requested.
    pub days: i64,
    /// Whether days are requested as they end.
    pub is_growing: bool,
}

from_row!(MetricsRange: kind, from, to, days, is_growing);

/// Returns the range of the daily metrics, for the kinds that have any.
pub fn reach(c: &Connection) -> StoreResult<Vec<MetricsRange>> {
    let sql = "SELECT kind, min(date) AS \"from\", max(date) AS \"to\", count(*) AS days,
                      (SELECT grows_from IS NOT NULL FROM metric_kind AS k WHERE k.kind = d.kind) AS is_growing
               FROM metric_day AS d WHERE kind = ?1 AND asked_at IS NOT NULL HAVING count(*) > 0";
    let found =
        SubjectKind::KINDS.into_iter().map(|kind| c.optional(sql, [kind], MetricsRange::from_row));
    found.filter_map(Result::transpose).collect()
}

/// Whether there are resources to request metrics for, and whether any list of them was ever complete.
pub fn has_rows(c: &Connection) -> StoreResult<(bool, bool)> {
    let sql = "SELECT EXISTS (SELECT 1 FROM account) OR EXISTS (SELECT 1 FROM video)
                      OR EXISTS (SELECT 1 FROM account_video),
                      EXISTS (SELECT 1 FROM kind_state
                              WHERE kind IN ('account', 'video', 'account_video') AND complete_as_of IS NOT NULL)";
    c.one(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}
