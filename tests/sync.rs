//! `sync` of the real binary against the sandbox: listings, polls, faults, limits, crashes, removal,
//! history, keys and files.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

#[path = "sync/answers.rs"]
mod answers;
#[path = "sync/capabilities.rs"]
mod capabilities;
#[path = "sync/crash.rs"]
mod crash;
#[path = "sync/documents.rs"]
mod documents;
#[path = "sync/faults.rs"]
mod faults;
#[path = "sync/files.rs"]
mod files;
#[path = "sync/history.rs"]
mod history;
#[path = "sync/identity.rs"]
mod identity;
#[path = "sync/limits.rs"]
mod limits;
#[path = "sync/listing.rs"]
mod listing;
#[path = "sync/removal.rs"]
mod removal;
#[path = "sync/rows.rs"]
mod rows;
#[path = "sync/side_by_side.rs"]
mod side_by_side;
#[path = "sync/soak.rs"]
mod soak;
