//! Who may ask, and how often: keys, scopes and fixed rate-limit windows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sandbox::call::Call;
use crate::sandbox::moment::{Moment, SECOND, millis};
use crate::sandbox::replies::Problem;
use crate::sandbox::settings::{SandboxKey, Scope};

/// The keys, and what they have used of their budgets.
#[derive(Debug)]
pub struct RateLimit {
    /// Keys that are let in.
    pub keys: Vec<SandboxKey>,
    /// Requests per key and window.
    limit: u32,
    window_ms: i64,
    /// When the window of a key began that it used last, and how much of it.
    used: BTreeMap<String, (Moment, u32)>,
}

/// What is left of a key's budget; shown with every authenticated answer.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Requests per window.
    pub limit: u32,
    /// Requests left.
    pub remaining: u32,
    /// When the window ends, in Unix seconds.
    pub reset: i64,
}

impl RateLimit {
    /// A limit that no request has used yet.
    pub fn new(keys: Vec<SandboxKey>, limit: u32, window: Duration) -> Self {
        Self { keys, limit, window_ms: millis(window).max(1), used: BTreeMap::new() }
    }

    /// Changes the limit from now on; what was used in this window stays used.
    pub fn set(&mut self, limit: u32, window: Duration) {
        self.limit = limit;
        self.window_ms = millis(window).max(1);
    }

    /// The key that a request comes with.
    pub fn key(&self, call: &Call) -> Result<&SandboxKey, Problem> {
        let refused = |detail: &str| Problem::new(401, detail).with("www-authenticate", "Bearer");
        let header = call.header("authorization").ok_or_else(|| refused("No API key was sent"))?;
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(refused("Authorization must be a bearer token"));
        }
        let key = self.keys.iter().find(|key| key.key == token.trim());
        let key = key.ok_or_else(|| refused("The API key is not valid"))?;
        if !key.enabled {
            return Err(Problem::new(403, "The API key is disabled"));
        }
        Ok(key)
    }

    /// Counts a request against its key's budget, or refuses it.
    pub fn admit(&mut self, key: &str, now: Moment) -> (Budget, Result<(), Problem>) {
        let start = Moment(now.0.div_euclid(self.window_ms) * self.window_ms);
        let (began, used) = self.used.entry(key.to_owned()).or_insert((start, 0));
        if *began != start {
            (*began, *used) = (start, 0);
        }
        let fits = *used < self.limit;
        *used += u32::from(fits);
        let end = start.plus(self.window_ms);
        let budget = Budget {
            limit: self.limit,
            remaining: self.limit.saturating_sub(*used),
            reset: (end.0 + SECOND - 1).div_euclid(SECOND),
        };
        if fits {
            return (budget, Ok(()));
        }
        let wait = ((end.0 - now.0) + SECOND - 1).div_euclid(SECOND).max(1);
        let problem = Problem::new(429, "Too many requests in this window");
        (budget, Err(problem.with("retry-after", wait.to_string())))
    }
}

/// Refuses writes of keys that may only read.
pub fn need_write(key: &SandboxKey) -> Result<(), Problem> {
    if key.scope >= Scope::Write {
        return Ok(());
    }
    Err(Problem::coded(403, "INSUFFICIENT_SCOPE", "This needs a key with the scope write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_lets_its_limit_pass_and_then_says_how_long_it_lasts() {
        let mut limit = RateLimit::new(Vec::new(), 2, Duration::from_secs(60));
        let start = Moment(1_750_000_020_000);
        for left in [1, 0] {
            let (budget, admitted) = limit.admit("k", start.plus(5_500));
            assert!(admitted.is_ok());
            assert_eq!((budget.remaining, budget.reset), (left, 1_750_000_080));
        }
        let refused = limit.admit("k", start.plus(5_500)).1.unwrap_err();
        assert_eq!(refused.headers, [("retry-after".into(), "55".to_owned())]);
        assert!(limit.admit("other", start.plus(5_500)).1.is_ok());
        assert!(limit.admit("k", start.plus(60_000)).1.is_ok());
    }
}
