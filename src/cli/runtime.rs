//! The runtimes of commands, and the signals that end them.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::{CliError, Exit};
use crate::store::busy;

/// One worker decodes while the other writes; more would only wait.
const WORKERS: usize = 2;

/// The runtime for commands that talk to the API or serve it, and do several things at a time.
pub fn runtime() -> Result<Runtime, CliError> {
    started(Builder::new_multi_thread().worker_threads(WORKERS))
}

/// The runtime for a command that does one thing and ends. An answer need not change threads on its
/// way in; what blocks has a thread of its own all the same.
pub fn runtime_of_one() -> Result<Runtime, CliError> {
    started(&mut Builder::new_current_thread())
}

fn started(builder: &mut Builder) -> Result<Runtime, CliError> {
    let failed = |error| CliError::new(Exit::Storage, "cannot start the runtime").because(&error);
    builder.enable_all().build().map_err(failed)
}

/// Lets a write beyond the file size limit fail like one on a full disk. By default SIGXFSZ ends the
/// process without a message.
pub fn survive_file_size_limit() {
    let flag = Arc::default();
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag) {
        tracing::warn!(%error, "cannot handle SIGXFSZ: the file size limit would end the process");
    }
}

/// A busy database is waited for no longer once a signal has come.
pub fn note_end() {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, busy::shutdown_flag()) {
            tracing::warn!(%error, "cannot listen for signals");
        }
    }
}

/// Waits for SIGINT or SIGTERM. From this call on, not from when it is first waited for, they do not end
/// the process. To be called within a runtime.
pub fn stop_signal() -> impl Future<Output = ()> {
    note_end();
    let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let wait = async |signal: io::Result<Signal>| match signal {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    async move {
        tokio::select! {
            () = wait(interrupt) => {}
            () = wait(terminate) => {}
        }
    }
}
