//! The only reader of the wall clock and the only sleeper.
//!
//! [`Clock::System`] reads the machine's clocks. A manual clock is moved by tests; a simulated clock also advances
//! by the length of every sleep. A [`BootTime`] includes suspend and never steps, so waits that must survive a step
//! of the wall clock are measured on it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;

/// Time since the machine booted, and which boot that was.
///
/// Two readings may be subtracted only when their `boot_id` is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootTime {
    /// Identifies the boot; empty where the platform has no boot id.
    pub boot_id: String,
    /// Time since that boot, including suspend.
    pub elapsed: Duration,
}

/// A source of time. Clones share their state.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's own clocks.
    System,
    /// A clock that moves only through [`Clock::advance`], or also by sleeping on it if it is simulated.
    Manual(Arc<ManualClock>),
}

/// State of a manual clock. See [`Clock::manual`] and [`Clock::simulated`].
#[derive(Debug)]
pub struct ManualClock {
    time: Mutex<ManualTime>,
    moved: Notify,
    sleep_advances: bool,
    scheduled: Mutex<Vec<ScheduledAction>>,
}

/// An action to run when the clock reaches `at`, in time since boot.
struct ScheduledAction {
    at: Duration,
    run: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for ScheduledAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScheduledAction").field("at", &self.at).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct ManualTime {
    wall: DateTime<Utc>,
    boot_id: String,
    elapsed: Duration,
}

impl Clock {
    /// Returns a clock that stays at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::new_manual(start, false)
    }

    /// Returns a manual clock on which a sleep returns immediately and advances the clock by its length.
    pub fn simulated(start: DateTime<Utc>) -> Self {
        Self::new_manual(start, true)
    }

    fn new_manual(start: DateTime<Utc>, sleep_advances: bool) -> Self {
        Self::Manual(Arc::new(ManualClock {
            time: Mutex::new(ManualTime {
                wall: start,
                boot_id: "manual-1".to_owned(),
                elapsed: Duration::from_secs(1_000),
            }),
            moved: Notify::new(),
            sleep_advances,
            scheduled: Mutex::default(),
        }))
    }

    /// Returns the wall clock's time.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Manual(clock) => clock.time().wall,
        }
    }

    /// Returns the time since boot, used to measure waits and durations.
    pub fn boot(&self) -> BootTime {
        match self {
            Self::System => system_boot_time(),
            Self::Manual(clock) => {
                let time = clock.time();
                BootTime { boot_id: time.boot_id.clone(), elapsed: time.elapsed }
            }
        }
    }

    /// Sleeps for `length` of this clock's time.
    pub async fn sleep(&self, length: Duration) {
        match self {
            Self::System => tokio::time::sleep(length).await,
            Self::Manual(clock) if clock.sleep_advances => clock.advance(length),
            Self::Manual(clock) => {
                let wake_at = clock.time().elapsed + length;
                loop {
                    let moved = clock.moved.notified();
                    if clock.time().elapsed >= wake_at {
                        return;
                    }
                    moved.await;
                }
            }
        }
    }

    /// Blocks this thread for `length` of real time. Only for short waits outside the async runtime.
    pub fn pause_thread(length: Duration) {
        std::thread::sleep(length);
    }

    /// Moves a manual clock forward, both wall and boot time. Does nothing on the system clock.
    pub fn advance(&self, length: Duration) {
        if let Self::Manual(clock) = self {
            clock.advance(length);
        }
    }

    /// Schedules an action for when a manual clock has advanced by `after`. It runs in the middle of the sleep
    /// that reaches that time, so that a simulation can start an outage or step the clock.
    pub fn plan(&self, after: Duration, action: impl FnOnce() + Send + 'static) {
        if let Self::Manual(clock) = self {
            let at = clock.time().elapsed + after;
            clock.scheduled().push(ScheduledAction { at, run: Box::new(action) });
        }
    }

    /// Steps a manual wall clock, as an administrator or NTP would. Boot time does not change.
    pub fn step_wall(&self, by: TimeDelta) {
        if let Self::Manual(clock) = self {
            clock.time().wall += by;
            clock.moved.notify_waiters();
        }
    }

    /// Simulates a reboot of a manual clock: a new boot id, and boot time from zero.
    pub fn reboot(&self) {
        if let Self::Manual(clock) = self {
            let mut time = clock.time();
            time.boot_id.push('+');
            time.elapsed = Duration::ZERO;
        }
    }
}

impl ManualClock {
    /// The time stays valid when a thread panics, so a poisoned lock is ignored.
    fn time(&self) -> MutexGuard<'_, ManualTime> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scheduled(&self) -> MutexGuard<'_, Vec<ScheduledAction>> {
        self.scheduled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, length: Duration) {
        let until = self.time().elapsed + length;
        // An action may read or move the clock, so it runs without a lock.
        while let Some(action) = self.take_action_due(until) {
            self.move_to(action.at);
            (action.run)();
        }
        self.move_to(until);
        self.moved.notify_waiters();
    }

    /// Removes and returns the earliest action scheduled up to `until`.
    fn take_action_due(&self, until: Duration) -> Option<ScheduledAction> {
        let mut scheduled = self.scheduled();
        let due = scheduled.iter().enumerate().filter(|(_, action)| action.at <= until);
        let (index, _) = due.min_by_key(|(_, action)| action.at)?;
        Some(scheduled.remove(index))
    }

    /// Moves forward to `elapsed` since boot, unless the clock is already past it.
    fn move_to(&self, elapsed: Duration) {
        let mut time = self.time();
        let length = elapsed.saturating_sub(time.elapsed);
        time.wall += TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        time.elapsed += length;
    }
}

fn system_boot_time() -> BootTime {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    BootTime { boot_id: system_boot_id().to_owned(), elapsed: duration(since) }
}

/// Cached, because a process does not outlive its boot.
fn system_boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

fn duration(time: rustix::time::Timespec) -> Duration {
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000, 0).unwrap()
    }

    #[test]
    fn wall_clock_step_does_not_change_boot_time() {
        let clock = Clock::manual(start());
        let before = clock.boot();
        clock.step_wall(TimeDelta::hours(-5));
        assert_eq!(clock.now(), start() - TimeDelta::hours(5));
        assert_eq!(clock.boot(), before);
    }

    #[tokio::test]
    async fn sleep_advances_a_simulated_clock() {
        let clock = Clock::simulated(start());
        clock.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now(), start() + TimeDelta::hours(1));
    }

    #[tokio::test]
    async fn scheduled_actions_run_in_the_middle_of_a_sleep() {
        let clock = Clock::simulated(start());
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (after, step) in [(30, 0), (10, 100), (90, 0)] {
            let (seen, moved) = (Arc::clone(&seen), clock.clone());
            clock.plan(Duration::from_secs(after), move || {
                seen.lock().unwrap().push((moved.now() - start()).num_seconds());
                moved.advance(Duration::from_secs(step));
            });
        }
        clock.sleep(Duration::from_secs(60)).await;
        // The first action moves the clock past the second.
        assert_eq!(*seen.lock().unwrap(), [10, 30, 90]);
        assert_eq!(clock.now(), start() + TimeDelta::seconds(110));
    }

    #[tokio::test]
    async fn sleep_ends_when_a_manual_clock_is_advanced() {
        let clock = Clock::manual(start());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(10)).await }
        });
        while !sleeper.is_finished() {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn system_clock_reports_one_boot_id() {
        let (first, second) = (Clock::System.boot(), Clock::System.boot());
        assert_eq!(first.boot_id, second.boot_id);
        assert!(second.elapsed >= first.elapsed);
    }
}
