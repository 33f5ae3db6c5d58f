//! One request, from the rate limit to the transaction that its answer becomes. `sync` and `outbox` build on this.
//!
//! In reading order: [`context`] is what a run carries; [`fetcher`] gets one answer: it waits for a permit of
//! `send_queue`, sends, retries, and counts; [`request_state`] is the rate limiter and the order of requests, shared and
//! stored; [`query`] holds the parameters of each list; [`write`] turns an answer into a transaction.

pub mod context;
pub mod error;
pub mod fetcher;
pub mod kind_outcome;
pub mod permits;
pub mod query;
pub mod request_state;
mod send_queue;
pub mod write;

pub use context::SyncContext;
pub use error::FetchError;
pub use fetcher::Fetcher;
pub use permits::Priority;
