//! The rate limiter: cooldowns after a 429, and pacing by what is left of the rate-limit window.
//!
//! Plain data without a clock. The caller passes the time, stores the value in the database and sleeps. Each
//! request is reported to [`RateLimiter::note_sent`] before it is sent and to [`RateLimiter::after_answer`] when it
//! ended; an abandoned request counts as sent until then.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::api::cooldown::Cooldown;
use crate::api::headers::{DELTA_SECONDS_MAX, RateHeaders};
use crate::api::retry_after::{WAIT_INSTEAD, WAIT_MAX, bounded_wait};
use crate::clock::BootTime;
use crate::model::RateBudget;

/// A longer window is taken for a mistake, seconds.
const WINDOW_SECONDS_MAX: u64 = 31 * 24 * 3_600;
/// Resets of one window may differ by this, since `Date` has whole seconds. A larger value would confuse the
/// next window of a short limit with this one.
const RESET_JITTER: Duration = Duration::from_secs(1);

/// State of the rate limiter. Serializable, so that it survives restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RateLimiter {
    /// The wait that the server asked for.
    pub closed: Option<Cooldown>,
    /// The latest reading of the rate-limit headers.
    pub budget: Option<Budget>,
    /// When the latest request was sent, as a wait without length.
    pub last_sent: Option<Cooldown>,
    /// Requests in flight.
    pub in_flight: u64,
}

/// The server's figures for the current window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests per window.
    pub limit: u64,
    /// Requests left at the reading, less those that got no answer since.
    pub remaining: u64,
    /// From the reading to the reset.
    pub window: Cooldown,
    /// The reset by the server's clock, Unix seconds, if the header gave it in this form.
    pub resets_at: Option<u64>,
    /// The server's clock at the reading.
    pub server_date: Option<DateTime<Utc>>,
}

/// Delay of the next request. Both parts count from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delay {
    /// Required: sending earlier would violate the cooldown or exceed our share.
    pub must: Duration,
    /// Pacing: sending earlier would use up our share long before the window ends.
    pub should: Duration,
}

impl RateLimiter {
    /// Restores a rate limiter from its JSON and `cooldown_until`. If the JSON cannot be read or has no
    /// cooldown, as when another version stored it, `cooldown_until` still applies.
    pub fn restore(
        kept: &str,
        cooldown_until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        boot: &BootTime,
    ) -> Self {
        let read: Result<Self, _> = serde_json::from_str(kept);
        if let Err(error) = &read {
            tracing::warn!(%error, "the stored rate state cannot be read; only the server's wait is kept");
        }
        let mut limiter = read.unwrap_or_default();
        limiter.rebase(now, boot);
        let left = cooldown_until.map(|until| until.signed_duration_since(now));
        if limiter.closed.is_none()
            && let Some(left) = left.and_then(|left| left.to_std().ok())
        {
            limiter.close(bounded_wait(left), now, boot);
        }
        limiter
    }

    /// When the cooldown ends; `None` without one.
    pub fn cooldown_until(&self, now: DateTime<Utc>, boot: &BootTime) -> Option<DateTime<Utc>> {
        let left = self.remaining_wait(now, boot);
        if left.is_zero() {
            return None;
        }
        let left = TimeDelta::from_std(left).ok()?;
        now.checked_add_signed(left)
    }

    /// Called once on a restored rate limiter, and the result stored: rebases its waits to this boot's time and
    /// bounds absurd ones. Requests in flight when it was stored count as
    /// sent.
    pub fn rebase(&mut self, now: DateTime<Utc>, boot: &BootTime) {
        let bounded =
            |cooldown: Cooldown| Cooldown { length: bounded_wait(cooldown.length), ..cooldown };
        self.closed = self.closed.take().map(|cooldown| bounded(cooldown).rebased(now, boot));
        self.budget = self
            .budget
            .take()
            .filter(|budget| budget.window.length <= Duration::from_secs(WINDOW_SECONDS_MAX));
        self.last_sent = self.last_sent.take().map(|cooldown| cooldown.rebased(now, boot));
        if let Some(budget) = &mut self.budget {
            budget.window = budget.window.clone().rebased(now, boot);
            budget.remaining = budget.remaining.saturating_sub(self.in_flight);
        }
        self.in_flight = 0;
    }

