//! `run`: the daemon, with its signals, service notifications and watchdog heartbeat.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::context::Context;
use crate::cli::service_manager::ServiceManager;
use crate::cli::{errors, outcome, runtime, session};
use crate::clock::Clock;
use crate::config::{Environment, Flags};
use crate::daemon::{
    self, DaemonHooks, DaemonSettings, Heartbeat, JobAnswer, Reloaded, ServiceState, Signal,
};
use crate::listen::{self, Listener, Metrics};
use crate::logging;
use crate::model::Watcher;
use crate::report::{Answer, CliError, Exit};
use crate::store::open::IfMissing;
use crate::store::status;
use crate::sync::backfill::BackfillReport;
use crate::sync::{Report, RunError};

/// Longest wait for the rate limit within a run. A longer wait ends the run, so that the daemon can
/// handle jobs meanwhile.
const WAIT_IN_RUN_MAX: Duration = Duration::from_secs(30);

/// A stop that takes longer ends the process.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// How long to flush logs when the process is ended by force.
const FORCED_FLUSH_MAX: Duration = Duration::from_millis(200);

/// Longest interval of watchdog notifications.
const WATCHDOG_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Runs the command. `flags` and `environment` are used again to reload on SIGHUP.
pub fn run(
    context: &Context,
    flags: &Flags,
    environment: &Environment,
) -> Result<Answer, CliError> {
    let (key, _) = context.key()?;
    let runtime = runtime::multi_thread()?;
    let heartbeat = Heartbeat::new(context.clock.clone());
    let metrics = Arc::new(Metrics::default());
    let session = session::open(context, key, watcher(&heartbeat, &metrics), IfMissing::Create)?;
    let settings = daemon_settings(context, session.seed);
    session.ctx.fetcher.set_request_settings(settings.request_settings);
    let result = runtime.block_on(async {
        let is_ready = Arc::new(AtomicBool::new(false));
        if let Some(address) = context.config.listen {
            let finished_at = session.ctx.store.read(status::last_run_finished_at).await;
            if let Some(at) = finished_at.map_err(|error| context.store_error(&error))? {
                metrics.set_last_run(at / 1_000_000);
            }
            let listener = Listener {
                metrics: Arc::clone(&metrics),
                is_ready: Arc::clone(&is_ready),
                heartbeat: heartbeat.clone(),
                database: session.ctx.store.path().to_owned(),
                clock: context.clock.clone(),
            };
            let address = listen::start(address, listener).await.map_err(|error| {
                CliError::new(Exit::Config, format!("cannot listen on `{address}`")).because(&error)
            })?;
            tracing::info!(%address, "listening");
        }
        let run_metrics = Arc::clone(&metrics);
        let clock = context.clock.clone();
        let manager = Arc::new(ServiceManager::new(environment));
        let hooks = DaemonHooks {
            signals: signals(heartbeat.clone(), Arc::clone(&manager))?,
            notify: Box::new(move |state| {
                match state {
                    ServiceState::KeyWorks(works) => {
                        metrics.set_key_ok(*works);
                        is_ready.store(*works, Ordering::Relaxed);
                    }
                    ServiceState::ApiAnswers(answers) => metrics.set_api_up(*answers),
                    _ => {}
                }
                notify(&manager, state);
            }),
            on_run: Box::new(move |report, took| run_metrics.count_run(report, took, clock.now())),
            reload: reload(context, flags, environment, &session),
            answer: answer(context),
            answer_backfill: answer_backfill(context),
            heartbeat,
        };
        tracing::info!(version = env!("CARGO_PKG_VERSION"), database = %session.ctx.store.path().display(), "daemon started");
        Ok::<_, CliError>(daemon::run(session.ctx, settings, hooks).await)
    })?;
    match result.map_err(session::interrupted) {
        Ok(()) | Err(RunError::Interrupted) => {
            tracing::info!("daemon stopped");
            Ok(Answer::none())
        }
        Err(RunError::Store(error)) => Err(context.store_error(&error)),
        Err(error) => Err(errors::run_error(&error)),
    }
}

/// Passes every event of a run to the heartbeat and the metrics.
fn watcher(heartbeat: &Heartbeat, metrics: &Arc<Metrics>) -> Watcher {
    let (heartbeat, metrics) = (heartbeat.watcher(), Arc::clone(metrics));
    Watcher::new(move |event| {
        heartbeat.tell(event);
        metrics.count(event);
    })
}

fn daemon_settings(context: &Context, seed: u64) -> DaemonSettings {
    DaemonSettings {
        sync_settings: session::sync_settings(context, seed),
        request_settings: session::request_settings(context, WAIT_IN_RUN_MAX),
        freshness_target: context.config.freshness_target,
    }
}

