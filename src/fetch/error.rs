//! Why something could not be read.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use crate::api::Failure;
use crate::store::StoreError;

/// What ended a request, by what the run does about it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The API answered, but with a refusal or with something unusable, as often as we asked.
    #[error("{0}")]
    Api(Failure),
    /// The API could not be reached for as long as we are patient: nothing else is worth trying.
    #[error("the API is unreachable: {}", .0.story())]
    Outage(Failure),
    /// The key is refused: nothing else will be answered.
    #[error("the key is refused: {0}")]
    KeyRefused(Failure),
    /// The rate limit asks for a longer wait than the user allows.
    #[error("rate limited for another {}", humantime::format_duration(whole_seconds(*.0)))]
    RateLimited(Duration),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rounded up, as a wait is told to people.
fn whole_seconds(length: Duration) -> Duration {
    Duration::from_secs(length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0)))
}

impl FetchError {
    /// Whether the whole run ends with it.
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Api(_))
    }

    /// The failure behind it, where the API had a part in it.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Api(failure) | Self::Outage(failure) | Self::KeyRefused(failure) => Some(failure),
            Self::RateLimited(_) | Self::Store(_) => None,
        }
    }
}

/// Result of everything that reads.
pub type FetchResult<T> = Result<T, FetchError>;
