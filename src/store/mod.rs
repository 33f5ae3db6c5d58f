//! The SQLite mirror: open, migrate, lock, read and write one database file. All SQL is here or in `migrations/`.
//!
//! Functions that read take a `&Connection`, functions that write a `&Transaction`. No transaction is
//! open while a request is in flight. This module does not import `api`: callers pass rows, not answers.
//!
//! The database is in WAL mode, and its `-wal` and `-shm` files stay when it is closed, so that a reader
//! without write permission can open it. Closing a file descriptor of the database would drop SQLite's
//! own locks; only [`instance_lock`] opens the file, and never closes it.
//!
//! | modules | responsibility |
//! |---|---|
//! | [`open`], [`database_path`], [`instance_lock`], [`wal_check`], [`busy`] | open, migrate, lock |
//! | [`Database`], [`Store`] | transactions: blocking on one connection, or from async code |
//! | [`rows`], [`history`], `posts`, [`pages`], `late_indexes` | write what the API answered: current state, history, ETags |
//! | [`change_log`], `creator_links` | the log of edits, and the creators of accounts |
//! | [`listings`], [`removals`] | pagination state, completeness, removed rows |
//! | [`due`] | when each account and video is polled next |
//! | [`metrics`] | daily metrics |
//! | [`outbox`] | queued writes to the API |
//! | [`instance`], [`jobs`], [`runs`], [`backoff`], [`unsupported`], [`documents`], [`zone`] | identity, rate limiter, jobs, run log, retry state |
//! | [`backup`], [`restore`], [`public_tables`], [`fingerprint`], `day_versions` | copies and exports |
//! | [`status`], [`freshness`], [`analysis`], [`dashboard`], [`sample`] | queries for `status`, reports and `verify` |
//! | [`readonly`] | statements of others: public views alone, bounded in time and memory |
//! | [`schema_check`], [`schema_docs`], [`cookbook`] | check and documentation of the schema, example queries |

pub mod analysis;
pub mod backoff;
pub mod backup;
pub mod busy;
pub mod change_log;
pub mod cookbook;
mod creator_links;
pub mod dashboard;
mod database;
pub mod database_path;
mod day_versions;
pub mod documents;
pub mod due;
pub mod error;
pub mod fingerprint;
pub mod freshness;
pub mod history;
pub mod instance;
pub mod instance_lock;
pub mod jobs;
mod late_indexes;
pub mod listings;
pub mod metrics;
pub mod open;
pub mod outbox;
pub mod pages;
mod posts;
pub mod public_tables;
mod query;
pub mod readonly;
pub mod removals;
pub mod restore;
pub mod rows;
pub mod runs;
pub mod sample;
pub mod schema_check;
pub mod schema_docs;
mod shared;
pub mod status;
pub mod unsupported;
pub mod wal_check;
pub mod zone;

pub use database::Database;
pub use error::{StoreError, StoreResult};
pub use shared::{GROUP_MAX, Pending, Store};

#[cfg(test)]
pub(crate) mod testing {
    use crate::store::Database;
    use crate::store::open::IfMissing;

    /// A new mirror, deleted with the temporary folder.
    pub fn mirror() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        (folder, store)
    }
}
