//! Read direction: plan, request, decode, upsert, settle.
//!
//! A pass works at a [`Desk`]. [`fetch`] gets one answer, however often it has to ask, and never against the rate limit.
//! [`walk`] follows a list from its first page to its last, writing page n while page n+1 is on its
//! way. [`polls`] reads single pages and resources again because something on them is due;
//! [`follow`] takes shortcuts past the lists.
//! [`documents`] reads the overview and the API's lifecycle, [`metrics`] the figures of single days.
//! [`write`] is where an answer becomes a transaction.

pub mod ahead;
pub mod desk;
pub mod documents;
pub mod error;
pub mod fetch;
pub mod follow;
pub mod metrics;
pub mod page;
pub mod permits;
pub mod polls;
pub mod query;
pub mod settle;
mod smaller;
pub mod traffic;
mod turns;
pub mod walk;
pub mod walked;
pub mod write;

pub use desk::Desk;
pub use error::PollError;
pub use fetch::Fetcher;
pub use permits::Priority;
