//! `run`: the daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::context::Context;
use crate::cli::service_manager::ServiceManager;
use crate::cli::{errors, outcome, runtime, session};
use crate::config::{Environment, Flags};
use crate::daemon::{
    self, DaemonHooks, DaemonSettings, Heartbeat, JobAnswer, Reloaded, ServiceState, Signal,
};
use crate::listen::{self, Listener, Metrics};
use crate::logging;
use crate::model::Watcher;
use crate::report::{Answer, CliError, Exit};
use crate::store::open::IfMissing;
use crate::sync::backfill::Backfilled;
use crate::sync::{Report, RunError};

/// Waits for the rate limit that are longer than this are spent outside a run, where signals and
/// jobs are heard.
const WAIT_IN_RUN: Duration = Duration::from_secs(30);

/// A stop is over by then, whatever is in its way.
const STOP_MAX: Duration = Duration::from_secs(4);

/// How long lines may take to be written when the process ends at once.
const FLUSH_AT_ONCE: Duration = Duration::from_millis(200);

/// How often the watchdog looks for a sign of life, if the service manager does not say.
const HEARTBEAT_LOOK: Duration = Duration::from_secs(10);

/// Flags of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {}

/// Runs the command. `flags` and `environment` are read again on SIGHUP.
pub fn run(
    context: &Context,
    flags: &Flags,
    environment: &Environment,
) -> Result<Answer, CliError> {
    let (key, _) = context.key()?;
    let runtime = runtime::runtime()?;
    let heartbeat = Heartbeat::new(context.clock.clone());
    let metrics = Arc::new(Metrics::default());
    let session = session::open(context, key, watcher(&heartbeat, &metrics), IfMissing::Create)?;
    let settings = settings(context, session.seed);
    session.ctx.fetcher.set_request_settings(settings.request_settings);
    let ended = runtime.block_on(async {
        let is_ready = Arc::new(AtomicBool::new(false));
        if let Some(address) = context.config.listen {
            let listener = Listener {
                metrics: Arc::clone(&metrics),
                is_ready: Arc::clone(&is_ready),
                heartbeat: heartbeat.clone(),
                database: session.ctx.store.path().to_owned(),
                clock: context.clock.clone(),
            };
            let address = listen::start(address, listener).await.map_err(|error| {
                CliError::new(Exit::Config, format!("cannot listen on {address}")).because(&error)
            })?;
            tracing::info!(%address, "listening");
        }
        let counted = Arc::clone(&metrics);
        let clock = context.clock.clone();
        let manager = Arc::new(ServiceManager::new(environment));
        let hooks = DaemonHooks {
            signals: signals(heartbeat.clone(), Arc::clone(&manager))?,
            notify: Box::new(move |news| {
                match news {
                    ServiceState::KeyWorks(works) => {
                        metrics.set_key_ok(*works);
                        is_ready.store(*works, Ordering::Relaxed);
                    }
                    ServiceState::ApiAnswers(answers) => metrics.set_api_up(*answers),
                    _ => {}
                }
                notify(&manager, news);
            }),
            on_run: Box::new(move |report, took| counted.count_run(report, took, clock.now())),
            reload: reload(context, flags, environment, &session),
            answer: answer(context),
            answer_backfill: answer_backfill(context),
            heartbeat,
        };
        tracing::info!(version = env!("CARGO_PKG_VERSION"), database = %session.ctx.store.path().display(), "running");
        Ok::<_, CliError>(daemon::run(session.ctx, settings, hooks).await)
    })?;
    match ended.map_err(session::interrupted) {
        Ok(()) | Err(RunError::Interrupted) => {
            tracing::info!("stopped");
            Ok(Answer::none())
        }
        Err(RunError::Store(error)) => Err(context.storage(&error)),
        Err(stop) => Err(errors::stopped(&stop)),
    }
}

