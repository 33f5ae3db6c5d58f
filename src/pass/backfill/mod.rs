//! Daily metrics: the days that a user asks for, and those that end after that.
//!
//! A [`Backfill`] is a list of days and lots, worked off one request after the other; each answer is
//! a transaction, and what was answered is not asked for again, so that it may be broken off anywhere.
//! A kind that fails does not keep the others from their days.

mod course;
mod growth;
mod report;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rusqlite::Connection;

pub use course::Backfill;
pub use growth::{due, next_at};
pub use report::{Backfilled, KindBackfilled};

use crate::api::Failure;
use crate::model::metrics::number;
use crate::model::{BackoffScope, Ending, Event, Kind, Lot, Outcome};
use crate::pass::order::PassSettings;
use crate::pass::pauses;
use crate::pass::stop::Stop;
use crate::pass::turn::{begin, end_turn};
use crate::plan::backfill::{self as plan, Bound, Refused, Task};
use crate::poll::error::PollResult;
use crate::poll::metrics::{self as asking, Asked, endpoint};
use crate::poll::settle;
use crate::poll::{Desk, PollError};
use crate::store::StoreResult;
use crate::store::metrics::{self, Subject, Told, Wanted};
use crate::store::passes::Turn;

use course::{Goal, Place};

/// Works on `work` until it is done, `yields` says that something else is more urgent, or something
/// stops it.
pub async fn run(
    desk: &mut Desk,
    work: &mut Backfill,
    settings: &PassSettings,
    is_identified: bool,
    yields: impl AsyncFn(&Desk) -> bool,
) -> Option<Stop> {
    desk.pass = 0;
    let mut begun = Turns::default();
    let stop = slice(desk, work, &mut begun, is_identified, yields).await.err();
    close(desk, work, begun, settings, stop).await
}

/// Ends what was broken off from outside.
pub async fn interrupt(desk: &mut Desk, work: &mut Backfill, settings: &PassSettings) -> Stop {
    let begun = Turns { kinds: Lot::KINDS.into(), now: work.task().map(|task| task.lot.kind()) };
    close(desk, work, begun, settings, Some(Stop::Interrupted)).await.unwrap_or(Stop::Interrupted)
}

/// The days that have ended or settled since the last backfill. Nothing happens, and `None` comes
/// back, where there are none or no backfill was ever done.
pub async fn grow(desk: &mut Desk, settings: &PassSettings, only: &[Kind]) -> Option<Backfilled> {
    let wants = |kind| only.is_empty() || only.contains(&kind);
    let mut work = match of_growth(desk, wants).await {
        Ok(work) => work?,
        Err(error) => return Some(Backfill::of_days(0).report(Some(Stop::Store(error)))),
    };
    let stop = run(desk, &mut work, settings, true, async |_| false).await;
    Some(work.report(stop))
}

/// What has ended or settled since the last backfill, of kinds that are wanted and not paused.
pub async fn of_growth(desk: &Desk, wants: impl Fn(Kind) -> bool) -> StoreResult<Option<Backfill>> {
    let paused = pauses::paused(desk, BackoffScope::Days, desk.fetcher.clock().now()).await?;
    Backfill::of_growth(desk, |kind| wants(kind) && !paused.contains_key(&kind)).await
}

/// The kinds whose turns were begun in this pass, and the one at work.
#[derive(Debug, Default)]
struct Turns {
    kinds: BTreeSet<Kind>,
    now: Option<Kind>,
}