    /// Records that a request is about to be sent.
    pub fn note_sent(&mut self, now: DateTime<Utc>, boot: &BootTime) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.last_sent = Some(Cooldown::new(Duration::ZERO, now, boot));
    }

    /// Records that a request ended. Without headers, because no answer came, it counts as sent.
    pub fn after_answer(
        &mut self,
        rate: &RateHeaders,
        server_date: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        boot: &BootTime,
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let current = self.budget.take().filter(|b| !b.window.left(now, boot).is_zero());
        let reading = read_budget(rate, server_date, now, boot);
        self.budget = match (current, reading) {
            (Some(current), Some(reading)) => Some(merge(current, reading, now, boot)),
            (Some(mut current), None) => {
                let one_less = current.remaining.saturating_sub(1);
                current.remaining = rate.remaining.map_or(one_less, |r| r.min(current.remaining));
                Some(current)
            }
            (None, reading) => reading,
        };
    }

    /// Starts a cooldown. A longer one that is running stays; one that is taken for a mistake is
    /// bounded.
    pub fn close(&mut self, wait: Duration, now: DateTime<Utc>, boot: &BootTime) {
        let wait = bounded_wait(wait);
        if wait > self.remaining_wait(now, boot) {
            self.closed = Some(Cooldown::new(wait, now, boot));
        }
    }

    /// What is left of the cooldown.
    pub fn remaining_wait(&self, now: DateTime<Utc>, boot: &BootTime) -> Duration {
        self.closed.as_ref().map_or(Duration::ZERO, |cooldown| cooldown.left(now, boot))
    }

    /// Delay of the next request if `share` (0 to 1) of the limit is ours.
    ///
    /// Asking again after waiting returns what is then left, so a loop ends.
    pub fn delay(&self, share: f64, now: DateTime<Utc>, boot: &BootTime) -> Delay {
        let mut delay = Delay { must: self.remaining_wait(now, boot), should: Duration::ZERO };
        let Some(budget) = &self.budget else { return delay };
        let time_left = budget.window.left(now, boot);
        let ours = budget.limit.saturating_sub(reserve(budget.limit, share));
        let usable = self.usable(budget, share);
        let since_last = self.last_sent.as_ref().map(|sent| sent.passed(now, boot));
        let since_last = since_last.unwrap_or(Duration::MAX);
        if usable == 0 && time_left > WAIT_MAX {
            // A window of days may be a mistake as well as a quota: one request now and then finds out.
            delay.must = delay.must.max(WAIT_INSTEAD.saturating_sub(since_last));
        } else if usable == 0 {
            delay.must = delay.must.max(time_left);
        } else if usable < ours.div_ceil(2) {
            let spacing = spacing(ours, usable, time_left).min(WAIT_INSTEAD);
            delay.should = spacing.saturating_sub(since_last);
        }
        delay
    }

    /// Requests that may be in flight, at most `max`. Between two windows it is one: the first answer of the
    /// new window says what is left of it.
    pub fn concurrency(&self, max: u32, now: DateTime<Utc>, boot: &BootTime) -> u32 {
        match &self.budget {
            // A window shorter than the resolution of the header never ends.
            Some(budget) if budget.window.length >= RESET_JITTER => {
                if budget.window.left(now, boot).is_zero() { 1 } else { max }
            }
            _ => max,
        }
    }

    /// Requests that may still be sent, and until when: in the window read last or, when that is over, in one
    /// of the same size. `None` before the first reading.
    pub fn remaining(&self, share: f64, now: DateTime<Utc>, boot: &BootTime) -> Option<RateBudget> {
        let budget = self.budget.as_ref()?;
        let (length, passed) = (budget.window.length, budget.window.passed(now, boot));
        if passed < length {
            return Some(RateBudget {
                requests: self.usable(budget, share),
                time: length.saturating_sub(passed),
            });
        }
        let requests = budget.limit.saturating_sub(reserve(budget.limit, share));
        let into_next = passed.as_micros().checked_rem(length.as_micros())?;
        let into_next = Duration::from_micros(u64::try_from(into_next).unwrap_or(0));
        Some(RateBudget { requests, time: length.saturating_sub(into_next) })
    }

    /// Our share of each window in requests. `None` before the first reading.
    pub fn allowance(&self, share: f64) -> Option<u64> {
        let limit = self.budget.as_ref()?.limit;
        Some(limit.saturating_sub(reserve(limit, share)))
    }

    /// What is left of our share.
    fn usable(&self, budget: &Budget, share: f64) -> u64 {
        let left = budget.remaining.saturating_sub(self.in_flight);
        left.saturating_sub(reserve(budget.limit, share))
    }
}

