//! The HTTP client of the API: requests, answers, decoding, failures, and the rate limiter.
//!
//! In reading order: a [`Request`] is plain data; the [`Client`] sends it once and returns an [`Answer`] or a
//! [`Failure`] with a [`Verdict`]; [`Page`], [`Item`] and [`document`] read answers and decode their rows. The
//! [`RateLimiter`] computes how long to wait. Nothing here sleeps or retries.

mod answer;
mod build;
mod byte_budget;
mod client;
mod cooldown;
pub mod decode;
mod failure;
mod filters;
mod fingerprint;
mod gzip;
mod headers;
mod item;
mod page;
mod problem;
mod rate_limiter;
mod redact;
mod repair;
mod request;
mod retry_after;
mod scrub;
mod surrogates;
mod windowed;

pub use answer::Answer;
pub use build::BuildError;
pub use client::Client;
pub use cooldown::Cooldown;
pub use failure::{Failure, Report, Verdict};
pub use fingerprint::{is_same_json, is_same_text};
pub use headers::{Head, RateHeaders};
pub use item::{Item, document};
pub use page::Page;
pub use problem::FieldError;
pub use rate_limiter::{Budget, Delay, RateLimiter};
pub use request::Request;
pub use retry_after::{bounded_wait, parse_http_date, parse_retry_after};
pub use scrub::Scrubber;
pub use windowed::Windowed;
