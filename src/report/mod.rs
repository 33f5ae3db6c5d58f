//! What people see: progress while something runs, and the shapes of numbers in answers.

pub mod backfill;
pub mod backup;
pub mod check;
pub mod datasette;
pub mod demo;
pub mod export;
pub mod glance;
pub mod outbox;
pub mod progress;
pub mod rate;
pub mod schema;
pub mod status;
pub mod sync;
pub mod text;
pub mod verify;
pub mod week;
