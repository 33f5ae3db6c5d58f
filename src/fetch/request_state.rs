//! The rate limiter and the stamps, shared between whoever sends and whoever writes.
//!
//! A page may be written while the next request is answered with a 429. Whichever of the two
//! transactions commits last must keep the closed rate limiter, so each keeps what is true at its commit
//! rather than what was true when it was begun.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::Transaction;

use crate::api::RateLimiter;
use crate::clock::Clock;
use crate::model::instant;
use crate::store::instance::{self, StoredRequestState};
use crate::store::{Database, Store, StoreResult};

/// Stamps further ahead of the clock than this come from a clock that was wrong, microseconds.
const AHEAD_MAX: i64 = 60 * 1_000_000;

/// The rate limiter and the latest stamp. Clones share them.
#[derive(Debug, Clone)]
pub struct RequestState(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    limiter: RateLimiter,
    stamp: i64,
    clock: Clock,
}

impl RequestState {
    /// Those that were stored.
    pub fn new(stored: &StoredRequestState, clock: &Clock) -> Self {
        let until = stored.cooldown_until.map(instant::from_micros);
        let limiter = RateLimiter::restore(&stored.rate_limiter, until, clock.now(), &clock.boot());
        let state = State { limiter, stamp: stored.stamp, clock: clock.clone() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes them up where the last run left them.
    pub fn load(database: &Database, clock: &Clock) -> StoreResult<Self> {
        let request_state = Self::new(&database.read(instance::request_state)?, clock);
        if let Some(now) = request_state.is_ahead_of(clock) {
            database.write(|tx| instance::bring_stamps_back(tx, now))?;
            request_state.state().stamp = now;
        }
        Ok(request_state)
    }

    /// Brings back the times of what was written while the clock was ahead. To be called whenever
    /// the clock may have been stepped.
    pub async fn correct_stamps(&self, store: &Store, clock: &Clock) -> StoreResult<()> {
        if let Some(now) = self.is_ahead_of(clock) {
            store.write(move |tx| instance::bring_stamps_back(tx, now)).await?;
            self.state().stamp = now;
        }
        Ok(())
    }

    /// The present time, if what was written is from a later one.
    fn is_ahead_of(&self, clock: &Clock) -> Option<i64> {
        let now = instant::micros(clock.now());
        let is_ahead = self.state().stamp > now.saturating_add(AHEAD_MAX);
        is_ahead.then(|| {
            tracing::warn!(
                "the clock was ahead when the mirror was written; bringing its times back"
            );
            now
        })
    }

    /// The start of something, as a number that never goes back even if the clock does. Answers are
    /// ordered by it.
    pub fn stamp(&self, now: DateTime<Utc>) -> i64 {
        let mut state = self.state();
        state.stamp = instant::micros(now).max(state.stamp.saturating_add(1));
        state.stamp
    }

    /// Looks at the rate limiter, or changes it.
    pub fn limiter<T>(&self, f: impl FnOnce(&mut RateLimiter) -> T) -> T {
        f(&mut self.state().limiter)
    }

    /// Keeps both as they are now.
    pub fn keep(&self, tx: &Transaction<'_>) -> StoreResult<()> {
        let state = self.state();
        let (now, boot) = (state.clock.now(), state.clock.boot());
        let stored = StoredRequestState {
            rate_limiter: serde_json::to_string(&state.limiter).unwrap_or_else(|_| "{}".to_owned()),
            cooldown_until: state.limiter.cooldown_until(now, &boot).map(instant::micros),
            stamp: state.stamp,
        };
        instance::save_request_state(tx, &stored)
    }

    /// A poisoned lock still holds a valid rate limiter, so poisoning is of no interest here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
