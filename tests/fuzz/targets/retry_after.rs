//! The header `Retry-After`, seconds or a date.

#![no_main]

use std::time::Duration;

use chrono::{DateTime, Utc};
use creatormirror::api::{bounded_wait, parse_retry_after};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| {
    for at in [DateTime::UNIX_EPOCH, DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
        if let Some(wait) = parse_retry_after(value, at) {
            assert!(bounded_wait(wait) <= Duration::from_secs(24 * 3_600));
        }
    }
});
