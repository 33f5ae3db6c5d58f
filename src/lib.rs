//! creatormirror mirrors a CreatorAudit organization into one SQLite file.
//!
//! # Layers
//!
//! A room imports only from rooms above it in this list; `tests/house.rs` holds it to that.
//!
//! | room | is for |
//! |---|---|
//! | [`clock`] | the only reader of the wall clock and the only sleeper |
//! | [`model`] | plain data: kinds, columns, rows, instants, settings, events |
//! | [`retry`] | pure: trouble and attempt in, wait or give up out |
//! | [`plan`] | pure: what is due, which requests cover it, cron sweeps |
//! | [`api`] | the remote side: requests, answers, verdicts, page and row decoding, the rate gate |
//! | [`store`] | the local side: the only home of SQL beside `migrations/` |
//! | [`poll`] | read direction: fetch, walk, write |
//! | [`push`] | write direction: claim, send, look up when unsure, settle |
//! | [`pass`] | one pass over all kinds, and what came of it |
//! | [`daemon`] | the loop: deadline, job, signal, stop; readiness and signs of life |
//! | [`export`] | tables and views for tools outside SQLite, to a folder or a bucket |
//! | [`config`], [`logging`], [`report`], [`listen`], [`cli`] | the front; nothing above reads the environment |
//!
//! [`sandbox`], the embedded API for tests, benches and the demo, stands beside them and shares
//! nothing with them but `clock` and `model`. [`demo`], a part of the front, is the only one to bring
//! the two together.
//!
//! # Invariants
//!
//! - A page's rows, its history, its schedule and the cursor after it are one transaction. None is
//!   open while a request is in flight.
//! - `api` never sees `store`, and `store` never sees `api`; `poll` stands between them. `plan` sees
//!   neither: what it decides is given to them, the rule for a row's next due time included.
//! - Answers are ordered by stamps: the start of their request, never going back even if the clock
//!   does. The current state is that of the newest.
//! - A page's ETag is kept only while a 304 to it would confirm exactly what is held.
//! - Nothing is removed on the word of an incomplete walk.
//! - A write whose outcome is not known is not sent again before it was looked for.
//! - The key is a secret type from the moment it is read, and answers are scrubbed of it.
//!
//! # Flows
//!
//! **Poll.** [`pass::run`] asks [`plan::work`] what to do for each kind; several kinds are at work at a time.
//! A walk ([`poll::walk`]) fetches page n+1 while page n is written ([`poll::write`]), and asks for the
//! pages after it by the cursors of the last walk ([`poll::ahead`]); dues are polled by kept cursors
//! ([`poll::polls`]). [`poll::fetch`] is behind every request: it waits for its turn, which
//! [`poll::permits`] gives to at most `max_concurrent_requests` within the rate limit, sends, repeats
//! what may pass, and persists a closed gate before anything else. [`poll::settle`] closes the walk.
//!
//! **Queued write.** [`cli`] or SQL adds an entry ([`store::outbox`]), frozen and on the disk. [`push`],
//! the first thing in a pass, claims the oldest ready entry of each target, its attempt counted on the
//! disk before it is sent; the answer, the row it carries, what must be read again and the entry's end are
//! one transaction, before any other request. What has an unknown outcome is looked up before anything is
//! sent again.
//!
//! **Past days.** [`pass::backfill`] works off a list of days and lots ([`plan::backfill`]), each request
//! and its answer in [`poll::metrics`]. It may be broken off after any of them, which is how the daemon
//! does it: in slices, while nothing else is due.
//!
//! **One-shot.** [`cli`] reads the settings, takes the lock, runs the same pass once, prints, and
//! exits with the code.
//!
//! # Development
//!
//! `.ci/run` does what a developer does before a commit: format, clippy with warnings denied, the tests, the release
//! build, the Debian package, and the demo.
//!
//! Tests use real sockets, real SQLite files, and the real binary under `kill -9`; [`sandbox`] serves faults on
//! request. `tests/outbox_model.rs` runs 500 random histories of the outbox (`OUTBOX_LIVES=N` for more,
//! `OUTBOX_SEED` repeats one), `tests/sync_model.rs` compares concurrent runs with a sequential one (`MODEL_SEED`).
//! Property tests draw the same cases every time; `PROPTEST_RNG_SEED=7 cargo test` draws others.
//! `tests/tools/install` puts the external readers (DuckDB, Spark, Datasette, an S3 server) into `target/tools`;
//! `tests/systemd.rs` installs the package under a real systemd where there is root and systemd-nspawn. A test whose
//! tool is missing says so and passes.
//!
//! To add a migration: until the first release, edit `migrations/V1__tables.sql` and `V2__views.sql` in place;
//! after it, add a file. A new table or column also needs a row in `store::schema_docs::facts`.
//!
//! The `backoff` crate is unmaintained (RUSTSEC-2025-0012) and used as a calculator in [`retry`] alone.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod export;
pub mod listen;
pub mod logging;
pub mod model;
pub mod pass;
pub mod plan;
pub mod poll;
pub mod push;
pub mod report;
pub mod retry;
pub mod sandbox;
pub mod store;
