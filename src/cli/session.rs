//! What every command that talks to the API needs: the key, the mirror, the way to send, and how
//! their errors become exit codes.

use std::time::Duration;

use secrecy::SecretString;
use tokio::runtime::Runtime;

use crate::api::{BuildError, Client, Failure, Verdict};
use crate::cli::{CliError, Context, Exit, backfill};
use crate::clock::Clock;
use crate::config::{Origin, Setting};
use crate::model::Watcher;
use crate::pass::findings::{Findings, KindFindings};
use crate::pass::{self, Order, PassSettings, Report, Stop};
use crate::poll::fetch::Manners;
use crate::poll::{Desk, Fetcher};
use crate::report::progress;
use crate::retry::Trouble;
use crate::store::open::IfMissing;
use crate::store::{Database, StoreError, busy, instance};

/// An open mirror and a way to fill it.
pub struct Session {
    /// Where passes work.
    pub desk: Desk,
    /// What they go by.
    pub settings: PassSettings,
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
    let failed = |error| storage(context, &error);
    let database = Database::open(&config.database, if_missing).map_err(failed)?;
    let seed = seed(&database).map_err(failed)?;
    // A daemon that was killed left its name here; nobody is to hand jobs to us for it.
    database.write(|tx| instance::set_runner(tx, None)).map_err(failed)?;
    let manners = manners(context, config.max_wait);
    let fetcher = Fetcher::open(client, database, context.clock.clone(), watcher, manners)
        .map_err(|error| storage(context, &error))?;
    Ok(Session {
        desk: Desk::new(fetcher, config.freshness_target),
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
    let (watcher, progress) = progress::start(context.output.progress);
    let mut session = open(context, key, watcher, if_missing)?;
    runtime.block_on(async {
        let done = work(&mut session).await;
        drop(progress);
        let store = &session.desk.store;
        store.check_in_place().await.map_err(|error| storage(context, &error))?;
        if let Err(error) = store.tidy().await {
            tracing::warn!(%error, "the write-ahead log could not be cut");
        }
        Ok(done)
    })
}

/// Does one pass on a mirror. A signal drops it where it waits; a write that is under way still ends.
pub fn pass(
    context: &Context,
    runtime: &Runtime,
    if_missing: IfMissing,
    order: &Order,
) -> Result<Report, CliError> {
    with(context, runtime, if_missing, async |session: &mut Session| {
        let report = tokio::select! {
            report = pass::run_and_grow(&mut session.desk, order, &session.settings) => Some(report),
            () = crate::cli::stop_signal() => None,
        };
        let mut report = match report {
            Some(report) => report,
            None => pass::interrupt(&mut session.desk, &session.settings).await,
        };
        report.stop = report.stop.map(interrupted);
        report
    })
}

/// A database that was busy when the program was to end was not waited for: that is a signal's doing.
pub fn interrupted(stop: Stop) -> Stop {
    match stop {
        Stop::Store(_) if busy::is_ending() => Stop::Interrupted,
        stop => stop,
    }
}

/// Insists on a mirror, for commands that do not make one.
pub fn must_exist(context: &Context) -> Result<(), CliError> {
    let database = &context.config.database;
    match database.exists() {
        true => Ok(()),
        false => Err(storage(context, &StoreError::Missing(database.clone()))),
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
            Err(error) => return Err(storage(context, &error)),
        }
    }
    Database::open_beside(database).map_err(|error| storage(context, &error))
}

/// What passes go by, for an installation with this seed.
pub fn settings(context: &Context, seed: u64) -> PassSettings {
    let config = &context.config;
    PassSettings {
        sweeps: config.sweeps(seed),
        timezone: config.timezone,
        max_removals: config.max_removals,
        log_retention: config.log_retention,
        outbox_retention: config.outbox_retention,
        reconcile_after: config.reconcile_after,
    }
}

/// How requests are bounded, when a pass may wait so long for the rate limit.
pub fn manners(context: &Context, max_wait: Duration) -> Manners {
    Manners {
        rate_share: context.config.rate_share,
        max_wait,
        max_concurrent_requests: context.config.max_concurrent_requests,
        seed: jitter_seed(&context.clock),
    }
}

/// The number that seeds the minutes of this installation's sweeps.
pub fn seed(store: &Database) -> Result<u64, StoreError> {
    Ok(store.read(instance::identity)?.seed())
}

/// Makes ready to send with `key`.
pub fn client(context: &Context, key: SecretString) -> Result<Client, CliError> {
    let built = Client::new(&context.config.api(key));
    let client = built.map_err(|error| unbuildable(&error))?;
    Ok(client.with_clock(context.clock.clone()))
}

/// What settings that cannot make a client mean to the user.
pub fn unbuildable(error: &BuildError) -> CliError {
    let exit = match error {
        BuildError::Key { .. } => Exit::Key,
        _ => Exit::Config,
    };
    CliError::from_error(exit, error)
}

/// What a failure of the database means to the user.
pub fn storage(context: &Context, error: &StoreError) -> CliError {
    let origin = context.config.origin(Setting::Database);
    let found = |exit| CliError::from_error(exit, error);
    match error {
        StoreError::Missing(_) => found(Exit::Config)
            .hint(format!("the path comes from {origin}"))
            .hint("`creatormirror sync` makes the database; --database FILE names another"),
        StoreError::NetworkFileSystem { .. } => {
            found(Exit::Config).hint("put `database` on a local disk")
        }
        StoreError::Locked(_) => found(Exit::TryAgain).hint("it is running now; try again later"),
        StoreError::OtherName(_) => found(Exit::TryAgain)
            .hint("use the name that the running one uses, so that both use one write-ahead log")
            .hint(format!("the path comes from {origin}")),
        StoreError::ForeignWal(_) => found(Exit::Storage)
            .hint("a copy was put over a database whose log was left; nothing was changed")
            .hint("`creatormirror restore FILE` puts a copy in place safely; keep FILE elsewhere, and name it")
            .hint(format!("the path comes from {origin}")),
        StoreError::Replaced(_) => found(Exit::Storage)
            .hint("what was written since then is not in the file that is there now; start it again")
            .hint("to put a copy in place, stop the daemon and use `creatormirror restore FILE`"),
        StoreError::Foreign(_) => {
            found(Exit::Storage).hint(format!("the path comes from {origin}; name another file"))
        }
        StoreError::Newer { .. } => {
            found(Exit::Storage).hint("install the newer creatormirror; the file was not touched")
        }
        StoreError::Older { .. } => {
            found(Exit::Storage).hint("`creatormirror sync` or `run` brings the schema up to date")
        }
        StoreError::Io { .. } | StoreError::Sqlite(_) => found(Exit::Storage)
            .hint(format!("the database is {}, from {origin}", context.config.database.display())),
        StoreError::Migration(_) | StoreError::Interrupted => found(Exit::Storage),
    }
}

/// What failures mean of which one is that of an API that does not work.
pub fn breakdown<'a>(mut failures: impl Iterator<Item = &'a Failure>) -> Option<CliError> {
    let failing =
        |trouble| matches!(trouble, Trouble::NoAnswer | Trouble::Failing | Trouble::Limited(_));
    let failure = failures.find(|failure| failing(failure.trouble()))?;
    let error = CliError::new(Exit::Unavailable, format!("the API keeps failing: {failure}"));
    Some(error.hint("what was done is kept; the next run goes on from here"))
}

