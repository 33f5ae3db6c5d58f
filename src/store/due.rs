//! The schedule of accounts and videos: when each is expected to change. Found by an index on the
//! time, so that what is not due costs nothing. And the feeds that an account's scrape made due.

use rusqlite::{Connection, Transaction};

use crate::model::due::{Due, DueAccountList, DueRow, DueRule, Facts, Seen, seconds};
use crate::model::interval::{self, HOURS_DEFAULT, HOURS_MAX, WAIT_S_PER_HOUR};
use crate::model::{Kind, Row, instant};
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};
use crate::store::rows::{Scrape, State, Written};

from_row!(DueAccountList: account, id, since, videos);

/// The kinds that have a schedule.
pub const fn is_scheduled(kind: Kind) -> bool {
    matches!(kind, Kind::Account | Kind::Video)
}

fn select(kind: Kind) -> String {
    let table = kind.name();
    format!(
        "SELECT r.key, r.id, r.page, d.due_at, d.gap_s, max(r.as_of, coalesce(p.as_of, 0)),
                r.scrape_interval_hours, r.last_scrape_time, r.added_at
         FROM {table}_due AS d
         JOIN {table} AS r ON r.key = d.{table}
         LEFT JOIN page AS p ON p.page = r.page"
    )
}

/// Up to `limit` rows of a kind due at `now`, Unix seconds, the most overdue first.
pub fn find(c: &Connection, kind: Kind, now: i64, limit: i64) -> StoreResult<Vec<DueRow>> {
    let sql = format!("{} WHERE d.due_at <= ?1 ORDER BY d.due_at LIMIT ?2", select(kind));
    c.all(&sql, (now, limit), read)
}

/// How many rows of a kind are due until then, Unix seconds.
pub fn count_until(c: &Connection, kind: Kind, until: i64) -> StoreResult<u64> {
    let sql = format!("SELECT count(*) FROM {}_due WHERE due_at <= ?1", kind.name());
    Ok(c.value::<i64>(&sql, [until])?.unsigned_abs())
}

/// The rows of a kind that are due until then, by page and time: where each stands, or a number of
/// its own, and when it is due.
pub fn until(c: &Connection, kind: Kind, until: i64) -> StoreResult<Vec<(i64, i64)>> {
    let table = kind.name();
    let sql = format!(
        "SELECT coalesce(r.page, -r.key) AS place, d.due_at
         FROM {table}_due AS d JOIN {table} AS r ON r.key = d.{table}
         WHERE d.due_at <= ?1
         ORDER BY place, d.due_at"
    );
    c.all(&sql, [until], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The rows on a page that are due at `now`.
fn on_page(c: &Connection, kind: Kind, page: i64, now: i64) -> StoreResult<Vec<DueRow>> {
    // Mostly nothing is due at all, which one look at the index tells.
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

/// The row of this key, if it is on the schedule.
fn one(c: &Connection, kind: Kind, key: i64) -> StoreResult<Option<DueRow>> {
    c.optional(&format!("{} WHERE d.{} = ?1", select(kind), kind.name()), [key], read)
}

/// Sets when a row is due; `None` takes it off the schedule.
pub fn set(tx: &Transaction<'_>, kind: Kind, key: i64, due: Option<Due>) -> StoreResult<()> {
    let (put, delete) = statements(kind);
    match due {
        Some(due) => tx.exec(put, (key, due.due_at, due.gap_s)),
        None => tx.exec(delete, [key]),
    }
}

/// Sets the next poll of a row that was written as an answer asked for at `as_of` showed it. An account's new
/// scrape makes its feed due.
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
        State::New => None,
        State::Changed => one(tx, kind, written.key)?.map(|row| row.due),
        State::Same | State::Outdated => return Ok(()),
    };
    let is_news = written.scrape == Scrape::Added;
    if is_news && kind == Kind::Account {
        feed_has_news(tx, written.key, as_of)?;
    }
    let seen = if is_news { Seen::NewScrape } else { Seen::Nothing };
    let next = rule.apply(Facts::of(kind, row), before, seen);
    if next.is_none() && written.state == State::New {
        return Ok(());
    }
    set(tx, kind, written.key, next)
}

/// What was due on a page that was read and has not moved is due again later.
pub fn page_read(tx: &Transaction<'_>, rule: &DueRule, kind: Kind, page: i64) -> StoreResult<()> {
    if !is_scheduled(kind) {
        return Ok(());
    }
    for row in on_page(tx, kind, page, rule.now)? {
        set(tx, kind, row.key, rule.apply(row.facts, Some(row.due), Seen::Nothing))?;
    }
    Ok(())
}

/// A row that was read is due again later, unless its schedule has moved on by itself.
pub fn row_read(tx: &Transaction<'_>, rule: &DueRule, kind: Kind, key: i64) -> StoreResult<()> {
    if !is_scheduled(kind) {
        return Ok(());
    }
    match one(tx, kind, key)? {
        Some(row) if row.due.due_at <= rule.now => {
            set(tx, kind, key, rule.apply(row.facts, Some(row.due), Seen::Nothing))
        }
        _ => Ok(()),
    }
}

/// How a row of a kind is put on the schedule and taken off; written out, because this runs for
/// every row that changes.
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

/// When the first row of a kind will have waited long enough for others that become due, Unix seconds: for
/// `wait_s` (seconds), or as long as its interval allows.
pub fn earliest(c: &Connection, kind: Kind, wait_s: i64) -> StoreResult<Option<i64>> {
    // What is due later than the first one with its whole wait cannot be earlier.
    let sql = format!(
        "SELECT min(d.due_at + min(?1, {WAIT_S_PER_HOUR} * max(1, min(
                    coalesce(r.scrape_interval_hours, {HOURS_DEFAULT}), {HOURS_MAX}))))
         FROM {table}_due AS d JOIN {table} AS r ON r.key = d.{table}
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

