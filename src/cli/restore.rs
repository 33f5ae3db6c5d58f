//! `restore`: a copy of a mirror is put in place of the database. It needs neither key nor network, and
//! nobody may be working on the database.

use std::path::PathBuf;

use clap::Args;

use crate::cli::backup;
use crate::cli::context::Context;
use crate::model::instant;
use crate::report::{Answer, CliError, Exit, backup as report};
use crate::store::StoreError;
use crate::store::backup::BackupError;
use crate::store::restore;

/// Arguments of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The copy to put in place; it is only read, with its `-wal` if there is one beside it
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the command.
pub fn run(args: &RestoreArgs, context: &Context) -> Result<Answer, CliError> {
    let now = instant::micros(context.clock.now());
    let (file, database) = (args.file.clone(), context.config.database.clone());
    let copied =
        backup::copying(context, move |tell| restore::restore(&file, &database, now, tell))?;
    let restored = copied.map_err(|error| failure(context, &error))?;
    Ok(Answer::message(report::restored(&restored)))
}

/// What went wrong, as the user is told.
fn failure(context: &Context, error: &BackupError) -> CliError {
    let found = |exit| CliError::from_error(exit, error).hint("the database is left as it was");
    match error {
        BackupError::Itself(_) => CliError::from_error(Exit::Usage, error)
            .hint("move the copy elsewhere first, and name it there"),
        BackupError::Busy(_) => found(Exit::TryAgain),
        BackupError::Stopped => found(Exit::Partial),
        BackupError::OtherOrganization { .. } => {
            found(Exit::Storage).hint("--database FILE names another place for it")
        }
        BackupError::Exists(_) | BackupError::InUse(_) | BackupError::Damaged(_) => {
            found(Exit::Storage)
        }
        BackupError::Store(error) => match error {
            StoreError::Locked(_) => found(Exit::TryAgain)
                .hint("stop it first, as with `systemctl stop creatormirror`, and restore then"),
            StoreError::NetworkFileSystem { .. } => context.storage(error),
            StoreError::ForeignWal(_) => found(Exit::Storage)
                .hint("copy FILE alone to another place, and restore it from there"),
            StoreError::Newer { .. } => {
                found(Exit::Storage).hint("install the newer creatormirror")
            }
            _ => found(Exit::Storage),
        },
    }
}
