//! What the daemon is given from outside: calls, settings, and whom it tells what.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Client;
use crate::daemon::heartbeat::Heartbeat;
use crate::daemon::job_request::Answer;
use crate::fetch::fetcher::RequestSettings;
use crate::sync::backfill::BackfillReport;
use crate::sync::{Report, SyncSettings};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, leaving everything in order.
    Terminate,
    /// Read settings and key anew.
    Reload,
    /// Log how things stand.
    Summary,
}

/// What the service manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
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
    /// For its runs.
    pub run_id: SyncSettings,
    /// For its requests.
    pub request_settings: RequestSettings,
    /// How long dues wait for each other at least.
    pub freshness_target: Duration,
}

/// Settings and key, read anew.
#[derive(Debug)]
pub struct Reloaded {
    /// Sends with the new key.
    pub client: Client,
    /// What to go by from now on.
    pub settings: DaemonSettings,
}

/// Is shown a report, and how long its pass took.
pub type Note = dyn Fn(&Report, Duration) + Send;

/// What the front gives the daemon.
pub struct DaemonHooks {
    /// Signals.
    pub signals: mpsc::Receiver<Signal>,
    /// Tells the service manager.
    pub notify: Box<dyn Fn(&ServiceState) + Send>,
    /// Is shown every report.
    pub note: Box<Note>,
    /// Reads settings and key anew, or says why not.
    pub reload: Box<dyn FnMut() -> Result<Reloaded, String> + Send>,
    /// What a process that handed a job over shall print, and its exit code.
    pub answer: Box<dyn Fn(&Report) -> Answer + Send>,
    /// The same of a process that handed a backfill over.
    pub answer_backfill: Box<dyn Fn(&BackfillReport) -> Answer + Send>,
    /// Shows that the loop is alive.
    pub heartbeat: Heartbeat,
}

/// Returns when a call to stop comes. Other calls are kept for later.
pub(super) async fn stop_signal_received(
    signals: &mut mpsc::Receiver<Signal>,
    pending: &mut Vec<Signal>,
) {
    loop {
        match signals.recv().await {
            None | Some(Signal::Terminate) => return,
            Some(call) if pending.contains(&call) => {}
            Some(call) => pending.push(call),
        }
    }
}