/// How a pass ends the program: the error to print, or the code of its success.
pub fn verdict(context: &Context, report: &Report) -> Result<Exit, CliError> {
    if let Some(stop) = &report.stop {
        return Err(ended(context, stop, report.key_name.as_deref()));
    }
    if let Some(error) = breakdown(report.kinds.iter().filter_map(|kind| kind.failure.as_ref())) {
        return Err(error);
    }
    let parts: Vec<String> = report
        .kinds
        .iter()
        .filter(|kind| !kind.is_good())
        .map(|kind| {
            let detail = kind.turn.detail.as_deref().unwrap_or(kind.turn.outcome.name());
            format!("{}: {detail}", kind.turn.kind)
        })
        .collect();
    if !parts.is_empty() {
        let parts = parts.join("; ");
        return Err(CliError::new(Exit::Partial, format!("not all is mirrored; {parts}")));
    }
    if let Some(daily) = &report.daily {
        backfill::verdict(context, daily)?;
    }
    if let Some(findings) = report.verified.as_ref().filter(|findings| findings.differ()) {
        return Err(differs(findings));
    }
    match (report.pushed.failed, report.pushed.left) {
        (0, 0) => Ok(Exit::Done),
        (failed, left) => Err(CliError::new(
            Exit::Partial,
            format!("not all that was queued is done: {failed} entries failed, {left} are tried again later"),
        )
        .hint("`creatormirror outbox list` shows them")),
    }
}

