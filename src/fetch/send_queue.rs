//! The right to send: shared by all who do, and given to one after the other, within the rate limit and the
//! user's patience.

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

/// How the user and the key's other clients bound us.
#[derive(Debug, Clone, Copy)]
pub struct RequestSettings {
    /// The part of the key's budget that is ours, 0 to 1.
    pub rate_share: f64,
    /// The time a run may spend waiting for the rate limit.
    pub max_wait: Duration,
    /// The most requests in flight at a time.
    pub max_concurrent_requests: u32,
    /// Seeds the jitter of retries.
    pub seed: u64,
}

/// What all who send share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where waits that the API asks for are kept; `None` if they are not.
    pub store: Option<Store>,
    pub clock: Clock,
    pub watcher: Watcher,
    pub request_state: RequestState,
    pub state: Mutex<State>,
    /// Wakes those who wait for a permit when something about it has changed.
    pub changed: Notify,
}

/// The part of it that changes.
#[derive(Debug)]
pub(super) struct State {
    pub client: Client,
    pub request_settings: RequestSettings,
    pub permits: Permits,
    pub chance: ChaCha8Rng,
    pub retry: RetryPolicy,
    pub wait_left: Duration,
    /// The part of our share that may be spent on what is at hand.
    pub budget_share: f64,
    /// Boot time of the first attempt that got no answer, since the last answer.
    pub silent_since: Option<Duration>,
    /// Whether a request was given up for want of an answer, since the last answer.
    pub has_given_up: bool,
    /// Writes on end that the API asked to send later.
    pub limited: u32,
}

/// The right to send one request now. Dropped before the request is over, it counts as spent.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    shared: &'a Shared,
    is_authenticated: bool,
    is_over: bool,
    /// The stamp of the moment it was given.
    pub as_of: i64,
}

/// A place in the queue of those who wait for a permit; left when dropped.
pub(super) struct Place<'a>(&'a Shared, Ticket);

/// What a look at the queue found.
enum Look {
    /// It is this one's turn; the stamp of that moment.
    Ready(i64),
    /// Others go first, or too many requests are in flight.
    Queue,
    /// The rate limit is in the way, for so long.
    Wait(Wait, Duration),
}

/// What is to be done once it is one's turn.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// Nothing yet.
    Return,
    /// A request is sent, with the key or without.
    Send { is_authenticated: bool },
}

impl State {
    pub fn new(client: Client, request_settings: RequestSettings, retry: RetryPolicy) -> Self {
        Self {
            client,
            permits: Permits::new(request_settings.max_concurrent_requests),
            chance: ChaCha8Rng::seed_from_u64(request_settings.seed),
            retry,
            wait_left: request_settings.max_wait,
            budget_share: 1.0,
            silent_since: None,
            has_given_up: false,
            limited: 0,
            request_settings,
        }
    }
}

impl Shared {
    /// Waits until a request may be sent, if the user's patience allows.
    pub async fn permit(
        &self,
        priority: Priority,
        is_authenticated: bool,
    ) -> FetchResult<Permit<'_>> {
        let as_of = self.wait(&self.queue(priority), Then::Send { is_authenticated }).await?;
        Ok(Permit { shared: self, is_authenticated, is_over: false, as_of })
    }

    /// Takes a place in the queue.
    pub fn queue(&self, priority: Priority) -> Place<'_> {
        Place(self, self.state().permits.enqueue(priority))
    }

    /// Waits for its turn, and returns the stamp of that moment.
    pub async fn wait(&self, place: &Place<'_>, then: Then) -> FetchResult<i64> {
        loop {
            let changed = self.changed.notified();
            let (reason, length) = match self.look(place, then)? {
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
            let waited = self.clock.boot().elapsed.saturating_sub(begun);
            let mut state = self.state();
            state.wait_left = state.wait_left.saturating_sub(waited);
        }
    }

    /// Whether it is this one's turn. If so, its request counts as sent before anybody else looks.
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
        if delay.must > state.wait_left {
            return Err(FetchError::RateLimited(delay.must));
        }
        // Spreading is a courtesy: without patience left for it, what is ours is spent at once.
        let length = delay.must.max(delay.should.min(state.wait_left));
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

    /// What changes.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Permit<'_> {
    /// The request is over, with what its answer says about the limit.
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

/// What the locks guard is whole after every statement, so that a panic elsewhere leaves it usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
