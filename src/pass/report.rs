//! What came of a pass.

use std::time::Duration;

use crate::api::Failure;
use crate::model::Ending;
use crate::model::Outcome;
use crate::model::outbox::Pushed;
use crate::model::{Kind, instant};
use crate::pass::backfill::Backfilled;
use crate::pass::findings::Findings;
use crate::poll::{Desk, PollError};
use crate::retry::Trouble;
use crate::store::passes::Turn;
use crate::store::pauses::{self, Backoff};
use crate::store::{StoreError, instance};

/// What stopped a pass before its end.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The key is not accepted.
    #[error("the API refuses the key: {0}")]
    KeyRefused(Failure),
    /// The key belongs to an organization that this database does not.
    #[error(
        "the key{} belongs to organization {found}, but this database mirrors {bound}",
        key_name.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default()
    )]
    OtherOrganization {
        /// The organization of the database.
        bound: String,
        /// The organization of the key.
        found: String,
        /// The key's name.
        key_name: Option<String>,
    },
    /// The rate limit lasts longer than the user waits.
    #[error("rate limited for another {}", humantime::format_duration(Duration::from_secs(.0.as_secs() + 1)))]
    RateLimited(Duration),
    /// The API cannot be reached.
    #[error("the API is unreachable: {}", .0.story())]
    Outage(Failure),
    /// The very first request failed for good.
    #[error("{what}: {0}", what = broken(.0))]
    Broken(Failure),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A job that another process handed over cannot be read.
    #[error("the daemon cannot read this job: {0}")]
    UnreadableJob(String),
    /// A signal.
    #[error("interrupted; the next run goes on from here")]
    Interrupted,
}

/// An API that fails may recover; one that answers something else may be the wrong address.
fn broken(failure: &Failure) -> &'static str {
    match failure.trouble() {
        Trouble::Failing | Trouble::Limited(_) => "the API keeps failing",
        _ => "the API does not work as documented",
    }
}

impl Stop {
    /// One word for the log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::KeyRefused(_) => "key_refused",
            Self::OtherOrganization { .. } => "other_organization",
            Self::RateLimited(_) => "rate_limited",
            Self::Outage(_) => "unreachable",
            Self::Broken(_) => "failed",
            Self::Store(_) => "database",
            Self::UnreadableJob(_) => "unreadable_job",
            Self::Interrupted => "interrupted",
        }
    }

    /// The same again, where it is about the key: whoever else asks is told so too.
    pub fn about_key(&self) -> Option<Self> {
        match self {
            Self::KeyRefused(failure) => Some(Self::KeyRefused(failure.clone())),
            Self::OtherOrganization { bound, found, key_name } => Some(Self::OtherOrganization {
                bound: bound.clone(),
                found: found.clone(),
                key_name: key_name.clone(),
            }),
            _ => None,
        }
    }

    /// The failure behind it, where the API had a part in it.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::KeyRefused(failure) | Self::Outage(failure) | Self::Broken(failure) => {
                Some(failure)
            }
            Self::OtherOrganization { .. }
            | Self::RateLimited(_)
            | Self::Store(_)
            | Self::UnreadableJob(_)
            | Self::Interrupted => None,
        }
    }

    /// The ending of a turn that it cut short.
    pub(super) fn ending(&self) -> Ending {
        let failure = self.failure();
        let code = failure.and_then(|failure| failure.code.clone());
        Ending {
            outcome: match self {
                Self::RateLimited(_) => Outcome::RateLimited,
                _ => Outcome::Failed,
            },
            error_code: Some(code.unwrap_or_else(|| self.name().to_owned())),
            detail: Some(self.to_string()),
            request_id: failure.and_then(|failure| failure.request_id.clone()),
        }
    }

    /// An error of the first request, on which everything else depends.
    pub(super) fn at_start(error: PollError) -> Self {
        match error {
            PollError::Api(failure) => Self::Broken(failure),
            other => Self::from(other),
        }
    }
}

impl From<PollError> for Stop {
    fn from(error: PollError) -> Self {
        match error {
            PollError::Api(failure) => Self::Broken(failure),
            PollError::Outage(failure) => Self::Outage(failure),
            PollError::KeyRefused(failure) => Self::KeyRefused(failure),
            PollError::RateLimited(wait) => Self::RateLimited(wait),
            PollError::Store(error) => Self::Store(error),
        }
    }
}

/// What a pass did for a kind.
#[derive(Debug, Clone)]
pub struct KindReport {
    /// Its turn, as in the log.
    pub turn: Turn,
    /// The failure that ended it, where one did.
    pub failure: Option<Failure>,
}

impl KindReport {
    /// Whether all went as the user would expect.
    pub fn is_good(&self) -> bool {
        self.turn.outcome.is_good()
    }
}

/// What came of a pass.
#[derive(Debug)]
pub struct Report {
    /// Its number in the log.
    pub pass: i64,
    /// What it did, kind by kind.
    pub kinds: Vec<KindReport>,
    /// What it did about the outbox.
    pub pushed: Pushed,
    /// What is left alone for now because it failed, here or in an earlier pass.
    pub paused: Vec<Backoff>,
    /// What stopped it, if anything did.
    pub stop: Option<Stop>,
    /// The key's name, as the API gave it last.
    pub key_name: Option<String>,
    /// What came of the days that are asked for as they end, if any were.
    pub daily: Option<Backfilled>,
    /// What came of comparing the mirror with the API, where that was wanted.
    pub verified: Option<Findings>,
}

impl Report {
    pub(super) async fn new(desk: &Desk, turns: Vec<Turn>, stop: Option<Stop>) -> Self {
        let kinds = turns.into_iter().map(|turn| KindReport {
            failure: Kind::from_name(&turn.kind).and_then(|kind| desk.failures.get(&kind).cloned()),
            turn,
        });
        let now = instant::micros(desk.fetcher.clock().now());
        let known = desk
            .store
            .read(move |c| Ok((instance::identity(c)?.api_key_name, pauses::in_force(c, now)?)));
        let (key_name, paused) = known.await.unwrap_or_default();
        Self {
            pass: desk.pass,
            kinds: kinds.collect(),
            pushed: desk.pushed,
            paused,
            stop,
            key_name,
            daily: None,
            verified: None,
        }
    }

    /// Of a run that did not take place.
    pub async fn of_none(desk: &Desk, stop: Stop) -> Self {
        let report = Self::new(desk, Vec::new(), Some(stop)).await;
        Self { pass: 0, pushed: Pushed::default(), paused: Vec::new(), ..report }
    }

    /// Whether nothing that was asked for came to an answer.
    pub fn is_all_failures(&self) -> bool {
        let is_failure = |kind: &KindReport| {
            let trouble = kind.failure.as_ref().map(|failure| failure.trouble());
            matches!(trouble, Some(Trouble::NoAnswer | Trouble::Failing))
        };
        let mut asked = self.kinds.iter().filter(|kind| kind.turn.tally.requests > 0).peekable();
        let has_asked = asked.peek().is_some();
        has_asked && asked.all(is_failure) && self.pushed.succeeded == 0 && self.stop.is_none()
    }

    /// Requests sent in all.
    pub fn requests(&self) -> i64 {
        let daily = self.daily.as_ref().map_or(0, |daily| daily.requests);
        self.kinds.iter().map(|kind| kind.turn.tally.requests).sum::<i64>() + daily
    }
}
