//! The rate gate and the stamps, shared between whoever sends and whoever writes.
//!
//! A page may be written while the next request is answered with a 429. Whichever of the two
//! transactions commits last must keep the closed gate, so each keeps what is true at its commit
//! rather than what was true when it was begun.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::Transaction;

use crate::api::RateGate;
use crate::clock::Clock;
use crate::model::instant;
use crate::store::instance::{self, StoredTraffic};
use crate::store::{Database, Store, StoreResult};

/// Stamps further ahead of the clock than this come from a clock that was wrong, microseconds.
const AHEAD_MAX: i64 = 60 * 1_000_000;

/// The rate gate and the latest stamp. Clones share them.
#[derive(Debug, Clone)]
pub struct Traffic(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    gate: RateGate,
    stamp: i64,
    clock: Clock,
}

impl Traffic {
    /// Those that were stored.
    pub fn new(stored: &StoredTraffic, clock: &Clock) -> Self {
        let until = stored.cooldown_until.map(instant::from_micros);
        let gate = RateGate::restore(&stored.gate, until, clock.now(), &clock.boot());
        let state = State { gate, stamp: stored.stamp, clock: clock.clone() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes them up where the last run left them.
    pub fn load(database: &Database, clock: &Clock) -> StoreResult<Self> {
        let traffic = Self::new(&database.read(instance::traffic)?, clock);
        if let Some(now) = traffic.is_ahead_of(clock) {
            database.write(|tx| instance::bring_stamps_back(tx, now))?;
            traffic.state().stamp = now;
        }
        Ok(traffic)
    }

    /// Brings back the times of what was written while the clock was ahead. To be called whenever
    /// the clock may have been stepped.
    pub async fn settle_stamps(&self, store: &Store, clock: &Clock) -> StoreResult<()> {
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

    /// Looks at the gate, or changes it.
    pub fn gate<T>(&self, f: impl FnOnce(&mut RateGate) -> T) -> T {
        f(&mut self.state().gate)
    }

    /// Keeps both as they are now.
    pub fn keep(&self, tx: &Transaction<'_>) -> StoreResult<()> {
        let state = self.state();
        let (now, boot) = (state.clock.now(), state.clock.boot());
        let stored = StoredTraffic {
            gate: serde_json::to_string(&state.gate).unwrap_or_else(|_| "{}".to_owned()),
            cooldown_until: state.gate.cooldown_until(now, &boot).map(instant::micros),
            stamp: state.stamp,
        };
        instance::keep_traffic(tx, &stored)
    }

    /// A poisoned lock still holds a valid gate, so poisoning is of no interest here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