/// Every event is a sign of life, and counts.
fn watcher(heartbeat: &Heartbeat, metrics: &Arc<Metrics>) -> Watcher {
    let (heartbeat, metrics) = (heartbeat.watcher(), Arc::clone(metrics));
    Watcher::new(move |event| {
        heartbeat.tell(event);
        metrics.count(event);
    })
}

fn settings(context: &Context, seed: u64) -> DaemonSettings {
    DaemonSettings {
        sync_settings: session::settings(context, seed),
        request_settings: session::request_settings(context, WAIT_IN_RUN),
        freshness_target: context.config.freshness_target,
    }
}

/// Listens for signals. A second call to stop, or a stop that takes too long, ends the process where
/// it stands: what is committed is safe.
fn signals(
    heartbeat: Heartbeat,
    manager: Arc<ServiceManager>,
) -> Result<mpsc::Receiver<Signal>, CliError> {
    let (sender, receiver) = mpsc::channel(16);
    let is_stopping = Arc::new(AtomicBool::new(false));
    runtime::note_end();
    let signals = [
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::interrupt(), Signal::Terminate),
        (SignalKind::hangup(), Signal::Reload),
        (SignalKind::user_defined1(), Signal::Summary),
    ];
    for (kind, call) in signals {
        let mut signal = signal(kind).map_err(|error| {
            CliError::new(Exit::Config, "cannot listen for signals").because(&error)
        })?;
        let (sender, is_stopping) = (sender.clone(), Arc::clone(&is_stopping));
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                if call == Signal::Terminate {
                    if is_stopping.swap(true, Ordering::Relaxed) {
                        logging::flush(FLUSH_AT_ONCE);
                        std::process::exit(i32::from(Exit::Partial.code()));
                    }
                    tokio::spawn(end_in_time());
                }
                if sender.send(call).await.is_err() {
                    return;
                }
            }
        });
    }
    tokio::spawn(watchdog(heartbeat, manager));
    Ok(receiver)
}

/// The end must not wait for a database that somebody else holds.
async fn end_in_time() {
    crate::clock::Clock::System.sleep(STOP_MAX).await;
    tracing::warn!("ended in the middle of something; what is committed is safe");
    logging::flush(FLUSH_AT_ONCE);
    std::process::exit(i32::from(Exit::Done.code()));
}

/// Tells the service manager that all is well, for as long as it is.
async fn watchdog(heartbeat: Heartbeat, manager: Arc<ServiceManager>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let clock = crate::clock::Clock::System;
    loop {
        if heartbeat.is_alive() {
            manager.notify(&[NotifyState::Watchdog]);
        }
        clock.sleep((limit / 3).min(HEARTBEAT_LOOK)).await;
    }
}

fn notify(manager: &ServiceManager, news: &ServiceState) {
    match news {
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

/// Reads settings and key again. What cannot change while the database is open, stays.
fn reload(
    context: &Context,
    flags: &Flags,
    environment: &Environment,
    session: &session::Session,
) -> Box<dyn FnMut() -> Result<Reloaded, String> + Send> {
    let (flags, environment) = (flags.clone(), environment.clone());
    let (clock, view) = (context.clock.clone(), context.view);
    let database = context.config.database.clone();
    let seed = session.seed;
    Box::new(move || {
        let told = |error: CliError| error.message;
        let context = Context::load(&flags, &environment, clock.clone(), view).map_err(told)?;
        if context.config.database != database {
            tracing::warn!("`database` changes with a restart only");
        }
        let (key, _) = context.key().map_err(told)?;
        let client = session::client(&context, key).map_err(told)?;
        Ok(Reloaded { client, settings: settings(&context, seed) })
    })
}

fn answer(context: &Context) -> Box<dyn Fn(&Report) -> JobAnswer + Send> {
    let context = context.clone();
    Box::new(move |report| outcome::of_run(&context, report).0)
}

fn answer_backfill(context: &Context) -> Box<dyn Fn(&Backfilled) -> JobAnswer + Send> {
    let context = context.clone();
    Box::new(move |backfilled| outcome::of_backfill(&context, backfilled).0)
}
