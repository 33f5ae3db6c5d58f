//! A `sync`, `backfill` or `verify` beside a daemon: the request is handed over, followed to its end,
//! and its outcome is ours. The daemon owns the rate limiter and the budget, so nothing is sent from here.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::cli::context::Context;
use crate::daemon::{JobAnswer, JobRequest};
use crate::model::instant;
use crate::report::{CliError, CliResult, Exit};
use crate::store::jobs::{self, Progress};
use crate::store::{Database, StoreError, StoreResult, instance, instance_lock};

/// How often the job is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long a daemon may be away before a backfill is taken back: longer than the service manager takes
/// to start it again, as a backfill may last for hours that the daemon must not be locked out for.
const AWAY_MAX: Duration = Duration::from_secs(20);

/// Has a daemon do it, where there is one; it has a key of its own, so whoever asks it needs none.
/// `None` where it is to be done here.
pub fn by_daemon(
    context: &Context,
    runtime: &Runtime,
    request: &JobRequest,
) -> Result<Option<(JobAnswer, CliResult)>, CliError> {
    if !instance_lock::is_locked(&context.config.database) {
        return Ok(None);
    }
    let answer = runtime.block_on(hand_over(context, request))?;
    Ok(answer.map(|answer| {
        let verdict = verdict(&answer);
        (answer, verdict)
    }))
}

/// Hands `request` to the daemon and waits for its answer, for as long as the user waits. `None` where
/// there is no daemon, or it went away before the job was done; the lock may be free now.
async fn hand_over(context: &Context, request: &JobRequest) -> Result<Option<JobAnswer>, CliError> {
    let failed = |error: StoreError| context.storage(&error);
    let store = Database::open_beside(&context.config.database).map_err(failed)?;
    if store.read(instance::runner).map_err(failed)?.as_deref() != Some("run") {
        return Ok(None);
    }
    let text = serde_json::to_string(request).unwrap_or_default();
    let at = instant::micros(context.clock.now());
    let job = store.write(|tx| jobs::hand_over(tx, &text, at)).map_err(failed)?;
    tracing::info!(job, "handed over to the daemon");
    let mut left = context.config.max_wait;
    let away_max = request.backfill_days.map_or(Duration::ZERO, |_| AWAY_MAX);
    let mut away_left = away_max;
    let mut told = None;
    loop {
        match look(&store, job, away_left.is_zero()).map_err(failed)? {
            Look::Done(answer) => return Ok(Some(*answer)),
            Look::Gone => return Ok(None),
            Look::Away if left.is_zero() => {
                return Err(CliError::new(
                    Exit::TryAgain,
                    "the daemon is gone, and has not come back within --max-wait",
                )
                .hint(
                    "the next daemon does it; a `creatormirror backfill` without one does, too",
                ));
            }
            Look::Waiting(_) if left.is_zero() => {
                return Err(CliError::new(
                    Exit::TryAgain,
                    "the daemon has not done it within --max-wait",
                )
                .hint("it goes on with it; `creatormirror status` shows how it is doing"));
            }
            Look::Away => away_left = away_left.saturating_sub(LOOK),
            Look::Waiting(progress) => {
                if let Some(text) = progress.as_ref().filter(|_| progress != told) {
                    tracing::info!("{text}");
                }
                (told, away_left) = (progress, away_max);
            }
        }
        let length = LOOK.min(left);
        left -= length;
        context.clock.sleep(length).await;
    }
}

/// How the daemon's answer ends the program.
fn verdict(answer: &JobAnswer) -> CliResult {
    let exit = Exit::ALL.into_iter().find(|exit| exit.code() == answer.exit_code);
    let exit = exit.unwrap_or(Exit::Partial);
    if exit == Exit::Done && answer.error.is_none() {
        return Ok(());
    }
    let error = CliError::new(exit, answer.error.as_deref().unwrap_or_default());
    Err(CliError { hints: answer.hints.clone(), ..error })
}

enum Look {
    /// The daemon has it; how far it is, where that was said.
    Waiting(Option<String>),
    /// Nobody is there to do it.
    Away,
    Done(Box<JobAnswer>),
    Gone,
}

fn look(store: &Database, job: i64, takes_back: bool) -> StoreResult<Look> {
    let progress = match store.read(|c| jobs::progress(c, job))? {
        None => return Ok(Look::Gone),
        Some(Progress::Done(exit_code, answer)) => {
            let answer = serde_json::from_str(&answer).unwrap_or_else(|_| JobAnswer {
                exit_code,
                json: serde_json::Value::Null,
                text: String::new(),
                error: None,
                hints: Vec::new(),
            });
            return Ok(Look::Done(Box::new(answer)));
        }
        Some(Progress::Queued) => None,
        Some(Progress::Running(progress)) => progress,
    };
    // Stopped or killed, also in the middle of it.
    match instance_lock::is_locked(store.path()) {
        true => Ok(Look::Waiting(progress)),
        false if !takes_back => Ok(Look::Away),
        false => {
            let is_ours_again = store.write(|tx| jobs::withdraw(tx, job))?;
            Ok(if is_ours_again { Look::Gone } else { Look::Waiting(progress) })
        }
    }
}
