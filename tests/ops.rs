//! `status`, `check` and the first sync of README, with the real binary, against a sandbox over real sockets.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "ops/check.rs"]
mod check;
#[path = "ops/contract.rs"]
mod contract;
#[path = "ops/fixture.rs"]
mod fixture;
#[path = "ops/readme.rs"]
mod readme;
#[path = "ops/record.rs"]
mod record;
#[path = "ops/status.rs"]
mod status;
mod support;
#[path = "ops/upgrade.rs"]
mod upgrade;
