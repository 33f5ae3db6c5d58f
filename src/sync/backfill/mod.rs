//! Daily metrics: the backfill of past days, and the days that end after it.
//!
//! A [`Backfill`] is a list of tasks, each one day and kind of ids. Each answer is a transaction, and what
//! was answered is not requested again, so that a backfill can be interrupted anywhere and resumed. A kind
//! that fails does not keep the others from continuing.

mod growth;
mod progress;
mod report;

use futures_util::future::join_all;

pub use growth::{due, next_at};
pub use progress::Backfill;
pub use report::{BackfillReport, KindBackfillReport};

use crate::api::Failure;
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::model::metrics::number;
use crate::model::{BackoffScope, Event, Kind, KindOutcome, Outcome, SubjectKind};
use crate::schedule::backfill::{self as plan, Bound, Refused, Task};
use crate::store::StoreResult;
use crate::store::metrics::{self, DayMetrics, Subject};
use crate::sync::backoff;
use crate::sync::daily_metrics::{self, MetricsResult, endpoint};
use crate::sync::kind_run::{begin_run, end_kind_run, end_run, warn_of};
use crate::sync::options::SyncSettings;
use crate::sync::run_error::RunError;

use progress::{Goal, Position};

/// Works on `work` until it is done, `yields` returns true because something else is more urgent, or an
/// error ends it.
pub async fn run(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    settings: &SyncSettings,
    is_identified: bool,
    yields: impl AsyncFn(&SyncContext) -> bool,
) -> Option<RunError> {
    ctx.run_id = 0;
    let run_error = slice(ctx, work, is_identified, yields).await.err();
    finish(ctx, work, settings, run_error).await
}

/// Ends a backfill whose future was dropped because of a signal.
pub async fn interrupt(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    settings: &SyncSettings,
) -> RunError {
    let run_error = finish(ctx, work, settings, Some(RunError::Interrupted)).await;
    run_error.unwrap_or(RunError::Interrupted)
}

/// Requests the metrics of days that ended or became final since the last backfill. Returns `None` if there
/// are none, or there never was a backfill.
pub async fn grow(
    ctx: &mut SyncContext,
    settings: &SyncSettings,
    only: &[Kind],
) -> Option<BackfillReport> {
    let mut work = match Backfill::of_growth(ctx, only).await {
        Ok(work) => work?,
        Err(error) => return Some(Backfill::of_days(0).report(Some(RunError::Store(error)))),
    };
    let run_error = run(ctx, &mut work, settings, true, async |_| false).await;
    Some(work.report(run_error))
}

async fn slice(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    is_identified: bool,
    yields: impl AsyncFn(&SyncContext) -> bool,
) -> Result<(), RunError> {
    begin_run(ctx, work.trigger(), is_identified).await?;
    end_kind_run(ctx, Kind::Meta, &KindOutcome::of(Outcome::Polled)).await?;
    if work.bounds.is_empty() {
        work.plan(ctx).await?;
    }
    while !work.is_done() {
        let steps = next_steps(ctx, work).await?;
        send_all(ctx, work, steps).await?;
        if yields(ctx).await {
            return Ok(());
        }
    }
    if work.goal != Goal::Growth && !work.is_unfilled {
        let today = number(work.today);
        let completed =
            SubjectKind::KINDS.into_iter().filter(|kind| !work.given_up.contains_key(kind));
        let completed: Vec<Kind> = completed.collect();
        ctx.store
            .write(move |tx| {
                completed
                    .into_iter()
                    .try_for_each(|kind| metrics::request_days_from(tx, kind, today))
            })
            .await?;
    }
    Ok(())
}

/// A step of a backfill: a request, or the end of a task.
struct Step {
    /// The position before the step.
    position: Position,
    task: Task,
    /// The resources to request; empty at the end of the task.
    subjects: Vec<Subject>,
}

