//! The loop: the same pass, again and again, woken by the next due time, a cron sweep, a job that
//! another process handed over, or a signal.
//!
//! The front supplies the calls (signals), the herald (systemd), and a way to read settings and key
//! anew; nothing here knows where they come from. Every way out of a pass moves the next attempt
//! forward: what fails is tried again after a growing pause, per kind where it is a kind's own
//! trouble, for everything where it is everybody's.

//!
//! [`state`] says what the daemon is about and what leads where; [`service`] is the loop; the others are
//! its parts: [`jobs`] of other processes, [`days`] that have ended, what [`stops`] a run, a new [`key`],
//! and how it [`wait`]s.

mod days;
mod front;
mod job_request;
mod jobs;
mod key;
mod pulse;
mod service;
mod state;
mod stops;
mod wait;

pub use front::{Call, DaemonSettings, Fresh, Front, News, Note};
pub use job_request::{Answer, JobRequest};
pub use pulse::Pulse;
pub use service::run;
