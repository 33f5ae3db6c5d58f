//! The scheduler's rules: what is due, by which requests, and when. Pure: `now` is an argument.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod backfill;
pub mod backoff;
pub mod batch_delay;
mod crontab;
pub mod decision;
pub mod due;
pub mod full_sync;
pub mod request_plan;
pub mod zone_offsets;

pub use full_sync::{FullSyncSchedule, FullSyncScheduleError};