/// Returns the next steps whose requests do not depend on each other's answers: one until the endpoint
/// has answered, then as many as may be in flight.
async fn next_steps(ctx: &mut SyncContext, work: &mut Backfill) -> Result<Vec<Step>, RunError> {
    let concurrency = ctx.fetcher.max_concurrent_requests();
    let (mut steps, mut requests) = (Vec::new(), 0);
    while let Some(task) = work.task() {
        let kind = task.subject_kind.kind();
        if work.given_up.contains_key(&kind) {
            work.next_task();
            continue;
        }
        if requests >= concurrency || (requests > 0 && work.current_kind != Some(kind)) {
            break;
        }
        if work.position.after.is_none() {
            let today = ctx.fetcher.clock().now().date_naive();
            work.position.is_settled = plan::is_settled(task.day, today);
        }
        let bound = work.bound(kind);
        let position = work.position;
        let (subjects, last) = subjects(ctx, work, task, bound).await?;
        match last {
            None => work.next_task(),
            Some(last) => work.position.after = Some(last),
        }
        if last.is_some() && subjects.is_empty() {
            continue;
        }
        if !subjects.is_empty() {
            work.current_kind = Some(kind);
            if !ctx.open_kind_runs().contains(&kind) {
                ctx.begin_kind_run(kind, work.trigger()).await?;
            }
            requests += 1;
        }
        steps.push(Step { position, task, subjects });
        if requests > 0 && (bound.is_sought() || !work.answering.contains(&kind)) {
            break;
        }
    }
    Ok(steps)
}

/// Returns the resources of a task's next request, and the row id of the last one; `None` where none are
/// left.
async fn subjects(
    ctx: &SyncContext,
    work: &Backfill,
    task: Task,
    bound: Bound,
) -> StoreResult<(Vec<Subject>, Option<i64>)> {
    let (wanted, read) = (work.wanted(task), work.wanted(task));
    let after = work.position.after.unwrap_or(i64::MIN);
    let found = ctx.store.read(move |c| {
        let mut subjects = metrics::next(c, &read, after, bound.ids())?;
        let last = subjects.last().map(|subject| subject.row_id);
        // Fill up the request with resources published after the day: more ids cost nothing, and the API
        // answers for them too.
        let room = bound.ids().saturating_sub(subjects.len());
        if last.is_some() && room > 0 {
            subjects.extend(metrics::later(c, &read, room)?);
        }
        Ok((subjects, last))
    });
    let (mut subjects, last) = found.await?;
    let is_refused =
        |subject: &Subject| work.refused.contains(&(task.subject_kind.kind(), subject.row_id));
    let refused = subjects.extract_if(.., |subject| is_refused(subject));
    let refused: Vec<_> = refused.map(|subject| (subject, DayMetrics::NotFound)).collect();
    if !refused.is_empty() {
        // Stored, so that a later run does not request only these ids and take their refusal for one of
        // the endpoint.
        ctx.store.write(move |tx| metrics::write(tx, &wanted, &refused)).await?;
    }
    Ok((subjects, last))
}

/// Sends the requests of these steps concurrently. The backfill continues from the first refused one; what
/// was answered after it is not requested again.
async fn send_all(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    steps: Vec<Step>,
) -> Result<(), RunError> {
    let requests = steps.iter().filter(|step| !step.subjects.is_empty());
    let results: Vec<FetchResult<MetricsResult>> = {
        let (ctx, work) = (&*ctx, &*work);
        join_all(requests.map(|step| {
            let (subject_kind, bound) =
                (step.task.subject_kind, work.bound(step.task.subject_kind.kind()));
            daily_metrics::fetch(ctx, subject_kind, step.task.day, step.subjects.clone(), bound)
        }))
        .await
    };
    let mut results = results.into_iter();
    let (mut is_complete, mut run_error) = (true, None);
    for step in steps {
        if step.subjects.is_empty() {
            if is_complete {
                end_task(ctx, step.task, step.position).await?;
            }
            continue;
        }
        let Some(result) = results.next() else { continue };
        let is_done = apply(ctx, work, &step, result).await.unwrap_or_else(|error| {
            run_error.get_or_insert(error);
            false
        });
        if !is_done && is_complete {
            work.position = step.position;
            is_complete = false;
        }
        let (kind, done) = (step.task.subject_kind.kind(), work.done);
        ctx.tell(&Event::Days { kind, done, total: work.estimated.max(done + 1) });
    }
    run_error.map_or(Ok(()), Err)
}

/// Records that all metrics of a day were requested, if this task is the last of its kind.
async fn end_task(ctx: &SyncContext, task: Task, position: Position) -> StoreResult<()> {
    let (subject_kind, day) = (task.subject_kind, task.day);
    if subject_kind.is_last_of_kind() {
        let (kind, date, now) = (subject_kind.kind(), day.to_string(), ctx.fetcher.stamp());
        ctx.store
            .write(move |tx| {
                metrics::day_done(tx, kind, number(day), &date, position.is_settled, now)
            })
            .await?;
    }
    Ok(())
}

