//! What is left of the rate limit.

use std::time::Duration;

/// Requests that may be sent before the rate-limit window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateBudget {
    /// Requests left.
    pub requests: u64,
    /// Time until the window ends.
    pub time: Duration,
}
