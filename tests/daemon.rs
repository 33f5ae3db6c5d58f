//! `run` of the real binary: readiness, signals, keys, outages and jobs, through a real notify socket.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

#[path = "daemon/bounds.rs"]
mod bounds;
#[path = "daemon/container.rs"]
mod container;
#[path = "daemon/crash.rs"]
mod crash;
#[path = "daemon/harness.rs"]
mod harness;
#[path = "daemon/idle.rs"]
mod idle;
#[path = "daemon/jobs.rs"]
mod jobs;
#[path = "daemon/keys.rs"]
mod keys;
#[path = "daemon/listen.rs"]
mod listen;
#[path = "daemon/log_reader.rs"]
mod log_reader;
#[path = "daemon/outage.rs"]
mod outage;
#[path = "daemon/start.rs"]
mod start;
#[path = "daemon/stop.rs"]
mod stop;
#[path = "daemon/storage.rs"]
mod storage;
