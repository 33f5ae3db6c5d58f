//! Plain data that all layers share: kinds, columns, rows, instants, settings, events. No I/O.

pub mod backoff;
pub mod columns;
pub mod due;
pub mod event;
pub mod instant;
pub mod interval;
pub mod kind;
pub mod lifecycle;
pub mod metrics;
pub mod named;
pub mod outbox;
pub mod outcome;
pub mod rate_budget;
pub mod row;
pub mod settings;
pub mod shown;
pub mod zone;

pub use backoff::BackoffScope;
pub use columns::{Column, ColumnType};
pub use event::{Event, Watcher};
pub use instant::Instant;
pub use kind::Kind;
pub use lifecycle::Lifecycle;
pub use metrics::SubjectKind;
pub use outcome::{KindOutcome, Outcome};
pub use rate_budget::RateBudget;
pub use row::{BadRow, Row, Value};
pub use zone::Zone;