/// A reading of the headers, if they are complete: requests left, and until when.
fn read_budget(
    rate: &RateHeaders,
    server_date: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    boot: &BootTime,
) -> Option<Budget> {
    let (remaining, reset) = (rate.remaining?, rate.reset?);
    let resets_at = (reset >= DELTA_SECONDS_MAX).then_some(reset);
    let seconds = resets_at.map_or(reset, |reset| {
        let server_now = u64::try_from(server_date.unwrap_or(now).timestamp()).unwrap_or(0);
        reset.saturating_sub(server_now)
    });
    if seconds > WINDOW_SECONDS_MAX {
        return None;
    }
    let window = Cooldown::new(Duration::from_secs(seconds), now, boot);
    let limit = rate.limit.unwrap_or(remaining);
    Some(Budget { limit, remaining, window, resets_at, server_date })
}

/// Answers may arrive in another order than the server counted them, so within a window the remaining
/// requests only fall. A later reset is the next window; an earlier one is an answer of the previous window,
/// unless the server's clock says that it is newer. Resets are compared by the server's clock where possible, because
/// the window of an answer that was read late seems to end later.
fn merge(current: Budget, reading: Budget, now: DateTime<Utc>, boot: &BootTime) -> Budget {
    let (old, new) = match (current.resets_at, reading.resets_at) {
        (Some(old), Some(new)) => (Duration::from_secs(old), Duration::from_secs(new)),
        _ => (current.window.left(now, boot), reading.window.left(now, boot)),
    };
    if new > old.saturating_add(RESET_JITTER) {
        return reading;
    }
    if old > new.saturating_add(RESET_JITTER) {
        return match (current.server_date, reading.server_date) {
            (Some(before), Some(after)) if after >= before => reading,
            _ => current,
        };
    }
    Budget {
        limit: reading.limit.max(current.limit),
        remaining: reading.remaining.min(current.remaining),
        window: current.window,
        resets_at: current.resets_at.or(reading.resets_at),
        server_date: current.server_date.max(reading.server_date),
    }
}

/// Requests left to other clients of the key. At least one request is always ours.
fn reserve(limit: u64, share: f64) -> u64 {
    let rest = (1.0 - share.clamp(0.0, 1.0)) * limit as f64;
    // Corrects rounding errors just above a whole number.
    let reserve = (rest - 1e-6).ceil() as u64;
    reserve.min(limit.saturating_sub(1))
}

