//! The remote side: one funnel for every request, and what comes back as answers and verdicts.
//!
//! In reading order: a [`Request`] is plain data; the [`Client`] sends it, once, and returns an
//! [`Answer`] or a [`Failure`] with a [`Verdict`]; [`Page`], [`Item`] and [`document`] read answers,
//! decoding their rows. The [`RateGate`] is a value that says how long to hold back. Nothing here sleeps or tries again.

mod answer;
mod build;
mod client;
pub mod decode;
mod failure;
mod filters;
mod fingerprint;
mod gate;
mod gzip;
mod headers;
mod hold;
mod item;
mod mend;
mod page;
mod problem;
mod redact;
mod request;
mod retry_after;
mod room;
mod scrub;
mod surrogates;
mod windowed;

pub use answer::Answer;
pub use build::BuildError;
pub use client::Client;
pub use failure::{Failure, Report, Verdict};
pub use fingerprint::{is_same_json, is_same_text};
pub use gate::{Budget, Delay, RateGate};
pub use headers::{Head, RateHeaders};
pub use hold::Hold;
pub use item::{Item, document};
pub use page::Page;
pub use problem::FieldError;
pub use request::Request;
pub use retry_after::{bounded_wait, parse_http_date, parse_retry_after};
pub use scrub::Scrubber;
pub use windowed::Windowed;
