//! The offsets from UTC of a time zone, as the mirror stores them for queries: SQLite knows no zones.

use chrono::{DateTime, Datelike, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{IANA_TZDB_VERSION, Tz};

/// The first year whose changes are stored.
const FIRST_YEAR: i32 = 2000;

/// Whole years after the present one whose changes are stored.
const YEARS_AHEAD: i32 = 2;

/// Zones keep an offset for longer than this.
const STEP: TimeDelta = TimeDelta::days(1);

/// An offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZoneOffset {
    /// The first instant it is valid for, Unix seconds; of the first one [`i64::MIN`].
    pub from_s: i64,
    /// Local time minus UTC, seconds.
    pub offset_s: i32,
}

/// Names what the offsets depend on: the zone, the version of its rules, and the last year.
pub fn basis(tz: Tz, now: DateTime<Utc>) -> String {
    format!("{tz} {IANA_TZDB_VERSION} {}", last_year(now))
}

/// Returns the offsets of a zone from 2000 to the end of the second year after this one, in order.
pub fn zone_offsets(tz: Tz, now: DateTime<Utc>) -> Vec<ZoneOffset> {
    let Some(first) = new_year(FIRST_YEAR) else { return Vec::new() };
    let end = new_year(last_year(now).saturating_add(1)).unwrap_or(first);
    let mut offsets = vec![ZoneOffset { from_s: i64::MIN, offset_s: offset_s(tz, first) }];
    let mut at = first;
    while let Some(next) = at.checked_add_signed(STEP).filter(|next| *next <= end) {
        let offset_s = offset_s(tz, next);
        if offsets.last().is_some_and(|last| last.offset_s != offset_s) {
            let from_s = first_second(tz, (at.timestamp(), next.timestamp()), offset_s);
            offsets.push(ZoneOffset { from_s, offset_s });
        }
        at = next;
    }
    offsets
}

/// Returns the first second after `range.0`, and at most `range.1`, with the offset of `range.1`.
fn first_second(tz: Tz, range: (i64, i64), wanted_s: i32) -> i64 {
    let (mut before, mut from) = range;
    while from.saturating_sub(before) > 1 {
        let middle = i64::midpoint(before, from);
        let is_after =
            DateTime::from_timestamp(middle, 0).map(|at| offset_s(tz, at)) == Some(wanted_s);
        if is_after { from = middle } else { before = middle }
    }
    from
}

fn offset_s(tz: Tz, at: DateTime<Utc>) -> i32 {
    tz.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
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
        let offsets = zone_offsets(Tz::Europe__Berlin, now());
        let summer = Utc.with_ymd_and_hms(2026, 3, 29, 1, 0, 0).unwrap().timestamp();
        assert!(offsets.contains(&ZoneOffset { from_s: summer, offset_s: 7_200 }), "{offsets:?}");
        // Two changes a year.
        assert_eq!(offsets.len(), 1 + 2 * 29);
        assert_eq!(zone_offsets(Tz::UTC, now()), [ZoneOffset { from_s: i64::MIN, offset_s: 0 }]);
    }

    proptest! {
        #[test]
        fn an_instant_has_the_offset_of_its_zone(
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
            seconds in 946_684_800_i64..1_861_919_999,
        ) {
            let tz = chrono_tz::TZ_VARIANTS[zone];
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let offsets = zone_offsets(tz, now());
            prop_assert!(offsets.is_sorted_by_key(|offset| offset.from_s));
            let found = offsets.iter().rev().find(|offset| offset.from_s <= seconds);
            prop_assert_eq!(found.map(|found| found.offset_s), Some(offset_s(tz, at)), "{} {}", tz, at);
        }
    }
}