/// What stopped a run, as the user is told.
pub fn ended(context: &Context, stop: &Stop, key_name: Option<&str>) -> CliError {
    match stop {
        Stop::Store(error) => storage(context, error),
        Stop::KeyRefused(_) => which_key(context, key_name, stopped(stop)),
        stop => stopped(stop),
    }
}

/// The mirror is not what it should be.
fn differs(findings: &Findings) -> CliError {
    let sum = |of: fn(&KindFindings) -> u64| findings.kinds.iter().map(of).sum::<u64>();
    let (drifted, missing) = (sum(|kind| kind.drifted), sum(|kind| kind.missing));
    let totals = sum(|kind| u64::from(kind.total.is_some_and(|total| total.differs())));
    let parts = [
        (drifted, "row, repaired", "rows, repaired"),
        (missing, "row that is gone", "rows that are gone"),
        (totals, "total", "totals"),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more }))
        .collect();
    let message = format!("the mirror differed from the API: {}", parts.join("; "));
    let error = CliError::new(Exit::Partial, message);
    match totals + missing {
        0 => error,
        _ => error.hint("`creatormirror sync --full` walks everything and settles what is gone"),
    }
}

/// Says which key was refused: its name as the API gave it once, and where it was read.
fn which_key(context: &Context, key_name: Option<&str>, error: CliError) -> CliError {
    let error = match key_name {
        Some(name) => error.hint(format!("its name was `{name}` when it worked")),
        None => error,
    };
    match context.config.key() {
        Ok((_, source)) => error.hint(format!("it was read from {source}")),
        Err(_) => error,
    }
}

/// What stopped a pass, as the user is told.
pub fn stopped(stop: &Stop) -> CliError {
    let found = |exit| CliError::new(exit, stop);
    match stop {
        Stop::KeyRefused(failure) => found(Exit::Key).hint(key_hint(failure)),
        Stop::OtherOrganization { .. } => found(Exit::Key)
            .hint("use this organization's key, or another database file for the other one"),
        Stop::RateLimited(_) => {
            found(Exit::TryAgain).hint("what was done is kept; a longer --max-wait waits it out")
        }
        Stop::Outage(_) => {
            found(Exit::Unavailable).hint("what was done is kept; the next run goes on from here")
        }
        Stop::Broken(failure) => match failure.verdict {
            Verdict::NotFound | Verdict::Redirected | Verdict::Malformed => {
                found(Exit::Unavailable).hint("is base_url right? It usually ends in /v2")
            }
            Verdict::Foreign => found(Exit::Unavailable)
                .hint("the answer is not the API's: is a proxy, a firewall or a block page in the way?")
                .hint("is base_url right? It usually ends in /v2"),
            Verdict::ScopeMissing => found(Exit::Key).hint(key_hint(failure)),
            _ => found(Exit::Unavailable),
        },
        Stop::Store(error) => CliError::from_error(Exit::Storage, error),
        Stop::UnreadableJob(_) => found(Exit::Partial)
            .hint("is it of another version? Restart it, and it is the one that is installed"),
        Stop::Interrupted => found(Exit::Partial),
    }
}

fn key_hint(failure: &Failure) -> &'static str {
    match failure.status {
        Some(403) => "the key or the subscription is inactive; see the dashboard under API keys",
        _ => "is the key complete and of this API? Keys are made on the dashboard under API keys",
    }
}

/// Retries of processes that failed together must not come back together.
fn jitter_seed(clock: &Clock) -> u64 {
    let boot = clock.boot();
    let nanos = u64::try_from(boot.elapsed.as_nanos()).unwrap_or(0);
    nanos ^ (u64::from(std::process::id()) << 32)
}
