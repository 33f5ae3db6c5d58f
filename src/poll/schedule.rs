//! Keeping the schedule, in the transaction that wrote the rows.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use rusqlite::Transaction;

use crate::model::row::{Row, Value};
use crate::model::{Instant, Kind};
use crate::plan::due::{self as plan, Facts, Seen};
use crate::poll::write::Ledger;
use crate::store::StoreResult;
use crate::store::due::{self, DueRow};
use crate::store::rows::{Scrape, State, Written};

/// Sets the next poll of a row that was written. An account's new scrape makes its feed due.
pub fn row(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    row: &Row<'_>,
    written: Written,
    as_of: i64,
) -> StoreResult<()> {
    let kind = ledger.kind;
    if !due::is_scheduled(kind) {
        return Ok(());
    }
    let before = match written.state {
        State::New => None,
        State::Changed => due::one(tx, kind, written.key)?.map(|row| row.due),
        State::Same | State::Outdated => return Ok(()),
    };
    let is_news = written.scrape == Scrape::Added;
    if is_news && kind == Kind::Account {
        due::feed_has_news(tx, written.key, as_of)?;
    }
    let seen = if is_news { Seen::News } else { Seen::Nothing };
    let next = plan::next(facts(kind, row), before, seen, ledger.now, ledger.freshness_s);
    if next.is_none() && written.state == State::New {
        return Ok(());
    }
    due::set(tx, kind, written.key, next)
}

/// What was due on a page and has not moved is asked again later.
pub fn page(tx: &Transaction<'_>, ledger: &Ledger, page: i64) -> StoreResult<()> {
    if !due::is_scheduled(ledger.kind) {
        return Ok(());
    }
    for row in due::on_page(tx, ledger.kind, page, ledger.now)? {
        postpone(tx, ledger, &row)?;
    }
    Ok(())
}

/// A row that was asked for is asked again later, unless its schedule has moved on by itself.
pub fn one(tx: &Transaction<'_>, ledger: &Ledger, key: i64) -> StoreResult<()> {
    if !due::is_scheduled(ledger.kind) {
        return Ok(());
    }
    match due::one(tx, ledger.kind, key)? {
        Some(row) if row.due.due_at <= ledger.now => postpone(tx, ledger, &row),
        _ => Ok(()),
    }
}

fn postpone(tx: &Transaction<'_>, ledger: &Ledger, row: &DueRow) -> StoreResult<()> {
    let facts = Facts {
        is_idle: false,
        interval_hours: row.interval_hours,
        last_scrape: seconds(row.last_scrape_time.as_deref()),
        added_at: seconds(row.added_at.as_deref()),
    };
    let next = plan::next(facts, Some(row.due), Seen::Nothing, ledger.now, ledger.freshness_s);
    due::set(tx, ledger.kind, row.key, next)
}

fn facts(kind: Kind, row: &Row<'_>) -> Facts {
    let number = |name| row.value(kind, name).as_integer();
    Facts {
        is_idle: number("is_active") == Some(0) || number("is_unavailable") == Some(1),
        interval_hours: number("scrape_interval_hours"),
        last_scrape: row.scraped_at.map(|at| at.seconds),
        added_at: match row.value(kind, "added_at") {
            Value::Text(text) => seconds(Some(text)),
            _ => None,
        },
    }
}

/// Unix seconds of an instant in the mirror's form.
pub fn seconds(text: Option<&str>) -> Option<i64> {
    text.and_then(Instant::parse).map(|at| at.seconds)
}
