//! Maps errors of the API client, the database and a run to a message, hints and an exit code.

use std::io;
use std::path::Path;

use crate::api::{BuildError, Failure, Verdict};
use crate::cli::context::Context;
use crate::cli::denied;
use crate::config::Setting;
use crate::report::text::bytes;
use crate::report::{CliError, Exit};
use crate::retry::RetryCause;
use crate::store::{Database, StoreError, database_path};
use crate::sync::RunError;

/// With less free space, a failed write is reported as a full disk.
const FREE_BYTES_MIN: u64 = 1 << 20;

/// Maps an error in creating the API client.
pub fn client_error(error: &BuildError) -> CliError {
    let exit = match error {
        BuildError::Key { .. } => Exit::Key,
        _ => Exit::Config,
    };
    CliError::from_error(exit, error)
}

/// Suggests why a write failed: SQLite reports "disk I/O error" for a full disk, a quota and a file
/// size limit alike.
fn io_failure_hint(database: &Path) -> String {
    let limits = "check for a quota or a file size limit (`ulimit -f`, `LimitFSIZE=`)";
    match database.ancestors().find_map(database_path::free_bytes) {
        Some(free) if free < FREE_BYTES_MIN => {
            format!("the disk is full ({} free): free some space", bytes(free))
        }
        Some(free) => format!("the disk is not full ({} free): {limits}", bytes(free)),
        None => format!("check the free disk space; if there is enough, {limits}"),
    }
}

/// Returns the remedy for a place that cannot be written.
pub fn io_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::NotFound => Some("create the folder first, or name another place"),
        io::ErrorKind::PermissionDenied => Some("you may not write there: name another place"),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is read-only: name another place")
        }
        io::ErrorKind::NotADirectory => {
            Some("a part of the path is not a folder: name another place")
        }
        _ => None,
    }
}

/// Maps an error in writing a file of an answer.
pub fn write_error(path: &Path, error: &io::Error) -> CliError {
    let message = format!("cannot write `{}`", path.display());
    CliError::new(Exit::Storage, message).because(error).optional_hint(io_hint(error))
}

impl Context {
    /// Maps an error of the database.
    pub fn store_error(&self, error: &StoreError) -> CliError {
        let origin = self.config.origin(Setting::Database);
        let path_hint = format!("`database` is `{}` ({origin})", self.config.database.display());
        let with = |exit| match CliError::from_error(exit, error) {
            found if error.is_io_failure() => found.hint(io_failure_hint(&self.config.database)),
            found => found,
        };
        match error {
            StoreError::Grouped(cause) => self.store_error(cause),
            StoreError::Missing(_) => with(Exit::Config)
                .hint(path_hint)
                .hint("run `creatormirror sync` to create it, or name another file with `--database`"),
            StoreError::NetworkFileSystem { .. } => {
                with(Exit::Config).hint("move `database` to a local disk")
            }
            StoreError::Locked(_) => with(Exit::TryAgain).hint("try again when it has finished"),
            StoreError::OtherName(_) => with(Exit::TryAgain)
                .hint("use the same path as the running process: each path has a separate write-ahead log")
                .hint(path_hint),
            StoreError::ForeignWal(_) => with(Exit::Storage)
                .hint("the database file was overwritten while its -wal file was left; nothing was changed")
                .hint("move the new file elsewhere and run `creatormirror restore FILE`")
                .hint(path_hint),
            StoreError::Replaced(_) => with(Exit::Storage)
                .hint("writes since then are not in the new file; start creatormirror again")
                .hint("to restore a backup, stop the daemon and run `creatormirror restore FILE`"),
            StoreError::Foreign(_) => {
                with(Exit::Storage).hint(path_hint).hint("name another file with `--database`")
            }
            StoreError::NoIdentity => {
                with(Exit::Storage).hint("restore a backup with `creatormirror restore FILE`")
            }
            StoreError::Newer { .. } => {
                with(Exit::Config).hint("install the newer creatormirror; the file was not changed")
            }
            StoreError::Older { .. } => {
                with(Exit::Storage).hint("run `creatormirror sync` or `run` to migrate the schema")
            }
            StoreError::Denied(path) => with(Exit::Storage).hint(denied::hint(path)).hint(path_hint),
            StoreError::Io { source, .. } => {
                with(Exit::Storage).optional_hint(io_hint(source)).hint(path_hint)
            }
            StoreError::Sqlite(_) => with(Exit::Storage).hint(path_hint),
            StoreError::Migration(_) | StoreError::Interrupted => with(Exit::Storage),
        }
    }

