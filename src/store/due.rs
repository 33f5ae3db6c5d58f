//! The poll schedule: when each account and video is due. An index on the due time makes rows that are
//! not due free. Also the account lists (feeds) that are due because their account was scraped.

use rusqlite::{Connection, Transaction};

use crate::model::due::{Due, DueAccountList, DueRow, DueRule, Facts, Seen, seconds};
use crate::model::interval::{self, HOURS_DEFAULT, HOURS_MAX, WAIT_S_PER_HOUR};
use crate::model::{Instant, Kind, Row, instant};
use crate::store::error::StoreResult;
use crate::store::history::Scrape;
use crate::store::query::{Query, from_row};
use crate::store::rows::{RowState, Written};

from_row!(DueAccountList: account, id, videos);

/// Whether rows of a kind are scheduled one by one.
pub const fn is_scheduled(kind: Kind) -> bool {
    matches!(kind, Kind::Account | Kind::Video)
}

fn select(kind: Kind) -> String {
    let table = kind.name();
    format!(
        "SELECT r.row_id, r.id, r.page, d.due_at, d.gap_s, max(r.as_of, coalesce(p.as_of, 0)),
                r.scrape_interval_hours, r.last_scrape_time, r.added_at
         FROM {table}_due AS d
         JOIN {table} AS r ON r.row_id = d.{table}
         LEFT JOIN page AS p ON p.page = r.page"
    )
}

/// Returns up to `limit` rows of a kind due at `now` (Unix seconds), the most overdue first.
pub fn find(c: &Connection, kind: Kind, now: i64, limit: i64) -> StoreResult<Vec<DueRow>> {
    let sql = format!("{} WHERE d.due_at <= ?1 ORDER BY d.due_at LIMIT ?2", select(kind));
    c.all(&sql, (now, limit), read)
}

/// Returns the number of rows of a kind due by `until`, Unix seconds.
pub fn count_until(c: &Connection, kind: Kind, until: i64) -> StoreResult<u64> {
    let sql = format!("SELECT count(*) FROM {}_due WHERE due_at <= ?1", kind.name());
    Ok(c.value::<i64>(&sql, [until])?.unsigned_abs())
}

