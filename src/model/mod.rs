//! Plain data that every room shares: kinds, rows, instants, settings, events. No I/O.

pub mod event;
pub mod kind;
pub mod settings;

pub use event::{Event, Watcher};
pub use kind::Kind;
