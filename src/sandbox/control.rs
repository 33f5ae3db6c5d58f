//! Looks into a running sandbox, and changes it behind the API's back.

use chrono::TimeDelta;

use crate::sandbox::call::Call;
use crate::sandbox::limits::RateLimit;
use crate::sandbox::replies::Answer;
use crate::sandbox::server::App;
use crate::sandbox::state::State;
use crate::sandbox::world::World;

/// Access to a running sandbox. Clones share it, and it may be used from any thread.
#[derive(Debug, Clone)]
pub struct Control(App);

impl Control {
    /// Access to this app.
    pub fn new(app: App) -> Self {
        Self(app)
    }

    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.state();
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
