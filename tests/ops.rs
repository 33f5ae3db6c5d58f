//! `status` and `check` of the real binary, against a sandbox over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

#[path = "ops/check.rs"]
mod check;
#[path = "ops/fixture.rs"]
mod fixture;
#[path = "ops/status.rs"]
mod status;
mod support;
