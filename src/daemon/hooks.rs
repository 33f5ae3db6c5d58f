//! What the caller passes to the daemon: signals, settings, and callbacks.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::api::Client;
use crate::daemon::heartbeat::Heartbeat;
use crate::daemon::job_request::JobAnswer;
use crate::fetch::fetcher::RequestSettings;
use crate::sync::backfill::BackfillReport;
use crate::sync::{Report, SyncSettings};

/// A request made with a POSIX signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Stop cleanly.
    Terminate,
    /// Reload settings and key.
    Reload,
    /// Log a summary of the daemon's state.
    Summary,
}

/// A notification to the service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceState {
    /// The start is complete, even if the API is not available yet.
    Ready,
    /// One line of status text.
    Status(String),
    /// Settings are being reloaded.
    Reloading,
    /// The daemon is shutting down.
    Stopping,
    /// Whether the API accepts the key.
    KeyWorks(bool),
    /// Whether the API answers.
    ApiAnswers(bool),
}

/// Settings of the daemon.
#[derive(Debug, Clone)]
pub struct DaemonSettings {
    /// Settings of its runs.
    pub sync_settings: SyncSettings,
    /// Settings of its requests.
    pub request_settings: RequestSettings,
    /// The least `batch_delay`: how long due rows wait so that one request serves several.
    pub freshness_target: Duration,
}

/// Settings and key after a reload.
#[derive(Debug)]
pub struct Reloaded {
    /// A client with the new key.
    pub client: Client,
    /// The new settings.
    pub settings: DaemonSettings,
}

/// Called after each run with its report and duration.
pub type OnRun = dyn Fn(&Report, Duration) + Send;

/// Inputs and callbacks of the daemon.
pub struct DaemonHooks {
    /// Incoming signals.
    pub signals: mpsc::Receiver<Signal>,
    /// Notifies the service manager.
    pub notify: Box<dyn Fn(&ServiceState) + Send>,
    /// Called after each run.
    pub on_run: Box<OnRun>,
    /// Reads settings and key again. The error is a message.
    pub reload: Box<dyn FnMut() -> Result<Reloaded, String> + Send>,
    /// Renders the answer to a submitted job.
    pub answer: Box<dyn Fn(&Report) -> JobAnswer + Send>,
    /// Renders the answer to a submitted backfill.
    pub answer_backfill: Box<dyn Fn(&BackfillReport) -> JobAnswer + Send>,
    /// The watchdog heartbeat.
    pub heartbeat: Heartbeat,
}

/// Returns when a stop signal comes. Other signals are added to `pending`.
pub(super) async fn stop_signal_received(
    signals: &mut mpsc::Receiver<Signal>,
    pending: &mut Vec<Signal>,
) {
    loop {
        match signals.recv().await {
            None | Some(Signal::Terminate) => return,
            Some(signal) if pending.contains(&signal) => {}
            Some(signal) => pending.push(signal),
        }
    }
}
