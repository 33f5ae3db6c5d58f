//! The daemon: a scheduler loop around the same run that `sync` makes, woken by the next due time, a full-sync schedule
//! (cron), a job that another process submitted, or a signal.
//!
//! The caller supplies [`DaemonHooks`]: signals, notifications to the service manager (systemd readiness, status,
//! watchdog heartbeat), and a function that reloads settings and key. After every run, successful or not, the next
//! attempt is scheduled: a failed kind is retried with its own backoff, a failure of the API, the key or the database
//! pauses everything.
//!
//! [`state`] holds the states and transitions, [`service`] the loop, [`jobs`] the submitted jobs, [`backfill`] the daily
//! metrics, [`failures`] what a failed run leads to, [`key`] the reload of settings and key, [`wait`] the waiting.

mod backfill;
mod failures;
mod heartbeat;
mod hooks;
mod job_request;
mod jobs;
mod key;
mod service;
mod state;
mod wait;

pub use heartbeat::Heartbeat;
pub use hooks::{DaemonHooks, DaemonSettings, OnRun, Reloaded, ServiceState, Signal};
pub use job_request::{JobAnswer, JobRequest};
pub use service::run;
