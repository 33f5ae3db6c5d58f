//! The outcome of a kind run that ended with an error.

use crate::api::{Failure, Verdict};
use crate::fetch::error::FetchError;
use crate::model::{KindOutcome, Outcome};

/// An outcome with a code and an explanation of our own.
pub fn explained(outcome: Outcome, error_code: &str, detail: impl Into<String>) -> KindOutcome {
    KindOutcome {
        error_code: Some(error_code.to_owned()),
        detail: Some(detail.into()),
        ..KindOutcome::of(outcome)
    }
}

/// An outcome with the code, message and request id of an API failure.
pub fn of_failure(outcome: Outcome, failure: &Failure) -> KindOutcome {
    let error_code = failure.code.as_deref().unwrap_or(failure.verdict.name());
    let request_id = failure.request_id.clone();
    KindOutcome { request_id, ..explained(outcome, error_code, failure.to_string()) }
}

/// The outcome of a kind run that ended with `error`.
pub fn of_error(error: &FetchError) -> KindOutcome {
    match error {
        FetchError::Api(failure) => of_failure(outcome_of(failure), failure),
        FetchError::Outage(failure) | FetchError::KeyRefused(failure) => {
            of_failure(Outcome::Failed, failure)
        }
        FetchError::RateLimited(_) => {
            explained(Outcome::RateLimited, "rate_limited", error.to_string())
        }
        FetchError::Store(_) => explained(Outcome::Failed, "database", error.to_string()),
    }
}

/// An answer that cannot be read leaves a kind incomplete, since the API works otherwise.
pub fn outcome_of(failure: &Failure) -> Outcome {
    match failure.verdict {
        Verdict::Malformed | Verdict::Cut | Verdict::TooLarge => Outcome::Incomplete,
        _ => Outcome::Failed,
    }
}