/// Listens for signals. A second stop signal, or a stop that takes too long, ends the process by
/// force; committed data is safe.
fn signals(
    heartbeat: Heartbeat,
    manager: Arc<ServiceManager>,
) -> Result<mpsc::Receiver<Signal>, CliError> {
    let (sender, receiver) = mpsc::channel(16);
    let is_stopping = Arc::new(AtomicBool::new(false));
    runtime::stop_busy_wait_on_signal();
    let signals = [
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::interrupt(), Signal::Terminate),
        (SignalKind::hangup(), Signal::Reload),
        (SignalKind::user_defined1(), Signal::Summary),
    ];
    for (kind, request) in signals {
        let mut signal = signal(kind).map_err(|error| {
            CliError::new(Exit::Config, "cannot listen for signals").because(&error)
        })?;
        let (sender, is_stopping) = (sender.clone(), Arc::clone(&is_stopping));
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                if request == Signal::Terminate {
                    if is_stopping.swap(true, Ordering::Relaxed) {
                        logging::flush(FORCED_FLUSH_MAX);
                        std::process::exit(i32::from(Exit::Partial.code()));
                    }
                    tokio::spawn(enforce_stop_timeout());
                }
                if sender.send(request).await.is_err() {
                    return;
                }
            }
        });
    }
    tokio::spawn(watchdog(heartbeat, manager));
    Ok(receiver)
}

/// Ends the process after [`STOP_TIMEOUT`], for example while another process locks the database.
async fn enforce_stop_timeout() {
    Clock::System.sleep(STOP_TIMEOUT).await;
    tracing::warn!("stop timed out: exiting now; committed data is safe");
    logging::flush(FORCED_FLUSH_MAX);
    std::process::exit(i32::from(Exit::Done.code()));
}

/// Notifies systemd's watchdog as long as the daemon's loop is alive.
async fn watchdog(heartbeat: Heartbeat, manager: Arc<ServiceManager>) {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return };
    loop {
        if heartbeat.is_alive() {
            manager.notify(&[NotifyState::Watchdog]);
        }
        Clock::System.sleep((timeout / 3).min(WATCHDOG_INTERVAL_MAX)).await;
    }
}

fn notify(manager: &ServiceManager, state: &ServiceState) {
    match state {
        ServiceState::Ready => manager.notify(&[NotifyState::Ready]),
        ServiceState::Status(text) => {
            tracing::debug!("{text}");
            manager.notify(&[NotifyState::Status(text)]);
        }
        ServiceState::Reloading => match NotifyState::monotonic_usec_now() {
            Ok(now) => manager.notify(&[NotifyState::Reloading, now]),
            Err(_) => manager.notify(&[NotifyState::Reloading]),
        },
        ServiceState::Stopping => manager.notify(&[NotifyState::Stopping]),
        ServiceState::KeyWorks(_) | ServiceState::ApiAnswers(_) => {}
    }
}

/// Returns the hook that loads settings and key again. `database` and `listen` stay as they are until a
/// restart.
fn reload(
    context: &Context,
    flags: &Flags,
    environment: &Environment,
    session: &session::Session,
) -> Box<dyn FnMut() -> Result<Reloaded, String> + Send> {
    let (flags, environment) = (flags.clone(), environment.clone());
    let (clock, view) = (context.clock.clone(), context.view);
    let (database, listen) = (context.config.database.clone(), context.config.listen);
    let seed = session.seed;
    Box::new(move || {
        let message = |error: CliError| error.message;
        let context = Context::load(&flags, &environment, clock.clone(), view).map_err(message)?;
        for (name, is_changed) in [
            ("database", context.config.database != database),
            ("listen", context.config.listen != listen),
        ] {
            if is_changed {
                tracing::warn!("`{name}` ignored on reload: restart the daemon to change it");
            }
        }
        let (key, _) = context.key().map_err(message)?;
        let client = session::client(&context, key).map_err(message)?;
        Ok(Reloaded { client, settings: daemon_settings(&context, seed) })
    })
}

fn answer(context: &Context) -> Box<dyn Fn(&Report) -> JobAnswer + Send> {
    let context = context.clone();
    Box::new(move |report| outcome::of_run(&context, report).0)
}

fn answer_backfill(context: &Context) -> Box<dyn Fn(&BackfillReport) -> JobAnswer + Send> {
    let context = context.clone();
    Box::new(move |backfilled| outcome::of_backfill(&context, backfilled).0)
}