/// Interval between two requests: none while at least half of our share is left, then growing to an even
/// spread over the time left.
fn spacing(ours: u64, usable: u64, time_left: Duration) -> Duration {
    let scarcity = (1.0 - 2.0 * usable as f64 / ours as f64).clamp(0.0, 1.0);
    time_left.mul_f64(scarcity / usable.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    const START: u64 = 1_750_000_000;

    impl Delay {
        /// The longer of the two.
        fn total(self) -> Duration {
            self.must.max(self.should)
        }
    }

    fn clock() -> Clock {
        Clock::manual(DateTime::from_timestamp(START.cast_signed(), 0).unwrap())
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn rate(limit: u64, remaining: u64, reset: u64) -> RateHeaders {
        RateHeaders { limit: Some(limit), remaining: Some(remaining), reset: Some(reset) }
    }

    fn read(limiter: &mut RateLimiter, rate: RateHeaders, clock: &Clock) {
        limiter.after_answer(&rate, Some(clock.now()), clock.now(), &clock.boot());
    }

    fn delay(limiter: &RateLimiter, share: f64, clock: &Clock) -> Delay {
        limiter.delay(share, clock.now(), &clock.boot())
    }

    #[test]
    fn nothing_is_held_back_until_the_server_says_something() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        assert_eq!(delay(&limiter, 0.9, &clock), Delay::default());
        read(&mut limiter, RateHeaders::default(), &clock);
        assert_eq!(delay(&limiter, 0.9, &clock), Delay::default());
    }

    #[test]
    fn a_closed_rate_limiter_stays_closed_for_the_longest_wait_asked_for() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        limiter.close(seconds(60), clock.now(), &clock.boot());
        clock.advance(seconds(10));
        limiter.close(seconds(5), clock.now(), &clock.boot());
        assert_eq!(delay(&limiter, 0.9, &clock).must, seconds(50));
        limiter.close(seconds(70), clock.now(), &clock.boot());
        clock.step_wall(TimeDelta::days(30));
        assert_eq!(limiter.remaining_wait(clock.now(), &clock.boot()), seconds(70));
        clock.advance(seconds(70));
        assert_eq!(delay(&limiter, 0.9, &clock), Delay::default());
    }

    #[test]
    fn the_rest_of_the_budget_is_left_to_others() {
        for (limit, share, reserve) in
            [(600, 0.9, 60), (10, 0.7, 3), (10, 0.75, 3), (7, 1.0, 0), (10, 0.0, 9), (1, 0.5, 0)]
        {
            assert_eq!(super::reserve(limit, share), reserve, "{limit} {share}");
            let clock = clock();
            let mut limiter = RateLimiter::default();
            read(&mut limiter, rate(limit, reserve, START + 30), &clock);
            assert_eq!(delay(&limiter, share, &clock).must, seconds(30), "{limit} {share}");
            let mut limiter = RateLimiter::default();
            read(&mut limiter, rate(limit, reserve + 1, START + 30), &clock);
            assert_eq!(delay(&limiter, share, &clock).must, Duration::ZERO, "{limit} {share}");
        }
    }

    #[test]
    fn it_is_full_speed_at_half_of_our_share_and_an_even_spread_near_its_end() {
        let clock = clock();
        let should = |remaining| {
            let mut limiter = RateLimiter::default();
            limiter.note_sent(clock.now(), &clock.boot());
            read(&mut limiter, rate(1_000, remaining, START + 100), &clock);
            delay(&limiter, 1.0, &clock).should.as_secs_f64()
        };
        assert_eq!(should(1_000), 0.0);
        assert_eq!(should(500), 0.0);
        assert!(should(499) > 0.0 && should(499) < 0.001);
        let (fuller, emptier) = (should(250), should(10));
        assert!((fuller - 0.5 * 100.0 / 250.0).abs() < 1e-6, "{fuller}");
        assert!((emptier - 0.98 * 100.0 / 10.0).abs() < 1e-6, "{emptier}");
    }

    #[test]
    fn answer_read_late_is_not_taken_for_the_next_window() {
        let clock = clock();
        let server_date = Some(clock.now());
        let mut limiter = RateLimiter::default();
        read(&mut limiter, rate(100, 40, START + 60), &clock);
        clock.advance(Duration::from_secs(30));
        let late = rate(100, 50, START + 60);
        limiter.after_answer(&late, server_date, clock.now(), &clock.boot());
        assert_eq!(limiter.budget.as_ref().unwrap().remaining, 40);
    }

    #[test]
    fn sends_after_the_required_wait() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        limiter.note_sent(clock.now(), &clock.boot());
        read(&mut limiter, rate(100, 5, START + 100), &clock);
        let told = delay(&limiter, 1.0, &clock).total();
        assert!(told > seconds(10));
        clock.advance(told);
        assert_eq!(delay(&limiter, 1.0, &clock).total(), Duration::ZERO);
    }

    #[test]
    fn a_reading_no_longer_counts_once_its_window_is_over() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        read(&mut limiter, rate(100, 0, START + 30), &clock);
        assert_eq!(delay(&limiter, 1.0, &clock).must, seconds(30));
        clock.step_wall(TimeDelta::hours(-3));
        clock.advance(seconds(30));
        assert_eq!(delay(&limiter, 1.0, &clock), Delay::default());
    }

    #[test]
    fn means_are_what_is_left_of_our_share_and_the_like_of_it_in_the_next_window() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        let remaining = |limiter: &RateLimiter| limiter.remaining(0.9, clock.now(), &clock.boot());
        assert_eq!(remaining(&limiter), None);
        read(&mut limiter, rate(100, 40, START + 60), &clock);
        clock.advance(seconds(20));
        assert_eq!(remaining(&limiter), Some(RateBudget { requests: 30, time: seconds(40) }));
        clock.advance(seconds(50));
        assert_eq!(remaining(&limiter), Some(RateBudget { requests: 90, time: seconds(50) }));
    }

    #[test]
    fn the_reset_is_read_against_the_servers_clock() {
        let clock = clock();
        let server_date = clock.now() + TimeDelta::hours(7);
        let mut limiter = RateLimiter::default();
        let reset = START + 7 * 3_600 + 12;
        limiter.after_answer(&rate(9, 0, reset), Some(server_date), clock.now(), &clock.boot());
        assert_eq!(delay(&limiter, 1.0, &clock).must, seconds(12));
        let mut limiter = RateLimiter::default();
        read(&mut limiter, rate(9, 0, 45), &clock);
        assert_eq!(delay(&limiter, 1.0, &clock).must, seconds(45));
    }

    #[test]
    fn within_a_window_what_remains_only_falls_and_a_new_window_starts_afresh() {
        let clock = clock();
        let remaining = |limiter: &RateLimiter| limiter.budget.as_ref().unwrap().remaining;
        let mut limiter = RateLimiter::default();
        read(&mut limiter, rate(100, 40, START + 30), &clock);
        read(&mut limiter, rate(100, 41, START + 31), &clock);
        assert_eq!(remaining(&limiter), 40);
        read(&mut limiter, rate(100, 99, START + 60), &clock);
        assert_eq!(remaining(&limiter), 99);
        // An answer of the window before, which took its time.
        let before = Some(clock.now() - TimeDelta::seconds(1));
        limiter.after_answer(&rate(100, 3, START + 30), before, clock.now(), &clock.boot());
        assert_eq!(remaining(&limiter), 99);
        // The newer word about a shorter window.
        read(&mut limiter, rate(100, 3, START + 30), &clock);
        assert_eq!(remaining(&limiter), 3);
    }

    #[test]
    fn requests_in_flight_and_lost_ones_count_as_spent() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        read(&mut limiter, rate(100, 2, START + 30), &clock);
        limiter.note_sent(clock.now(), &clock.boot());
        limiter.note_sent(clock.now(), &clock.boot());
        assert_eq!(delay(&limiter, 1.0, &clock).must, seconds(30));
        read(&mut limiter, RateHeaders::default(), &clock);
        assert_eq!((limiter.in_flight, limiter.budget.as_ref().unwrap().remaining), (1, 1));
        limiter.rebase(clock.now(), &clock.boot());
        assert_eq!((limiter.in_flight, limiter.budget.as_ref().unwrap().remaining), (0, 0));
    }

    #[test]
    fn a_stored_wait_of_over_a_day_is_an_hour_once_it_is_loaded() {
        let clock = clock();
        for length in [seconds(86_401), seconds(9_000_000_000_000), Duration::MAX] {
            let closed = Some(Cooldown::new(length, clock.now(), &clock.boot()));
            let mut limiter = RateLimiter { closed, ..RateLimiter::default() };
            let kept = serde_json::to_string(&limiter).unwrap();
            limiter = serde_json::from_str(&kept).unwrap();
            limiter.rebase(clock.now(), &clock.boot());
            assert_eq!(delay(&limiter, 1.0, &clock).must, seconds(3_600));
        }
    }

    #[test]
    fn a_spent_budget_whose_window_lasts_for_days_is_tried_once_an_hour() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        for _ in 0..3 {
            limiter.note_sent(clock.now(), &clock.boot());
            read(&mut limiter, rate(100, 0, START + 20 * 86_400), &clock);
            assert_eq!(delay(&limiter, 1.0, &clock).must, seconds(3_600));
            clock.advance(seconds(3_600));
            assert_eq!(delay(&limiter, 1.0, &clock).must, Duration::ZERO);
        }
    }

    #[test]
    fn it_is_the_same_after_being_kept_as_json() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        limiter.close(seconds(60), clock.now(), &clock.boot());
        limiter.note_sent(clock.now(), &clock.boot());
        read(&mut limiter, rate(100, 2, START + 30), &clock);
        let kept = serde_json::to_string(&limiter).unwrap();
        assert_eq!(serde_json::from_str::<RateLimiter>(&kept).unwrap(), limiter);
        assert_eq!(serde_json::from_str::<RateLimiter>("{}").unwrap(), RateLimiter::default());
    }

    #[test]
    fn a_rate_state_that_cannot_be_read_still_keeps_the_servers_wait() {
        let clock = clock();
        let restore = |kept: &str, ahead_s: Option<i64>| {
            let until = ahead_s.map(|ahead_s| clock.now() + TimeDelta::seconds(ahead_s));
            let limiter = RateLimiter::restore(kept, until, clock.now(), &clock.boot());
            limiter.remaining_wait(clock.now(), &clock.boot())
        };
        for unreadable in ["", "no JSON", "null", "[7]", r#"{"closed":7}"#, r#"{"cooldown":{}}"#] {
            assert_eq!(restore(unreadable, Some(600)), seconds(600), "{unreadable}");
            assert_eq!(restore(unreadable, Some(-600)), Duration::ZERO, "{unreadable}");
            assert_eq!(restore(unreadable, Some(i64::from(u32::MAX))), seconds(3_600));
            assert_eq!(restore(unreadable, None), Duration::ZERO);
        }
        // What can be read is right whatever the wall clock says meanwhile.
        let mut limiter = RateLimiter::default();
        limiter.close(seconds(60), clock.now(), &clock.boot());
        let until = limiter.cooldown_until(clock.now(), &clock.boot()).unwrap();
        assert_eq!(until, clock.now() + TimeDelta::seconds(60));
        let kept = serde_json::to_string(&limiter).unwrap();
        assert_eq!(restore(&kept, Some(600)), seconds(60));
        clock.advance(seconds(61));
        assert_eq!(restore(&kept, Some(600)), Duration::ZERO);
    }

    #[test]
    fn after_a_reboot_a_kept_window_lasts_no_longer_than_it_was() {
        let clock = clock();
        let mut limiter = RateLimiter::default();
        read(&mut limiter, rate(100, 0, START + 30), &clock);
        clock.reboot();
        clock.step_wall(TimeDelta::days(-1_000));
        limiter.rebase(clock.now(), &clock.boot());
        assert_eq!(delay(&limiter, 1.0, &clock).must, seconds(30));
        clock.advance(seconds(30));
        assert_eq!(delay(&limiter, 1.0, &clock).must, Duration::ZERO);
    }

    /// A server with fixed windows, counting what it is asked.
    struct Server {
        limit: u64,
        window: u64,
        spent: u64,
        window_index: u64,
    }

    impl Server {
        fn answer(&mut self, unix: u64) -> RateHeaders {
            let index = unix / self.window;
            if index != self.window_index {
                (self.window_index, self.spent) = (index, 0);
            }
            self.spent += 1;
            rate(self.limit, self.limit.saturating_sub(self.spent), (index + 1) * self.window)
        }
    }

    proptest! {
        #[test]
        fn a_client_that_obeys_spends_its_share_and_no_more(
            limit in 1u64..400, window in 10u64..600, share in 0.0f64..=1.0,
            latency_ms in 1u64..40, step in -100_000i64..100_000,
        ) {
            let clock = clock();
            let server_skew = 40_000;
            let real_start = clock.boot().elapsed;
            let server_now = |clock: &Clock| {
                START + server_skew + (clock.boot().elapsed - real_start).as_secs()
            };
            let mut server = Server { limit, window, spent: 0, window_index: 0 };
            let mut limiter = RateLimiter::default();
            let reserve = super::reserve(limit, share);
            let first_window = server_now(&clock) / window;
            let mut spent_in_second = 0;
            while server_now(&clock) / window < first_window + 3 {
                let told = delay(&limiter, share, &clock).total();
                clock.advance(told);
                prop_assert_eq!(delay(&limiter, share, &clock).must, Duration::ZERO);
                limiter.note_sent(clock.now(), &clock.boot());
                let headers = server.answer(server_now(&clock));
                prop_assert!(headers.remaining >= Some(reserve), "{headers:?} {reserve}");
                let date = DateTime::from_timestamp(server_now(&clock).cast_signed(), 0);
                clock.advance(Duration::from_millis(latency_ms));
                limiter.after_answer(&headers, date, clock.now(), &clock.boot());
                if server.window_index == first_window + 1 {
                    spent_in_second = server.spent;
                }
                clock.step_wall(TimeDelta::seconds(step));
            }
            let time_for = window * 1_000 / latency_ms;
            let ours = limit - reserve;
            if time_for > ours * 3 {
                prop_assert!(spent_in_second + 1 >= ours, "{spent_in_second} of {ours}");
            }
        }

        #[test]
        fn no_request_starts_before_the_wait_is_over(
            wait in 1u64..=86_400,
            moves in proptest::collection::vec(
                (0u64..5_000, -1_000_000i64..1_000_000, any::<bool>()), 1..40,
            ),
        ) {
            let clock = clock();
            let mut limiter = RateLimiter::default();
            limiter.close(seconds(wait), clock.now(), &clock.boot());
            let mut passed = 0;
            for (ahead, step, restart) in moves {
                if restart {
                    let kept = serde_json::to_string(&limiter).unwrap();
                    limiter = serde_json::from_str(&kept).unwrap();
                    limiter.rebase(clock.now(), &clock.boot());
                }
                clock.step_wall(TimeDelta::seconds(step));
                clock.advance(seconds(ahead));
                passed += ahead;
                let must = delay(&limiter, 0.9, &clock).must;
                prop_assert_eq!(must, seconds(wait.saturating_sub(passed)));
            }
        }

        #[test]
        fn absurd_headers_are_survived(
            readings in proptest::collection::vec(
                (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>(), any::<bool>()),
                1..20,
            ),
            share in any::<f64>(), wait in any::<u64>(),
        ) {
            let clock = clock();
            let mut limiter = RateLimiter::default();
            limiter.close(seconds(wait), clock.now(), &clock.boot());
            for (limit, remaining, reset, dated) in readings {
                limiter.note_sent(clock.now(), &clock.boot());
                let date = dated.then_some(DateTime::<Utc>::MIN_UTC);
                let rate = RateHeaders { limit, remaining, reset };
                limiter.after_answer(&rate, date, clock.now(), &clock.boot());
                let told = delay(&limiter, share, &clock);
                prop_assert!(told.should <= seconds(WINDOW_SECONDS_MAX));
                prop_assert!(told.must <= seconds(wait.max(WINDOW_SECONDS_MAX)));
                limiter.rebase(DateTime::<Utc>::MAX_UTC, &clock.boot());
            }
        }
    }
}
