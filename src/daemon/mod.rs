//! The loop: the same run, again and again, woken by the next due time, a cron full sync, a job that
//! another process handed over, or a signal.
//!
//! The front supplies the calls (signals), the notify (systemd), and a way to read settings and key
//! anew; nothing here knows where they come from. Every way out of a run moves the next attempt
//! forward: what fails is tried again after a growing pause, per kind where it is a kind's own
//! trouble, for everything where it is everybody's.

//!
//! [`state`] says what the daemon is about and what leads where; [`service`] is the loop; the others are
//! its parts: [`jobs`] of other processes, [`days`] that have ended, what [`failures`] a run, a new [`key`],
//! and how it [`wait`]s.

mod days;
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
pub use hooks::{DaemonHooks, DaemonSettings, Note, Reloaded, ServiceState, Signal};
pub use job_request::{Answer, JobRequest};
pub use service::run;
