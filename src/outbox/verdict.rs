//! Decides what to do after an attempt to send an entry failed: retry, reconcile or fail. Pure.

use std::time::Duration;

use crate::api::{Failure, Verdict};
use crate::model::outbox::Action;
use crate::retry::RetryPolicy;
use crate::store::outbox::Entry;

/// Attempts with unknown outcome after which an entry that cannot be found fails.
pub const FAILS_MAX: i64 = 12;

/// Pauses of an entry after such an attempt.
const RETRY: RetryPolicy =
    RetryPolicy::unlimited(Duration::from_secs(10), Duration::from_secs(900));

/// What to do after an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// An earlier attempt succeeded.
    AlreadyDone,
    /// The resource exists: find it and use it as the result.
    Adopt,
    /// Sending it again cannot succeed.
    Fail,
    /// The outcome is not known: reconcile before it is sent again.
    Unsure,
    /// Nothing was changed; retry later.
    Later,
    /// Nothing was changed; the key is refused.
    KeyRefused,
    /// Nothing was sent; the API cannot be reached.
    Unreachable,
}

/// Decides after an attempt failed. `is_doubtful` tells whether the outcome of an earlier attempt is not
/// known.
pub fn decide(action: Action, is_doubtful: bool, failure: &Failure) -> NextStep {
    let is_deletion = matches!(action, Action::Untrack | Action::Unlink);
    match failure.verdict {
        Verdict::Unreachable => NextStep::Unreachable,
        Verdict::KeyRefused => NextStep::KeyRefused,
        // Only the API itself, not a proxy in between, knows that nothing was changed.
        Verdict::Limited if failure.status == Some(429) || failure.is_problem => NextStep::Later,
        Verdict::Unavailable if failure.status == Some(503) && failure.is_problem => {
            NextStep::Later
        }
        Verdict::Limited
        | Verdict::Unavailable
        | Verdict::ServerError
        | Verdict::Lost
        | Verdict::Cut
        | Verdict::TooLarge
        | Verdict::Foreign
        | Verdict::Malformed => NextStep::Unsure,
        Verdict::Conflict if action == Action::Track => NextStep::Adopt,
        Verdict::NotFound if is_deletion && is_doubtful => NextStep::AlreadyDone,
        Verdict::Conflict
        | Verdict::NotFound
        | Verdict::ScopeMissing
        | Verdict::QuotaExceeded
        | Verdict::Invalid
        | Verdict::BadRequest
        | Verdict::Redirected => NextStep::Fail,
    }
}

/// Whether a status means that a request was carried out.
pub const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// Returns the pause after the attempt number `fails` with unknown outcome: at least `reconcile_after`, as
/// the server may still be working on the request.
pub fn pause_unsure(fails: i64, reconcile_after: Duration, chance: f64) -> Duration {
    if fails <= 1 {
        return reconcile_after;
    }
    let times = u32::try_from(fails - 1).unwrap_or(u32::MAX);
    reconcile_after.saturating_add(pause(times, chance))
}

/// Returns the pause after so many failures: between half of its bound and the bound.
pub fn pause(times: u32, chance: f64) -> Duration {
    RETRY.pause(times, chance)
}

/// What the user can do about an entry that failed.
pub fn hint(action: Action, failure: &Failure) -> &'static str {
    match failure.verdict {
        Verdict::QuotaExceeded => {
            "the organization's limit of tracked accounts is reached; untrack some or have it raised, then retry"
        }
        Verdict::ScopeMissing => "the key is read-only; use one with the scope `write`, then retry",
        Verdict::Invalid | Verdict::BadRequest => {
            "the API refuses these values; discard the entry and queue a corrected one"
        }
        Verdict::NotFound if action == Action::Track => "check `base_url`; it usually ends in /v2",
        Verdict::NotFound => "the organization has no such resource, or no longer",
        Verdict::Conflict if action == Action::Link => {
            "the account belongs to another creator; unlink it there first, then retry"
        }
        Verdict::Redirected => "check `base_url`; redirects are not followed with the key",
        _ => "see the API's answer",
    }
}

