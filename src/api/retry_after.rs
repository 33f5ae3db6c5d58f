//! Reads HTTP dates and `Retry-After` (seconds or a date).

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use chrono::{DateTime, Utc};

/// A longer wait is taken for a mistake of the server.
pub const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The wait instead of such a one; the request after it finds out.
pub const WAIT_INSTEAD: Duration = Duration::from_secs(3_600);

/// Bounds a wait that the server asked for.
pub fn bounded_wait(asked: Duration) -> Duration {
    if asked > WAIT_MAX { WAIT_INSTEAD } else { asked }
}

/// Reads an HTTP date in any of its three forms.
pub fn parse_http_date(value: &str) -> Option<DateTime<Utc>> {
    httpdate::parse_http_date(value.trim()).ok().map(DateTime::from)
}

/// The wait that `Retry-After` asks for, counted from `at`.
///
/// `at` is the server's `Date` if it sent one, else the local clock: a date is read against the clock that
/// wrote it. A past date means no wait; anything but seconds or a date means nothing. Absurdly long waits
/// saturate.
pub fn parse_retry_after(value: &str, at: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Some(date) = parse_http_date(value) {
        return Some(date.signed_duration_since(at).to_std().unwrap_or(Duration::ZERO));
    }
    parse_seconds(value)
}

/// Decimal seconds, rounded up to whole ones: the API's own example reads a decimal. Signs and exponents are not
/// documented.
fn parse_seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits_only(whole) || !digits_only(fraction) {
        return None;
    }
    // Only digits are left, so parsing can only overflow.
    let seconds: u64 = whole.parse().unwrap_or(u64::MAX);
    let has_fraction = fraction.bytes().any(|byte| byte != b'0');
    Some(Duration::from_secs(seconds.saturating_add(u64::from(has_fraction))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(value: &str) -> DateTime<Utc> {
        value.parse().unwrap()
    }

    fn wait(value: &str) -> Option<Duration> {
        parse_retry_after(value, at("1994-11-06T08:49:30Z"))
    }

    #[test]
    fn seconds_come_plain_padded_and_with_a_fraction_which_is_rounded_up() {
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("  7 "), Some(Duration::from_secs(7)));
        assert_eq!(wait("1.5"), Some(Duration::from_secs(2)));
        assert_eq!(wait("1.0"), Some(Duration::from_secs(1)));
        assert_eq!(wait("0.0000000000001"), Some(Duration::from_secs(1)));
        assert_eq!(wait("0"), Some(Duration::ZERO));
    }

    #[test]
    fn dates_come_in_three_forms_and_are_read_against_the_servers_clock() {
        for form in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(wait(form), Some(Duration::from_secs(7)), "{form}");
        }
    }

    #[test]
    fn a_date_gone_by_is_no_wait() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn huge_waits_saturate() {
        assert_eq!(wait("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert!(wait("18446744073709551615.9999999999").is_some());
        assert!(wait("Fri, 31 Dec 9999 23:59:59 GMT").is_some());
    }

    #[test]
    fn garbage_means_nothing() {
        for value in ["", "soon", "-1", "+1", "1e3", ".", "1.", ".5", "1.5.2", "0x10", "1 2", "NaN"]
        {
            assert_eq!(wait(value), None, "{value}");
        }
    }

    #[test]
    fn a_wait_longer_than_a_day_is_an_hour() {
        let day = 24 * 3_600;
        for (asked, kept) in [(0, 0), (day, day), (day + 1, 3_600), (u64::MAX, 3_600)] {
            assert_eq!(bounded_wait(Duration::from_secs(asked)), Duration::from_secs(kept));
        }
    }

    proptest! {
        #[test]
        fn anything_at_all_is_survived(value in ".*", seconds in -1i64 << 40..1 << 40) {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let _ = parse_retry_after(&value, at);
        }

        #[test]
        fn almost_dates_are_survived(
            day in "[A-Za-z]{3,9}", number in 0u32..100, month in "[A-Z][a-z]{2}",
            year in 0u32..10_000, hour in 0u32..30, minute in 0u32..70, second in 0u32..70,
        ) {
            let at = at("2025-06-01T00:00:00Z");
            for value in [
                format!("{day}, {number:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"),
                format!("{day}, {number:02}-{month}-{:02} {hour:02}:{minute:02}:{second:02} GMT", year % 100),
                format!("{day} {month} {number:2} {hour:02}:{minute:02}:{second:02} {year:04}"),
            ] {
                let _ = parse_retry_after(&value, at);
            }
        }

        #[test]
        fn whole_seconds_are_read_exactly(seconds in any::<u64>()) {
            prop_assert_eq!(wait(&seconds.to_string()), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn a_date_ahead_is_exactly_that_far_ahead(
            start in 0i64..4_000_000_000, ahead in 0i64..100_000_000,
        ) {
            let at = DateTime::from_timestamp(start, 0).unwrap();
            let date = DateTime::from_timestamp(start + ahead, 0).unwrap();
            let value = httpdate::fmt_http_date(date.into());
            prop_assert_eq!(
                parse_retry_after(&value, at),
                Some(Duration::from_secs(ahead.unsigned_abs()))
            );
        }
    }
}
