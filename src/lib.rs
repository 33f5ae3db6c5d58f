//! creatormirror mirrors a CreatorAudit organization into one SQLite file.
//!
//! # Layers
//!
//! A module imports only from modules above it in this list; `tests/architecture.rs` checks it.
//!
//! | module | responsibility |
//! |---|---|
//! | [`clock`] | the only reader of the wall clock and the only sleeper: system, manual, scaled |
//! | [`model`] | plain data shared by all layers: kinds, columns, rows, instants, settings, events, outcomes |
//! | [`retry`] | pure: cause of a failure and number of the attempt → wait, or give up |
//! | [`schedule`] | pure: what is due, the request plan that covers it, full-sync schedules (cron), backoff between runs |
//! | [`api`] | the HTTP client: requests, answers, decoding to owned rows, errors by what to do about them, the rate limiter |
//! | [`store`] | SQLite: open, migrate, lock, read, write; the only place for SQL beside `migrations/` |
//! | [`fetch`] | one request within the rate limit, with retries, and the transaction that its answer becomes |
//! | [`outbox`] | queued writes: validate, send with an idempotency key, reconcile after a lost answer, record |
//! | [`sync`] | one run: queued writes, polls, listings with pagination, removals, daily metrics, `verify`, run report |
//! | [`daemon`] | the scheduler loop: next due time, job, signal; readiness and watchdog heartbeat through hooks |
//! | [`export`] | views as Parquet, CSV or JSON Lines, to a folder or a bucket |
//! | [`contract`] | pure: what is used of the API, compared with its OpenAPI document; shapes of answers |
//! | [`config`], [`logging`], [`report`], [`listen`], [`mcp`], [`cli`] | the front end: settings, logs, output and exit codes, `/metrics`, AI agents, commands |
//!
//! [`sandbox`] is the embedded API for tests, benches and the demo. It shares nothing with the rest but `clock` and
//! `model`. [`demo`] runs both together.
//!
//! # Invariants
//!
//! - A page's rows, their history, their next due times and the cursor after the page are one transaction. No
//!   transaction is open while a request is in flight.
//! - `api` does not import `store`, nor `store` `api`; `fetch` connects them. `schedule` imports neither: its rule for a
//!   row's next due time is passed to the writer as data.
//! - Answers are ordered by the start of their request, a number that never goes back even if the clock does. The
//!   current state of a row is that of the newest answer.
//! - A page's ETag is kept only while a 304 to it would confirm exactly the rows held.
//! - An incomplete listing removes nothing.
//! - A queued write whose answer was lost is reconciled (looked for) before it is sent again.
//! - The API key is a `secrecy` type from the moment it is read, and is redacted from answers.
//!
//! # Flows
//!
//! **Poll.** [`sync::run`] asks [`schedule::decision`] what to do for each kind; several kinds are at work at a time.
//! Due rows are read again by the requests of a [`schedule::request_plan`] ([`sync::poll`], [`sync::poll_accounts`]).
//! A listing ([`sync::listing`]) requests pages while the ones before are written, and guesses further pages by the
//! cursors of the last listing ([`sync::guess_ahead`]). Every request goes through [`fetch::fetcher`], which waits for a permit
//! ([`fetch::permits`]: at most `max_concurrent_requests`, within the rate limit), sends, retries, and saves a cooldown
//! before anything else. [`fetch::write`] writes the answer; [`sync::finish`] records the kind's outcome.
//!
//! **Queued write.** [`cli`] or SQL adds an entry ([`store::outbox`]); its bytes and idempotency key never change. A run
//! begins with [`outbox`]: it claims the oldest ready entry of each target, records the attempt, sends it, and records
//! the answer before any other request. A lost answer is reconciled before the entry is sent again.
//!
//! **Daily metrics.** [`sync::backfill`] works off a list of days ([`schedule::backfill`]), one request and transaction at a
//! time ([`sync::daily_metrics`]), and can stop after any of them. The daemon does it in slices while nothing else is due.
//!
//! **One-shot.** [`cli`] reads the settings, takes the instance lock, runs the same run once, prints, and exits.
//!
//! # Development
//!
//! `.ci/run` does what a developer does before a commit: format, clippy with warnings denied, the tests, the release
//! build, the Debian package, and the demo. `.ci/nightly` runs what takes longer.
//!
//! Tests use real sockets, real SQLite files, and the real binary under `kill -9`; [`sandbox`] serves faults on
//! request. `tests/outbox_model.rs` runs 150 random histories of the outbox (`OUTBOX_SCENARIOS=N` for more,
//! `OUTBOX_SEED` repeats one), `tests/sync_model.rs` compares concurrent runs with a sequential one (`MODEL_SEED`).
//! Property tests draw the same cases every time; `PROPTEST_RNG_SEED=7 cargo test` draws others.
//! `tests/fuzz` has targets for `cargo fuzz`.
//! `tests/tools/install` puts the external readers (DuckDB, Spark, Datasette, an MCP client, an S3 server) into `target/tools`;
//! `tests/systemd.rs` installs the package under a real systemd where there is root and systemd-nspawn. A test that
//! needs more than the machine has is skipped; `cargo test` ends with a list of these.
//!
//! Migrations that were released are never edited, not even their comments: their checksums are in the databases of users.
//! To change the schema, add a file. `tests/ops/upgrade.rs` upgrades a database of each release, and says how to add one.
//! A new table or column also needs a row in `store::schema_docs::facts`.
//!
//! The `backoff` crate is unmaintained (RUSTSEC-2025-0012) and used as a calculator in [`retry`] alone.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod contract;
pub mod daemon;
pub mod demo;
pub mod export;
pub mod fetch;
pub mod listen;
pub mod logging;
pub mod mcp;
pub mod model;
pub mod outbox;
pub mod report;
pub mod retry;
pub mod sandbox;
pub mod schedule;
pub mod store;
pub mod sync;
