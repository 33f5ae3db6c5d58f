//! Daily metrics: the days that a user asks for, and those that end after that.
//!
//! A [`Backfill`] is a list of days and lots, worked off one request after the other; each answer is
//! a transaction, and what was answered is not asked for again, so that it may be broken off anywhere.
//! A kind that fails does not keep the others from their days.

mod growth;
mod progress;
mod report;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rusqlite::Connection;

pub use growth::{due, next_at};
pub use progress::Backfill;
pub use report::{BackfillReport, KindBackfillReport};

use crate::api::Failure;
use crate::fetch::context::SyncContext;
use crate::fetch::error::FetchError;
use crate::fetch::error::FetchResult;
use crate::model::metrics::number;
use crate::model::{BackoffScope, Event, Kind, KindOutcome, Outcome, SubjectKind};
use crate::schedule::backfill::{self as plan, Bound, Refused, Task};
use crate::store::StoreResult;
use crate::store::metrics::{self, DayMetrics, Subject, Wanted};
use crate::store::runs::KindRun;
use crate::sync::backoff;
use crate::sync::daily_metrics::{self as asking, Asked, endpoint};
use crate::sync::finish;
use crate::sync::kind_run::{begin, end_kind_run};
use crate::sync::options::SyncSettings;
use crate::sync::run_error::RunError;

use progress::{Goal, Place};

/// Works on `work` until it is done, `yields` says that something else is more urgent, or something
/// stops it.
pub async fn run(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    settings: &SyncSettings,
    is_identified: bool,
    yields: impl AsyncFn(&SyncContext) -> bool,
) -> Option<RunError> {
    ctx.run_id = 0;
    let mut begun = KindRuns::default();
    let stop = slice(ctx, work, &mut begun, is_identified, yields).await.err();
    close(ctx, work, begun, settings, stop).await
}

/// Ends what was broken off from outside.
pub async fn interrupt(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    settings: &SyncSettings,
) -> RunError {
    let begun = KindRuns {
        kinds: SubjectKind::KINDS.into(),
        now: work.task().map(|task| task.subject_kind.kind()),
    };
    close(ctx, work, begun, settings, Some(RunError::Interrupted))
        .await
        .unwrap_or(RunError::Interrupted)
}

/// The days that have ended or settled since the last backfill. Nothing happens, and `None` comes
/// back, where there are none or no backfill was ever done.
pub async fn grow(
    ctx: &mut SyncContext,
    settings: &SyncSettings,
    only: &[Kind],
) -> Option<BackfillReport> {
    let wants = |kind| only.is_empty() || only.contains(&kind);
    let mut work = match of_growth(ctx, wants).await {
        Ok(work) => work?,
        Err(error) => return Some(Backfill::of_days(0).report(Some(RunError::Store(error)))),
    };
    let stop = run(ctx, &mut work, settings, true, async |_| false).await;
    Some(work.report(stop))
}

/// What has ended or settled since the last backfill, of kinds that are wanted and not paused.
pub async fn of_growth(
    ctx: &SyncContext,
    wants: impl Fn(Kind) -> bool,
) -> StoreResult<Option<Backfill>> {
    let paused = backoff::paused(ctx, BackoffScope::Days, ctx.fetcher.clock().now()).await?;
    Backfill::of_growth(ctx, |kind| wants(kind) && !paused.contains_key(&kind)).await
}

/// The kinds whose turns were begun in this run, and the one at work.
#[derive(Debug, Default)]
struct KindRuns {
    kinds: BTreeSet<Kind>,
    now: Option<Kind>,
}

async fn slice(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    begun: &mut KindRuns,
    is_identified: bool,
    yields: impl AsyncFn(&SyncContext) -> bool,
) -> Result<(), RunError> {
    begin(ctx, work.trigger(), is_identified).await?;
    end_kind_run(ctx, Kind::Meta, &KindOutcome::of(Outcome::Polled)).await?;
    if work.bounds.is_empty() {
        work.plan(ctx).await?;
    }
    while !work.is_done() {
        let group = gather(ctx, work, begun).await?;
        ask_all(ctx, work, group).await?;
        if yields(ctx).await {
            return Ok(());
        }
    }
    if work.goal != Goal::Growth && !work.is_unfilled {
        let today = number(work.today);
        let whole = SubjectKind::KINDS.into_iter().filter(|kind| !work.given_up.contains_key(kind));
        let whole: Vec<Kind> = whole.collect();
        ctx.store
            .write(move |tx| {
                whole.into_iter().try_for_each(|kind| metrics::grow_from(tx, kind, today))
            })
            .await?;
    }
    Ok(())
}

/// A part of a backfill that is done at once: a request, or what ends a task.
struct Step {
    /// Where the backfill stands before it.
    at: Place,
    task: Task,
    /// The resources to ask for; none where the task has come to its end.
    subjects: Vec<Subject>,
}

