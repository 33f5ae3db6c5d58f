//! The real daemon and the sandbox in one process, over real HTTP, both on one simulated clock. Events
//! are planned on that clock.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use creatormirror::clock::Clock;
use creatormirror::daemon::{
    self, DaemonHooks, DaemonSettings, Heartbeat, JobAnswer, Reloaded, ServiceState, Signal,
};
use creatormirror::fetch::fetcher::RequestSettings;
use creatormirror::fetch::{Fetcher, SyncContext};
use creatormirror::model::{Event, Kind, Watcher};
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use creatormirror::sync::RunError;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::settings::{client, sync_settings};
use crate::support::sandbox::{self, Control, Sandbox, SandboxSettings};

/// Start of every simulation: a Monday noon.
pub fn begins_at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_772_452_800, 0).unwrap()
}

/// Values that are recorded while the daemon runs.
pub type Noted<T> = Arc<Mutex<Vec<T>>>;

/// A sandbox, an empty mirror, and their clock.
pub struct Stage {
    pub clock: Clock,
    pub control: Control,
    /// The base URL of the API for the daemon.
    pub base_url: String,
    /// Status texts of the daemon, with their time.
    pub said: Noted<(DateTime<Utc>, String)>,
    /// Requests of the daemon: time since boot, and the status if answered.
    pub sent: Noted<(Duration, Option<u16>)>,
    sandbox: Sandbox,
    signals: (mpsc::Sender<Signal>, Mutex<Option<mpsc::Receiver<Signal>>>),
    folder: TempDir,
}

impl Stage {
    /// Starts the sandbox and creates the database with its schema.
    pub async fn set(world: SandboxSettings) -> Self {
        let clock = Clock::simulated(begins_at());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = sandbox::start(world, clock.clone(), listen).await.unwrap();
        let (sender, receiver) = mpsc::channel(16);
        let stage = Self {
            clock,
            control: sandbox.control(),
            base_url: sandbox.base_url(),
            said: Arc::default(),
            sent: Arc::default(),
            sandbox,
            signals: (sender, Mutex::new(Some(receiver))),
            folder: tempfile::tempdir().unwrap(),
        };
        drop(Database::open(&stage.database(), IfMissing::Create).unwrap());
        stage
    }

    /// The path of the mirror.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("mirror.db")
    }

    /// The sandbox's address.
    pub fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    /// A function that sends SIGTERM to the daemon.
    pub fn stop(&self) -> impl FnOnce() + Send + 'static {
        let sender = self.signals.0.clone();
        move || sender.try_send(Signal::Terminate).unwrap()
    }

    /// Runs the daemon until it is stopped; panics on an error.
    pub async fn live(&self, settings: DaemonSettings) {
        self.run(settings).await.unwrap();
    }

    /// Runs the daemon until it exits.
    pub async fn run(&self, settings: DaemonSettings) -> Result<(), RunError> {
        let database = Database::open(&self.database(), IfMissing::Refuse).unwrap();
        let heartbeat = Heartbeat::new(self.clock.clone());
        let client = client(&self.base_url, &self.clock);
        let (clock, request_settings) = (self.clock.clone(), settings.request_settings);
        let watcher = self.watcher(&heartbeat);
        let fetcher = Fetcher::open(client, database, clock, watcher, request_settings).unwrap();
        let ctx = SyncContext::new(fetcher, settings.freshness_target);
        let hooks = self.hooks(heartbeat, settings.clone());
        daemon::run(ctx, settings, hooks).await
    }

    fn watcher(&self, heartbeat: &Heartbeat) -> Watcher {
        let (heartbeat, sent, clock) =
            (heartbeat.watcher(), Arc::clone(&self.sent), self.clock.clone());
        Watcher::new(move |event| {
            heartbeat.tell(event);
            if let Event::Answered { status, .. } = event {
                sent.lock().unwrap().push((clock.boot().elapsed, *status));
            }
        })
    }

    fn hooks(&self, heartbeat: Heartbeat, settings: DaemonSettings) -> DaemonHooks {
        let (said, clock) = (Arc::clone(&self.said), self.clock.clone());
        let notify = move |state: &ServiceState| {
            tracing::debug!(?state, now = %clock.now(), "service state");
            if let ServiceState::Status(text) = state {
                said.lock().unwrap().push((clock.now(), text.clone()));
            }
        };
        let ended = |exit_code| JobAnswer {
            exit_code,
            json: serde_json::Value::Null,
            text: String::new(),
            error: None,
            hints: Vec::new(),
        };
        let (base_url, clock) = (self.base_url.clone(), self.clock.clone());
        let reload =
            move || Ok(Reloaded { client: client(&base_url, &clock), settings: settings.clone() });
        DaemonHooks {
            signals: self.signals.1.lock().unwrap().take().unwrap(),
            notify: Box::new(notify),
            on_run: Box::new(|_, _| ()),
            reload: Box::new(reload),
            // Every error here is temporary.
            answer: Box::new(move |report| ended(if report.run_error.is_none() { 0 } else { 75 })),
            answer_backfill: Box::new(move |_| ended(0)),
            heartbeat,
        }
    }
}

/// The daemon's default settings.
pub fn settings(freshness: Duration) -> DaemonSettings {
    let full_sync = |kind| match kind {
        Kind::Account | Kind::Creator | Kind::Overview => "@hourly",
        Kind::Video | Kind::AccountVideo | Kind::Meta => "@daily",
    };
    DaemonSettings {
        sync_settings: sync_settings(full_sync),
        request_settings: RequestSettings {
            rate_share: 0.9,
            max_wait: Duration::from_secs(30),
            max_concurrent_requests: 4,
            seed: 7,
        },
        freshness_target: freshness,
    }
}
