//! Instants: the API's text, the mirror's text, and numbers for SQLite.
//!
//! The API writes ISO 8601 UTC. The mirror shows `YYYY-MM-DDTHH:MM:SSZ`, with a fraction only when
//! it is not zero, so that SQLite's date functions work on it. Scrape times are the identity of a
//! history row, so they are kept to the nanosecond.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::borrow::Cow;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// The years that SQLite's date functions know, Unix seconds: from 0 to 9999.
const YEAR_0_S: i64 = -62_167_219_200;
const YEAR_10_000_S: i64 = 253_402_300_800;

/// Length of `YYYY-MM-DD`; a sign after it belongs to the offset.
const DATE_BYTES: usize = 10;

/// Length of `YYYY-MM-DDTHH:MM`.
const MINUTE_BYTES: usize = 16;

/// An instant to the nanosecond, as two numbers that pack well in SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// Unix seconds.
    pub seconds: i64,
    /// Nanoseconds after that second, below 1,000,000,000.
    pub nanos: u32,
}

impl Instant {
    /// Reads an RFC 3339 instant of a year SQLite's date functions know, also where the offset is written
    /// as `+0000` or `+00`, or where the seconds are omitted. A zone is required: a time without one would be a guess.
    pub fn parse(text: &str) -> Option<Self> {
        let at = DateTime::parse_from_rfc3339(&with_seconds(with_whole_offset(text.trim())))
            .ok()?
            .to_utc();
        // A leap second is written as nanoseconds beyond the second; it belongs to the next one.
        let carry = i64::from(at.timestamp_subsec_nanos() / 1_000_000_000);
        let nanos = at.timestamp_subsec_nanos() % 1_000_000_000;
        let seconds = at.timestamp().checked_add(carry)?;
        (YEAR_0_S..YEAR_10_000_S).contains(&seconds).then_some(Self { seconds, nanos })
    }

    /// The instant as chrono's type; `None` if out of range.
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.seconds, self.nanos)
    }

    /// The instant as the mirror shows it, given the text it was read from: mostly that text.
    pub fn shown(self, given: Cow<'_, str>) -> Cow<'_, str> {
        if is_mirror_form(&given) { given } else { Cow::Owned(self.to_text()) }
    }

    /// The instant as the mirror shows it.
    pub fn to_text(self) -> String {
        self.to_utc().map(text).unwrap_or_default()
    }
}

/// The text with seconds, where it has none, as ISO 8601 allows.
fn with_seconds(text: Cow<'_, str>) -> Cow<'_, str> {
    match (text.get(..MINUTE_BYTES), text.get(MINUTE_BYTES..)) {
        (Some(minute), Some(zone)) if zone.starts_with(['Z', 'z', '+', '-']) => {
            Cow::Owned(format!("{minute}:00{zone}"))
        }
        _ => text,
    }
}

/// The text with its offset as RFC 3339 writes it, `+05:30`, where it is one that ISO 8601 allows as well:
/// `+0530`, `+05`, or apart from the time.
fn with_whole_offset(text: &str) -> Cow<'_, str> {
    if text.ends_with('Z') {
        return Cow::Borrowed(text);
    }
    let Some(at) = text.rfind(['+', '-']).filter(|at| *at > DATE_BYTES) else {
        return Cow::Borrowed(text);
    };
    let (time, offset) = text.split_at(at);
    let time = time.trim_end();
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    match offset.len() {
        3 if digits(&offset[1..]) => Cow::Owned(format!("{time}{offset}:00")),
        5 if digits(&offset[1..]) => Cow::Owned(format!("{time}{}:{}", &offset[..3], &offset[3..])),
        6 if time.len() < at => Cow::Owned(format!("{time}{offset}")),
        _ => Cow::Borrowed(text),
    }
}

/// Whether a valid instant is already written in the mirror's form.
fn is_mirror_form(text: &str) -> bool {
    let Some(local) = text.strip_suffix('Z') else { return false };
    let (whole, fraction) = match local.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (local, None),
    };
    whole.len() == "2026-11-20T08:00:00".len()
        && whole.as_bytes().get(10) == Some(&b'T')
        // A leap second is shown as the next one.
        && !whole.ends_with("60")
        && fraction.is_none_or(|f| (1..=9).contains(&f.len()) && !f.ends_with('0'))
}

impl From<DateTime<Utc>> for Instant {
    fn from(at: DateTime<Utc>) -> Self {
        Self { seconds: at.timestamp(), nanos: at.timestamp_subsec_nanos() % 1_000_000_000 }
    }
}

/// `at` as the mirror shows instants: seconds, and a fraction without trailing zeros if there is one.
pub fn text(at: DateTime<Utc>) -> String {
    let nanos = at.timestamp_subsec_nanos();
    let whole = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    if nanos == 0 {
        return whole;
    }
    let fraction = format!("{:09}", nanos % 1_000_000_000);
    format!("{}.{}Z", whole.trim_end_matches('Z'), fraction.trim_end_matches('0'))
}

