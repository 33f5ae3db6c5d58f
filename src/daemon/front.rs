//! What the daemon is given from outside: calls, settings, and whom it tells what.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Client;
use crate::daemon::job_request::Answer;
use crate::daemon::pulse::Pulse;
use crate::pass::backfill::Backfilled;
use crate::pass::{PassSettings, Report};
use crate::poll::fetch::Manners;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// End, leaving everything in order.
    Stop,
    /// Read settings and key anew.
    Reload,
    /// Log how things stand.
    Summary,
}

/// What the service manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Up and working, or able to work as soon as the API is.
    Ready,
    /// One line for people.
    Status(String),
    /// Reading settings anew.
    Reloading,
    /// On the way out.
    Stopping,
    /// The API accepts the key, or does not.
    KeyWorks(bool),
    /// The API answers, or does not.
    ApiAnswers(bool),
}

/// What the daemon goes by.
#[derive(Debug, Clone)]
pub struct DaemonSettings {
    /// For its passes.
    pub pass: PassSettings,
    /// For its requests.
    pub manners: Manners,
    /// How long dues wait for each other at least.
    pub freshness_target: Duration,
}

/// Settings and key, read anew.
#[derive(Debug)]
pub struct Fresh {
    /// Sends with the new key.
    pub client: Client,
    /// What to go by from now on.
    pub settings: DaemonSettings,
}

/// Is shown a report, and how long its pass took.
pub type Note = dyn Fn(&Report, Duration) + Send;

/// What the front gives the daemon.
pub struct Front {
    /// Signals.
    pub calls: mpsc::Receiver<Call>,
    /// Tells the service manager.
    pub herald: Box<dyn Fn(&News) + Send>,
    /// Is shown every report.
    pub note: Box<Note>,
    /// Reads settings and key anew, or says why not.
    pub reload: Box<dyn FnMut() -> Result<Fresh, String> + Send>,
    /// What a process that handed a job over shall print, and its exit code.
    pub answer: Box<dyn Fn(&Report) -> Answer + Send>,
    /// The same of a process that handed a backfill over.
    pub answer_backfill: Box<dyn Fn(&Backfilled) -> Answer + Send>,
    /// Shows that the loop is alive.
    pub pulse: Pulse,
}

/// Returns when a call to stop comes. Other calls are kept for later.
pub(super) async fn stop_called(calls: &mut mpsc::Receiver<Call>, pending: &mut Vec<Call>) {
    loop {
        match calls.recv().await {
            None | Some(Call::Stop) => return,
            Some(call) if pending.contains(&call) => {}
            Some(call) => pending.push(call),
        }
    }
}
