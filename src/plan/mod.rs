//! Pure planning: what is worth asking for, and when. No I/O and no clock; `now` is an argument.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod backfill;
pub mod cover;
mod crontab;
pub mod due;
pub mod patience;
pub mod pauses;
pub mod sweep;
pub mod work;

pub use sweep::{Sweep, SweepError};
