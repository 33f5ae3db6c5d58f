//! `status` and `check` of the real binary, against a sandbox over real sockets.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "ops/check.rs"]
mod check;
#[path = "ops/contract.rs"]
mod contract;
#[path = "ops/fixture.rs"]
mod fixture;
#[path = "ops/record.rs"]
mod record;
#[path = "ops/status.rs"]
mod status;
mod support;
