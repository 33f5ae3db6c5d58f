//! The only reader of the wall clock and the only sleeper.
//!
//! A clock is the system's, or a manual one that tests move by hand and that a simulation lets advance by
//! itself whenever somebody sleeps on it. A [`BootTime`] counts on through suspend and never steps, so
//! waits that must survive a clock step are measured on it.

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
    /// Identifies the boot; empty where the platform does not tell.
    pub boot_id: String,
    /// Time since that boot, suspend included.
    pub elapsed: Duration,
}

/// A source of time. Clones share their state.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's own clocks.
    System,
    /// A clock that only moves when told, or when slept on if it is a simulation.
    Manual(Arc<ManualClock>),
}

/// State of a manual clock. See [`Clock::manual`] and [`Clock::simulated`].
#[derive(Debug)]
pub struct ManualClock {
    hands: Mutex<Hands>,
    moved: Notify,
    sleep_advances: bool,
    agenda: Mutex<Vec<Deed>>,
}

/// What a simulation does at a time, counted since boot.
struct Deed {
    at: Duration,
    deed: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a deed at {:?}", self.at)
    }
}

#[derive(Debug, Clone)]
struct Hands {
    wall: DateTime<Utc>,
    boot_id: String,
    elapsed: Duration,
}

impl Clock {
    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::by_hand(start, false)
    }

    /// A manual clock on which a sleep returns at once and moves the clock by its length.
    pub fn simulated(start: DateTime<Utc>) -> Self {
        Self::by_hand(start, true)
    }

    fn by_hand(start: DateTime<Utc>, sleep_advances: bool) -> Self {
        Self::Manual(Arc::new(ManualClock {
            hands: Mutex::new(Hands {
                wall: start,
                boot_id: "manual-1".to_owned(),
                elapsed: Duration::from_secs(1_000),
            }),
            moved: Notify::new(),
            sleep_advances,
            agenda: Mutex::default(),
        }))
    }

    /// The wall clock's reading.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Manual(clock) => clock.hands().wall,
        }
    }

    /// Time since boot; the measure for waits and for how long something took.
    pub fn boot(&self) -> BootTime {
        match self {
            Self::System => system_boot_time(),
            Self::Manual(clock) => {
                let hands = clock.hands();
                BootTime { boot_id: hands.boot_id.clone(), elapsed: hands.elapsed }
            }
        }
    }

    /// Sleeps for `length` of this clock's time.
    pub async fn sleep(&self, length: Duration) {
        match self {
            Self::System => tokio::time::sleep(length).await,
            Self::Manual(clock) if clock.sleep_advances => clock.advance(length),
            Self::Manual(clock) => {
                let wake_at = clock.hands().elapsed + length;
                loop {
                    let moved = clock.moved.notified();
                    if clock.hands().elapsed >= wake_at {
                        return;
                    }
                    moved.await;
                }
            }
        }
    }

    /// Holds this thread for `length` of real time, for a wait too short and too deep to be told.
    pub fn pause_thread(length: Duration) {
        std::thread::sleep(length);
    }

    /// Moves a manual clock forward, wall and boot time alike. Nothing happens on the others.
    pub fn advance(&self, length: Duration) {
        if let Self::Manual(clock) = self {
            clock.advance(length);
        }
    }

    /// Has a manual clock do something when it has been advanced by `after` from now, just then, in the
    /// middle of the sleep that leads there: an outage begins, the clock is stepped, the machine sleeps.
    pub fn plan(&self, after: Duration, deed: impl FnOnce() + Send + 'static) {
        if let Self::Manual(clock) = self {
            let deed = Deed { at: clock.hands().elapsed + after, deed: Box::new(deed) };
            clock.agenda().push(deed);
        }
    }

    /// Steps a manual wall clock, as an administrator or NTP would; boot time is untouched.
    pub fn step_wall(&self, by: TimeDelta) {
        if let Self::Manual(clock) = self {
            clock.hands().wall += by;
            clock.moved.notify_waiters();
        }
    }

    /// Starts a new boot on a manual clock: another boot id, boot time from zero.
    pub fn reboot(&self) {
        if let Self::Manual(clock) = self {
            let mut hands = clock.hands();
            hands.boot_id.push('+');
            hands.elapsed = Duration::ZERO;
        }
    }
}

