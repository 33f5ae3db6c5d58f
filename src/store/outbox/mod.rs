//! The outbox: writes that wait for the API, and what came of them.
//!
//! [`enqueue`] adds entries, from any process; [`queue`] is the way of an entry from claim to end,
//! walked only by whoever holds the lock; [`settle`] writes its end; [`reread`] is what has to be read
//! again because of it; [`by_hand`] is what a user may do to an entry; [`find`] looks names up; this file
//! reads.

pub mod by_hand;
pub mod enqueue;
pub mod find;
pub mod queue;
pub mod reread;
pub mod settle;

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, Row};

use crate::model::Kind;
use crate::model::outbox::{Action, Draft, State};
use crate::store::StoreResult;

/// The states of an entry that is not at its end, as the indexes of open entries have them.
const OPEN: &str = "('queued', 'waiting', 'held', 'sending', 'unsure')";

/// When an entry is tried next, as the view `outbox_log` has it: not before its own pause nor the
/// server's is over. NULL when it is not tried again by itself, or as soon as something runs.
const NEXT_ATTEMPT_AT: &str = "CASE WHEN state IN ('queued', 'unsure') THEN nullif(
        max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)), created_at) END";

/// An entry, whole. Times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub entry: i64,
    /// When it was queued.
    pub created_at: i64,
    /// Of what kind the resource is.
    pub kind: Kind,
    /// What is done.
    pub action: Action,
    /// What it is about.
    pub target: Option<String>,
    /// The resource's id, as it was named until it is known.
    pub subject: Option<String>,
    /// The account of a link, likewise.
    pub account: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path; `None` while an id in it is not known.
    pub path: Option<String>,
    /// The body.
    pub body: Option<String>,
    /// The key that lets the server recognize a repeat.
    pub idempotency_key: String,
    /// The keys before it, a JSON array.
    pub former_keys: String,
    /// When the key was first sent.
    pub key_used_at: Option<i64>,
    /// How often the key was answered with 500 or 502.
    pub key_errors: i64,
    /// Where it stands.
    pub state: State,
    /// Sends.
    pub attempts: i64,
    /// Sends that count against the bound.
    pub fails: i64,
    /// Times it was looked for in vain since the last send.
    pub looks: i64,
    /// Whether the outcome of any send is not known.
    pub is_doubtful: bool,
    /// Nothing is done about it before this.
    pub next_at: i64,
    /// When it is tried next, as `outbox_log` shows it.
    pub next_attempt_at: Option<i64>,
    /// When it was first sent.
    pub first_sent_at: Option<i64>,
    /// The last creator that was known before that.
    pub known_creator: Option<i64>,
    /// The last status.
    pub http_status: Option<i64>,
    /// The API's name for what went wrong.
    pub code: Option<String>,
    /// What happened, for people.
    pub detail: Option<String>,
    /// What is wrong with which field, a JSON array.
    pub fields: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The API's name for the request.
    pub request_id: Option<String>,
    /// The id of what was created or changed.
    pub result_id: Option<String>,
    /// When it ended.
    pub finished_at: Option<i64>,
}

impl Entry {
    /// The request as it was asked for.
    pub fn draft(&self) -> Draft {
        Draft {
            kind: self.kind,
            action: self.action,
            subject: self.subject.clone(),
            account: self.account.clone(),
            body: self.body.clone(),
        }
    }
}

/// How many entries there are in each state, and what awaits the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// States that occur, with their numbers.
    pub counts: Vec<(State, i64)>,
    /// The dead letters, the latest first, up to a bound.
    pub failed: Vec<Entry>,
}

/// Dead letters that a summary names.
const NAMED_MAX: i64 = 5;

fn select(rest: &str) -> String {
    format!(
        "SELECT entry, created_at, kind, action, target, subject, account, method, path, body,
                idempotency_key, former_keys, key_used_at, key_errors, state, attempts, fails, looks,
                is_doubtful, next_at, first_sent_at, known_creator, http_status, code, detail, fields,
                hint, request_id, result_id, finished_at, {NEXT_ATTEMPT_AT} AS next_attempt_at
         FROM outbox AS e {rest}"
    )
}

fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    // The table's checks leave no other words.
    let kind: String = row.get("kind")?;
    let action: String = row.get("action")?;
    let state: String = row.get("state")?;
    Ok(Entry {
        entry: row.get("entry")?,
        created_at: row.get("created_at")?,
        kind: Kind::from_name(&kind).unwrap_or(Kind::Video),
        action: Action::from_name(&action).unwrap_or(Action::Set),
        target: row.get("target")?,
        subject: row.get("subject")?,
        account: row.get("account")?,
        method: row.get("method")?,
        path: row.get("path")?,
        body: row.get("body")?,
        idempotency_key: row.get("idempotency_key")?,
        former_keys: row.get("former_keys")?,
        key_used_at: row.get("key_used_at")?,
        key_errors: row.get("key_errors")?,
        state: State::from_name(&state).unwrap_or(State::Held),
        attempts: row.get("attempts")?,
        fails: row.get("fails")?,
        looks: row.get("looks")?,
        is_doubtful: row.get("is_doubtful")?,
        next_at: row.get("next_at")?,
        next_attempt_at: row.get("next_attempt_at")?,
        first_sent_at: row.get("first_sent_at")?,
        known_creator: row.get("known_creator")?,
        http_status: row.get("http_status")?,
        code: row.get("code")?,
        detail: row.get("detail")?,
        fields: row.get("fields")?,
        hint: row.get("hint")?,
        request_id: row.get("request_id")?,
        result_id: row.get("result_id")?,
        finished_at: row.get("finished_at")?,
    })
}

/// The entry of this number.
pub fn one(c: &Connection, entry: i64) -> StoreResult<Option<Entry>> {
    let found = c.prepare_cached(&select("WHERE entry = ?1"))?.query_row([entry], read);
    Ok(found.optional()?)
}

/// The entries in these states, all if none is named, in the order of their numbers; the last
/// `limit` of them.
pub fn list(c: &Connection, states: &[State], limit: i64) -> StoreResult<Vec<Entry>> {
    let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
    let names = serde_json::to_string(&names).unwrap_or_default();
    let sql = select(
        "WHERE json_array_length(?1) = 0 OR state IN (SELECT value FROM json_each(?1))
         ORDER BY entry DESC LIMIT ?2",
    );
    let mut statement = c.prepare_cached(&sql)?;
    let entries = statement.query_map((names, limit), read)?;
    let mut entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    entries.reverse();
    Ok(entries)
}

/// The entries with these numbers.
pub fn range(c: &Connection, entries: RangeInclusive<i64>) -> StoreResult<Vec<Entry>> {
    let mut statement =
        c.prepare_cached(&select("WHERE entry BETWEEN ?1 AND ?2 ORDER BY entry"))?;
    let found = statement.query_map((entries.start(), entries.end()), read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whether any of these entries is not at its end.
pub fn has_open(c: &Connection, entries: &RangeInclusive<i64>) -> StoreResult<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE state IN {OPEN} AND entry BETWEEN ?1 AND ?2)"
    );
    let bounds = (entries.start(), entries.end());
    Ok(c.prepare_cached(&sql)?.query_row(bounds, |row| row.get(0))?)
}

/// Which of some entries did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// How many are not at their end.
    pub open: i64,
    /// How many did not succeed, those that are open included.
    pub count: i64,
    /// The first of them.
    pub entries: Vec<i64>,
}

/// Which of these entries did not succeed, up to `limit` of them by number.
pub fn undone(c: &Connection, entries: &RangeInclusive<i64>, limit: usize) -> StoreResult<Undone> {
    let sql = format!(
        "SELECT count(*) FILTER (WHERE state IN {OPEN}), count(*) FROM outbox
         WHERE entry BETWEEN ?1 AND ?2 AND state <> 'succeeded'"
    );
    let bounds = (entries.start(), entries.end());
    let (open, count) =
        c.prepare_cached(&sql)?.query_row(bounds, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let sql = "SELECT entry FROM outbox
               WHERE entry BETWEEN ?1 AND ?2 AND state <> 'succeeded' ORDER BY entry LIMIT ?3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = c.prepare_cached(sql)?;
    let found = statement.query_map((entries.start(), entries.end(), limit), |row| row.get(0))?;
    Ok(Undone { open, count, entries: found.collect::<Result<_, _>>()? })
}

/// When the oldest entry was queued that is neither at its end nor held.
pub fn oldest_open(c: &Connection) -> StoreResult<Option<i64>> {
    let sql =
        format!("SELECT min(created_at) FROM outbox WHERE state IN {OPEN} AND state <> 'held'");
    Ok(c.prepare_cached(&sql)?.query_row([], |row| row.get(0))?)
}

/// How the outbox is doing.
pub fn summary(c: &Connection) -> StoreResult<Summary> {
    let mut statement = c.prepare_cached("SELECT state, count(*) FROM outbox GROUP BY state")?;
    let counts = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let counts: Vec<(String, i64)> = counts.collect::<Result<_, _>>()?;
    let counts = State::ALL.into_iter().filter_map(|state| {
        let found = counts.iter().find(|(name, _)| name == state.name());
        found.map(|(_, count)| (state, *count))
    });
    let counts = counts.collect();
    let mut statement =
        c.prepare_cached(&select("WHERE state = 'failed' ORDER BY entry DESC LIMIT ?1"))?;
    let failed = statement.query_map([NAMED_MAX], read)?.collect::<Result<_, _>>()?;
    Ok(Summary { counts, failed })
}
