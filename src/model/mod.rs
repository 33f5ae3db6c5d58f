//! Plain data that every room shares: kinds, columns, rows, instants, settings, events. No I/O.

pub mod columns;
pub mod due;
pub mod event;
pub mod instant;
pub mod interval;
pub mod kind;
pub mod lifecycle;
pub mod means;
pub mod metrics;
pub mod named;
pub mod outbox;
pub mod outcome;
pub mod pause;
pub mod row;
pub mod settings;
pub mod shown;

pub use columns::{Column, ColumnType};
pub use event::{Event, Watcher};
pub use instant::Instant;
pub use kind::Kind;
pub use lifecycle::Lifecycle;
pub use means::Means;
pub use metrics::Lot;
pub use outcome::{Ending, Outcome};
pub use pause::BackoffScope;
pub use row::{BadRow, Row, Value};
