//! Pure planning: what is worth asking for, and when. No I/O and no clock; `now` is an argument.

mod crontab;
pub mod sweep;
pub mod cover;
pub mod due;

pub use sweep::{Sweep, SweepError};
