//! What is left alone for a while because it failed.

use crate::model::named::named;

/// No pause is longer, microseconds. One that ends later was noted by a clock that was wrong, and is over.
pub const PAUSE_MICROS_MAX: i64 = 24 * 3_600 * 1_000_000;

named! {
    /// The sort of work that failed.
    pub enum BackoffScope {
        /// Reading the whole list, or the document.
        Listing = "listing",
        /// Reading again what is due.
        Poll = "poll",
        /// Daily metrics.
        Days = "days",
    }
}