/// How long each row of a kind that is due at `now` has been so, seconds, in ascending order.
pub fn lateness(c: &Connection, kind: Kind, now: i64) -> StoreResult<Vec<i64>> {
    let sql = format!(
        "SELECT ?1 - due_at FROM {}_due WHERE due_at <= ?1 ORDER BY due_at DESC",
        kind.name()
    );
    c.all(&sql, [now], |row| row.get(0))
}

/// An account was scraped, as an answer asked for at `since` shows: its videos have news.
fn feed_has_news(tx: &Transaction<'_>, account: i64, since: i64) -> StoreResult<()> {
    let sql = "INSERT INTO account_list_due (account, since) VALUES (?1, ?2)
               ON CONFLICT (account) DO UPDATE SET since = excluded.since";
    tx.exec(sql, (account, since))
}

/// The feeds to be read, those that wait longest first.
pub fn account_lists(c: &Connection, limit: i64) -> StoreResult<Vec<DueAccountList>> {
    let sql = "SELECT d.account, a.id, d.since,
                      (SELECT count(*) FROM account_video AS v WHERE v.account_id = a.id) AS videos
               FROM account_list_due AS d JOIN account AS a ON a.key = d.account
               WHERE a.removed_at IS NULL
               ORDER BY d.since LIMIT ?1";
    c.all(sql, [limit], DueAccountList::from_row)
}

/// A feed was read, by requests that began at `read_at`.
pub fn feed_read(tx: &Transaction<'_>, account: i64, read_at: i64) -> StoreResult<()> {
    tx.exec("DELETE FROM account_list_due WHERE account = ?1 AND since < ?2", (account, read_at))
}

/// A feed could not be read at `now`, a stamp: the others go before it.
pub fn feed_failed(tx: &Transaction<'_>, account: i64, now: i64) -> StoreResult<()> {
    tx.exec("UPDATE account_list_due SET since = ?2 WHERE account = ?1", (account, now))
}

/// How much later than the scrape of an account its posts may show in the API, microseconds.
const SCRAPE_SHOWS_MICROS_MAX: i64 = 600 * 1_000_000;

/// All feeds were read, by a listing that began at `read_at`. Accounts may have been read beside it: what was
/// scraped well before it began, it has shown, however late we heard of the scrape.
pub fn feeds_read(tx: &Transaction<'_>, read_at: i64) -> StoreResult<()> {
    let shown = instant::from_micros(read_at.saturating_sub(SCRAPE_SHOWS_MICROS_MAX));
    tx.exec(
        "DELETE FROM account_list_due
         WHERE since < ?1
            OR account IN (SELECT key FROM account WHERE last_scrape_time < ?2)",
        (read_at, instant::text(shown)),
    )
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<DueRow> {
    let instant_at = |at| Ok::<_, rusqlite::Error>(seconds(row.get_ref(at)?.as_str_or_null()?));
    Ok(DueRow {
        key: row.get(0)?,
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
    use crate::store::Database;
    use crate::store::open::IfMissing;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]
        /// The minimum over all rows of when each has waited long enough.
        #[test]
        fn the_earliest_is_that_of_all_rows(
            rows in prop::collection::vec((0..200_000_i64, any::<Option<i64>>(), 0..30_i64), 0..20),
            wait_s in prop_oneof![0..200_000_i64, Just(i64::MAX)],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
            // Mostly sensible intervals.
            let hours = |absurd: Option<i64>, usual| if usual > 5 { Some(usual) } else { absurd };
            store.write(|tx| {
                for (key, (due_at, absurd, usual)) in rows.iter().enumerate() {
                    let key = i64::try_from(key).unwrap();
                    let sql = "INSERT INTO video (key, id, scrape_interval_hours, fingerprint, as_of, first_mirrored_at)
                               VALUES (?1, 'v' || ?1, ?2, 0, 0, 0)";
                    tx.execute(sql, (key, hours(*absurd, *usual)))?;
                    set(tx, Kind::Video, key, Some(Due { due_at: *due_at, gap_s: 0 }))?;
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
