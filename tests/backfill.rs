//! `backfill`: daily metrics against the sandbox's truth, request by request; wrong answers; beside a
//! daemon; and, on a clock that a test moves, the days that end and settle after it.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

#[path = "backfill/alone.rs"]
mod alone;
#[path = "backfill/answers.rs"]
mod answers;
#[path = "backfill/beside.rs"]
mod beside;
#[path = "backfill/clock.rs"]
mod clock;
#[path = "backfill/kept.rs"]
mod kept;
#[path = "simulation/settings.rs"]
mod settings;
#[allow(dead_code, unused_imports)] // The tests of the daemon use all of it.
#[path = "daemon/stage.rs"]
mod stage;
#[path = "backfill/truth.rs"]
mod truth;