impl ManualClock {
    /// A poisoned lock still holds a valid reading, so poisoning is of no interest here.
    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agenda(&self) -> MutexGuard<'_, Vec<Deed>> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance(&self, length: Duration) {
        let until = self.hands().elapsed + length;
        // A deed may read the clock, or move it: no lock is held meanwhile.
        while let Some(deed) = self.next_deed(until) {
            self.move_to(deed.at);
            (deed.deed)();
        }
        self.move_to(until);
        self.moved.notify_waiters();
    }

    /// The first deed that is planned until then.
    fn next_deed(&self, until: Duration) -> Option<Deed> {
        let mut agenda = self.agenda();
        let (place, _) = agenda
            .iter()
            .enumerate()
            .filter(|(_, deed)| deed.at <= until)
            .min_by_key(|(_, deed)| deed.at)?;
        Some(agenda.remove(place))
    }

    /// Moves on to that time since boot, unless it is past already.
    fn move_to(&self, elapsed: Duration) {
        let mut hands = self.hands();
        let length = elapsed.saturating_sub(hands.elapsed);
        hands.wall += TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
        hands.elapsed += length;
    }
}

#[cfg(target_os = "linux")]
fn system_boot_time() -> BootTime {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    BootTime { boot_id: system_boot_id().to_owned(), elapsed: timespec(since) }
}

/// Read once: a process does not outlive its boot.
#[cfg(target_os = "linux")]
fn system_boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

#[cfg(not(target_os = "linux"))]
fn system_boot_time() -> BootTime {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    BootTime { boot_id: String::new(), elapsed: timespec(since) }
}

fn timespec(reading: rustix::time::Timespec) -> Duration {
    Duration::new(
        u64::try_from(reading.tv_sec).unwrap_or(0),
        u32::try_from(reading.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000, 0).unwrap()
    }

    #[test]
    fn a_step_of_the_wall_clock_leaves_boot_time_alone() {
        let clock = Clock::manual(start());
        let before = clock.boot();
        clock.step_wall(TimeDelta::hours(-5));
        assert_eq!(clock.now(), start() - TimeDelta::hours(5));
        assert_eq!(clock.boot(), before);
    }

    #[tokio::test]
    async fn a_simulation_sleeps_by_moving_on() {
        let clock = Clock::simulated(start());
        clock.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now(), start() + TimeDelta::hours(1));
    }

    #[tokio::test]
    async fn what_is_planned_happens_in_the_middle_of_a_sleep() {
        let clock = Clock::simulated(start());
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (after, step) in [(30, 0), (10, 100), (90, 0)] {
            let (seen, hand) = (Arc::clone(&seen), clock.clone());
            clock.plan(Duration::from_secs(after), move || {
                seen.lock().unwrap().push((hand.now() - start()).num_seconds());
                hand.advance(Duration::from_secs(step));
            });
        }
        clock.sleep(Duration::from_secs(60)).await;
        // The first moves the clock past the others, one of which it has thereby reached.
        assert_eq!(*seen.lock().unwrap(), [10, 30, 90]);
        assert_eq!(clock.now(), start() + TimeDelta::seconds(110));
    }

    #[tokio::test]
    async fn a_manual_sleeper_wakes_when_the_clock_is_moved() {
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
    fn the_system_clock_knows_its_boot() {
        let (one, two) = (Clock::System.boot(), Clock::System.boot());
        assert_eq!(one.boot_id, two.boot_id);
        assert!(two.elapsed >= one.elapsed);
    }
}
