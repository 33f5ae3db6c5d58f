//! An entry of the outbox as it is read.

use rusqlite::Connection;

use crate::model::Kind;
use crate::model::outbox::{Action, Draft, State};
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// The states of an entry that is not at its end, as the indexes of open entries have them.
pub(super) const OPEN: &str = "('queued', 'waiting', 'held', 'sending', 'unsure')";

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

from_row!(Entry: entry, created_at, kind, action, target, subject, account, method, path, body,
    idempotency_key, former_keys, key_used_at, key_errors, state, attempts, fails, looks, is_doubtful,
    next_at, next_attempt_at, first_sent_at, known_creator, http_status, code, detail, fields, hint,
    request_id, result_id, finished_at);

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

pub(super) fn select(rest: &str) -> String {
    format!("SELECT *, {NEXT_ATTEMPT_AT} AS next_attempt_at FROM outbox AS e {rest}")
}

/// The entry of this number.
pub fn one(c: &Connection, entry: i64) -> StoreResult<Option<Entry>> {
    c.optional(&select("WHERE entry = ?1"), [entry], Entry::from_row)
}
