//! The rate limiter and the order of requests, shared by senders and the writer, and stored in the database.
//!
//! A page may be written while the next request is answered with a 429. Each transaction saves the state
//! as of its commit, so that whichever commits last keeps the cooldown.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::Transaction;

use crate::api::RateLimiter;
use crate::clock::Clock;
use crate::model::instant;
use crate::store::instance::{self, StoredRequestState};
use crate::store::{Database, Store, StoreResult};

/// Starts further ahead of the clock than this were recorded by a wrong clock, microseconds.
const AHEAD_MAX: i64 = 60 * 1_000_000;

/// The rate limiter and the latest request start. Clones share them.
#[derive(Debug, Clone)]
pub struct RequestState(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    limiter: RateLimiter,
    stamp: i64,
    clock: Clock,
}

impl RequestState {
    /// Restores the stored state.
    pub fn new(stored: &StoredRequestState, clock: &Clock) -> Self {
        let until = stored.cooldown_until.map(instant::from_micros);
        let limiter = RateLimiter::restore(&stored.rate_limiter, until, clock.now(), &clock.boot());
        let state = State { limiter, stamp: stored.stamp, clock: clock.clone() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Loads the state that the last run stored.
    pub fn load(database: &Database, clock: &Clock) -> StoreResult<Self> {
        let request_state = Self::new(&database.read(instance::request_state)?, clock);
        if let Some(now) = request_state.is_ahead() {
            database.write(|tx| instance::cap_stamps(tx, now))?;
            request_state.state().stamp = now;
        }
        Ok(request_state)
    }

    /// Corrects times that were written while the clock was ahead. Called whenever the clock may have been
    /// stepped.
    pub async fn correct_stamps(&self, store: &Store) -> StoreResult<()> {
        if let Some(now) = self.is_ahead() {
            store.write(move |tx| instance::cap_stamps(tx, now)).await?;
            self.state().stamp = now;
        }
        Ok(())
    }

    /// The present time, if stored times are later than it.
    fn is_ahead(&self) -> Option<i64> {
        let state = self.state();
        let now = instant::micros(state.clock.now());
        (state.stamp > now.saturating_add(AHEAD_MAX)).then(|| {
            tracing::warn!(
                "the clock was ahead when the mirror was written; bringing its times back"
            );
            now
        })
    }

    /// Returns the start of a request in microseconds: a number that never goes back even if the clock does.
    /// Answers are ordered by it.
    pub fn stamp(&self, now: DateTime<Utc>) -> i64 {
        let mut state = self.state();
        state.stamp = instant::micros(now).max(state.stamp.saturating_add(1));
        state.stamp
    }

    /// Calls `f` with the rate limiter.
    pub fn limiter<T>(&self, f: impl FnOnce(&mut RateLimiter) -> T) -> T {
        f(&mut self.state().limiter)
    }

    /// Saves the state as of now.
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

    /// A poisoned lock still holds a valid rate limiter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