/// Returns the rows of a kind due by `until` (Unix seconds), ordered by page and time: the page, or a
/// unique negative number for a row without one, and the due time.
pub fn until(c: &Connection, kind: Kind, until: i64) -> StoreResult<Vec<(i64, i64)>> {
    let table = kind.name();
    let sql = format!(
        "SELECT coalesce(r.page, -r.row_id) AS page, d.due_at
         FROM {table}_due AS d JOIN {table} AS r ON r.row_id = d.{table}
         WHERE d.due_at <= ?1
         ORDER BY 1, d.due_at"
    );
    c.all(&sql, [until], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Returns the rows on a page that are due at `now`.
fn on_page(c: &Connection, kind: Kind, page: i64, now: i64) -> StoreResult<Vec<DueRow>> {
    // Usually nothing is due, which is one lookup in the index.
    if first_due_at(c, kind)?.is_none_or(|due_at| due_at > now) {
        return Ok(Vec::new());
    }
    let sql = format!(
        "{} WHERE d.due_at <= ?2
           AND d.{} IN (SELECT j.value FROM page AS m, json_each(m.members) AS j WHERE m.page = ?1)",
        select(kind),
        kind.name()
    );
    c.all(&sql, (page, now), read)
}

/// Returns a row if it is scheduled.
fn one(c: &Connection, kind: Kind, row_id: i64) -> StoreResult<Option<DueRow>> {
    c.optional(&format!("{} WHERE d.{} = ?1", select(kind), kind.name()), [row_id], read)
}

/// Sets when a row is due; `None` removes it from the schedule.
pub fn set(tx: &Transaction<'_>, kind: Kind, row_id: i64, due: Option<Due>) -> StoreResult<()> {
    let (put, delete) = statements(kind);
    match due {
        Some(due) => tx.exec(put, (row_id, due.due_at, due.gap_s)),
        None => tx.exec(delete, [row_id]),
    }
}

/// Sets the next poll of a row that was written from an answer requested at `as_of`. A new scrape of an
/// account makes its account list due.
pub fn row_written(
    tx: &Transaction<'_>,
    rule: &DueRule,
    kind: Kind,
    (row, written): (&Row, Written),
    as_of: i64,
) -> StoreResult<()> {
    if !is_scheduled(kind) {
        return Ok(());
    }
    let before = match written.state {
        RowState::New => None,
        RowState::Changed => one(tx, kind, written.row_id)?.map(|row| row.due),
        RowState::Same | RowState::Outdated => return Ok(()),
    };
    let is_new_scrape = written.scrape == Scrape::Added;
    if is_new_scrape && kind == Kind::Account {
        let shown_from = row.scraped_at.map_or(i64::MAX, posts_shown_from);
        account_list_due(tx, written.row_id, shown_from, as_of)?;
    }
    let seen = if is_new_scrape { Seen::NewScrape } else { Seen::Unchanged };
    let next = rule.apply(Facts::of(kind, row), before, seen);
    if next.is_none() && written.state == RowState::New {
        return Ok(());
    }
    set(tx, kind, written.row_id, next)
}

/// Reschedules the due rows of a page that was read.
pub fn page_read(tx: &Transaction<'_>, rule: &DueRule, kind: Kind, page: i64) -> StoreResult<()> {
    if !is_scheduled(kind) {
        return Ok(());
    }
    reschedule(tx, rule, kind, on_page(tx, kind, page, rule.now)?)
}

/// Sets the next poll of rows that were read unchanged.
fn reschedule(
    tx: &Transaction<'_>,
    rule: &DueRule,
    kind: Kind,
    rows: impl IntoIterator<Item = DueRow>,
) -> StoreResult<()> {
    for row in rows {
        set(tx, kind, row.row_id, rule.apply(row.facts, Some(row.due), Seen::Unchanged))?;
    }
    Ok(())
}

/// Reschedules a row that was read, if it is still due.
pub fn row_read(tx: &Transaction<'_>, rule: &DueRule, kind: Kind, row_id: i64) -> StoreResult<()> {
    if !is_scheduled(kind) {
        return Ok(());
    }
    let row = one(tx, kind, row_id)?;
    reschedule(tx, rule, kind, row.filter(|row| row.due.due_at <= rule.now))
}

/// Reschedules the due rows that the last complete listing did not show. Otherwise they would be the reason to read
/// the same list again at once, which would be no independent evidence that they are removed.
pub fn absent_read(tx: &Transaction<'_>, rule: &DueRule, kind: Kind) -> StoreResult<()> {
    if !is_scheduled(kind) {
        return Ok(());
    }
    let sql = format!("{} WHERE d.due_at <= ?1 AND r.absent_listing IS NOT NULL", select(kind));
    let absent: Vec<DueRow> = tx.all(&sql, [rule.now], read)?;
    reschedule(tx, rule, kind, absent)
}

/// The upsert and the deletion of a scheduled row; constants, because they run for every changed row.
const fn statements(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Account => (
            "INSERT INTO account_due (account, due_at, gap_s) VALUES (?1, ?2, ?3)
             ON CONFLICT (account) DO UPDATE SET due_at = excluded.due_at, gap_s = excluded.gap_s",
            "DELETE FROM account_due WHERE account = ?1",
        ),
        _ => (
            "INSERT INTO video_due (video, due_at, gap_s) VALUES (?1, ?2, ?3)
             ON CONFLICT (video) DO UPDATE SET due_at = excluded.due_at, gap_s = excluded.gap_s",
            "DELETE FROM video_due WHERE video = ?1",
        ),
    }
}

/// Returns when the first row of a kind has waited for its batch delay, Unix seconds: `wait_s` seconds, or
/// less if its interval is short.
pub fn earliest(c: &Connection, kind: Kind, wait_s: i64) -> StoreResult<Option<i64>> {
    // A row that is due after the first one's full wait cannot be the earliest.
    let sql = format!(
        "SELECT min(d.due_at + min(?1, {WAIT_S_PER_HOUR} * max(1, min(
                    coalesce(r.scrape_interval_hours, {HOURS_DEFAULT}), {HOURS_MAX}))))
         FROM {table}_due AS d JOIN {table} AS r ON r.row_id = d.{table}
         WHERE d.due_at <= (SELECT min(due_at) FROM {table}_due) + ?1",
        table = kind.name()
    );
    let wait_s = wait_s.min(interval::longest_wait_s(Some(HOURS_MAX)));
    c.value(&sql, [wait_s])
}

fn first_due_at(c: &Connection, kind: Kind) -> StoreResult<Option<i64>> {
    let sql = format!("SELECT min(due_at) FROM {}_due", kind.name());
    c.value(&sql, [])
}

/// Returns how long each row of a kind has been due at `now`, seconds, in ascending order.
pub fn lateness(c: &Connection, kind: Kind, now: i64) -> StoreResult<Vec<i64>> {
    let sql = format!(
        "SELECT ?1 - due_at FROM {}_due WHERE due_at <= ?1 ORDER BY due_at DESC",
        kind.name()
    );
    c.all(&sql, [now], |row| row.get(0))
}

