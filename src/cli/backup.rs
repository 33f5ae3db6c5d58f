//! `backup`: a copy of the mirror, made while others work on it. It needs neither key nor network
//! nor lock. How a copy is shown and interrupted is the same for `restore`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use crate::cli::context::Context;
use crate::cli::runtime;
use crate::model::instant;
use crate::report::progress::ProgressDisplay;
use crate::report::{Answer, CliError, Exit, backup as report};
use crate::store::StoreError;
use crate::store::backup::{self, BackupError, Copied, Existing};

/// Arguments of `backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Where the copy goes
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE if it is there, once the copy is whole
    #[arg(long)]
    force: bool,
}

/// Runs the command.
pub fn run(args: &BackupArgs, context: &Context) -> Result<Answer, CliError> {
    let source = context.open_to_read()?;
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let now = instant::micros(context.clock.now());
    let file = args.file.clone();
    let copied = copying(context, move |tell| backup::copy(&source, &file, existing, now, tell))?;
    let copy = copied.map_err(|error| failure(args, context, &error))?;
    Ok(Answer::message(report::text(&copy)))
}

/// Makes a copy with its progress shown. A signal ends it, and it takes away what it has.
pub fn copying<T: Send + 'static>(
    context: &Context,
    copy: impl FnOnce(&mut dyn FnMut(Copied) -> bool) -> Result<T, BackupError> + Send + 'static,
) -> Result<Result<T, BackupError>, CliError> {
    let is_over = Arc::new(AtomicBool::new(false));
    let progress = ProgressDisplay::single(context.view);
    let ends = Arc::clone(&is_over);
    let copied = runtime::runtime()?.block_on(async {
        let stopped = runtime::stop_signal();
        let copying = tokio::task::spawn_blocking(move || {
            copy(&mut |copied| {
                report::show_progress(&progress, copied);
                !ends.load(Ordering::Relaxed)
            })
        });
        tokio::pin!(copying);
        tokio::select! {
            done = &mut copying => done,
            () = stopped => {
                is_over.store(true, Ordering::Relaxed);
                copying.await
            }
        }
    });
    Ok(copied.unwrap_or(Err(BackupError::Store(StoreError::Interrupted))))
}

/// What went wrong, as the user is told.
fn failure(args: &BackupArgs, context: &Context, error: &BackupError) -> CliError {
    let found = |exit| CliError::from_error(exit, error);
    match error {
        BackupError::Exists(path) if path.is_file() => found(Exit::Storage)
            .hint("--force replaces it once the copy is whole; or name another file"),
        BackupError::Exists(_) => found(Exit::Storage).hint("name a file that is not there"),
        BackupError::Itself(_) => found(Exit::Usage).hint("name another file"),
        BackupError::InUse(_) => found(Exit::Storage).hint("name another file"),
        BackupError::OtherOrganization { .. } => found(Exit::Storage),
        BackupError::Busy(_) => found(Exit::TryAgain),
        BackupError::Damaged(_) => found(Exit::Storage)
            .hint("no copy was made; `creatormirror check --deep` shows what is wrong"),
        BackupError::Stopped => found(Exit::Partial),
        BackupError::Store(StoreError::Io { .. } | StoreError::Sqlite(_)) => found(Exit::Storage)
            .hint(format!("the copy was to be {}; there is none", args.file.display())),
        BackupError::Store(error) => context.storage(error),
    }
}
