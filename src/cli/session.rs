//! Sets up what commands that talk to the API need: key, database, client and settings; and runs a
//! sync with them.

use std::time::Duration;

use secrecy::SecretString;
use tokio::runtime::Runtime;

use crate::api::Client;
use crate::cli::context::Context;
use crate::cli::{errors, runtime};
use crate::clock::Clock;
use crate::config::{Origin, Setting};
use crate::fetch::fetcher::RequestSettings;
use crate::fetch::{Fetcher, SyncContext};
use crate::model::Watcher;
use crate::report::{CliError, progress};
use crate::store::open::IfMissing;
use crate::store::{Database, StoreError, busy, database_path, instance};
use crate::sync::{self, Report, RunError, RunOptions, SyncSettings};

/// An open database with a client.
pub struct Session {
    /// Context of runs.
    pub ctx: SyncContext,
    /// Settings of runs.
    pub settings: SyncSettings,
    /// Seed of the full-sync schedules, one per database.
    pub seed: u64,
}

/// Opens the database under the instance lock and creates a client with `key`.
pub fn open(
    context: &Context,
    key: SecretString,
    watcher: Watcher,
    if_missing: IfMissing,
) -> Result<Session, CliError> {
    let config = &context.config;
    let client = client(context, key)?;
    let failed = |error| context.store_error(&error);
    let database = Database::open(&config.database, if_missing).map_err(failed)?;
    let seed = schedule_seed(&database).map_err(failed)?;
    // A daemon that was killed is still registered; clear it, so that no job is submitted to this
    // process.
    database.write(|tx| instance::set_runner(tx, None)).map_err(failed)?;
    let request_settings = request_settings(context, config.max_wait);
    let fetcher = Fetcher::open(client, database, context.clock.clone(), watcher, request_settings)
        .map_err(failed)?;
    Ok(Session {
        ctx: SyncContext::new(fetcher, config.freshness_target),
        settings: sync_settings(context, seed),
        seed,
    })
}

/// Opens a session, runs `work` with progress shown, and closes the session. `work` handles signals
/// itself.
pub fn with_session<T>(
    context: &Context,
    runtime: &Runtime,
    if_missing: IfMissing,
    work: impl AsyncFnOnce(&mut Session) -> T,
) -> Result<T, CliError> {
    let (key, _) = context.key()?;
    let (watcher, progress) = progress::start(context.view);
    let mut session = open(context, key, watcher, if_missing)?;
    runtime.block_on(async {
        let done = work(&mut session).await;
        drop(progress);
        let store = &session.ctx.store;
        store.check_in_place().await.map_err(|error| context.store_error(&error))?;
        if let Err(error) = store.truncate_wal().await {
            tracing::warn!(%error, "cannot truncate the write-ahead log");
        }
        Ok(done)
    })
}

/// Executes one run. A signal cancels it at its next await; a database write in progress completes.
pub fn run_once(
    context: &Context,
    runtime: &Runtime,
    if_missing: IfMissing,
    options: &RunOptions,
) -> Result<Report, CliError> {
    with_session(context, runtime, if_missing, async |session: &mut Session| {
        let report = tokio::select! {
            report = sync::run_and_grow(&mut session.ctx, options, &session.settings) => Some(report),
            () = runtime::stop_signal() => None,
        };
        let mut report = match report {
            Some(report) => report,
            None => sync::interrupt(&mut session.ctx, &session.settings).await,
        };
        report.run_error = report.run_error.map(interrupted);
        report
    })
}

/// Maps a database error after a stop signal to `Interrupted`: the signal ends the wait for a busy
/// database.
pub fn interrupted(error: RunError) -> RunError {
    match error {
        RunError::Store(_) if busy::is_shutting_down() => RunError::Interrupted,
        error => error,
    }
}

/// Fails if the database does not exist, for commands that do not create one.
pub fn require_database(context: &Context) -> Result<(), CliError> {
    let database = &context.config.database;
    match database_path::exists(database) {
        Ok(true) => Ok(()),
        Ok(false) => Err(context.store_error(&StoreError::Missing(database.clone()))),
        Err(error) => Err(context.store_error(&error)),
    }
}

/// Opens the database to queue a write, beside other processes. Creates it only if `--database`
/// names it: a wrong setting must not create a queue that no daemon sends.
pub fn open_to_queue(context: &Context) -> Result<Database, CliError> {
    let database = &context.config.database;
    let is_named = matches!(context.config.origin(Setting::Database), Origin::Flag(_));
    let exists = database_path::exists(database).map_err(|error| context.store_error(&error))?;
    if is_named && !exists {
        match Database::open(database, IfMissing::Create) {
            // Locked: another process is creating it.
            Ok(_) | Err(StoreError::Locked(_)) => {}
            Err(error) => return Err(context.store_error(&error)),
        }
    }
    Database::open_without_lock(database).map_err(|error| context.store_error(&error))
}

/// Returns the settings of runs.
pub fn sync_settings(context: &Context, seed: u64) -> SyncSettings {
    let config = &context.config;
    SyncSettings {
        full_syncs: config.full_syncs(seed),
        timezone: config.timezone.clone(),
        max_removals: config.max_removals,
        log_retention: config.log_retention,
        change_log_retention: config.change_log_retention,
        outbox_retention: config.outbox_retention,
        reconcile_after: config.reconcile_after,
    }
}

/// Returns the limits of requests, with this maximum wait for the rate limit.
pub fn request_settings(context: &Context, max_wait: Duration) -> RequestSettings {
    RequestSettings {
        rate_share: context.config.rate_share,
        max_wait,
        max_concurrent_requests: context.config.max_concurrent_requests,
        seed: jitter_seed(&context.clock),
    }
}

/// Returns the database's seed, which sets the minutes of its full syncs.
pub fn schedule_seed(store: &Database) -> Result<u64, StoreError> {
    Ok(store.read(instance::identity)?.seed())
}

/// Creates a client with `key`.
pub fn client(context: &Context, key: SecretString) -> Result<Client, CliError> {
    let built = Client::new(&context.config.api(key));
    let client = built.map_err(|error| errors::client_error(&error))?;
    Ok(client.with_clock(context.clock.clone()))
}

/// Seed of retry jitter, so that processes that failed together retry at different times.
fn jitter_seed(clock: &Clock) -> u64 {
    let boot = clock.boot();
    let nanos = u64::try_from(boot.elapsed.as_nanos()).unwrap_or(0);
    nanos ^ (u64::from(std::process::id()) << 32)
}
