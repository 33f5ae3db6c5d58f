//! Tokio runtimes, and the signals that stop a command.

use std::io;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::{CliError, Exit};
use crate::store::busy;

/// Worker threads: one decodes while another serves connections.
const WORKERS: usize = 2;

/// Creates a runtime for commands that do several things at a time.
pub fn multi_thread() -> Result<Runtime, CliError> {
    build(Builder::new_multi_thread().worker_threads(WORKERS))
}

/// Creates a runtime for one-shot commands, whose responses need not change threads. Blocking work
/// runs on separate threads.
pub fn current_thread() -> Result<Runtime, CliError> {
    build(&mut Builder::new_current_thread())
}

fn build(builder: &mut Builder) -> Result<Runtime, CliError> {
    let failed = |error| CliError::new(Exit::Storage, "cannot start the runtime").because(&error);
    builder.enable_all().build().map_err(failed)
}

/// Handles SIGXFSZ, so that a write beyond the file size limit fails with an error. By default the
/// signal kills the process without a message.
pub fn handle_file_size_limit() {
    let flag = Arc::default();
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag) {
        tracing::warn!(%error, "cannot handle SIGXFSZ: reaching the file size limit would kill the process");
    }
}

/// Lets SIGINT and SIGTERM end a wait for a busy database.
pub fn stop_busy_wait_on_signal() {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, busy::shutdown_flag()) {
            tracing::warn!(%error, "cannot listen for signals");
        }
    }
}

/// Waits for SIGINT or SIGTERM. From this call on (not from the first poll) they no longer kill the
/// process. Must be called within a runtime.
pub fn stop_signal() -> impl Future<Output = ()> {
    stop_busy_wait_on_signal();
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