    /// Opens the database read-only, beside a writer.
    pub fn open_to_read(&self) -> Result<Database, CliError> {
        Database::open_to_read(&self.config.database).map_err(|error| self.store_error(&error))
    }

    /// Maps the error that ended a run. For a refused key it names the key (`key_name`, as the API
    /// reported it last) and where it was read from.
    pub fn run_error(&self, error: &RunError, key_name: Option<&str>) -> CliError {
        match error {
            RunError::Store(error) => self.store_error(error),
            RunError::KeyRefused(_) => {
                let name =
                    key_name.map(|name| format!("its name was `{name}` when it last worked"));
                let key = self.config.key().ok();
                let source = key.map(|(_, source)| format!("it was read from {source}"));
                run_error(error).optional_hint(name).optional_hint(source)
            }
            error => run_error(error),
        }
    }
}

/// Hint for an error after which the next run continues.
const NEXT_RUN_CONTINUES: &str = "progress is saved; the next run continues from here";

/// Hint for an error that a wrong base URL may cause.
const BASE_URL_HINT: &str = "check `base_url`: it usually ends in /v2";

/// Returns an error if one of these failures means that the API does not work.
pub fn check_outage<'a>(mut failures: impl Iterator<Item = &'a Failure>) -> Result<(), CliError> {
    let is_outage = |cause| {
        matches!(cause, RetryCause::NoAnswer | RetryCause::Failing | RetryCause::Limited(_))
    };
    let Some(failure) = failures.find(|failure| is_outage(failure.cause())) else { return Ok(()) };
    let error = CliError::new(Exit::Unavailable, format!("the API keeps failing: {failure}"));
    Err(error.hint(NEXT_RUN_CONTINUES))
}

/// Maps the error that ended a run, without the context.
pub fn run_error(error: &RunError) -> CliError {
    let with = |exit| CliError::new(exit, error);
    match error {
        RunError::KeyRefused(failure) => with(Exit::Key).hint(key_hint(failure)),
        RunError::OtherOrganization { .. } => with(Exit::Key)
            .hint("use this organization's key, or a separate database for the other organization"),
        RunError::RateLimited(_) => {
            with(Exit::TryAgain).hint("progress is saved; use a longer `--max-wait` to wait for it")
        }
        RunError::Outage(_) => with(Exit::Unavailable).hint(NEXT_RUN_CONTINUES),
        RunError::Broken(failure) => match failure.verdict {
            Verdict::NotFound | Verdict::Redirected | Verdict::Malformed => {
                with(Exit::Unavailable).hint(BASE_URL_HINT)
            }
            Verdict::Foreign => with(Exit::Unavailable)
                .hint("the response is not from the API: check for a proxy, a firewall or a block page")
                .hint(BASE_URL_HINT),
            Verdict::ScopeMissing => with(Exit::Key).hint(key_hint(failure)),
            _ => with(Exit::Unavailable),
        },
        RunError::Store(error) => CliError::from_error(Exit::Storage, error),
        RunError::UnreadableJob(_) => {
            with(Exit::Partial).hint("restart the daemon, so that it runs the installed version")
        }
        RunError::Interrupted => with(Exit::Partial),
    }
}

fn key_hint(failure: &Failure) -> &'static str {
    match failure.status {
        Some(403) => "the key or the subscription is inactive: see API keys on the dashboard",
        _ => "check that the key is complete and for this API; create keys on the dashboard",
    }
}
