//! `restore`: replaces the database with a backup. Needs neither key nor network, but the instance
//! lock.

use std::path::PathBuf;

use clap::Args;

use crate::cli::backup;
use crate::cli::context::Context;
use crate::model::instant;
use crate::report::{Answer, CliError, Exit, backup as report};
use crate::store::StoreError;
use crate::store::backup::BackupError;
use crate::store::restore;

/// Hint for a trigger that no migration makes.
pub const FOREIGN_TRIGGER_HINT: &str =
    "remove a trigger that is not creatormirror's with `sqlite3 FILE 'DROP TRIGGER NAME'`";

/// Arguments of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// Backup to restore; it is only read, with its -wal file if there is one
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &RestoreArgs, context: &Context) -> Result<Answer, CliError> {
    let now = instant::micros(context.clock.now());
    let (file, database) = (args.file.clone(), context.config.database.clone());
    let copied = backup::run_copy(context, move |on_progress| {
        restore::restore(&file, &database, now, on_progress)
    })?;
    let restored = copied.map_err(|error| restore_error(context, &error))?;
    let text = || report::restored_text(&restored);
    Ok(Answer::report(args.json, text, || report::restored_json(&restored)))
}

fn restore_error(context: &Context, error: &BackupError) -> CliError {
    let with = |exit| CliError::from_error(exit, error).hint("the database was not changed");
    match error {
        BackupError::Itself(_) => CliError::from_error(Exit::Usage, error)
            .hint("move the backup to another path and name that"),
        BackupError::Busy(_) => with(Exit::TryAgain),
        BackupError::Stopped => with(Exit::Partial),
        BackupError::Schema { report, .. } => with(Exit::Storage)
            .optional_hint(report.has_foreign_trigger.then_some(FOREIGN_TRIGGER_HINT))
            .hint("restore another backup"),
        BackupError::OtherOrganization { .. } => {
            with(Exit::Storage).hint("name another database file with `--database`")
        }
        BackupError::Exists(_) | BackupError::InUse(_) | BackupError::Damaged(_) => {
            with(Exit::Storage)
        }
        BackupError::Store(error) => match error {
            StoreError::Locked(_) => with(Exit::TryAgain)
                .hint("stop it first, for example with `systemctl stop creatormirror`"),
            StoreError::NetworkFileSystem { .. } => context.store_error(error),
            StoreError::ForeignWal(_) => with(Exit::Storage)
                .hint("copy FILE without its -wal file to another directory and restore that"),
            StoreError::Newer { .. } => with(Exit::Config).hint("install the newer creatormirror"),
            _ => with(Exit::Storage),
        },
    }
}