async fn slice(
    desk: &mut Desk,
    work: &mut Backfill,
    begun: &mut Turns,
    is_identified: bool,
    yields: impl AsyncFn(&Desk) -> bool,
) -> Result<(), Stop> {
    begin(desk, work.trigger(), is_identified).await?;
    end_turn(desk, Kind::Meta, &Ending::of(Outcome::Polled)).await?;
    if work.bounds.is_empty() {
        work.plan(desk).await?;
    }
    while !work.is_done() {
        let group = gather(desk, work, begun).await?;
        ask_all(desk, work, group).await?;
        if yields(desk).await {
            return Ok(());
        }
    }
    if work.goal != Goal::Growth && !work.is_unfilled {
        let today = number(work.today);
        let whole = Lot::KINDS.into_iter().filter(|kind| !work.given_up.contains_key(kind));
        let whole: Vec<Kind> = whole.collect();
        desk.store
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
    desk: &mut Desk,
    work: &mut Backfill,
    begun: &mut Turns,
) -> Result<Vec<Step>, Stop> {
    let at_once = desk.fetcher.max_concurrent_requests();
    let (mut steps, mut requests, mut of) = (Vec::new(), 0, None);
    while let Some(task) = work.task() {
        let kind = task.lot.kind();
        if work.given_up.contains_key(&kind) {
            work.next_task();
            continue;
        }
        if requests >= at_once || of.is_some_and(|of| of != kind) {
            break;
        }
        if work.after.is_none() {
            let today = desk.fetcher.clock().now().date_naive();
            work.is_settled = plan::is_settled(task.day, today);
        }
        let bound = work.bound(kind);
        let at = work.place();
        let (subjects, last) = subjects(desk, work, task, bound).await?;
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
                desk.begin_turn(kind, work.trigger()).await?;
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
    desk: &Desk,
    work: &Backfill,
    task: Task,
    bound: Bound,
) -> StoreResult<(Vec<Subject>, Option<i64>)> {
    let wanted = work.wanted(task);
    let after = work.after.unwrap_or(i64::MIN);
    let mut subjects =
        read(desk, &wanted, move |c, wanted| metrics::next(c, wanted, after, bound.ids())).await?;
    let Some(last) = subjects.last().map(|subject| subject.key) else {
        return Ok((Vec::new(), None));
    };
    // Room in a request costs nothing. What was published later has counted nothing by then, which is
    // the API's to say.
    let room = bound.ids().saturating_sub(subjects.len());
    if room > 0 {
        subjects
            .extend(read(desk, &wanted, move |c, wanted| metrics::later(c, wanted, room)).await?);
    }
    let is_refused = |subject: &Subject| work.refused.contains(&(task.lot.kind(), subject.key));
    let left_out: Vec<Subject> = subjects.extract_if(.., |subject| is_refused(subject)).collect();
    if !left_out.is_empty() {
        // Remembered, or else a later run would have nothing but them to ask for, and take the refusal
        // for one of everything.
        let told: Vec<_> = left_out.into_iter().map(|one| (one, Told::NotFound)).collect();
        desk.store.write(move |tx| metrics::write(tx, &wanted, &told)).await?;
    }
    Ok((subjects, Some(last)))
}

async fn read(
    desk: &Desk,
    wanted: &Wanted,
    f: impl FnOnce(&Connection, &Wanted) -> StoreResult<Vec<Subject>> + Send + 'static,
) -> StoreResult<Vec<Subject>> {
    let wanted = wanted.clone();
    desk.store.read(move |c| f(c, &wanted)).await
}

/// Sends the requests of these steps side by side. From the first that was refused on, the work is taken
/// up again; what was answered behind it is not asked for again.
async fn ask_all(desk: &mut Desk, work: &mut Backfill, steps: Vec<Step>) -> Result<(), Stop> {
    let requests = steps.iter().filter(|step| !step.subjects.is_empty());
    let answers: Vec<PollResult<Asked>> = {
        let (desk, work) = (&*desk, &*work);
        join_all(requests.map(|step| {
            let (lot, bound) = (step.task.lot, work.bound(step.task.lot.kind()));
            asking::ask(desk, lot, step.task.day, step.subjects.clone(), bound)
        }))
        .await
    };
    let mut answers = answers.into_iter();
    let (mut is_whole, mut stop) = (true, None);
    for step in steps {
        if step.subjects.is_empty() {
            if is_whole {
                end_task(desk, step.task, step.at).await?;
            }
            continue;
        }
        let Some(answer) = answers.next() else { continue };
        let is_taken = take(desk, work, &step, answer).await.unwrap_or_else(|reason| {
            stop.get_or_insert(reason);
            false
        });
        if !is_taken && is_whole {
            work.go_back(step.at);
            is_whole = false;
        }
        let (kind, done) = (step.task.lot.kind(), work.done);
        desk.tell(&Event::Days { kind, done, total: work.foreseen.max(done + 1) });
    }
    stop.map_or(Ok(()), Err)
}

/// Notes that everything was asked for on a day, where this task is the last of its kind.
async fn end_task(desk: &Desk, task: Task, at: Place) -> StoreResult<()> {
    let (lot, day) = (task.lot, task.day);
    if lot.is_last_of_kind() {
        let (kind, date, now) = (lot.kind(), day.to_string(), desk.fetcher.stamp());
        desk.store
            .write(move |tx| metrics::day_done(tx, kind, number(day), &date, at.is_settled, now))
            .await?;
    }
    Ok(())
}

/// Goes by the answer to a request. Returns whether its resources are done with.
async fn take(
    desk: &mut Desk,
    work: &mut Backfill,
    step: &Step,
    answer: PollResult<Asked>,
) -> Result<bool, Stop> {
    let lot = step.task.lot;
    match answer {
        Ok(Asked::Answered(done)) => {
            desk.refused.remove(&endpoint(lot));
            work.answered(lot.kind(), step.subjects.len(), done);
            Ok(true)
        }
        Ok(Asked::Refused(failure)) => {
            desk.remember_refusal(&endpoint(lot), &failure).await?;
            work.give_up_refused(lot, &failure);
            Ok(false)
        }
        Ok(Asked::Invalid(failure)) => {
            invalid(desk, work, step, failure).await?;
            Ok(false)
        }
        Err(PollError::Api(failure)) => {
            work.give_up(lot, failure);
            Ok(false)
        }
        Err(error) => Err(Stop::from(error)),
    }
}

/// The server refuses a request: for the number of its ids, for one of them, or for something else.
async fn invalid(
    desk: &Desk,
    work: &mut Backfill,
    step: &Step,
    failure: Failure,
) -> Result<(), Stop> {
    let (lot, kind) = (step.task.lot, step.task.lot.kind());
    if asking::blames_window(&failure) {
        work.give_up(lot, failure);
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
            asking::keep_bound(desk, lot, bound).await?;
        }
        Refused::Fewer => {}
        // One that is refused where others were answered is itself to blame.
        Refused::Alone if work.answering.contains(&kind) => {
            tracing::warn!(%kind, error = %failure, "an id is refused; it is left out");
            work.refused.extend(first.map(|key| (kind, key)));
            // What was learned on the way down to it was about it.
            asking::keep_bound(desk, lot, bound).await?;
        }
        Refused::Alone => work.give_up(lot, failure),
    }
    work.bounds.insert(kind, bound);
    Ok(())
}

/// Writes down how it went, kind by kind.
async fn close(
    desk: &mut Desk,
    work: &mut Backfill,
    begun: Turns,
    settings: &PassSettings,
    stop: Option<Stop>,
) -> Option<Stop> {
    if desk.pass == 0 {
        return stop;
    }
    let (turns, failed) = match write_down(desk, work, &begun, settings, stop.as_ref()).await {
        Ok(turns) => (turns, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    if work.done > 0 {
        let total = work.foreseen.max(work.done);
        desk.tell(&Event::Days { kind: Kind::Meta, done: work.done, total });
    }
    work.pass = desk.pass;
    work.requests += turns.iter().map(|turn| turn.tally.requests).sum::<i64>();
    stop.or(failed)
}

async fn write_down(
    desk: &mut Desk,
    work: &Backfill,
    begun: &Turns,
    settings: &PassSettings,
    stop: Option<&Stop>,
) -> Result<Vec<Turn>, Stop> {
    // Requests that no answer has accounted for are those of the kind at work.
    let others = begun.kinds.iter().filter(|kind| Some(**kind) != begun.now);
    for kind in begun.now.iter().chain(others).copied() {
        let ending = match (work.given_up.get(&kind), stop) {
            (Some((ending, _)), _) => ending.clone(),
            (None, Some(Stop::Interrupted)) => Ending::of(Outcome::Interrupted),
            (None, Some(stop)) if begun.now == Some(kind) => stop.ending(),
            (None, None) if work.is_done() => Ending::of(Outcome::Complete),
            _ => Ending::of(Outcome::Polled),
        };
        if !ending.outcome.is_good() {
            tracing::warn!(%kind, outcome = %ending.outcome, detail = ending.detail, "not all went well");
        }
        settle::end(desk, kind, &ending).await?;
        // What stops everything is no kind's own failure.
        if stop.is_none() {
            pauses::note(desk, settings, kind, BackoffScope::Days, ending.outcome).await?;
        }
    }
    let outcome = stop.map_or("finished", Stop::name);
    let detail = stop.map(ToString::to_string);
    Ok(desk.end(outcome, detail.as_deref(), settings.log_retention).await?)
}
