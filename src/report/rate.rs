//! State of the rate limiter, as text and as JSON.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::api::RateLimiter;
use crate::clock::BootTime;
use crate::model::instant;
use crate::report::text::{moment, relative, span, thousands};
use crate::store::instance::StoredRequestState;

/// State of the rate limiter at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// How long no request may be sent.
    pub blocked_for: Duration,
    /// Whether the API asked for the wait, rather than `rate_share` being used up.
    pub is_closed: bool,
    /// The current window of the API's limit.
    pub budget: Option<BudgetWindow>,
}

/// The current window of the API's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetWindow {
    /// Requests per window.
    pub limit: u64,
    /// Requests left, for all clients together.
    pub remaining: u64,
    /// Time until the window ends.
    pub resets_in: Duration,
}

impl RateLimit {
    /// Restores a stored rate limiter. `share` is the setting `rate_share`.
    pub fn read(
        stored: &StoredRequestState,
        share: f64,
        now: DateTime<Utc>,
        boot: &BootTime,
    ) -> Self {
        let until = stored.cooldown_until.map(instant::from_micros);
        let limiter = RateLimiter::restore(&stored.rate_limiter, until, now, boot);
        let closed = limiter.remaining_wait(now, boot);
        let blocked_for = limiter.delay(share, now, boot).must;
        let budget = limiter.budget.as_ref().map(|budget| BudgetWindow {
            limit: budget.limit,
            remaining: budget.remaining,
            resets_in: budget.window.left(now, boot),
        });
        Self {
            blocked_for,
            is_closed: !closed.is_zero() && closed >= blocked_for,
            budget: budget.filter(|budget| !budget.resets_in.is_zero()),
        }
    }

    /// Whether a request may be sent now.
    pub fn is_open(&self) -> bool {
        self.blocked_for.is_zero()
    }

    /// Describes the state in one line.
    pub fn text(&self, now: DateTime<Utc>) -> String {
        if !self.is_open() {
            let reason = match self.is_closed {
                true => "closed by the API",
                false => "`rate_share` used up; closed",
            };
            return format!("{reason} until {}", moment(later(now, self.blocked_for), now));
        }
        match self.budget {
            Some(budget) => format!(
                "open; {} of {} requests left, resets {}",
                thousands(budget.remaining),
                thousands(budget.limit),
                relative(later(now, budget.resets_in), now)
            ),
            None => "open".to_owned(),
        }
    }

    /// Why no request may be sent now; `None` if one may.
    pub fn reason(&self) -> Option<String> {
        (!self.is_open()).then(|| format!("rate limited for another {}", span(self.blocked_for)))
    }

    /// The state as JSON.
    pub fn json(&self, now: DateTime<Utc>) -> Value {
        let at = |wait: Duration| instant::text(later(now, wait));
        json!({
            "is_open": self.is_open(),
            "closed_by_api": self.is_closed,
            "closed_until": (!self.is_open()).then(|| at(self.blocked_for)),
            "limit": self.budget.map(|budget| budget.limit),
            "remaining": self.budget.map(|budget| budget.remaining),
            "resets_at": self.budget.map(|budget| at(budget.resets_in)),
        })
    }
}

/// The instant after a wait, rounded up to the second.
fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    let at = instant::later(now, wait);
    let is_whole = at.timestamp_subsec_nanos() == 0;
    let seconds = at.timestamp().saturating_add(i64::from(!is_whole));
    DateTime::from_timestamp(seconds, 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::api::RateHeaders;
    use crate::clock::Clock;

    fn clock() -> Clock {
        Clock::manual(DateTime::from_timestamp(1_750_000_000, 0).unwrap())
    }

    fn read(limiter: &RateLimiter, clock: &Clock) -> RateLimit {
        let stored = serde_json::to_string(limiter).unwrap();
        RateLimit::read(
            &StoredRequestState { rate_limiter: stored, ..StoredRequestState::default() },
            0.9,
            clock.now(),
            &clock.boot(),
        )
    }

    fn limiter(remaining: u64, clock: &Clock) -> RateLimiter {
        let mut limiter = RateLimiter::default();
        let rate = RateHeaders { limit: Some(600), remaining: Some(remaining), reset: Some(30) };
        limiter.after_answer(&rate, Some(clock.now()), clock.now(), &clock.boot());
        limiter
    }

    #[test]
    fn remaining_requests_are_shown_until_the_window_ends() {
        let clock = clock();
        let limiter = limiter(540, &clock);
        let found = read(&limiter, &clock);
        assert_eq!(found.text(clock.now()), "open; 540 of 600 requests left, resets in 30 s");
        assert_eq!(found.json(clock.now())["resets_at"], "2025-06-15T15:07:10Z");
        clock.advance(Duration::from_secs(30));
        assert_eq!(read(&limiter, &clock), RateLimit::default());
        assert_eq!(read(&limiter, &clock).text(clock.now()), "open");
    }

    #[test]
    fn closed_rate_limiter_shows_reason_and_deadline() {
        let clock = clock();
        let mut closed = limiter(540, &clock);
        closed.close(Duration::from_millis(41_500), clock.now(), &clock.boot());
        let found = read(&closed, &clock);
        assert!(found.is_closed && !found.is_open());
        let text = "closed by the API until 2025-06-15T15:07:22Z (in 42 s)";
        assert_eq!(found.text(clock.now()), text);
        let found = read(&limiter(60, &clock), &clock);
        assert!(!found.is_closed && !found.is_open());
        assert!(found.text(clock.now()).starts_with("`rate_share` used up"));
        assert_eq!(found.reason().as_deref(), Some("rate limited for another 30 s"));
    }

    #[test]
    fn unreadable_rate_limiter_keeps_only_the_stored_cooldown() {
        let clock = clock();
        for stored in ["", "{}", "[]", "{\"closed\":7}"] {
            let stored = StoredRequestState {
                rate_limiter: stored.to_owned(),
                ..StoredRequestState::default()
            };
            let found = RateLimit::read(&stored, 0.9, clock.now(), &clock.boot());
            assert_eq!(found, RateLimit::default());
            let until = instant::micros(clock.now() + TimeDelta::seconds(41));
            let stored = StoredRequestState { cooldown_until: Some(until), ..stored };
            let found = RateLimit::read(&stored, 0.9, clock.now(), &clock.boot());
            assert_eq!((found.is_closed, found.blocked_for), (true, Duration::from_secs(41)));
        }
    }
}
