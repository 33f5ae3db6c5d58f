//! One answer, however often it takes: behind the rate gate, within the user's patience, counted.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::{PollError, PollResult};
use super::traffic::Traffic;
use crate::api::{Answer, Client, Failure, Means, Request, Verdict};
use crate::clock::Clock;
use crate::model::event::Wait;
use crate::model::{Event, Watcher};
use crate::retry::{Next, RetryPolicy, Trouble};
use crate::store::{Store, StoreResult, passes::Tally};

/// How a read is repeated after trouble that may pass.
pub const RETRY: RetryPolicy =
    RetryPolicy { first: Duration::from_millis(500), cap: Duration::from_secs(8), attempts_max: 5 };

/// No attempt starts later than this after the first one that got no answer, nor after the first for
/// the same request. With the longest time an attempt takes, a silent API is given up within a minute.
const PATIENCE: Duration = Duration::from_secs(25);

/// How the user and the key's other clients bound us.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// The part of the key's budget that is ours, 0 to 1.
    pub rate_share: f64,
    /// The time a pass may spend waiting for the rate limit.
    pub max_wait: Duration,
    /// Seeds the jitter of retries.
    pub seed: u64,
}

/// An answer, and when its request started.
#[derive(Debug)]
pub struct Fetched<T> {
    /// What the API said.
    pub answer: Answer,
    /// What the caller made of it.
    pub checked: T,
    /// Start of the request, a stamp.
    pub as_of: i64,
}

/// What came of one attempt, and when it started.
#[derive(Debug)]
pub struct Sent {
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// Start of the request, a stamp.
    pub as_of: i64,
}

/// Sends requests, one at a time.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    store: Store,
    clock: Clock,
    watcher: Watcher,
    manners: Manners,
    traffic: Traffic,
    chance: ChaCha8Rng,
    retry: RetryPolicy,
    wait_left: Duration,
    /// The part of our share that may be spent on what is at hand.
    thrift: f64,
    sent: Tally,
    /// Boot time of the first attempt that got no answer, since the last answer.
    silent_since: Option<Duration>,
    /// Writes on end that the API asked to send later.
    limited: u32,
}

impl Fetcher {
    /// Takes up the rate gate where the last run left it.
    pub fn new(
        client: Client,
        store: Store,
        clock: Clock,
        watcher: Watcher,
        manners: Manners,
    ) -> StoreResult<Self> {
        let traffic = Traffic::load(&store, &clock)?;
        let chance = ChaCha8Rng::seed_from_u64(manners.seed);
        let wait_left = manners.max_wait;
        Ok(Self {
            client,
            store,
            clock,
            watcher,
            manners,
            traffic,
            chance,
            retry: RETRY,
            wait_left,
            thrift: 1.0,
            sent: Tally::default(),
            silent_since: None,
            limited: 0,
        })
    }

    /// Begins a new account of the time spent waiting.
    pub fn renew_patience(&mut self) {
        self.renew_patience_for(self.manners.max_wait);
    }

    /// The same, for somebody who waits for so long.
    pub fn renew_patience_for(&mut self, wait: Duration) {
        self.wait_left = wait;
        self.thrift = 1.0;
        self.silent_since = None;
        self.retry = RETRY;
    }

    /// From here on nothing is tried twice: the API is known to be down, and only its return is of
    /// interest. Until patience is renewed.
    pub fn try_once(&mut self) {
        self.renew_patience();
        self.retry = RetryPolicy { attempts_max: 1, ..RETRY };
    }

    /// The same with another bound, and with a part of our share alone: the rest stays for what is more
    /// urgent.
    pub fn be_thrifty(&mut self, part: f64, patience: Duration) {
        self.renew_patience_for(patience);
        self.thrift = part;
    }

    /// What our share of each window of the budget is, as far as it is known.
    pub fn allowance(&self) -> Option<u64> {
        self.traffic.gate(|gate| gate.allowance(self.manners.rate_share))
    }

    /// What is left of our share of the budget, as far as it is known.
    pub fn means(&self) -> Option<Means> {
        let (now, boot) = (self.clock.now(), self.clock.boot());
        self.traffic.gate(|gate| gate.means(self.manners.rate_share, now, &boot))
    }

    /// Sends with another client from now on; returns the one before.
    pub fn replace_client(&mut self, client: Client) -> Client {
        std::mem::replace(&mut self.client, client)
    }

    /// Changes the bounds from now on.
    pub fn set_manners(&mut self, manners: Manners) {
        self.manners = manners;
    }

    /// The clock that everything in this pass goes by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The watcher of this pass.
    pub fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// The rate gate and the stamps.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The start of something; see [`Traffic::stamp`].
    pub fn stamp(&self) -> i64 {
        self.traffic.stamp(self.clock.now())
    }

    /// The requests sent since this was asked last.
    pub fn take_sent(&mut self) -> Tally {
        std::mem::take(&mut self.sent)
    }

