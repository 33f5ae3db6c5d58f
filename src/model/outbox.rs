//! What the outbox is made of: actions, states, and a request to queue.

use crate::model::kind::Kind;
use crate::model::named::named;

named! {
    /// What is done to a resource.
    pub enum Action {
        /// It is created.
        Track = "track",
        /// It is changed.
        Set = "set",
        /// It is deleted.
        Untrack = "untrack",
        /// An account becomes a creator's.
        Link = "link",
        /// It is a creator's no longer.
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
    /// Where an entry stands.
    pub enum State {
        /// To be sent, or to be sent again.
        Queued = "queued",
        /// Needs the result of another entry first.
        Waiting = "waiting",
        /// In a copy of a mirror: not sent until `outbox retry` says that the original has not.
        Held = "held",
        /// On its way. Found at the start of a run, it tells of a crash.
        Sending = "sending",
        /// Sent, and it is not known what came of it.
        Unsure = "unsure",
        /// It is done.
        Succeeded = "succeeded",
        /// It is not done, and will not be unless it is retried by hand.
        Failed = "failed",
        /// It was taken back by hand.
        Discarded = "discarded",
    }
}

impl State {
    /// Whether nothing more happens to it by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Discarded)
    }
}

/// A write as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Of what kind the resource is; a creator where an account is linked.
    pub kind: Kind,
    /// What is done to it.
    pub action: Action,
    /// Names the resource: an id, the beginning of one, `platform:username`, `@N`. `None` with
    /// [`Action::Track`].
    pub subject: Option<String>,
    /// Names the account of a link.
    pub account: Option<String>,
    /// The body, a JSON object.
    pub body: Option<String>,
}

/// A draft whose names are resolved, fit to be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What it is about, as `outbox_log` shows it.
    pub target: Option<String>,
    /// The resource's id, or `@N`.
    pub subject: Option<String>,
    /// The account's id, or `@N`.
    pub account: Option<String>,
    /// Where the request goes; `None` while an id is to come.
    pub path: Option<String>,
    /// Entries that share a serial_key are sent one after the other.
    pub serial_key: Option<String>,
    /// The other serial_key it keeps to.
    pub other_serial_key: Option<String>,
}

impl Checked {
    /// Whether it needs another entry's result first.
    pub fn is_waiting(&self) -> bool {
        self.path.is_none()
    }
}

/// What a run did about the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pushed {
    /// Writes sent.
    pub sent: u64,
    /// Entries that succeeded.
    pub succeeded: u64,
    /// Entries that failed for good.
    pub failed: u64,
    /// Entries that were tried and are not at their end.
    pub left: u64,
}

impl Pushed {
    /// Whether there was anything to do.
    pub const fn is_any(self) -> bool {
        self.sent > 0 || self.succeeded > 0 || self.failed > 0 || self.left > 0
    }
}
