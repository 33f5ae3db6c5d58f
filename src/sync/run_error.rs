//! Errors that end a run early.

use std::time::Duration;

use crate::api::Failure;
use crate::fetch::error::FetchError;
use crate::fetch::kind_outcome::explained;
use crate::model::{KindOutcome, Outcome};
use crate::retry::RetryCause;
use crate::store::StoreError;

/// An error that ends a run early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The API refuses the key.
    #[error("the API refuses the key: {0}")]
    KeyRefused(Failure),
    /// The key belongs to another organization than the database.
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
    /// The rate limit lasts longer than `max_wait`.
    #[error("rate limited for another {}", humantime::format_duration(Duration::from_secs(.0.as_secs() + 1)))]
    RateLimited(Duration),
    /// The API cannot be reached.
    #[error("the API is unreachable: {}", .0.story())]
    Outage(Failure),
    /// The first request failed after its retries.
    #[error("{what}: {0}", what = broken(.0))]
    Broken(Failure),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A job that another process submitted cannot be read.
    #[error("the daemon cannot read this job: {0}")]
    UnreadableJob(String),
    /// A signal ended the run.
    #[error("interrupted; the next run resumes here")]
    Interrupted,
}

/// An API that keeps failing may recover; any other answer may come from a wrong address.
fn broken(failure: &Failure) -> &'static str {
    match failure.cause() {
        RetryCause::Failing | RetryCause::Limited(_) => "the API keeps failing",
        RetryCause::NoAnswer => "the API does not answer",
        _ => "the API does not work as documented",
    }
}

impl RunError {
    /// The name in the log and in JSON.
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

    /// Returns a copy if the error concerns the key, for other jobs that fail for the same reason.
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

    /// The API failure that caused it, if any.
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

    /// The outcome of a kind run that it ended.
    pub(super) fn kind_outcome(&self) -> KindOutcome {
        let outcome = match self {
            Self::RateLimited(_) => Outcome::RateLimited,
            _ => Outcome::Failed,
        };
        let failure = self.failure();
        let code = failure.and_then(|failure| failure.code.as_deref()).unwrap_or(self.name());
        let request_id = failure.and_then(|failure| failure.request_id.clone());
        KindOutcome { request_id, ..explained(outcome, code, self.to_string()) }
    }
}

impl From<FetchError> for RunError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Api(failure) => Self::Broken(failure),
            FetchError::Outage(failure) => Self::Outage(failure),
            FetchError::KeyRefused(failure) => Self::KeyRefused(failure),
            FetchError::RateLimited(wait) => Self::RateLimited(wait),
            FetchError::Store(error) => Self::Store(error),
        }
    }
}