/// The next requests that do not depend on each other's answers: one until the endpoint is known to
/// answer, then as many as may be in flight.
async fn gather(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    begun: &mut KindRuns,
) -> Result<Vec<Step>, RunError> {
    let at_once = ctx.fetcher.max_concurrent_requests();
    let (mut steps, mut requests, mut of) = (Vec::new(), 0, None);
    while let Some(task) = work.task() {
        let kind = task.subject_kind.kind();
        if work.given_up.contains_key(&kind) {
            work.next_task();
            continue;
        }
        if requests >= at_once || of.is_some_and(|of| of != kind) {
            break;
        }
        if work.after.is_none() {
            let today = ctx.fetcher.clock().now().date_naive();
            work.is_settled = plan::is_settled(task.day, today);
        }
        let bound = work.bound(kind);
        let at = work.place();
        let (subjects, last) = subjects(ctx, work, task, bound).await?;
        match last {
            None => work.next_task(),
            Some(last) => work.after = Some(last),
        }
        if last.is_some() && subjects.is_empty() {
            continue;
        }
        if !subjects.is_empty() {
            begun.now = Some(kind);
            if begun.kinds.insert(kind) {
                ctx.begin_kind_run(kind, work.trigger()).await?;
            }
            (requests, of) = (requests + 1, Some(kind));
        }
        steps.push(Step { at, task, subjects });
        if requests > 0 && (bound.is_sought() || !work.answering.contains(&kind)) {
            break;
        }
    }
    Ok(steps)
}

/// The resources of a task's next request, and the key of the last one looked at; `None` where none are
/// left.
async fn subjects(
    ctx: &SyncContext,
    work: &Backfill,
    task: Task,
    bound: Bound,
) -> StoreResult<(Vec<Subject>, Option<i64>)> {
    let wanted = work.wanted(task);
    let after = work.after.unwrap_or(i64::MIN);
    let mut subjects =
        read(ctx, &wanted, move |c, wanted| metrics::next(c, wanted, after, bound.ids())).await?;
    let Some(last) = subjects.last().map(|subject| subject.key) else {
        return Ok((Vec::new(), None));
    };
    // Room in a request costs nothing. What was published later has counted nothing by then, which is
    // the API's to say.
    let room = bound.ids().saturating_sub(subjects.len());
    if room > 0 {
        subjects
            .extend(read(ctx, &wanted, move |c, wanted| metrics::later(c, wanted, room)).await?);
    }
    let is_refused =
        |subject: &Subject| work.refused.contains(&(task.subject_kind.kind(), subject.key));
    let left_out: Vec<Subject> = subjects.extract_if(.., |subject| is_refused(subject)).collect();
    if !left_out.is_empty() {
        // Remembered, or else a later run would have nothing but them to ask for, and take the refusal
        // for one of everything.
        let told: Vec<_> = left_out.into_iter().map(|one| (one, DayMetrics::NotFound)).collect();
        ctx.store.write(move |tx| metrics::write(tx, &wanted, &told)).await?;
    }
    Ok((subjects, Some(last)))
}

async fn read(
    ctx: &SyncContext,
    wanted: &Wanted,
    f: impl FnOnce(&Connection, &Wanted) -> StoreResult<Vec<Subject>> + Send + 'static,
) -> StoreResult<Vec<Subject>> {
    let wanted = wanted.clone();
    ctx.store.read(move |c| f(c, &wanted)).await
}

/// Sends the requests of these steps side by side. From the first that was refused on, the work is taken
/// up again; what was answered behind it is not asked for again.
async fn ask_all(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    steps: Vec<Step>,
) -> Result<(), RunError> {
    let requests = steps.iter().filter(|step| !step.subjects.is_empty());
    let answers: Vec<FetchResult<Asked>> = {
        let (ctx, work) = (&*ctx, &*work);
        join_all(requests.map(|step| {
            let (subject_kind, bound) =
                (step.task.subject_kind, work.bound(step.task.subject_kind.kind()));
            asking::ask(ctx, subject_kind, step.task.day, step.subjects.clone(), bound)
        }))
        .await
    };
    let mut answers = answers.into_iter();
    let (mut is_whole, mut stop) = (true, None);
    for step in steps {
        if step.subjects.is_empty() {
            if is_whole {
                end_task(ctx, step.task, step.at).await?;
            }
            continue;
        }
        let Some(answer) = answers.next() else { continue };
        let is_taken = take(ctx, work, &step, answer).await.unwrap_or_else(|reason| {
            stop.get_or_insert(reason);
            false
        });
        if !is_taken && is_whole {
            work.go_back(step.at);
            is_whole = false;
        }
        let (kind, done) = (step.task.subject_kind.kind(), work.done);
        ctx.tell(&Event::Days { kind, done, total: work.foreseen.max(done + 1) });
    }
    stop.map_or(Ok(()), Err)
}

/// Notes that everything was asked for on a day, where this task is the last of its kind.
async fn end_task(ctx: &SyncContext, task: Task, at: Place) -> StoreResult<()> {
    let (subject_kind, day) = (task.subject_kind, task.day);
    if subject_kind.is_last_of_kind() {
        let (kind, date, now) = (subject_kind.kind(), day.to_string(), ctx.fetcher.stamp());
        ctx.store
            .write(move |tx| metrics::day_done(tx, kind, number(day), &date, at.is_settled, now))
            .await?;
    }
    Ok(())
}

