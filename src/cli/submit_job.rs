//! `sync`, `backfill` and `verify` beside a daemon: submits the command as a job, follows it, and
//! exits with its outcome. The daemon owns the rate limiter, so this process sends no request.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::cli::context::Context;
use crate::daemon::{JobAnswer, JobRequest};
use crate::model::instant;
use crate::report::{CliError, CliResult, Exit};
use crate::store::jobs::{self, JobState};
use crate::store::{Database, StoreError, StoreResult, instance, instance_lock};

/// How often the state of the job is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait for a stopped daemon before a backfill is withdrawn. Longer than a restart by
/// the service manager takes: a backfill in this process may hold the lock for hours.
const DAEMON_RESTART_MAX: Duration = Duration::from_secs(20);

/// Runs the command in the daemon if there is one; this process then needs no key. Returns `None`
/// if it must run here.
pub fn run_in_daemon(
    context: &Context,
    runtime: &Runtime,
    request: &JobRequest,
) -> Result<Option<(JobAnswer, CliResult)>, CliError> {
    if !instance_lock::is_locked(&context.config.database) {
        return Ok(None);
    }
    let answer = runtime.block_on(submit(context, request))?;
    Ok(answer.map(|answer| {
        let verdict = verdict(&answer);
        (answer, verdict)
    }))
}

/// Submits `request` and waits for its answer, at most for `max_wait`. Returns `None` if there is
/// no daemon, or it stopped before it finished the job.
async fn submit(context: &Context, request: &JobRequest) -> Result<Option<JobAnswer>, CliError> {
    let failed = |error: StoreError| context.store_error(&error);
    let store = Database::open_without_lock(&context.config.database).map_err(failed)?;
    if store.read(instance::runner).map_err(failed)?.as_deref() != Some("run") {
        return Ok(None);
    }
    let text = serde_json::to_string(request).unwrap_or_default();
    let at = instant::micros(context.clock.now());
    let job = store.write(|tx| jobs::submit(tx, &text, at)).map_err(failed)?;
    tracing::info!(job, "job submitted to the daemon");
    let mut left = context.config.max_wait;
    let restart_max = request.backfill_days.map_or(Duration::ZERO, |_| DAEMON_RESTART_MAX);
    let mut restart_left = restart_max;
    let mut last_progress = None;
    loop {
        match poll_job(&store, job, restart_left.is_zero()).map_err(failed)? {
            FollowedJob::Done(answer) => return Ok(Some(*answer)),
            FollowedJob::Withdrawn => return Ok(None),
            FollowedJob::NoDaemon if left.is_zero() => {
                let message = "the daemon stopped and did not restart within --max-wait";
                return Err(CliError::new(Exit::TryAgain, message)
                    .hint("the next `creatormirror run` or `backfill` continues the job"));
            }
            FollowedJob::Pending(_) if left.is_zero() => {
                let message = "the daemon did not finish the job within --max-wait";
                return Err(CliError::new(Exit::TryAgain, message)
                    .hint("the daemon continues it; see `creatormirror status`"));
            }
            FollowedJob::NoDaemon => restart_left = restart_left.saturating_sub(POLL_INTERVAL),
            FollowedJob::Pending(progress) => {
                if let Some(text) = progress.as_ref().filter(|_| progress != last_progress) {
                    tracing::info!("{text}");
                }
                (last_progress, restart_left) = (progress, restart_max);
            }
        }
        let pause = POLL_INTERVAL.min(left);
        left -= pause;
        context.clock.sleep(pause).await;
    }
}

/// Maps the daemon's answer to the exit of this process.
fn verdict(answer: &JobAnswer) -> CliResult {
    let exit = Exit::ALL.into_iter().find(|exit| exit.code() == answer.exit_code);
    let exit = exit.unwrap_or(Exit::Partial);
    if exit == Exit::Done && answer.error.is_none() {
        return Ok(());
    }
    let error = CliError::new(exit, answer.error.as_deref().unwrap_or_default());
    Err(CliError { hints: answer.hints.clone(), ..error })
}

enum FollowedJob {
    /// Queued or running in the daemon, with its progress if known.
    Pending(Option<String>),
    /// No daemon is running.
    NoDaemon,
    /// Finished.
    Done(Box<JobAnswer>),
    /// No longer queued: this process may do it.
    Withdrawn,
}

/// Reads the state of a job. Withdraws it if no daemon is running and `withdraws` is set.
fn poll_job(store: &Database, job: i64, withdraws: bool) -> StoreResult<FollowedJob> {
    let progress = match store.read(|c| jobs::progress(c, job))? {
        None => return Ok(FollowedJob::Withdrawn),
        Some(JobState::Done(exit_code, answer)) => {
            let answer = serde_json::from_str(&answer);
            let answer = answer.unwrap_or_else(|_| JobAnswer { exit_code, ..JobAnswer::default() });
            return Ok(FollowedJob::Done(Box::new(answer)));
        }
        Some(JobState::Queued) => None,
        Some(JobState::Running(progress)) => progress,
    };
    match instance_lock::is_locked(store.path()) {
        true => Ok(FollowedJob::Pending(progress)),
        false if !withdraws => Ok(FollowedJob::NoDaemon),
        false => Ok(match store.write(|tx| jobs::withdraw(tx, job))? {
            true => FollowedJob::Withdrawn,
            false => FollowedJob::Pending(progress),
        }),
    }
}