/// The instant `length` after `at`, or the last one there is.
pub fn later(at: DateTime<Utc>, length: Duration) -> DateTime<Utc> {
    let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
    at.checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Seconds of a day.
pub const DAY_S: i64 = 86_400;

/// The UTC day of a Unix second, in days since 1970.
pub const fn day_of(second: i64) -> i64 {
    second.div_euclid(DAY_S)
}

/// Microseconds since 1970, the unit of the mirror's own times.
pub fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

/// The instant `micros` microseconds after 1970; 1970 itself if out of range.
pub fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_are_shown_in_one_way() {
        for (given, shown) in [
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20T08:00:00.000Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20T08:00:00.120000Z", "2026-11-20T08:00:00.12Z"),
            ("2026-11-20T10:00:00+02:00", "2026-11-20T08:00:00Z"),
            ("2026-11-20T08:00:00.123456789Z", "2026-11-20T08:00:00.123456789Z"),
            ("2026-11-20t08:00:00z", "2026-11-20T08:00:00Z"),
            ("2026-11-20 08:00:00Z", "2026-11-20T08:00:00Z"),
            (" 2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20T08:00:00.1234567891Z", "2026-11-20T08:00:00.123456789Z"),
            ("2026-11-20T08:00:00.1Z", "2026-11-20T08:00:00.1Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("2026-11-20T08:00Z", "2026-11-20T08:00:00Z"),
            ("2026-11-20 10:00+02:00", "2026-11-20T08:00:00Z"),
            ("2026-11-20T10:00+0200", "2026-11-20T08:00:00Z"),
        ] {
            let instant = Instant::parse(given).unwrap();
            assert_eq!(instant.shown(given.into()), shown);
            assert_eq!(Instant::parse(given).map(Instant::to_text).as_deref(), Some(shown));
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for given in [
            "",
            "yesterday",
            "2026-11-20",
            "2026-11-20T08:00:00",
            "2026-11-20T08:00",
            "2026-11-20T08Z",
            "20261120",
            "-1",
            "1763625600",
            "1763625600000",
            "2026-11-20 08:00:00",
            "2026-11-20T08:00:00+0",
            "2026-11-20T08:00:00+000",
            "2026-11-20T08:00:00+99",
            "2026-11-20T08:00:00 CET",
            "2026-11-20T08:00:00+00000",
        ] {
            assert_eq!(Instant::parse(given), None, "{given}");
        }
    }

    #[test]
    fn no_length_is_too_long_to_be_added() {
        let at = from_micros(0);
        assert_eq!(later(at, Duration::from_secs(1)), from_micros(1_000_000));
        for length in [Duration::from_secs(9_000_000_000_000), Duration::MAX] {
            assert_eq!(later(at, length), DateTime::<Utc>::MAX_UTC);
        }
    }

    proptest! {
        #[test]
        fn any_instant_comes_back_from_its_text(
            seconds in -62_167_219_200_i64..=253_402_300_799, nanos in 0_u32..1_000_000_000,
        ) {
            let instant = Instant { seconds, nanos };
            prop_assert_eq!(Instant::parse(&instant.to_text()), Some(instant));
        }

        #[test]
        fn an_instant_is_shown_in_one_way_however_it_was_given(
            seconds in -62_167_219_200_i64..=253_402_300_799, nanos in 0_u32..1_000_000_000,
            digits in 0_usize..=9,
        ) {
            let instant = Instant { seconds, nanos };
            let whole = Instant { seconds, nanos: 0 }.to_text();
            let fraction = &format!("{nanos:09}")[..digits];
            let dot = if digits == 0 { "" } else { "." };
            let given = format!("{}{dot}{fraction}Z", whole.trim_end_matches('Z'));
            let read = Instant::parse(&given).unwrap();
            prop_assert_eq!(read.shown(given.into()), read.to_text());
            let text = instant.to_text();
            prop_assert!(matches!(instant.shown(text.as_str().into()), Cow::Borrowed(_)));
        }

        #[test]
        fn an_offset_is_read_in_every_unambiguous_spelling(
            seconds in 0_i64..=4_000_000_000, minutes in -14 * 60_i64..=14 * 60, fraction in 0_u32..1_000,
            between in prop::sample::select(vec!["T", "t", " "]), apart in prop::sample::select(vec!["", " "]),
        ) {
            let local = DateTime::from_timestamp(seconds + minutes * 60, 0).unwrap();
            let local = format!(
                "{}{between}{}.{fraction:03}", local.format("%Y-%m-%d"), local.format("%H:%M:%S")
            );
            let sign = if minutes < 0 { '-' } else { '+' };
            let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
            let mut spellings = vec![
                format!("{local}{apart}{sign}{hours:02}:{rest:02}"),
                format!("{local}{apart}{sign}{hours:02}{rest:02}"),
            ];
            if rest == 0 {
                spellings.push(format!("{local}{apart}{sign}{hours:02}"));
            }
            if minutes == 0 {
                spellings.extend([format!("{local}Z"), format!("{local}z")]);
            }
            let expected = Instant { seconds, nanos: fraction * 1_000_000 };
            for given in spellings {
                let read = Instant::parse(&given);
                prop_assert_eq!(read, Some(expected), "{}", given);
                prop_assert_eq!(expected.shown(given.as_str().into()), expected.to_text());
            }
            prop_assert_eq!(Instant::parse(&local), None, "no zone");
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Instant::parse(&text);
        }
    }
}
