//! Errors of a request, by what the run does about them.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use crate::api::Failure;
use crate::store::StoreError;

/// Why a request failed after all retries.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The API answered with an error, or with something unusable: fails the kind.
    #[error("{0}")]
    Api(Failure),
    /// The API could not be reached: ends the run.
    #[error("the API is unreachable: {}", .0.story())]
    Outage(Failure),
    /// The API refuses the key: ends the run.
    #[error("the key is refused: {0}")]
    KeyRefused(Failure),
    /// The rate limit asks for a longer wait than `max_wait`: ends the run.
    #[error("rate limited for another {}", humantime::format_duration(whole_seconds(*.0)))]
    RateLimited(Duration),
    /// The database failed: ends the run.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rounds up to whole seconds, for messages.
fn whole_seconds(length: Duration) -> Duration {
    Duration::from_secs(length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0)))
}

impl FetchError {
    /// Whether it ends the whole run.
    pub const fn is_fatal(&self) -> bool {
        !matches!(self, Self::Api(_))
    }

    /// The failed request, if there is one.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Api(failure) | Self::Outage(failure) | Self::KeyRefused(failure) => Some(failure),
            Self::RateLimited(_) | Self::Store(_) => None,
        }
    }
}

/// Result of a request.
pub type FetchResult<T> = Result<T, FetchError>;
