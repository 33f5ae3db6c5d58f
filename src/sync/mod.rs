//! One run: send queued writes, poll due rows, read lists that are due. The daemon, `sync` and the demo all call
//! [`run()`].
//!
//! Several kinds are at work at a time. A kind that fails does not end the others, unless the failure concerns all
//! of them: a refused key, an unreachable API, a wait beyond `max_wait`, a failing database. The outcome of every
//! kind is recorded in each case.
//!
//! In reading order: [`run()`], `phases` (poll, then list), `kind_run` (one kind), [`listing`] and `page_reader` (pagination, with
//! pages requested ahead by [`guess_ahead`]), [`poll`] and [`poll_accounts`] (due rows),
//! [`finish`] (the outcome of a kind), [`backfill`] (daily metrics), `verify`.

pub mod backfill;
pub mod backoff;
mod batch_delay;
pub mod compare;
pub mod daily_metrics;
pub mod documents;
pub mod dry_run;
pub mod finish;
pub mod guess_ahead;
pub mod identify;
mod kind_run;
pub mod listing;
pub mod listing_result;
mod next_run;
mod options;
pub mod page;
mod page_reader;
mod page_size;
mod phases;
pub mod poll;
pub mod poll_accounts;
mod report;
mod run;
mod run_error;
mod schedule_state;
mod verify;
mod verify_page;
pub mod verify_report;

pub use batch_delay::{BatchDelay, batch_delay};
pub use next_run::next_at;
pub use options::{RunOptions, SyncSettings};
pub use report::{KindReport, Report};
pub use run::{interrupt, run, run_and_grow};
pub use run_error::RunError;
pub use verify_report::{Sampling, VerifyReport};
