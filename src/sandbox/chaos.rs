//! The accidents of an ordinary bad day, drawn at random. A correct client survives them all.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::sandbox::call::Call;
use crate::sandbox::hook::Hook;
use crate::sandbox::moment::{Moment, SECOND};
use crate::sandbox::replies::{Answer, Ending, Problem, http_date};
use crate::sandbox::settings::SandboxSettings;

/// The login page of a guest network.
const SIGN_IN_PAGE: &str =
    "<!doctype html><html><body><h1>Please sign in to the guest network</h1></body></html>";

/// Lets a share of the requests fail.
#[derive(Debug)]
pub struct Chaos {
    seed: u64,
    share: f64,
}

/// What goes wrong with one request.
#[derive(Debug)]
enum Mishap {
    /// It is refused with this status, with or without Retry-After.
    Refused(u16, Retry),
    /// The connection is reset, and the request was not executed.
    ResetBefore,
    /// The connection is reset after the request was executed.
    ResetAfter,
    /// The connection is closed in the middle of the body.
    Truncated,
    /// The body ends in the middle, and `Content-Length` agrees.
    TruncatedJson,
    /// A proxy answers in place of the API.
    Html,
    /// The answer is late.
    Slow(Duration),
}

/// How Retry-After is written, if it is.
type Retry = Option<fn(Moment) -> String>;

impl Chaos {
    /// The chaos of these settings.
    pub fn new(settings: &SandboxSettings) -> Self {
        Self { seed: settings.seed, share: settings.chaos.clamp(0.0, 1.0) }
    }

    /// Whether something goes wrong with this request.
    pub fn strikes(&self, call: &Call) -> bool {
        self.draw(call).is_some()
    }

    /// What goes wrong with this request, fixed by seed and number of the request.
    fn draw(&self, call: &Call) -> Option<Mishap> {
        if self.share <= 0.0 {
            return None;
        }
        let drawn = xxh3_64_with_seed(&call.number.to_le_bytes(), self.seed ^ 0x000c_4a05);
        let mut random = ChaCha8Rng::seed_from_u64(drawn);
        if !random.random_bool(self.share) {
            return None;
        }
        let forms: [Retry; 3] =
            [None, Some(|_| "1".to_owned()), Some(|now| http_date(now.plus(SECOND)))];
        let retry = forms[random.random_range(0..forms.len())];
        Some(match random.random_range(0..10) {
            0 => Mishap::Refused(500, None),
            1 => Mishap::Refused(502, None),
            2 => Mishap::Refused(503, retry),
            3 => Mishap::Refused(429, retry),
            4 => Mishap::ResetBefore,
            5 => Mishap::ResetAfter,
            6 => Mishap::Truncated,
            7 => Mishap::TruncatedJson,
            8 => Mishap::Html,
            _ => Mishap::Slow(Duration::from_millis(random.random_range(5..80))),
        })
    }
}

impl Hook for Chaos {
    fn before(&self, call: &mut Call, now: Moment) -> Option<Answer> {
        match self.draw(call)? {
            Mishap::Refused(status, retry) => {
                let problem = Problem::new(status, "A random accident");
                let problem = match retry {
                    Some(written) => problem.with("retry-after", written(now)),
                    None => problem,
                };
                Some(problem.answer(call))
            }
            Mishap::ResetBefore => Some(Answer { ending: Ending::Reset, ..Answer::empty(200) }),
            Mishap::Html => Some(Answer::foreign("text/html; charset=utf-8", SIGN_IN_PAGE)),
            _ => None,
        }
    }

    fn after(&self, call: &Call, answer: &mut Answer) {
        match self.draw(call) {
            Some(Mishap::ResetAfter) => answer.ending = Ending::Reset,
            Some(Mishap::Truncated) => answer.ending = Ending::Truncated,
            Some(Mishap::TruncatedJson) => answer.body.truncate(answer.body.len() / 2),
            Some(Mishap::Slow(delay)) => answer.delay += delay,
            _ => {}
        }
    }
}
