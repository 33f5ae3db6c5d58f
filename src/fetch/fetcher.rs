//! Sends a request within the rate limit, with retries and backoff, and counts it.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::Notify;

use crate::api::{Answer, Client, Failure, Head, Request, Verdict};
use crate::clock::Clock;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::permits::Priority;
use crate::fetch::request_state::RequestState;
pub use crate::fetch::send_queue::RequestSettings;
use crate::fetch::send_queue::{Permit, Shared, State, Then, lock};
use crate::model::event::Wait;
use crate::model::{Event, Kind, RateBudget, Watcher};
use crate::retry::{RetryCause, RetryDecision, RetryPolicy};
use crate::store::{Database, Store, StoreResult, runs::KindCounts};

/// Retry policy of reads.
pub const RETRY: RetryPolicy =
    RetryPolicy { first: Duration::from_millis(500), cap: Duration::from_secs(8), attempts_max: 5 };

/// No retry starts later than this after the request's first attempt, or after the API was first silent. Together with
/// the request timeout this gives up on a silent API within a minute.
const TIMEOUT: Duration = Duration::from_secs(25);

/// The value read from an answer.
#[derive(Debug)]
pub struct Fetched<T> {
    /// Status and headers.
    pub head: Head,
    /// The value.
    pub value: T,
    /// Start of the request; see [`RequestState::stamp`].
    pub as_of: i64,
}

/// Result of one attempt.
#[derive(Debug)]
pub struct Sent {
    /// The answer or the failure.
    pub result: Result<Answer, Failure>,
    /// Start of the request; see [`RequestState::stamp`].
    pub as_of: i64,
}

/// Sends requests, several at a time. Clones share limits and counters; those of [`Fetcher::lend`] share only the limits.
#[derive(Debug, Clone)]
pub struct Fetcher {
    shared: Arc<Shared>,
    priority: Priority,
    sent: Arc<Mutex<KindCounts>>,
    has_sent: Arc<AtomicBool>,
}

impl Fetcher {
    /// Opens the mirror for a run and restores the rate limiter's state.
    pub fn open(
        client: Client,
        database: Database,
        clock: Clock,
        watcher: Watcher,
        request_settings: RequestSettings,
    ) -> StoreResult<(Self, Store)> {
        let request_state = RequestState::load(&database, &clock)?;
        let store = Store::start(database)?;
        let fetcher = Self::new(
            client,
            request_state,
            Some(store.clone()),
            (clock, watcher),
            request_settings,
        );
        Ok((fetcher, store))
    }

    /// Creates a fetcher that writes nothing to the database, for `check`.
    pub fn beside(
        client: Client,
        request_state: RequestState,
        clock: Clock,
        request_settings: RequestSettings,
    ) -> Self {
        Self::new(client, request_state, None, (clock, Watcher::silent()), request_settings)
    }

    fn new(
        client: Client,
        request_state: RequestState,
        store: Option<Store>,
        (clock, watcher): (Clock, Watcher),
        request_settings: RequestSettings,
    ) -> Self {
        let state = Mutex::new(State::new(client, request_settings, RETRY));
        let shared = Shared { store, clock, watcher, request_state, state, changed: Notify::new() };
        Self {
            shared: Arc::new(shared),
            priority: Priority::First,
            sent: Arc::default(),
            has_sent: Arc::default(),
        }
    }