/// Applies the result of a request. Returns whether its resources are done.
async fn apply(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    step: &Step,
    result: FetchResult<MetricsResult>,
) -> Result<bool, RunError> {
    let subject_kind = step.task.subject_kind;
    match result {
        Ok(MetricsResult::Written(counts)) => {
            ctx.refused.remove(&endpoint(subject_kind));
            work.answered(subject_kind.kind(), step.subjects.len(), counts);
            Ok(true)
        }
        Ok(MetricsResult::Refused(failure)) => {
            ctx.remember_unsupported(&endpoint(subject_kind), &failure).await?;
            work.give_up_refused(subject_kind, &failure);
            Ok(false)
        }
        Ok(MetricsResult::Invalid(failure)) => {
            parameters_refused(ctx, work, step, failure).await?;
            Ok(false)
        }
        Err(FetchError::Api(failure)) => {
            work.give_up(subject_kind, failure);
            Ok(false)
        }
        Err(error) => Err(RunError::from(error)),
    }
}

/// Handles a refusal of the number of ids, of one of them, or of another parameter.
async fn parameters_refused(
    ctx: &SyncContext,
    work: &mut Backfill,
    step: &Step,
    failure: Failure,
) -> Result<(), RunError> {
    let (subject_kind, kind) = (step.task.subject_kind, step.task.subject_kind.kind());
    if daily_metrics::blames_dates(&failure) {
        work.give_up(subject_kind, failure);
        return Ok(());
    }
    let (sent, first) = (step.subjects.len(), step.subjects.first().map(|subject| subject.row_id));
    let stated = plan::stated_bound(&daily_metrics::refusal_text(&failure), sent);
    let mut bound = work.bound(kind);
    // Of requests refused together, the first has lowered the bound already.
    if sent > bound.ids() {
        return Ok(());
    }
    match bound.refused(sent, stated) {
        Refused::Fewer if stated.is_some() => {
            daily_metrics::keep_bound(ctx, subject_kind, bound).await?;
        }
        Refused::Fewer => {}
        // A single id that is refused while others were answered is itself the cause.
        Refused::Alone if work.answering.contains(&kind) => {
            tracing::warn!(%kind, error = %failure, "id refused; left out");
            work.refused.extend(first.map(|key| (kind, key)));
            // Store the bound from before the halving, which was caused by the id.
            daily_metrics::keep_bound(ctx, subject_kind, bound).await?;
        }
        Refused::Alone => work.give_up(subject_kind, failure),
    }
    work.bounds.insert(kind, bound);
    Ok(())
}

/// Records the outcome of each kind, and ends the run in the log.
async fn finish(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    settings: &SyncSettings,
    run_error: Option<RunError>,
) -> Option<RunError> {
    if ctx.run_id == 0 {
        return run_error;
    }
    let ended = end_kind_runs(ctx, work, settings, run_error.as_ref()).await;
    let (kind_runs, run_error) = match ended {
        Ok(()) => end_run(ctx, settings, run_error).await,
        Err(error) => (Vec::new(), run_error.or(Some(RunError::Store(error)))),
    };
    if work.done > 0 {
        let total = work.estimated.max(work.done);
        ctx.tell(&Event::Days { kind: Kind::Meta, done: work.done, total });
    }
    work.run_id = ctx.run_id;
    work.requests += kind_runs.iter().map(|kind_run| kind_run.counts.requests).sum::<i64>();
    run_error
}

async fn end_kind_runs(
    ctx: &SyncContext,
    work: &Backfill,
    settings: &SyncSettings,
    run_error: Option<&RunError>,
) -> StoreResult<()> {
    let open = ctx.open_kind_runs();
    let open = SubjectKind::KINDS.into_iter().filter(|kind| open.contains(kind));
    // Requests that no write has counted yet are those of the current kind, which is ended first.
    let (current, others): (Vec<_>, Vec<_>) =
        open.partition(|kind| work.current_kind == Some(*kind));
    for kind in current.into_iter().chain(others) {
        let kind_outcome = match (work.given_up.get(&kind), run_error) {
            (Some((kind_outcome, _)), _) => kind_outcome.clone(),
            (None, Some(RunError::Interrupted)) => KindOutcome::of(Outcome::Interrupted),
            (None, Some(error)) if work.current_kind == Some(kind) => error.kind_outcome(),
            (None, None) if work.is_done() => KindOutcome::of(Outcome::Complete),
            _ => KindOutcome::of(Outcome::Polled),
        };
        warn_of(kind, &kind_outcome);
        ctx.end_kind_run(kind, &kind_outcome).await?;
        // An error that ends the whole run causes no backoff of one kind.
        if run_error.is_none() {
            backoff::note(ctx, settings, kind, BackoffScope::Days, kind_outcome.outcome).await?;
        }
    }
    Ok(())
}
