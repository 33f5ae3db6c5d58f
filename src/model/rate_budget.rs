//! What the rate limit leaves.

use std::time::Duration;

/// Requests, and the time they have to last for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateBudget {
    /// Requests.
    pub requests: u64,
    /// Time.
    pub time: Duration,
}
