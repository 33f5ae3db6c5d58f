//! Outbox data: actions, states of an entry, and drafts of requests.

use crate::model::kind::Kind;
use crate::model::named::named;

named! {
    /// The change to a resource.
    pub enum Action {
        /// Create it.
        Track = "track",
        /// Change it.
        Set = "set",
        /// Delete it.
        Untrack = "untrack",
        /// Assign an account to a creator.
        Link = "link",
        /// Remove an account from a creator.
        Unlink = "unlink",
    }
}

impl Action {
    /// The HTTP method.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Track => "POST",
            Self::Set => "PATCH",
            Self::Link => "PUT",
            Self::Untrack | Self::Unlink => "DELETE",
        }
    }
}

named! {
    /// State of an entry, `outbox_log.state`.
    pub enum State {
        /// Will be sent, for the first time or again.
        Queued = "queued",
        /// Needs the result of another entry first.
        Waiting = "waiting",
        /// In a copy of a mirror: not sent until `outbox retry` says that the original has not.
        Held = "held",
        /// A request is in flight. At the start of a run this means that the process died.
        Sending = "sending",
        /// Sent, but the answer was lost; reconciled before it is sent again.
        Unsure = "unsure",
        /// Applied by the API.
        Succeeded = "succeeded",
        /// Not applied; final unless `outbox retry` is used.
        Failed = "failed",
        /// Discarded with `outbox discard`.
        Discarded = "discarded",
    }
}

impl State {
    /// Whether the program will not touch the entry again by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Discarded)
    }
}

/// A write as requested, before its names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Kind of the resource; `creator` for links.
    pub kind: Kind,
    /// The change.
    pub action: Action,
    /// Names the resource: an id, the beginning of one, `platform:username`, `@N`. `None` with
    /// [`Action::Track`].
    pub subject: Option<String>,
    /// Names the account of a link.
    pub account: Option<String>,
    /// The body, a JSON object.
    pub body: Option<String>,
}

/// A draft whose names are resolved: what is stored in the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The resource, as `outbox_log.target` shows it.
    pub target: Option<String>,
    /// The resource's id, or `@N`.
    pub subject: Option<String>,
    /// The account's id, or `@N`.
    pub account: Option<String>,
    /// Path of the request; `None` until another entry's result gives the id.
    pub path: Option<String>,
    /// Entries with the same key are sent one after the other.
    pub serial_key: Option<String>,
    /// A second such key, for links.
    pub other_serial_key: Option<String>,
}

impl Checked {
    /// Whether it needs another entry's result first.
    pub fn is_waiting(&self) -> bool {
        self.path.is_none()
    }
}

/// Outbox counters of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pushed {
    /// Writes sent.
    pub sent: u64,
    /// Entries that succeeded.
    pub succeeded: u64,
    /// Entries that failed.
    pub failed: u64,
    /// Entries that were tried and are still open.
    pub left: u64,
}

impl Pushed {
    /// Whether any counter is above 0.
    pub const fn is_any(self) -> bool {
        self.sent > 0 || self.succeeded > 0 || self.failed > 0 || self.left > 0
    }
}