/// Makes an account's list due, because an answer requested at `since` showed a new scrape, whose posts the API shows
/// from `shown_from` on. It is not due if the last complete listing of account videos has them: that listing began late
/// enough, and ended while the answer was on its way, so that [`all_account_lists_read`] came too early for it.
fn account_list_due(
    tx: &Transaction<'_>,
    account: i64,
    shown_from: i64,
    since: i64,
) -> StoreResult<()> {
    let sql = "INSERT INTO account_list_due (account, since)
               SELECT ?1, ?2 WHERE NOT EXISTS (
                   SELECT 1 FROM (SELECT started_at, finished_at FROM listing
                                  WHERE kind = 'account_video' AND state = 'complete' ORDER BY listing DESC LIMIT 1)
                   WHERE finished_at > ?2 AND started_at > min(?2, ?3)
               )
               ON CONFLICT (account) DO UPDATE SET since = excluded.since";
    tx.exec(sql, (account, since, shown_from))
}

/// When the posts of an account that was scraped at `at` are in the API, microseconds.
fn posts_shown_from(at: Instant) -> i64 {
    at.seconds.saturating_mul(1_000_000).saturating_add(POSTS_DELAY_MICROS_MAX)
}

/// Returns the due account lists, those that have waited longest first.
pub fn account_lists(c: &Connection, limit: i64) -> StoreResult<Vec<DueAccountList>> {
    let sql = "SELECT d.account, a.id,
                      (SELECT count(*) FROM account_video AS v WHERE v.account_id = a.id) AS videos
               FROM account_list_due AS d JOIN account AS a ON a.row_id = d.account
               WHERE a.removed_at IS NULL
               ORDER BY d.since LIMIT ?1";
    c.all(sql, [limit], DueAccountList::from_row)
}

/// Records that an account list was read by requests started at `read_at`.
pub fn account_list_read(tx: &Transaction<'_>, account: i64, read_at: i64) -> StoreResult<()> {
    tx.exec("DELETE FROM account_list_due WHERE account = ?1 AND since < ?2", (account, read_at))
}

/// Records that an account list could not be read at `now`, a stamp, so that the others come first.
pub fn account_list_failed(tx: &Transaction<'_>, account: i64, now: i64) -> StoreResult<()> {
    tx.exec("UPDATE account_list_due SET since = ?2 WHERE account = ?1", (account, now))
}

/// How long after the scrape of an account its posts may appear in the API, microseconds.
const POSTS_DELAY_MICROS_MAX: i64 = 600 * 1_000_000;

/// Records that a listing started at `read_at` read all account lists. Accounts may be polled meanwhile: the
/// posts of an account scraped well before the listing were in it, even if the scrape is noticed later.
pub fn all_account_lists_read(tx: &Transaction<'_>, read_at: i64) -> StoreResult<()> {
    let shown = instant::from_micros(read_at.saturating_sub(POSTS_DELAY_MICROS_MAX));
    tx.exec(
        "DELETE FROM account_list_due
         WHERE since < ?1
            OR account IN (SELECT row_id FROM account WHERE last_scrape_time < ?2)",
        (read_at, instant::text(shown)),
    )
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<DueRow> {
    let instant_at = |at| Ok::<_, rusqlite::Error>(seconds(row.get_ref(at)?.as_str_or_null()?));
    Ok(DueRow {
        row_id: row.get(0)?,
        id: row.get(1)?,
        page: row.get(2)?,
        due: Due { due_at: row.get(3)?, gap_s: row.get(4)? },
        as_of: row.get(5)?,
        facts: Facts {
            is_idle: false,
            interval_hours: row.get(6)?,
            last_scrape: instant_at(7)?,
            added_at: instant_at(8)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::testing::mirror;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
        /// Compares with the minimum over all rows.
        #[test]
        fn earliest_is_the_minimum_of_all_rows(
            rows in prop::collection::vec((0..200_000_i64, any::<Option<i64>>(), 0..30_i64), 0..20),
            wait_s in prop_oneof![0..200_000_i64, Just(i64::MAX)],
        ) {
            let (_folder, store) = mirror();
            // Most intervals are plausible.
            let hours = |absurd: Option<i64>, usual| if usual > 5 { Some(usual) } else { absurd };
            store.write(|tx| {
                for (row_id, (due_at, absurd, usual)) in rows.iter().enumerate() {
                    let row_id = i64::try_from(row_id).unwrap();
                    let sql = "INSERT INTO video (row_id, id, scrape_interval_hours, fingerprint, as_of, first_mirrored_at)
                               VALUES (?1, 'v' || ?1, ?2, 0, 0, 0)";
                    tx.execute(sql, (row_id, hours(*absurd, *usual)))?;
                    set(tx, Kind::Video, row_id, Some(Due { due_at: *due_at, gap_s: 0 }))?;
                }
                Ok(())
            }).unwrap();
            let of_row = |(due_at, absurd, usual): &(i64, Option<i64>, i64)| {
                due_at + wait_s.min(interval::longest_wait_s(hours(*absurd, *usual)))
            };
            let found = store.read(|c| earliest(c, Kind::Video, wait_s)).unwrap();
            prop_assert_eq!(found, rows.iter().map(of_row).min());
        }
    }
}
