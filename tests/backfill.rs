//! `backfill`: daily metrics compared with the sandbox's data, request by request; malformed answers;
//! beside a daemon; and, on a simulated clock, days that end and settle afterwards.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

#[path = "backfill/answers.rs"]
mod answers;
#[path = "backfill/beside_daemon.rs"]
mod beside_daemon;
#[path = "backfill/clock.rs"]
mod clock;
#[allow(dead_code, unused_imports)] // The daemon tests use all of it.
#[path = "daemon/harness.rs"]
mod harness;
#[path = "simulation/settings.rs"]
mod settings;
#[path = "backfill/stored_days.rs"]
mod stored_days;
#[path = "backfill/truth.rs"]
mod truth;
#[path = "backfill/without_daemon.rs"]
mod without_daemon;
