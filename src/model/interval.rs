//! How often the API scrapes a resource, and how long what is due may wait for the sake of others.

/// The API's documented default, for a resource that does not say.
pub const HOURS_DEFAULT: i64 = 24;
/// Longest interval that is believed, hours.
pub const HOURS_MAX: i64 = 24 * 366;
/// The longest wait for each hour of the interval, seconds: after three quarters of it there is still time
/// to read a scrape before the next one overwrites it.
pub const WAIT_S_PER_HOUR: i64 = 2_700;

/// The interval in hours, with absurd ones brought into bounds.
pub fn hours(given: Option<i64>) -> i64 {
    given.unwrap_or(HOURS_DEFAULT).clamp(1, HOURS_MAX)
}

/// The interval in seconds.
pub fn seconds(given: Option<i64>) -> i64 {
    hours(given).saturating_mul(3_600)
}

/// How long a due row may wait for others at most, seconds.
pub fn longest_wait_s(given: Option<i64>) -> i64 {
    hours(given).saturating_mul(WAIT_S_PER_HOUR)
}
