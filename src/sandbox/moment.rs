//! Instants of the simulated world, and the server's own idea of what time it is.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde::{Serialize, Serializer};

use crate::clock::{BootTime, Clock};

/// Milliseconds of one second.
pub const SECOND: i64 = 1_000;
/// Milliseconds of one hour.
pub const HOUR: i64 = 3_600 * SECOND;
/// Milliseconds of one day.
pub const DAY: i64 = 24 * HOUR;

/// An instant in milliseconds since 1970, written as the API writes instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// The moment `ms` milliseconds later.
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This moment without its milliseconds.
    pub fn whole_second(self) -> Self {
        Self(self.0.div_euclid(SECOND) * SECOND)
    }

    /// Hours since `earlier`; negative when that is later.
    pub fn hours_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / HOUR as f64
    }

    /// The UTC day that this moment is part of.
    pub fn date(self) -> NaiveDate {
        self.to_utc().date_naive()
    }

    /// The first moment of a UTC day.
    pub fn start_of(date: NaiveDate) -> Self {
        Self(i64::from(date.to_epoch_days()) * DAY)
    }

    /// The moment as the `chrono` type.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl From<DateTime<Utc>> for Moment {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp_millis())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The server's wall clock.
///
/// It starts at the given clock's reading and then counts that clock's boot time. So a client's
/// wall clock that is stepped, even when it shares the clock with the sandbox, does not drag the
/// server along, just as it would not in the world outside.
#[derive(Debug)]
pub struct ServerTime {
    clock: Clock,
    base: DateTime<Utc>,
    since: BootTime,
    offset: TimeDelta,
}

impl ServerTime {
    /// A server whose clock agrees with `clock` now.
    pub fn new(clock: Clock) -> Self {
        let (base, since) = (clock.now(), clock.boot());
        Self { clock, base, since, offset: TimeDelta::zero() }
    }

    /// What the server takes for the time.
    pub fn now(&mut self) -> Moment {
        let boot = self.clock.boot();
        if boot.boot_id != self.since.boot_id {
            // The client's machine was rebooted; the server's clock is not affected.
            self.since = BootTime { boot_id: boot.boot_id.clone(), elapsed: boot.elapsed };
        }
        let passed = boot.elapsed.saturating_sub(self.since.elapsed);
        self.base += TimeDelta::from_std(passed).unwrap_or_default();
        self.since = boot;
        Moment::from(self.base + self.offset)
    }

    /// Lets the server's clock be wrong by `offset`.
    pub fn set_offset(&mut self, offset: TimeDelta) {
        self.offset = offset;
    }
}

/// A length of time in milliseconds.
pub fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_shows_only_when_there_is_one() {
        assert_eq!(Moment(1_750_000_000_000).to_string(), "2025-06-15T15:06:40Z");
        assert_eq!(Moment(1_750_000_000_250).to_string(), "2025-06-15T15:06:40.250Z");
    }

    #[test]
    fn a_step_or_reboot_of_the_client_does_not_move_the_server() {
        let clock = Clock::manual(Moment(1_750_000_000_000).to_utc());
        let mut server = ServerTime::new(clock.clone());
        clock.step_wall(TimeDelta::hours(-5));
        clock.advance(Duration::from_secs(10));
        assert_eq!(server.now(), Moment(1_750_000_010_000));
        clock.reboot();
        clock.advance(Duration::from_secs(10));
        assert!(server.now() >= Moment(1_750_000_010_000));
    }
}
