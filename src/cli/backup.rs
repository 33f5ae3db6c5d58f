//! `backup`: copies the database while other processes use it. Needs neither key, network nor lock.

use std::io;
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
use crate::store::backup::{self, BackupError, CopyProgress, IfExists};

/// Arguments of `backup`.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Path of the copy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE if it exists, once the copy is complete
    #[arg(long)]
    force: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &BackupArgs, context: &Context) -> Result<Answer, CliError> {
    let source = context.open_to_read()?;
    let existing = if args.force { IfExists::Replace } else { IfExists::Keep };
    let now = instant::micros(context.clock.now());
    let file = args.file.clone();
    let copied = run_copy(context, move |on_progress| {
        backup::copy(&source, &file, existing, now, on_progress)
    })?;
    let copy = copied.map_err(|error| backup_error(args, context, &error))?;
    Ok(Answer::report(args.json, || report::text(&copy), || report::json(&copy)))
}

/// Runs `copy` with its progress shown, for `backup` and `restore`. A signal cancels it; `copy`
/// then removes its files.
pub fn run_copy<T: Send + 'static>(
    context: &Context,
    copy: impl FnOnce(&mut dyn FnMut(CopyProgress) -> bool) -> Result<T, BackupError> + Send + 'static,
) -> Result<Result<T, BackupError>, CliError> {
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let progress = ProgressDisplay::single(context.view);
    let cancelled = Arc::clone(&is_cancelled);
    let copied = runtime::multi_thread()?.block_on(async {
        let signal = runtime::stop_signal();
        let copying = tokio::task::spawn_blocking(move || {
            copy(&mut |copied| {
                report::show_progress(&progress, copied);
                !cancelled.load(Ordering::Relaxed)
            })
        });
        tokio::pin!(copying);
        tokio::select! {
            result = &mut copying => result,
            () = signal => {
                is_cancelled.store(true, Ordering::Relaxed);
                copying.await
            }
        }
    });
    Ok(copied.unwrap_or(Err(BackupError::Store(StoreError::Interrupted))))
}

fn backup_error(args: &BackupArgs, context: &Context, error: &BackupError) -> CliError {
    let with = |exit| CliError::from_error(exit, error);
    match error {
        BackupError::Exists(path) if path.is_file() => {
            with(Exit::Storage).hint("use `--force` to replace it, or name another file")
        }
        BackupError::Exists(_) => with(Exit::Storage).hint("name a file that does not exist"),
        BackupError::Itself(_) => with(Exit::Usage).hint("name another file"),
        BackupError::InUse(_) => with(Exit::Storage).hint("name another file"),
        BackupError::OtherOrganization { .. } | BackupError::Schema { .. } => with(Exit::Storage),
        BackupError::Busy(_) => with(Exit::TryAgain),
        BackupError::Damaged(_) => with(Exit::Storage)
            .hint("no copy was made; run `creatormirror check --deep` to list the damage"),
        BackupError::Stopped => with(Exit::Partial),
        BackupError::Store(StoreError::Io { source, .. })
            if source.kind() == io::ErrorKind::NotFound =>
        {
            let folder = args.file.parent().unwrap_or(&args.file).display();
            with(Exit::Storage).hint(format!("create the folder `{folder}` first"))
        }
        BackupError::Store(StoreError::Denied(_)) => {
            with(Exit::Storage).hint("you may not write there: name another file")
        }
        BackupError::Store(StoreError::Io { .. } | StoreError::Sqlite(_)) => {
            with(Exit::Storage).hint(format!("the copy `{}` was not created", args.file.display()))
        }
        BackupError::Store(error) => context.store_error(error),
    }
}