    /// Returns a fetcher for one of several concurrent tasks, with its own priority and counters.
    #[must_use]
    pub fn lend(&self, priority: Priority) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared, priority, sent: Arc::default(), has_sent: Arc::default() }
    }

    /// Returns a fetcher for a request that guesses ahead: it has the lowest priority of its kind.
    #[must_use]
    pub fn ahead(&self) -> Self {
        Self { priority: self.priority.ahead(), has_sent: Arc::default(), ..self.clone() }
    }

    /// Whether this fetcher or a clone of it has sent a request.
    pub fn has_sent(&self) -> bool {
        self.has_sent.load(Ordering::Relaxed)
    }

    /// Allows a whole `max_wait` of waiting from now on, and all retries.
    pub fn reset_wait(&self) {
        let max_wait = self.state().request_settings.max_wait;
        self.reset_wait_to(max_wait);
    }

    /// The same with a wait of another length.
    pub fn reset_wait_to(&self, wait: Duration) {
        let mut state = self.state();
        state.wait.left = wait;
        state.budget_share = 1.0;
        state.silent_since = None;
        state.has_given_up = false;
        state.retry = RETRY;
    }

    /// Disables retries until [`Fetcher::reset_wait`]: the API is known to be down.
    pub fn try_once(&self) {
        self.reset_wait();
        self.limit_attempts(1);
    }

    /// Limits the attempts per request until [`Fetcher::reset_wait`].
    pub fn limit_attempts(&self, attempts_max: u32) {
        self.state().retry = RetryPolicy { attempts_max, ..RETRY };
    }

    /// Allows a wait of `max_wait` and uses only a part of our share of the rate limit, for work that is less urgent.
    pub fn limit_budget_share(&self, part: f64, max_wait: Duration) {
        self.reset_wait_to(max_wait);
        self.state().budget_share = part;
    }

    /// Our share of the limit per rate-limit window, in requests, if the limit is known.
    pub fn allowance(&self) -> Option<u64> {
        let share = self.state().request_settings.rate_share;
        self.request_state().limiter(|limiter| limiter.allowance(share))
    }

    /// What is left of our share in the present window, if it is known.
    pub fn remaining(&self) -> Option<RateBudget> {
        let (now, boot) = (self.clock().now(), self.clock().boot());
        let share = self.state().request_settings.rate_share;
        self.request_state().limiter(|limiter| limiter.remaining(share, now, &boot))
    }

    /// The most requests that may be in flight at a time.
    pub fn max_concurrent_requests(&self) -> usize {
        usize::try_from(self.state().permits.max()).unwrap_or(1)
    }

    /// Replaces the client, for example after a key change. Returns the previous one.
    pub fn replace_client(&self, client: Client) -> Client {
        std::mem::replace(&mut self.state().client, client)
    }

    /// Applies changed settings.
    pub fn set_request_settings(&self, request_settings: RequestSettings) {
        let mut state = self.state();
        state.permits.set_max(request_settings.max_concurrent_requests);
        state.request_settings = request_settings;
    }

    /// The clock of this run.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The watcher of this run.
    pub fn watcher(&self) -> &Watcher {
        &self.shared.watcher
    }

    /// The rate limiter and the order of requests.
    pub fn request_state(&self) -> &RequestState {
        &self.shared.request_state
    }

    /// The present instant as a request start; see [`RequestState::stamp`].
    pub fn stamp(&self) -> i64 {
        self.request_state().stamp(self.clock().now())
    }

    /// Takes the counters of requests since the last call.
    pub fn take_sent(&self) -> KindCounts {
        std::mem::take(&mut lock(&self.sent))
    }

    fn count(&self, change: impl FnOnce(&mut KindCounts)) {
        change(&mut lock(&self.sent));
    }

    /// Sends a request and reads the answer, with retries. An answer that cannot be read is retried like a missing one.
    pub async fn fetch<T>(
        &self,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> FetchResult<Fetched<T>> {
        let begun = self.clock().boot().elapsed;
        let mut attempt = 0_u32;
        let mut limited = 0_u32;
        loop {
            let permit = self.shared.permit(self.priority, request.authenticated).await?;
            let as_of = permit.as_of;
            let sent = self.send(request, permit).await;
            let failure = match sent.and_then(|answer| Fetched::read(answer, &read, as_of)) {
                Ok(fetched) => return Ok(fetched),
                Err(failure) => failure,
            };
            let cause = failure.cause();
            if let RetryCause::Limited(_) = cause {
                limited = limited.saturating_add(1);
                self.start_cooldown(&failure, limited).await?;
                // A service that keeps answering 503 is failing; it is not a rate limit to wait for.
                if failure.status == Some(503) && limited >= RETRY.attempts_max {
                    return Err(FetchError::Api(failure));
                }
                continue;
            }
            attempt = attempt.saturating_add(1);
            let spent = self.clock().boot().elapsed.saturating_sub(begun).max(self.silence());
            let next = {
                let mut state = self.state();
                let chance = state.chance.random();
                state.retry.next(cause, attempt, chance)
            };
            match next {
                RetryDecision::RetryAfter(after) if spent.saturating_add(after) <= TIMEOUT => {
                    tracing::debug!(%request, attempt, error = %failure, "trying again");
                    self.watcher().tell(&Event::Waiting { reason: Wait::Retry, length: after });
                    self.clock().sleep(after).await;
                }
                _ => return Err(self.give_up(failure)),
            }
        }
    }

    /// Sends a request and reads the answer, without retries.
    pub async fn fetch_once<T>(
        &self,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> FetchResult<Fetched<T>> {
        let Sent { result, as_of } = self.send_once(request).await?;
        let read = result.and_then(|answer| Fetched::read(answer, read, as_of));
        read.map_err(FetchError::Api)
    }

    /// Waits until a request may be sent, so that a write is claimed only when it can be sent.
    pub async fn wait_for_permit(&self) -> FetchResult<()> {
        self.shared.wait(self.priority, Then::Return).await.map(drop)
    }

    /// Sends a request once, for writes: only the outbox knows whether one may be repeated.
    pub async fn send_once(&self, request: &Request) -> FetchResult<Sent> {
        let permit = self.shared.permit(self.priority, request.authenticated).await?;
        let as_of = permit.as_of;
        let result = self.send(request, permit).await;
        match &result {
            Err(failure) if matches!(failure.cause(), RetryCause::Limited(_)) => {
                let times = {
                    let mut state = self.state();
                    state.limited = state.limited.saturating_add(1);
                    state.limited
                };
                self.start_cooldown(failure, times).await?;
            }
            _ => self.state().limited = 0,
        }
        Ok(Sent { result, as_of })
    }

    /// Subtracts a wait from what is left of `max_wait`; `false` if that is not enough.
    pub fn spend_wait(&self, length: Duration) -> bool {
        let mut state = self.state();
        let left = state.wait.left.checked_sub(length);
        state.wait.left = left.unwrap_or(state.wait.left);
        left.is_some()
    }

    /// A random number from 0 to 1.
    pub fn chance(&self) -> f64 {
        self.state().chance.random()
    }

    /// How long the API has not answered.
    fn silence(&self) -> Duration {
        let since = self.state().silent_since;
        since.map_or(Duration::ZERO, |since| self.clock().boot().elapsed.saturating_sub(since))
    }

    /// Sends once, counts it, and updates the rate limiter.
    async fn send(&self, request: &Request, permit: Permit<'_>) -> Result<Answer, Failure> {
        self.count(|sent| sent.requests = sent.requests.saturating_add(1));
        self.has_sent.store(true, Ordering::Relaxed);
        let begun = self.clock().boot();
        let client = self.state().client.clone();
        let result = client.send(request).await;
        let boot = self.clock().boot();
        {
            let mut state = self.state();
            if matches!(
                result.as_ref().map_err(|failure| failure.cause()),
                Err(RetryCause::NoAnswer)
            ) {
                state.silent_since.get_or_insert(begun.elapsed);
            } else {
                (state.silent_since, state.has_given_up) = (None, false);
            }
            if result.is_ok() {
                state.permits.succeeded();
            }
        }
        let (rate, server_date, status) = match &result {
            Ok(answer) => (answer.head.rate, answer.head.server_date, Some(answer.head.status)),
            Err(failure) => (failure.rate, failure.server_date, failure.status),
        };
        permit.over(&rate, server_date, &boot);
        self.watcher().tell(&Event::Answered { kind: Kind::of_path(&request.path), status });
        if result.as_ref().is_ok_and(Answer::is_not_modified) {
            self.count(|sent| sent.not_modified = sent.not_modified.saturating_add(1));
        }
        result
    }

    /// Starts a cooldown and saves it before anything else, so that it outlives a crash.
    async fn start_cooldown(&self, failure: &Failure, times: u32) -> StoreResult<()> {
        let next = {
            let mut state = self.state();
            if failure.status == Some(429) || times > 1 {
                state.permits.back_off();
            }
            let chance = state.chance.random();
            RETRY.next(failure.cause(), times, chance)
        };
        let RetryDecision::RetryAfter(after) = next else { return Ok(()) };
        let (now, boot) = (self.clock().now(), self.clock().boot());
        self.request_state().limiter(|limiter| limiter.close(after, now, &boot));
        tracing::info!(wait_s = after.as_secs_f64(), "the API asks to wait");
        let Some(store) = &self.shared.store else { return Ok(()) };
        let request_state = self.request_state().clone();
        store.write(move |tx| request_state.keep(tx)).await
    }

    /// The error after the last retry. An API that cannot be reached, or that left two requests in a row unanswered, is down;
    /// a single lost answer fails only its request.
    fn give_up(&self, failure: Failure) -> FetchError {
        let was_silent = match failure.cause() {
            RetryCause::NoAnswer => std::mem::replace(&mut self.state().has_given_up, true),
            _ => false,
        };
        match failure.verdict {
            Verdict::KeyRefused => FetchError::KeyRefused(failure),
            Verdict::Unreachable => FetchError::Outage(failure),
            Verdict::Lost if was_silent => FetchError::Outage(failure),
            _ => FetchError::Api(failure),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl<T> Fetched<T> {
    fn read(
        answer: Answer,
        read: impl Fn(&Answer) -> Result<T, Failure>,
        as_of: i64,
    ) -> Result<Self, Failure> {
        let value = read(&answer).map_err(|failure| answer.blame(failure))?;
        Ok(Self { head: answer.head, value, as_of })
    }
}
