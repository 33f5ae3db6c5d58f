//! Backoff between runs: scopes of failed work and the longest pause.

use crate::model::named::named;

/// The longest pause, microseconds. A stored pause that ends later comes from a wrong clock and is ignored.
pub const PAUSE_MICROS_MAX: i64 = 24 * 3_600 * 1_000_000;

named! {
    /// The work that failed, per kind.
    pub enum BackoffScope {
        /// The listing, or the document.
        Listing = "listing",
        /// Polls of due rows.
        Poll = "poll",
        /// Daily metrics.
        Days = "days",
    }
}
