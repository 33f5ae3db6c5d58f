//! Reads the headers of an answer tolerantly: a wrong header is ignored.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};

use crate::api::retry_after::{bounded_wait, parse_http_date, parse_retry_after};
use crate::api::scrub::Scrubber;

/// Longest request id, characters.
const REQUEST_ID_CHARS_MAX: usize = 128;
/// Longest ETag that is stored, bytes.
const ETAG_BYTES_MAX: usize = 1_024;
/// Longest `Location` that is shown, characters.
const LOCATION_CHARS_MAX: usize = 300;
/// A reset below this is seconds from now, above it a Unix time.
pub(super) const DELTA_SECONDS_MAX: u64 = 1_000_000;
/// The least Unix times in milliseconds, microseconds and nanoseconds, and units per second. Read as the
/// next larger unit, they would lie thousands of years ahead.
const RESET_UNITS: [(f64, f64); 3] = [(1e17, 1e9), (1e14, 1e6), (1e11, 1e3)];
/// Larger numbers are not a time in any unit.
const RESET_MAX: f64 = 1e20;

/// The rate-limit headers as sent; the rate limiter judges them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateHeaders {
    /// Requests per window.
    pub limit: Option<u64>,
    /// Requests left in this window; a negative number counts as 0.
    pub remaining: Option<u64>,
    /// When the window resets: Unix seconds, rounded up; seconds from now if below 1,000,000.
    pub reset: Option<u64>,
}

/// Status and headers of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
    /// `ETag`, with its `W/` if it is weak.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Content-Type`.
    pub content_type: String,
    /// `Date`: the server's clock.
    pub server_date: Option<DateTime<Utc>>,
    /// `Retry-After`, counted from the answer.
    pub retry_after: Option<Duration>,
    /// The rate-limit headers.
    pub rate: RateHeaders,
}

