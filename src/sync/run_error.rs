//! What stops a run before its end.

use std::time::Duration;

use crate::api::Failure;
use crate::fetch::error::FetchError;
use crate::model::KindOutcome;
use crate::model::Outcome;
use crate::retry::RetryCause;
use crate::store::StoreError;

/// What stopped a run before its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
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
    match failure.cause() {
        RetryCause::Failing | RetryCause::Limited(_) => "the API keeps failing",
        _ => "the API does not work as documented",
    }
}

impl RunError {
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
    pub(super) fn kind_outcome(&self) -> KindOutcome {
        let failure = self.failure();
        let code = failure.and_then(|failure| failure.code.clone());
        KindOutcome {
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
    pub(super) fn at_start(error: FetchError) -> Self {
        match error {
            FetchError::Api(failure) => Self::Broken(failure),
            other => Self::from(other),
        }
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
