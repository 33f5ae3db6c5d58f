//! Scrape intervals, and how long a due row may wait for other rows on its page.

/// Interval of a resource whose `scrape_interval_hours` is missing: the API's documented default, hours.
pub const HOURS_DEFAULT: i64 = 24;
/// Longer intervals are taken for this one, hours.
pub const HOURS_MAX: i64 = 24 * 366;
/// Longest wait per hour of the interval, seconds: three quarters, which leaves time to read a scrape before the next
/// one overwrites it.
pub const WAIT_S_PER_HOUR: i64 = 2_700;

/// The interval in hours, within bounds.
pub fn hours(given: Option<i64>) -> i64 {
    given.unwrap_or(HOURS_DEFAULT).clamp(1, HOURS_MAX)
}

/// The interval in seconds.
pub fn seconds(given: Option<i64>) -> i64 {
    hours(given).saturating_mul(3_600)
}

/// The longest a due row may wait for others, seconds.
pub fn longest_wait_s(given: Option<i64>) -> i64 {
    hours(given).saturating_mul(WAIT_S_PER_HOUR)
}