/// Goes by the answer to a request. Returns whether its resources are done with.
async fn take(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    step: &Step,
    answer: FetchResult<Asked>,
) -> Result<bool, RunError> {
    let subject_kind = step.task.subject_kind;
    match answer {
        Ok(Asked::Answered(done)) => {
            ctx.refused.remove(&endpoint(subject_kind));
            work.answered(subject_kind.kind(), step.subjects.len(), done);
            Ok(true)
        }
        Ok(Asked::Refused(failure)) => {
            ctx.remember_unsupported(&endpoint(subject_kind), &failure).await?;
            work.give_up_refused(subject_kind, &failure);
            Ok(false)
        }
        Ok(Asked::Invalid(failure)) => {
            invalid(ctx, work, step, failure).await?;
            Ok(false)
        }
        Err(FetchError::Api(failure)) => {
            work.give_up(subject_kind, failure);
            Ok(false)
        }
        Err(error) => Err(RunError::from(error)),
    }
}

/// The server refuses a request: for the number of its ids, for one of them, or for something else.
async fn invalid(
    ctx: &SyncContext,
    work: &mut Backfill,
    step: &Step,
    failure: Failure,
) -> Result<(), RunError> {
    let (subject_kind, kind) = (step.task.subject_kind, step.task.subject_kind.kind());
    if asking::blames_window(&failure) {
        work.give_up(subject_kind, failure);
        return Ok(());
    }
    let (sent, first) = (step.subjects.len(), step.subjects.first().map(|subject| subject.key));
    let told = plan::told_bound(&asking::words(&failure), sent);
    let mut bound = work.bound(kind);
    // Of requests that were refused together, the first has told what there is to learn.
    if sent > bound.ids() {
        return Ok(());
    }
    match bound.refused(sent, told) {
        Refused::Fewer if told.is_some() => {
            asking::keep_bound(ctx, subject_kind, bound).await?;
        }
        Refused::Fewer => {}
        // One that is refused where others were answered is itself to blame.
        Refused::Alone if work.answering.contains(&kind) => {
            tracing::warn!(%kind, error = %failure, "an id is refused; it is left out");
            work.refused.extend(first.map(|key| (kind, key)));
            // What was learned on the way down to it was about it.
            asking::keep_bound(ctx, subject_kind, bound).await?;
        }
        Refused::Alone => work.give_up(subject_kind, failure),
    }
    work.bounds.insert(kind, bound);
    Ok(())
}

/// Writes down how it went, kind by kind.
async fn close(
    ctx: &mut SyncContext,
    work: &mut Backfill,
    begun: KindRuns,
    settings: &SyncSettings,
    stop: Option<RunError>,
) -> Option<RunError> {
    if ctx.run_id == 0 {
        return stop;
    }
    let (kind_runs, failed) = match write_down(ctx, work, &begun, settings, stop.as_ref()).await {
        Ok(kind_runs) => (kind_runs, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    if work.done > 0 {
        let total = work.foreseen.max(work.done);
        ctx.tell(&Event::Days { kind: Kind::Meta, done: work.done, total });
    }
    work.run_id = ctx.run_id;
    work.requests += kind_runs.iter().map(|kind_run| kind_run.tally.requests).sum::<i64>();
    stop.or(failed)
}

async fn write_down(
    ctx: &mut SyncContext,
    work: &Backfill,
    begun: &KindRuns,
    settings: &SyncSettings,
    stop: Option<&RunError>,
) -> Result<Vec<KindRun>, RunError> {
    // Requests that no answer has accounted for are those of the kind at work.
    let others = begun.kinds.iter().filter(|kind| Some(**kind) != begun.now);
    for kind in begun.now.iter().chain(others).copied() {
        let kind_outcome = match (work.given_up.get(&kind), stop) {
            (Some((kind_outcome, _)), _) => kind_outcome.clone(),
            (None, Some(RunError::Interrupted)) => KindOutcome::of(Outcome::Interrupted),
            (None, Some(stop)) if begun.now == Some(kind) => stop.kind_outcome(),
            (None, None) if work.is_done() => KindOutcome::of(Outcome::Complete),
            _ => KindOutcome::of(Outcome::Polled),
        };
        if !kind_outcome.outcome.is_good() {
            tracing::warn!(%kind, outcome = %kind_outcome.outcome, detail = kind_outcome.detail, "not all went well");
        }
        finish::end(ctx, kind, &kind_outcome).await?;
        // What stops everything is no kind's own failure.
        if stop.is_none() {
            backoff::note(ctx, settings, kind, BackoffScope::Days, kind_outcome.outcome).await?;
        }
    }
    let outcome = stop.map_or("finished", RunError::name);
    let detail = stop.map(ToString::to_string);
    Ok(ctx.end(outcome, detail.as_deref(), settings.log_retention).await?)
}
