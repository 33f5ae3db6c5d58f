//! Write direction: claim, send with a key, look up when unsure, settle.
//!
//! [`check`] makes an entry of a request ([`body`], [`post`]); [`push`] sends what is ready.
//! [`verdict`] says what a failure means; [`lookup`] finds what a lost answer would have told, [`confirm`]
//! what an unreadable one did;
//! [`settle`] writes an end with everything that belongs to it in one transaction; [`reread`] shows what
//! the answers did not.
//!
//! An entry is claimed, its attempt counted, in a write that is on the disk before anything is
//! sent. So a crash leaves it either as it was or marked as on its way; what was on its way is never
//! sent again before it was looked for.

pub mod body;
mod confirm;
mod finish;
pub mod post;
pub mod reconcile;
mod reread;
mod run;
mod send;
pub mod validate;
pub mod verdict;

pub use run::{OutboxSettings, next_at, preview, push};
