//! The sign of life behind the watchdog: it lasts as long as the work at hand may take, and is
//! renewed only by real progress. A run that is stuck lets it run out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::{Event, Watcher};

/// The longest that nothing may happen in a run: a request that times out, and the write behind it.
const STEP_MAX: Duration = Duration::from_secs(90);

/// When the loop showed life last. Clones share it.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    clock: Clock,
    good_until: Arc<Mutex<Duration>>,
}

impl Heartbeat {
    /// Beats once, to begin with.
    pub fn new(clock: Clock) -> Self {
        let heartbeat = Self { clock, good_until: Arc::default() };
        heartbeat.beat(Duration::ZERO);
        heartbeat
    }

    /// There was progress, and nothing more is to be expected for `rest`.
    pub fn beat(&self, rest: Duration) {
        let until = self.clock.boot().elapsed.saturating_add(rest).saturating_add(STEP_MAX);
        *self.good_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Whether the loop is alive.
    pub fn is_good(&self) -> bool {
        let until = *self.good_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.boot().elapsed <= until
    }

    /// A watcher for which every event of a run is a beat; a wait is one as long as it lasts.
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
    fn it_runs_out_without_progress_and_lasts_through_a_wait() {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let heartbeat = Heartbeat::new(clock.clone());
        clock.advance(Duration::from_secs(89));
        assert!(heartbeat.is_good());
        clock.advance(Duration::from_secs(2));
        assert!(!heartbeat.is_good());
        let length = Duration::from_secs(3_600);
        heartbeat.watcher().tell(&Event::Waiting { reason: Wait::RateLimited, length });
        clock.advance(length);
        assert!(heartbeat.is_good());
    }
}
