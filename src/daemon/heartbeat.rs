//! Heartbeat for the watchdog. Only progress renews it, and it expires when a step takes longer than it may, so that a run
//! that hangs is noticed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::{Event, Watcher};

/// Longest time without progress in a run: a request that times out, and the write after it.
const STEP_MAX: Duration = Duration::from_secs(90);

/// Until when the loop counts as alive. Clones share it.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    clock: Clock,
    alive_until: Arc<Mutex<Duration>>,
}

impl Heartbeat {
    /// Returns a heartbeat that is alive now.
    pub fn new(clock: Clock) -> Self {
        let heartbeat = Self { clock, alive_until: Arc::default() };
        heartbeat.beat(Duration::ZERO);
        heartbeat
    }

    /// Records progress. The next one may follow a wait of `wait`.
    pub fn beat(&self, wait: Duration) {
        let until = self.clock.boot().elapsed.saturating_add(wait).saturating_add(STEP_MAX);
        *self.alive_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Whether the loop is alive.
    pub fn is_alive(&self) -> bool {
        let until = *self.alive_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.boot().elapsed <= until
    }

    /// Returns a watcher that records every event of a run as progress.
    pub fn watcher(&self) -> Watcher {
        let heartbeat = self.clone();
        Watcher::new(move |event| match event {
            Event::Waiting { length, .. } => heartbeat.beat(*length),
            _ => heartbeat.beat(Duration::ZERO),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Wait;

    #[test]
    fn expires_without_progress_and_lasts_through_a_wait() {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let heartbeat = Heartbeat::new(clock.clone());
        clock.advance(Duration::from_secs(89));
        assert!(heartbeat.is_alive());
        clock.advance(Duration::from_secs(2));
        assert!(!heartbeat.is_alive());
        let length = Duration::from_secs(3_600);
        heartbeat.watcher().tell(&Event::Waiting { reason: Wait::RateLimited, length });
        clock.advance(length);
        assert!(heartbeat.is_alive());
    }
}
