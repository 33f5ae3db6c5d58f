//! The local side: one SQLite file, and the only home of SQL beside `migrations/`.
//!
//! **Boundaries.** Functions that read take a `&Connection`, functions that write take a
//! `&Transaction`, so the types show where a transaction begins. No transaction is open while a
//! request is in flight. This room never sees `api`: it is handed rows, not answers.
//!
//! **Files.** The database is in WAL mode and its `-wal` and `-shm` files stay when it is closed,
//! so that a reader who may not write can always open it. Opening and closing the database file
//! outside SQLite would drop SQLite's own locks; [`instance_lock`] is the only one to open it, and
//! never closes it.
//!
//! **Reading order.** [`open`], [`place`], [`instance_lock`] and [`wal_check`] make the connection; [`rows`] and [`pages`] write what
//! the API said; [`listings`] and [`removals`] keep the promise about completeness; [`due`] is the
//! schedule; [`metrics`] are the days; [`outbox`] is the way back to the API; [`instance`], [`jobs`],
//! [`runs`], [`unsupported`] and [`documents`] are the bookkeeping; [`backup`], [`restore`], [`dump`] and [`fingerprint`] copy it all,
//! for another mirror and for other tools; [`sample`] picks what proves it; [`status`] and [`freshness`] read it back;
//! [`schema_docs`] says what it all means, [`cookbook`] what to ask of it.

pub mod analysis;
pub mod backoff;
pub mod backup;
pub mod busy;
pub mod cookbook;
pub mod dashboard;
mod database;
pub mod database_path;
pub mod documents;
pub mod due;
pub mod error;
pub mod fingerprint;
pub mod freshness;
pub mod instance;
pub mod instance_lock;
pub mod jobs;
pub mod listings;
pub mod metrics;
pub mod open;
pub mod outbox;
pub mod pages;
pub mod public_tables;
mod query;
pub mod removals;
pub mod restore;
pub mod rows;
pub mod runs;
pub mod sample;
pub mod schema_check;
pub mod schema_docs;
mod shared;
pub mod status;
mod stored;
pub mod unsupported;
pub mod wal_check;

pub use database::Database;
pub use error::{StoreError, StoreResult};
pub use shared::{Pending, Store};