/// The 2xx status of an entry whose answer did not have the documented body.
pub fn success_status(entry: &Entry) -> Option<u16> {
    let status = entry.http_status.and_then(|status| u16::try_from(status).ok());
    status.filter(|status| is_success(*status))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_start_at_reconcile_after_and_grow_to_a_bound() {
        let reconcile_after = Duration::from_secs(5);
        assert_eq!(pause_unsure(1, reconcile_after, 0.3), reconcile_after);
        assert_eq!(pause_unsure(2, reconcile_after, 1.0), Duration::from_secs(15));
        assert_eq!(pause_unsure(40, reconcile_after, 1.0), Duration::from_secs(905));
    }

    /// Columns: track, set, untrack, link, unlink; then untrack and unlink after an attempt with unknown
    /// outcome.
    #[test]
    fn next_step_by_answer_and_action() {
        use NextStep::{Adopt, AlreadyDone, Fail, KeyRefused, Later, Unreachable, Unsure};
        let problem = |code: &str| {
            format!(r#"{{"type":"urn:creatoraudit:error:x","title":"T","code":"{code}"}}"#)
        };
        let html = || "<html>no</html>".to_owned();
        let again = [("retry-after", "7")];
        let same = |decision| [decision; 7];
        let there = [Adopt, Fail, Fail, Fail, Fail, Fail, Fail];
        let gone = [Fail, Fail, Fail, Fail, Fail, AlreadyDone, AlreadyDone];
        let cases = [
            (422, &[][..], problem("VALIDATION_ERROR"), same(Fail)),
            // A block page does not tell whether the API was reached.
            (422, &[], html(), same(Unsure)),
            (400, &[], problem("BAD_REQUEST"), same(Fail)),
            (403, &[], problem("QUOTA_EXCEEDED"), same(Fail)),
            (403, &[], problem("INSUFFICIENT_SCOPE"), same(Fail)),
            (403, &[], problem("FORBIDDEN"), same(KeyRefused)),
            (403, &[], html(), same(Unsure)),
            (401, &[], String::new(), same(Unsure)),
            (401, &[], problem("UNAUTHORIZED"), same(KeyRefused)),
            (409, &[], problem("CONFLICT"), there),
            (404, &[], problem("NOT_FOUND"), gone),
            (410, &[], problem("GONE"), gone),
            (410, &[], String::new(), same(Unsure)),
            (404, &[], html(), same(Unsure)),
            (429, &again, problem("RATE_LIMITED"), same(Later)),
            (429, &[], html(), same(Later)),
            (503, &[], problem("SERVICE_UNAVAILABLE"), same(Later)),
            (503, &again, problem("SERVICE_UNAVAILABLE"), same(Later)),
            // A proxy does not know what the server behind it did.
            (503, &[], html(), same(Unsure)),
            (503, &again, html(), same(Unsure)),
            (503, &again, String::new(), same(Unsure)),
            (500, &[], problem("INTERNAL_ERROR"), same(Unsure)),
            (500, &[], html(), same(Unsure)),
            (502, &[], problem("UPSTREAM_ERROR"), same(Unsure)),
            (504, &[], html(), same(Unsure)),
            (504, &[], problem("TIMEOUT"), same(Unsure)),
            (408, &[], String::new(), same(Unsure)),
            (405, &[], problem("METHOD_NOT_ALLOWED"), same(Fail)),
            (307, &[], String::new(), same(Fail)),
        ];
        let refused = cases.map(|(status, headers, body, decisions)| {
            (Failure::of_answer(status, headers, &body), decisions)
        });
        let lost = [
            (Verdict::Unreachable, same(Unreachable)),
            (Verdict::Lost, same(Unsure)),
            (Verdict::Cut, same(Unsure)),
            (Verdict::TooLarge, same(Unsure)),
            (Verdict::Malformed, same(Unsure)),
        ];
        let lost = lost.map(|(verdict, decisions)| (Failure::of_verdict(verdict), decisions));
        let deletions = [Action::Untrack, Action::Unlink];
        for (failure, decisions) in refused.into_iter().chain(lost) {
            let sure = Action::ALL.map(|action| (action, false));
            let doubtful = deletions.map(|action| (action, true));
            for ((action, is_doubtful), decision) in sure.into_iter().chain(doubtful).zip(decisions)
            {
                let decided = decide(action, is_doubtful, &failure);
                assert_eq!(decided, decision, "{action}, doubtful {is_doubtful}: {failure}");
            }
            // Doubt matters to deletions only.
            for action in [Action::Track, Action::Set, Action::Link] {
                let (sure, doubtful) =
                    (decide(action, false, &failure), decide(action, true, &failure));
                assert_eq!(sure, doubtful, "{action}: {failure}");
            }
        }
    }

    proptest! {
        #[test]
        fn pause_is_at_least_reconcile_after_and_bounded(
            fails in 0_i64..100_000, chance in 0.0_f64..=1.0, reconcile_ms in 0_u64..100_000,
        ) {
            let reconcile_after = Duration::from_millis(reconcile_ms);
            let pause = pause_unsure(fails, reconcile_after, chance);
            prop_assert!(pause >= reconcile_after && pause <= reconcile_after + RETRY.cap);
        }
    }
}
