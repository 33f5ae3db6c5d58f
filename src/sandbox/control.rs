//! Looks into a running sandbox, and changes it behind the API's back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use crate::sandbox::call::Call;
use crate::sandbox::hook::Hook;
use crate::sandbox::limits::RateLimit;
use crate::sandbox::replies::Answer;
use crate::sandbox::state::State;
use crate::sandbox::world::World;

/// Access to a running sandbox, which its server has too. Clones share it, and it may be used from any thread.
#[derive(Debug, Clone)]
pub struct Control {
    state: Arc<Mutex<State>>,
    pub(super) hook: Arc<dyn Hook>,
    /// How much later each answer is sent, at least.
    pub(super) latency: Duration,
}

impl Control {
    pub(super) fn new(state: State, hook: Arc<dyn Hook>, latency: Duration) -> Self {
        Self { state: Arc::new(Mutex::new(state)), hook, latency }
    }

    /// The state. A test that panicked elsewhere leaves it as usable as it was.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.catch_up();
        f(&mut state)
    }

    /// Reads or changes the organization, brought up to the server's time.
    pub fn world<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        self.state(|state| f(&mut state.world))
    }

    /// Changes keys and rate limit, or spends of it.
    pub fn rate_limit<T>(&self, f: impl FnOnce(&mut RateLimit) -> T) -> T {
        self.state(|state| f(&mut state.rate_limit))
    }

    /// Executes a request as if key and rate limit had let it in. No hook sees it.
    pub fn execute(&self, call: &Call) -> Answer {
        self.state(|state| state.execute(call))
    }

    /// Lets the server's clock be wrong, `Date` and organization included.
    pub fn set_clock_offset(&self, offset: TimeDelta) {
        self.state(|state| state.time.set_offset(offset));
    }
}
