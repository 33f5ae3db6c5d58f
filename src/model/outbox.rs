//! What the outbox is made of: actions, states, and a request to queue.

use std::fmt;

use crate::model::kind::Kind;

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is created.
    Track,
    /// It is changed.
    Set,
    /// It is deleted.
    Untrack,
    /// An account becomes a creator's.
    Link,
    /// It is a creator's no longer.
    Unlink,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Track, Self::Set, Self::Untrack, Self::Link, Self::Unlink];

    /// The word in SQL and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Set => "set",
            Self::Untrack => "untrack",
            Self::Link => "link",
            Self::Unlink => "unlink",
        }
    }

    /// The HTTP method.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Track => "POST",
            Self::Set => "PATCH",
            Self::Link => "PUT",
            Self::Untrack | Self::Unlink => "DELETE",
        }
    }

    /// The action of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// To be sent, or to be sent again.
    Queued,
    /// Needs the result of another entry first.
    Waiting,
    /// In a copy of a mirror: not sent until `outbox retry` says that the original has not.
    Held,
    /// On its way. Found at the start of a pass, it tells of a crash.
    Sending,
    /// Sent, and it is not known what came of it.
    Unsure,
    /// It is done.
    Succeeded,
    /// It is not done, and will not be unless it is retried by hand.
    Failed,
    /// It was taken back by hand.
    Discarded,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Waiting,
        Self::Held,
        Self::Sending,
        Self::Unsure,
        Self::Succeeded,
        Self::Failed,
        Self::Discarded,
    ];

    /// The word in SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Sending => "sending",
            Self::Unsure => "unsure",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// Whether nothing more happens to it by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Discarded)
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
    /// Entries that share a lane are sent one after the other.
    pub lane: Option<String>,
    /// The other lane it keeps to.
    pub other_lane: Option<String>,
}

impl Checked {
    /// Whether it needs another entry's result first.
    pub fn is_waiting(&self) -> bool {
        self.path.is_none()
    }
}

/// What a pass did about the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