impl Head {
    /// Reads the headers; `now` is used if there is no `Date`.
    pub(super) fn read(
        status: u16,
        headers: &HeaderMap,
        scrubber: &Scrubber,
        now: DateTime<Utc>,
    ) -> Self {
        let server_date = text(headers, "date").and_then(|value| parse_http_date(&value));
        let at = server_date.unwrap_or(now);
        let shown = |name, chars_max| {
            text(headers, name)
                .map(|value| scrubber.shown(&value, chars_max))
                .filter(|value| !value.is_empty())
        };
        Self {
            status,
            request_id: shown("x-request-id", REQUEST_ID_CHARS_MAX),
            etag: etag(headers).map(|etag| scrubber.text(&etag).into_owned()),
            location: shown("location", LOCATION_CHARS_MAX),
            content_type: shown("content-type", 80).unwrap_or_default(),
            server_date,
            retry_after: text(headers, "retry-after")
                .and_then(|value| parse_retry_after(&value, at))
                .map(|asked| kept_wait(status, asked)),
            rate: RateHeaders {
                limit: text(headers, "x-ratelimit-limit")
                    .and_then(|value| number(&value))
                    .filter(|n| *n >= 0.0)
                    .map(floor),
                remaining: text(headers, "x-ratelimit-remaining")
                    .and_then(|value| number(&value))
                    .map(floor),
                reset: text(headers, "x-ratelimit-reset").and_then(|value| reset(&value)),
            },
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
}

/// The number at the start of a header; some servers add a policy after a comma or semicolon.
///
/// A float represents every Unix second and every budget exactly, and saturates.
fn number(value: &str) -> Option<f64> {
    let number: f64 = value.split([',', ';']).next()?.trim().parse().ok()?;
    number.is_finite().then_some(number)
}

/// Bounds the wait; one that is taken for a mistake is logged.
fn kept_wait(status: u16, asked: Duration) -> Duration {
    let kept = bounded_wait(asked);
    if kept != asked && matches!(status, 429 | 503) {
        let (asked_s, wait_s) = (asked.as_secs(), kept.as_secs());
        tracing::warn!(asked_s, wait_s, "the API asks for a wait of over a day; trying earlier");
    }
    kept
}

/// Reads when the window resets: seconds from now, a Unix time in some unit, a date, or a duration.
fn reset(value: &str) -> Option<u64> {
    if let Some(number) = number(value) {
        let is_in = |(least, _): &&(f64, f64)| (*least..RESET_MAX).contains(&number);
        let per_second = RESET_UNITS.iter().find(is_in).map_or(1.0, |(_, per_second)| *per_second);
        return (number >= 0.0).then(|| floor((number / per_second).ceil()));
    }
    let date = parse_http_date(value)
        .or_else(|| DateTime::parse_from_rfc3339(value).ok().map(|date| date.to_utc()));
    match date {
        Some(date) => u64::try_from(date.timestamp()).ok().map(|at| at.max(DELTA_SECONDS_MAX)),
        None => duration_s(value).filter(|seconds| *seconds < DELTA_SECONDS_MAX),
    }
}

/// Seconds of `90s`, `1.5s`, `250ms` or `1m30s`, rounded up.
fn duration_s(value: &str) -> Option<u64> {
    let decimal = |unit, per_second| Some(number(value.strip_suffix(unit)?)? / per_second);
    let decimal = decimal("ms", 1e3).or_else(|| decimal("s", 1.0)).filter(|n| *n >= 0.0);
    let seconds = match decimal {
        Some(seconds) => seconds,
        None => humantime::parse_duration(value).ok()?.as_secs_f64(),
    };
    Some(floor(seconds.ceil()))
}

/// Converts to an integer, saturating at 0 and the maximum.
fn floor(number: f64) -> u64 {
    number as u64
}

/// An ETag that can be sent back. Weak ones are accepted: `If-None-Match` compares weakly (RFC 9110,
/// 13.1.2), and a compressing proxy makes every ETag weak.
fn etag(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(header::ETAG)?.to_str().ok()?.trim();
    let quoted = etag.strip_prefix("W/").unwrap_or(etag);
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let is_usable = !opaque.is_empty() && !opaque.contains('"') && etag.len() <= ETAG_BYTES_MAX;
    is_usable.then(|| etag.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn now() -> DateTime<Utc> {
        "1994-11-06T08:00:00Z".parse().unwrap()
    }

    fn head(lines: &[(&'static str, &str)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Head::read(200, &headers, &Scrubber::new("ca_live_0123456789"), now())
    }

    fn rate(limit: &str, remaining: &str, reset: &str) -> RateHeaders {
        head(&[
            ("x-ratelimit-limit", limit),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", reset),
        ])
        .rate
    }

    #[test]
    fn rate_headers_are_read_as_numbers_of_any_spelling() {
        let plain =
            RateHeaders { limit: Some(600), remaining: Some(7), reset: Some(1_750_000_060) };
        assert_eq!(rate("600", "7", "1750000060"), plain);
        assert_eq!(rate("600, 600;w=60", " 7.9 ", "1750000059.2"), plain);
        assert_eq!(
            rate("-1", "-5", "-3"),
            RateHeaders { limit: None, remaining: Some(0), reset: None }
        );
        assert_eq!(
            rate("18446744073709551616", "1e300", "99999999999999999999"),
            RateHeaders { limit: Some(u64::MAX), remaining: Some(u64::MAX), reset: Some(u64::MAX) }
        );
        assert_eq!(rate("many", "", "NaN"), RateHeaders::default());
        assert_eq!(rate("inf", "-inf", "soon"), RateHeaders::default());
    }

    #[test]
    fn a_reset_in_milliseconds_as_a_date_or_as_a_duration_is_read() {
        for (value, seconds) in [
            ("1750000060", 1_750_000_060),
            ("1750000060.5", 1_750_000_061),
            ("1750000060000", 1_750_000_060),
            ("1750000059001", 1_750_000_060),
            ("1750000060000000", 1_750_000_060),
            ("1750000060000000000", 1_750_000_060),
            ("1.75e9", 1_750_000_000),
            ("60", 60),
            ("60, 600;w=60", 60),
            ("0.2", 1),
            ("60s", 60),
            ("250ms", 1),
            ("1.5s", 2),
            ("1m30s", 90),
            ("6m0s", 360),
            ("1h 2m", 3_720),
            ("Sun, 15 Jun 2025 15:07:40 GMT", 1_750_000_060),
            ("2025-06-15T15:07:40Z", 1_750_000_060),
            ("2025-06-15T17:07:39.5+02:00", 1_750_000_059),
            ("1970-01-01T00:00:01Z", DELTA_SECONDS_MAX),
        ] {
            assert_eq!(rate("1", "1", value).reset, Some(seconds), "{value}");
        }
        for value in ["", "soon", "-60", "-60s", "400 days", "s", "1e999", "NaNs"] {
            assert_eq!(rate("1", "1", value).reset, None, "{value}");
        }
    }

    #[test]
    fn a_wait_of_over_a_day_is_an_hour() {
        let wait = |value| head(&[("retry-after", value)]).retry_after.map(|wait| wait.as_secs());
        for value in
            ["86401", "9000000000000", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]
        {
            assert_eq!(wait(value), Some(3_600), "{value}");
        }
        assert_eq!(wait("86400"), Some(86_400));
    }

    #[test]
    fn only_validators_that_can_be_sent_back_are_kept() {
        let etag = |value| head(&[("etag", value)]).etag;
        for value in [
            "W/abc",
            "w/\"abc\"",
            "W/\"\"",
            "W/W/\"abc\"",
            "abc",
            "\"\"",
            "\"",
            "\"a\"b\"",
            "\"\u{e4}\"",
        ] {
            assert_eq!(etag(value), None, "{value}");
        }
        assert_eq!(etag(&format!("\"{}\"", "x".repeat(ETAG_BYTES_MAX))), None);
    }

    #[test]
    fn a_request_id_is_bounded_printable_and_without_the_key() {
        let id = |value| head(&[("x-request-id", value)]).request_id;
        assert_eq!(id("req_1").as_deref(), Some("req_1"));
        assert_eq!(id("  "), None);
        assert_eq!(id("a\tb ca_live_0123456789").as_deref(), Some("a b [redacted]"));
        assert_eq!(id(&"x".repeat(9_000)).unwrap().chars().count(), REQUEST_ID_CHARS_MAX + 1);
    }

    #[test]
    fn retry_after_is_read_against_the_date_and_else_against_the_local_clock() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:30 GMT");
        let retry = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(head(&[date, retry]).retry_after, Some(Duration::from_secs(7)));
        assert_eq!(head(&[retry]).retry_after, Some(Duration::from_secs(49 * 60 + 37)));
        assert_eq!(head(&[("date", "today"), ("retry-after", "x")]).retry_after, None);
    }

    proptest! {
        #[test]
        fn weak_and_strong_validators_are_kept_as_they_were_sent(
            prefix in prop_oneof![Just(""), Just("W/")], opaque in "[!#-~]{1,60}",
        ) {
            let sent = format!("{prefix}\"{opaque}\"");
            prop_assert_eq!(head(&[("etag", &sent)]).etag, Some(sent));
        }

        #[test]
        fn any_header_is_survived(value in proptest::collection::vec(32u8.., 0..60)) {
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            for name in [
                "date", "etag", "location", "retry-after", "x-request-id", "x-ratelimit-limit",
                "x-ratelimit-remaining", "x-ratelimit-reset", "content-type",
            ] {
                headers.insert(name, value.clone());
            }
            let _ = Head::read(200, &headers, &Scrubber::new("ca_live_0123456789"), now());
        }
    }
}