    /// Gets an answer that passes `check`. An answer that does not is asked for again like one that
    /// never came; in the end the last failure is returned.
    pub async fn fetch<T>(
        &mut self,
        request: &Request,
        check: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> PollResult<Fetched<T>> {
        let was_silent = self.silent_since.is_some();
        let begun = self.clock.boot().elapsed;
        let mut attempt = 0_u32;
        let mut limited = 0_u32;
        loop {
            self.pass_gate().await?;
            let as_of = self.stamp();
            let sent = self.send(request).await;
            let checked = sent.and_then(|answer| match check(&answer) {
                Ok(checked) => Ok((answer, checked)),
                Err(failure) => Err(answer.blame(failure)),
            });
            let failure = match checked {
                Ok((answer, checked)) => return Ok(Fetched { answer, checked, as_of }),
                Err(failure) => failure,
            };
            let trouble = failure.trouble();
            if let Trouble::Limited(_) = trouble {
                limited = limited.saturating_add(1);
                self.close_gate(trouble, limited)?;
                // A service that is unavailable again and again is not a rate limit to wait out.
                if failure.status == Some(503) && limited >= RETRY.attempts_max {
                    return Err(PollError::Api(failure));
                }
                continue;
            }
            attempt = attempt.saturating_add(1);
            let spent = self.clock.boot().elapsed.saturating_sub(begun).max(self.silence());
            let chance = self.chance.random();
            match self.retry.next(trouble, attempt, chance) {
                Next::Again { after } if spent.saturating_add(after) <= PATIENCE => {
                    tracing::debug!(%request, attempt, error = %failure, "trying again");
                    self.watcher.tell(&Event::Waiting { reason: Wait::Retry, length: after });
                    self.clock.sleep(after).await;
                }
                _ => return Err(give_up(failure, was_silent)),
            }
        }
    }

    /// Waits until a request may be sent, so that nothing stands between a decision to send and the
    /// sending.
    pub async fn turn(&mut self) -> PollResult<()> {
        self.pass_gate().await
    }

    /// One attempt at a write, whatever comes of it: only whoever knows what it wanted to do may
    /// repeat it. It waits at the gate, counts, and closes the gate like any other request.
    pub async fn send_once(&mut self, request: &Request) -> PollResult<Sent> {
        self.pass_gate().await?;
        let as_of = self.stamp();
        let result = self.send(request).await;
        match result.as_ref().map_err(|failure| failure.trouble()) {
            Err(trouble @ Trouble::Limited(_)) => {
                self.limited = self.limited.saturating_add(1);
                self.close_gate(trouble, self.limited)?;
            }
            _ => self.limited = 0,
        }
        Ok(Sent { result, as_of })
    }

    /// Takes the length of a wait from what the user allows; `false` where that is not enough.
    pub fn spend_wait(&mut self, length: Duration) -> bool {
        let left = self.wait_left.checked_sub(length);
        self.wait_left = left.unwrap_or(self.wait_left);
        left.is_some()
    }

    /// A number between 0 and 1.
    pub fn chance(&mut self) -> f64 {
        self.chance.random()
    }

    /// For how long the API has not answered at all.
    fn silence(&self) -> Duration {
        let since = self.silent_since.map(|since| self.clock.boot().elapsed.saturating_sub(since));
        since.unwrap_or(Duration::ZERO)
    }

    /// One attempt, counted and told to the gate.
    async fn send(&mut self, request: &Request) -> Result<Answer, Failure> {
        self.sent.requests = self.sent.requests.saturating_add(1);
        let begun = self.clock.boot();
        if request.authenticated {
            self.traffic.gate(|gate| gate.note_sent(self.clock.now(), &begun));
        }
        let result = self.client.send(request).await;
        let boot = self.clock.boot();
        match result.as_ref().map_err(|failure| failure.trouble()) {
            Err(Trouble::NoAnswer) => _ = self.silent_since.get_or_insert(begun.elapsed),
            _ => self.silent_since = None,
        }
        let (rate, server_date, status) = match &result {
            Ok(answer) => (answer.rate, answer.server_date, Some(answer.status)),
            Err(failure) => (failure.rate, failure.server_date, failure.status),
        };
        self.watcher.tell(&Event::Answered { status });
        if request.authenticated {
            let now = self.clock.now();
            self.traffic.gate(|gate| gate.after_answer(&rate, server_date, now, &boot));
        }
        if result.as_ref().is_ok_and(|answer| answer.not_modified) {
            self.sent.not_modified = self.sent.not_modified.saturating_add(1);
        }
        result
    }

    /// Waits until a request may be sent, if the user's patience allows.
    async fn pass_gate(&mut self) -> PollResult<()> {
        loop {
            let (now, boot) = (self.clock.now(), self.clock.boot());
            let share = self.manners.rate_share * self.thrift;
            let delay = self.traffic.gate(|gate| gate.delay(share, now, &boot));
            if delay.must.is_zero() && delay.should.is_zero() {
                return Ok(());
            }
            if delay.must > self.wait_left {
                return Err(PollError::RateLimited(delay.must));
            }
            // Spreading is a courtesy: without patience left for it, what is ours is spent at once.
            let length = delay.must.max(delay.should.min(self.wait_left));
            if length.is_zero() {
                return Ok(());
            }
            let reason = if delay.must.is_zero() { Wait::Pacing } else { Wait::RateLimited };
            self.watcher.tell(&Event::Waiting { reason, length });
            self.wait_left = self.wait_left.saturating_sub(length);
            self.clock.sleep(length).await;
        }
    }

    /// Closes the gate, and keeps it closed over a crash, before anything else is done.
    fn close_gate(&mut self, trouble: Trouble, times: u32) -> StoreResult<()> {
        let chance = self.chance.random();
        let Next::Again { after } = RETRY.next(trouble, times, chance) else { return Ok(()) };
        let (now, boot) = (self.clock.now(), self.clock.boot());
        self.traffic.gate(|gate| gate.close(after, now, &boot));
        tracing::info!(seconds = after.as_secs_f64(), "the API asks to wait");
        self.store.write(|tx| self.traffic.keep(tx))
    }
}

/// An API that cannot be reached, or that has kept silent for two requests on end, is down; one that
/// dropped a single request may answer the next.
fn give_up(failure: Failure, was_silent: bool) -> PollError {
    match failure.verdict {
        Verdict::KeyRefused => PollError::KeyRefused(failure),
        Verdict::Unreachable => PollError::Outage(failure),
        Verdict::Lost if was_silent => PollError::Outage(failure),
        _ => PollError::Api(failure),
    }
}
