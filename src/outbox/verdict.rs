//! What an attempt's failure means for its entry. Pure: what the API said and what is known of the
//! entry in, what to do out.

use std::time::Duration;

use crate::api::{Failure, Verdict};
use crate::model::outbox::Action;
use crate::retry::RetryPolicy;
use crate::store::outbox::Entry;

/// Sends whose outcome is not known, after which an entry that cannot be found fails.
pub const FAILS_MAX: i64 = 12;

/// How long an entry rests after such a send.
const RETRY: RetryPolicy =
    RetryPolicy::unlimited(Duration::from_secs(10), Duration::from_secs(900));

/// What to do about an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// What was wanted is so already.
    AlreadySo,
    /// It exists: look it up, and take it for the result.
    Adopt,
    /// It will not be done however often it is sent.
    Fail,
    /// Nothing is known: look before anything is sent again.
    Unsure,
    /// Nothing happened: the server asks to come again.
    Later,
    /// Nothing happened, and nothing will before the key works.
    KeyRefused,
    /// Nothing was sent: the API cannot be reached.
    Unreachable,
}

/// Decides after an attempt for an entry failed. `is_doubtful` says that the outcome of an earlier
/// send is not known.
pub fn decide(action: Action, is_doubtful: bool, failure: &Failure) -> Decision {
    let is_deletion = matches!(action, Action::Untrack | Action::Unlink);
    match failure.verdict {
        Verdict::Unreachable => Decision::Unreachable,
        Verdict::KeyRefused => Decision::KeyRefused,
        // Only the API itself knows that it did nothing; a proxy's page does not say so.
        Verdict::Limited if failure.status == Some(429) || failure.is_problem => Decision::Later,
        Verdict::Unavailable if failure.status == Some(503) && failure.is_problem => {
            Decision::Later
        }
        Verdict::Limited
        | Verdict::Unavailable
        | Verdict::ServerError
        | Verdict::Lost
        | Verdict::Cut
        | Verdict::TooLarge
        | Verdict::Foreign
        | Verdict::Malformed => Decision::Unsure,
        Verdict::Conflict if action == Action::Track => Decision::Adopt,
        Verdict::NotFound if is_deletion && is_doubtful => Decision::AlreadySo,
        Verdict::Conflict
        | Verdict::NotFound
        | Verdict::ScopeMissing
        | Verdict::QuotaExceeded
        | Verdict::Invalid
        | Verdict::BadRequest
        | Verdict::Redirected => Decision::Fail,
    }
}

/// Whether a status says that a request was carried out.
pub const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// How long an entry rests after its `fails`th send with an unknown outcome: at least `settle`, for
/// the send may still be at work.
pub fn rest(fails: i64, settle: Duration, chance: f64) -> Duration {
    if fails <= 1 {
        return settle;
    }
    let times = u32::try_from(fails - 1).unwrap_or(u32::MAX);
    settle.saturating_add(pause(times, chance))
}

/// How long to leave alone what failed so many times: between half of the bound and the bound.
pub fn pause(times: u32, chance: f64) -> Duration {
    RETRY.pause(times, chance)
}

/// What a user may do about an entry that failed for good.
pub fn hint(action: Action, failure: &Failure) -> &'static str {
    match failure.verdict {
        Verdict::QuotaExceeded => {
            "the organization's cap of tracked accounts is reached; untrack some, or have it raised, then retry"
        }
        Verdict::ScopeMissing => {
            "the key may only read; use one with the scope `write`, then retry"
        }
        Verdict::Invalid | Verdict::BadRequest => {
            "the API refuses these values; discard the entry and queue it with other ones"
        }
        Verdict::NotFound if action == Action::Track => "is base_url right? It usually ends in /v2",
        Verdict::NotFound => "the organization has no such resource (any more)",
        Verdict::Conflict if action == Action::Link => {
            "the account belongs to another creator; unlink it there first, then retry"
        }
        Verdict::Redirected => "is base_url right? Redirects are not followed with the key",
        _ => "see the API's answer",
    }
}

/// The status of an entry that was answered with a 2xx, though not with what is documented.
pub fn answered(entry: &Entry) -> Option<u16> {
    let status = entry.http_status.and_then(|status| u16::try_from(status).ok());
    status.filter(|status| is_success(*status))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rests_begin_with_the_time_to_settle_and_grow_to_a_bound() {
        let settle = Duration::from_secs(5);
        assert_eq!(rest(1, settle, 0.3), settle);
        assert_eq!(rest(2, settle, 1.0), Duration::from_secs(15));
        assert_eq!(rest(40, settle, 1.0), Duration::from_secs(905));
    }

    /// What every answer means, for a creation, a change, a deletion, a link and its end, and for the
    /// deletions once more when the outcome of an earlier send is not known.
    #[test]
    fn every_answer_has_its_consequence_by_action() {
        use Decision::{Adopt, AlreadySo, Fail, KeyRefused, Later, Unreachable, Unsure};
        let problem = |code: &str| {
            format!(r#"{{"type":"urn:creatoraudit:error:x","title":"T","code":"{code}"}}"#)
        };
        let html = || "<html>no</html>".to_owned();
        let again = [("retry-after", "7")];
        let same = |decision| [decision; 7];
        let there = [Adopt, Fail, Fail, Fail, Fail, Fail, Fail];
        let gone = [Fail, Fail, Fail, Fail, Fail, AlreadySo, AlreadySo];
        let cases = [
            (422, &[][..], problem("VALIDATION_ERROR"), same(Fail)),
            // Nor does a block page say what the API would have answered.
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
            // A proxy does not know what the server behind it has done.
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
            // Of what is no deletion, doubt changes nothing.
            for action in [Action::Track, Action::Set, Action::Link] {
                let (sure, doubtful) =
                    (decide(action, false, &failure), decide(action, true, &failure));
                assert_eq!(sure, doubtful, "{action}: {failure}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_rest_is_never_shorter_than_settling_nor_endless(
            fails in 0_i64..100_000, chance in 0.0_f64..=1.0, settle_ms in 0_u64..100_000,
        ) {
            let settle = Duration::from_millis(settle_ms);
            let rest = rest(fails, settle, chance);
            prop_assert!(rest >= settle && rest <= settle + RETRY.cap);
        }
    }
}
