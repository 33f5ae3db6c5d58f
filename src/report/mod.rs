//! What people see: progress while something runs, and the shapes of numbers in answers.

pub mod backup;
pub mod check;
pub mod demo;
pub mod outbox;
pub mod progress;
pub mod rate;
pub mod status;
pub mod sync;
pub mod text;
pub mod verify;
pub mod week;
