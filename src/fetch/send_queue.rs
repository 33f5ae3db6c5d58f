//! Waits for a permit to send: within the rate limit, `max_concurrent_requests` and `max_wait`, by priority.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;

use crate::api::{Client, RateHeaders};
use crate::clock::{BootTime, Clock};
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::permits::{Permits, Priority, Ticket};
use crate::fetch::request_state::RequestState;
use crate::model::event::Wait;
use crate::model::{Event, Watcher};
use crate::retry::RetryPolicy;
use crate::store::Store;

/// Settings that limit requests.
#[derive(Debug, Clone, Copy)]
pub struct RequestSettings {
    /// Our share of the key's rate limit, 0 to 1.
    pub rate_share: f64,
    /// Longest total wait for the rate limit in a run.
    pub max_wait: Duration,
    /// Most requests in flight.
    pub max_concurrent_requests: u32,
    /// Seed of the jitter of retries.
    pub seed: u64,
}

/// State shared by all senders.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where cooldowns are saved; `None` if they are not.
    pub store: Option<Store>,
    pub clock: Clock,
    pub watcher: Watcher,
    pub request_state: RequestState,
    pub state: Mutex<State>,
    /// Wakes waiting senders when a permit may have become available.
    pub changed: Notify,
}

/// The mutable part of it.
#[derive(Debug)]
pub(super) struct State {
    pub client: Client,
    pub request_settings: RequestSettings,
    pub permits: Permits,
    pub chance: ChaCha8Rng,
    pub retry: RetryPolicy,
    pub wait: WaitBudget,
    /// The part of our share that may be used by the present work, 0 to 1.
    pub budget_share: f64,
    /// Boot time of the first attempt without an answer since the last answer.
    pub silent_since: Option<Duration>,
    /// Whether a request was given up without an answer since the last answer.
    pub has_given_up: bool,
    /// Writes in a row that the API asked to delay.
    pub limited: u32,
}

/// What is left of `max_wait`. Requests wait side by side: time in which several wait counts once.
#[derive(Debug, Default)]
pub(super) struct WaitBudget {
    /// What is left.
    pub left: Duration,
    /// Boot time up to which waits are subtracted.
    counted_until: Duration,
}

/// Permission to send one request. If dropped before the request ended, the request counts as sent.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    shared: &'a Shared,
    is_authenticated: bool,
    is_over: bool,
    /// Start of the request.
    pub as_of: i64,
}

/// A place in the queue; left when dropped.
struct Place<'a>(&'a Shared, Ticket);

/// State of a place in the queue.
enum Look {
    /// The request may be sent; its start.
    Ready(i64),
    /// Requests of higher priority go first, or too many are in flight.
    Queue,
    /// The rate limit requires a wait of this length.
    Wait(Wait, Duration),
}

/// What happens when it is next.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// It stays in the queue.
    Return,
    /// Its request is sent, with the key or without.
    Send { is_authenticated: bool },
}

impl State {
    pub fn new(client: Client, request_settings: RequestSettings, retry: RetryPolicy) -> Self {
        Self {
            client,
            permits: Permits::new(request_settings.max_concurrent_requests),
            chance: ChaCha8Rng::seed_from_u64(request_settings.seed),
            retry,
            wait: WaitBudget { left: request_settings.max_wait, ..WaitBudget::default() },
            budget_share: 1.0,
            silent_since: None,
            has_given_up: false,
            limited: 0,
            request_settings,
        }
    }
}

impl WaitBudget {
    /// Subtracts a wait, in boot time.
    fn spend(&mut self, from: Duration, until: Duration) {
        let waited = until.saturating_sub(from.max(self.counted_until));
        self.left = self.left.saturating_sub(waited);
        self.counted_until = self.counted_until.max(until);
    }
}

impl Shared {
    /// Waits for a permit, at most for what is left of `max_wait`.
    pub async fn permit(
        &self,
        priority: Priority,
        is_authenticated: bool,
    ) -> FetchResult<Permit<'_>> {
        let as_of = self.wait(priority, Then::Send { is_authenticated }).await?;
        Ok(Permit { shared: self, is_authenticated, is_over: false, as_of })
    }

    /// Enters the queue and waits until it is next; returns the start of its request.
    pub async fn wait(&self, priority: Priority, then: Then) -> FetchResult<i64> {
        let place = Place(self, self.state().permits.enqueue(priority));
        loop {
            let changed = self.changed.notified();
            let (reason, length) = match self.look(&place, then)? {
                Look::Ready(stamp) => return Ok(stamp),
                Look::Wait(reason, length) => (reason, length),
                Look::Queue => {
                    changed.await;
                    continue;
                }
            };
            self.watcher.tell(&Event::Waiting { reason, length });
            let begun = self.clock.boot().elapsed;
            tokio::select! {
                biased;
                () = changed => {}
                () = self.clock.sleep(length) => {}
            }
            self.state().wait.spend(begun, self.clock.boot().elapsed);
        }
    }

    /// Whether it is next. If so, its request counts as sent before another sender checks.
    fn look(&self, place: &Place<'_>, then: Then) -> FetchResult<Look> {
        let (now, boot) = (self.clock.now(), self.clock.boot());
        let mut state = self.state();
        let share = state.request_settings.rate_share * state.budget_share;
        let (delay, bound) = self.request_state.limiter(|limiter| {
            (limiter.delay(share, now, &boot), limiter.concurrency(state.permits.max(), now, &boot))
        });
        if !state.permits.is_next(place.1, bound) {
            return Ok(Look::Queue);
        }
        if delay.must > state.wait.left {
            return Err(FetchError::RateLimited(delay.must));
        }
        // Pacing is optional: it is skipped when `max_wait` is used up.
        let length = delay.must.max(delay.should.min(state.wait.left));
        if !length.is_zero() {
            let reason = if delay.must.is_zero() { Wait::Pacing } else { Wait::RateLimited };
            return Ok(Look::Wait(reason, length));
        }
        if let Then::Send { is_authenticated } = then {
            state.permits.start(place.1);
            if is_authenticated {
                self.request_state.limiter(|limiter| limiter.note_sent(now, &boot));
            }
        }
        Ok(Look::Ready(self.request_state.stamp(now)))
    }

    /// Locks the mutable state.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Permit<'_> {
    /// Ends the request and updates the rate limiter from the answer.
    pub fn over(mut self, rate: &RateHeaders, server_date: Option<DateTime<Utc>>, boot: &BootTime) {
        self.is_over = true;
        self.end(rate, server_date, boot);
    }

    fn end(&self, rate: &RateHeaders, server_date: Option<DateTime<Utc>>, boot: &BootTime) {
        if self.is_authenticated {
            let now = self.shared.clock.now();
            self.shared
                .request_state
                .limiter(|limiter| limiter.after_answer(rate, server_date, now, boot));
        }
        lock(&self.shared.state).permits.finish();
        self.shared.changed.notify_waiters();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(&RateHeaders::default(), None, &self.shared.clock.boot());
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).permits.leave(self.1);
        self.0.changed.notify_waiters();
    }
}

/// A poisoned lock is usable: the state is consistent after every statement.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_side_by_side_count_once() {
        let s = Duration::from_secs;
        let mut wait = WaitBudget { left: s(40), ..WaitBudget::default() };
        for (from, until, left) in [(100, 102, 38), (100, 102, 38), (101, 103, 37), (110, 115, 32)]
        {
            wait.spend(s(from), s(until));
            assert_eq!(wait.left, s(left), "{from} to {until}");
        }
        wait.spend(s(120), s(200));
        assert_eq!(wait.left, Duration::ZERO);
    }
}
