//! What failures of the API, of the database and of the settings mean to the user: message, hints, exit code.

use std::path::Path;

use crate::api::{BuildError, Failure, Verdict};
use crate::cli::context::Context;
use crate::config::Setting;
use crate::report::text::bytes;
use crate::report::{CliError, Exit};
use crate::retry::RetryCause;
use crate::store::{Database, StoreError, database_path};
use crate::sync::RunError;

/// With less free, what SQLite could not write is taken for the effect of a full disk.
const FREE_BYTES_MIN: u64 = 1 << 20;

/// What settings that cannot make a client mean to the user.
pub fn unbuildable(error: &BuildError) -> CliError {
    let exit = match error {
        BuildError::Key { .. } => Exit::Key,
        _ => Exit::Config,
    };
    CliError::from_error(exit, error)
}

/// Why the system may have refused to write: SQLite says "disk I/O error" for all of it.
fn io_failure_hint(database: &Path) -> String {
    let limits = "is a quota or a file size limit (`ulimit -f`, `LimitFSIZE=`) reached?";
    match database.ancestors().find_map(database_path::free_bytes) {
        Some(free) if free < FREE_BYTES_MIN => {
            format!("the disk is full: {} free where the database is; make room", bytes(free))
        }
        Some(free) => format!("the disk is not full ({} free): {limits}", bytes(free)),
        None => format!("is the disk full? If not, {limits}"),
    }
}

impl Context {
    /// What a failure of the database means to the user.
    pub fn storage(&self, error: &StoreError) -> CliError {
        let origin = self.config.origin(Setting::Database);
        let found = |exit| match CliError::from_error(exit, error) {
            found if error.is_io_failure() => found.hint(io_failure_hint(&self.config.database)),
            found => found,
        };
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
                .hint(format!("the database is {}, from {origin}", self.config.database.display())),
            StoreError::Migration(_) | StoreError::Interrupted => found(Exit::Storage),
        }
    }

    /// Opens the database to read it, beside whoever writes.
    pub fn open_to_read(&self) -> Result<Database, CliError> {
        Database::open_to_read(&self.config.database).map_err(|error| self.storage(&error))
    }
}

/// What failures mean of which one is that of an API that does not work.
pub fn breakdown<'a>(mut failures: impl Iterator<Item = &'a Failure>) -> Option<CliError> {
    let failing = |trouble| {
        matches!(trouble, RetryCause::NoAnswer | RetryCause::Failing | RetryCause::Limited(_))
    };
    let failure = failures.find(|failure| failing(failure.cause()))?;
    let error = CliError::new(Exit::Unavailable, format!("the API keeps failing: {failure}"));
    Some(error.hint("what was done is kept; the next run goes on from here"))
}

/// What stopped a run, as the user is told.
pub fn ended(context: &Context, stop: &RunError, key_name: Option<&str>) -> CliError {
    match stop {
        RunError::Store(error) => context.storage(error),
        RunError::KeyRefused(_) => which_key(context, key_name, stopped(stop)),
        stop => stopped(stop),
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

/// What stopped a run, as the user is told.
pub fn stopped(stop: &RunError) -> CliError {
    let found = |exit| CliError::new(exit, stop);
    match stop {
        RunError::KeyRefused(failure) => found(Exit::Key).hint(key_hint(failure)),
        RunError::OtherOrganization { .. } => found(Exit::Key)
            .hint("use this organization's key, or another database file for the other one"),
        RunError::RateLimited(_) => {
            found(Exit::TryAgain).hint("what was done is kept; a longer --max-wait waits it out")
        }
        RunError::Outage(_) => {
            found(Exit::Unavailable).hint("what was done is kept; the next run goes on from here")
        }
        RunError::Broken(failure) => match failure.verdict {
            Verdict::NotFound | Verdict::Redirected | Verdict::Malformed => {
                found(Exit::Unavailable).hint("is base_url right? It usually ends in /v2")
            }
            Verdict::Foreign => found(Exit::Unavailable)
                .hint("the answer is not the API's: is a proxy, a firewall or a block page in the way?")
                .hint("is base_url right? It usually ends in /v2"),
            Verdict::ScopeMissing => found(Exit::Key).hint(key_hint(failure)),
            _ => found(Exit::Unavailable),
        },
        RunError::Store(error) => CliError::from_error(Exit::Storage, error),
        RunError::UnreadableJob(_) => found(Exit::Partial)
            .hint("is it of another version? Restart it, and it is the one that is installed"),
        RunError::Interrupted => found(Exit::Partial),
    }
}

fn key_hint(failure: &Failure) -> &'static str {
    match failure.status {
        Some(403) => "the key or the subscription is inactive; see the dashboard under API keys",
        _ => "is the key complete and of this API? Keys are made on the dashboard under API keys",
    }
}
