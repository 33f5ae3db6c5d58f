//! An entry of the outbox.

use rusqlite::Connection;

use crate::model::Kind;
use crate::model::outbox::{Action, Draft, State};
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// The states of an open entry, written as in the partial indexes of open entries.
pub(super) const OPEN: &str = "('queued', 'waiting', 'held', 'sending', 'unsure')";

/// When an entry is tried next, as in the view `outbox_log`: after its own backoff and the server's
/// cooldown. NULL if it is not retried, or is ready now.
const NEXT_ATTEMPT_AT: &str = "CASE WHEN state IN ('queued', 'unsure') THEN nullif(
        max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)), created_at) END";

/// An entry of the outbox. Times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub entry: i64,
    /// When it was queued.
    pub created_at: i64,
    /// Kind of the resource.
    pub kind: Kind,
    /// What is to be done.
    pub action: Action,
    /// The resource, as shown to the user.
    pub target: Option<String>,
    /// The resource's id, or the name given for it while the id is not known.
    pub subject: Option<String>,
    /// The account of a link: its id or name, as for `subject`.
    pub account: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path; `None` while an id in it is not known.
    pub path: Option<String>,
    /// The JSON body.
    pub body: Option<String>,
    /// The idempotency key, by which the server recognizes a repeated request.
    pub idempotency_key: String,
    /// Former idempotency keys, a JSON array.
    pub former_keys: String,
    /// When the idempotency key was first sent.
    pub key_used_at: Option<i64>,
    /// Number of 500 and 502 answers to the idempotency key.
    pub key_errors: i64,
    /// Its state.
    pub state: State,
    /// Number of attempts to send it.
    pub attempts: i64,
    /// Failed attempts that count toward the limit.
    pub fails: i64,
    /// Reconciliations since the last attempt that found nothing.
    pub looks: i64,
    /// Whether the result of any attempt is unknown.
    pub is_doubtful: bool,
    /// Earliest time of the next attempt or reconciliation.
    pub next_at: i64,
    /// Time of the next attempt, as in `outbox_log`.
    pub next_attempt_at: Option<i64>,
    /// When it was first sent.
    pub first_sent_at: Option<i64>,
    /// The largest `row_id` of a creator at that time.
    pub known_creator: Option<i64>,
    /// HTTP status of the last answer.
    pub http_status: Option<i64>,
    /// The API's error code, or ours.
    pub code: Option<String>,
    /// Error message.
    pub detail: Option<String>,
    /// The API's errors by field, a JSON array.
    pub fields: Option<String>,
    /// Hint for the user.
    pub hint: Option<String>,
    /// The API's id of the last request.
    pub request_id: Option<String>,
    /// Id of the resource created or changed.
    pub result_id: Option<String>,
    /// When it finished.
    pub finished_at: Option<i64>,
}

from_row!(Entry: entry, created_at, kind, action, target, subject, account, method, path, body,
    idempotency_key, former_keys, key_used_at, key_errors, state, attempts, fails, looks, is_doubtful,
    next_at, next_attempt_at, first_sent_at, known_creator, http_status, code, detail, fields, hint,
    request_id, result_id, finished_at);

impl Entry {
    /// The write as the user gave it.
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

/// Returns the entry with this number.
pub fn one(c: &Connection, entry: i64) -> StoreResult<Option<Entry>> {
    c.optional(&select("WHERE entry = ?1"), [entry], Entry::from_row)
}
