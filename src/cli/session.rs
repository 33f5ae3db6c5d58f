//! What every command that talks to the API needs: the key, the mirror, the way to send, and how
//! their errors become exit codes.

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
use crate::store::{Database, StoreError, busy, instance};
use crate::sync::{self, Report, RunError, RunOptions, SyncSettings};

/// An open mirror and a way to fill it.
pub struct Session {
    /// Where passes work.
    pub ctx: SyncContext,
    /// What they go by.
    pub settings: SyncSettings,
    /// What differs between installations.
    pub seed: u64,
}

/// Opens the mirror under the lock, and makes ready to send with `key`.
pub fn open(
    context: &Context,
    key: SecretString,
    watcher: Watcher,
    if_missing: IfMissing,
) -> Result<Session, CliError> {
    let config = &context.config;
    let client = client(context, key)?;
    let failed = |error| context.storage(&error);
    let database = Database::open(&config.database, if_missing).map_err(failed)?;
    let seed = seed(&database).map_err(failed)?;
    // A daemon that was killed left its name here; nobody is to hand jobs to us for it.
    database.write(|tx| instance::set_runner(tx, None)).map_err(failed)?;
    let request_settings = request_settings(context, config.max_wait);
    let fetcher = Fetcher::open(client, database, context.clock.clone(), watcher, request_settings)
        .map_err(|error| context.storage(&error))?;
    Ok(Session {
        ctx: SyncContext::new(fetcher, config.freshness_target),
        settings: settings(context, seed),
        seed,
    })
}

/// Works on a mirror, from opening it to leaving it, with progress shown. `work` hears of a signal by
/// itself.
pub fn with<T>(
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
        store.check_in_place().await.map_err(|error| context.storage(&error))?;
        if let Err(error) = store.truncate_wal().await {
            tracing::warn!(%error, "the write-ahead log could not be cut");
        }
        Ok(done)
    })
}

/// Does one run on a mirror. A signal drops it where it waits; a write that is under way still ends.
pub fn run_id(
    context: &Context,
    runtime: &Runtime,
    if_missing: IfMissing,
    options: &RunOptions,
) -> Result<Report, CliError> {
    with(context, runtime, if_missing, async |session: &mut Session| {
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

/// A database that was busy when the program was to end was not waited for: that is a signal's doing.
pub fn interrupted(stop: RunError) -> RunError {
    match stop {
        RunError::Store(_) if busy::is_shutting_down() => RunError::Interrupted,
        stop => stop,
    }
}

/// Insists on a mirror, for commands that do not make one.
pub fn must_exist(context: &Context) -> Result<(), CliError> {
    let database = &context.config.database;
    match database.exists() {
        true => Ok(()),
        false => Err(context.storage(&StoreError::Missing(database.clone()))),
    }
}

/// Opens the database to queue a write, beside whoever works on it. One that is not there is made where
/// the command line names it; a setting that is wrong must not make a mirror that nobody sends from.
pub fn open_to_queue(context: &Context) -> Result<Database, CliError> {
    let database = &context.config.database;
    let is_named = matches!(context.config.origin(Setting::Database), Origin::Flag(_));
    if is_named && !database.exists() {
        match Database::open(database, IfMissing::Create) {
            // Another process makes it at this moment, if it is locked.
            Ok(_) | Err(StoreError::Locked(_)) => {}
            Err(error) => return Err(context.storage(&error)),
        }
    }
    Database::open_without_lock(database).map_err(|error| context.storage(&error))
}

/// What passes go by, for an installation with this seed.
pub fn settings(context: &Context, seed: u64) -> SyncSettings {
    let config = &context.config;
    SyncSettings {
        full_syncs: config.full_syncs(seed),
        timezone: config.timezone,
        max_removals: config.max_removals,
        log_retention: config.log_retention,
        outbox_retention: config.outbox_retention,
        reconcile_after: config.reconcile_after,
    }
}

/// How requests are bounded, when a run may wait so long for the rate limit.
pub fn request_settings(context: &Context, max_wait: Duration) -> RequestSettings {
    RequestSettings {
        rate_share: context.config.rate_share,
        max_wait,
        max_concurrent_requests: context.config.max_concurrent_requests,
        seed: jitter_seed(&context.clock),
    }
}

/// The number that seeds the minutes of this installation's full syncs.
pub fn seed(store: &Database) -> Result<u64, StoreError> {
    Ok(store.read(instance::identity)?.seed())
}

/// Makes ready to send with `key`.
pub fn client(context: &Context, key: SecretString) -> Result<Client, CliError> {
    let built = Client::new(&context.config.api(key));
    let client = built.map_err(|error| errors::unbuildable(&error))?;
    Ok(client.with_clock(context.clock.clone()))
}

/// Retries of processes that failed together must not come back together.
fn jitter_seed(clock: &Clock) -> u64 {
    let boot = clock.boot();
    let nanos = u64::try_from(boot.elapsed.as_nanos()).unwrap_or(0);
    nanos ^ (u64::from(std::process::id()) << 32)
}
