//! Queued writes: validate, send with an idempotency key, reconcile after a lost answer, record the result.
//!
//! [`validate`] turns a request into an entry ([`body`], [`post`]); [`push`] sends what is ready. [`verdict`]
//! decides after a failure. [`reconcile`] looks for a creation whose answer was lost, `confirm` for a change.
//! `finish` records a result with all that follows from it in one transaction; `reread` reads again what the
//! answers do not show.
//!
//! An entry is claimed and its attempt counted in a durable write before anything is sent. So after a crash
//! it is either unchanged or marked as sending, and it is reconciled before it is sent again.

pub mod body;
mod confirm;
mod finish;
pub mod post;
pub mod profile;
pub mod reconcile;
mod reread;
mod run;
mod send;
pub mod strict_json;
pub mod validate;
pub mod verdict;

pub use run::{OutboxSettings, next_at, preview, push};
