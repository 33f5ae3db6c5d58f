//! Daily metrics: the days that a user asks for, and those that end after that.
//!
//! A [`Backfill`] is a list of days and lots, worked off one request after the other; each answer is
//! a transaction, and what was answered is not asked for again, so that it may be broken off anywhere.
//! A kind that fails does not keep the others from their days.

mod course;
mod report;

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

pub use course::Backfill;
pub use report::{Backfilled, KindBackfilled};

use super::report::Stop;
use super::{PassSettings, begin, end_turn};
use crate::model::metrics::number;
use crate::model::{Event, Kind, Lot, instant};
use crate::plan::backfill::{self as plan, Bound, Refused, Task};
use crate::poll::metrics::{self as asking, Asked, endpoint};
use crate::poll::settle::{self, outcome};
use crate::poll::{Desk, PollError};
use crate::store::metrics::{self, Subject, Told, Wanted};
use crate::store::passes::{self, Ending};
use crate::store::{Store, StoreResult, instance, refusals};

use course::Goal;

/// Days are asked for up to so many seconds after they have ended, so that many installations do not
/// strike together.
const SPREAD_S: u64 = 1_800;

/// Whether something more urgent waits.
pub type Yields<'a> = dyn Fn(&Desk) -> bool + Sync + 'a;

/// Works on `work` until it is done, `yields` says that something else is more urgent, or something
/// stops it.
pub async fn run(
    desk: &mut Desk,
    work: &mut Backfill,
    settings: &PassSettings,
    is_identified: bool,
    yields: &Yields<'_>,
) -> Option<Stop> {
    desk.pass = 0;
    let mut begun = Turns::default();
    let stop = slice(desk, work, &mut begun, is_identified, yields).await.err();
    close(desk, work, begun, settings, stop)
}

/// Ends what was broken off from outside.
pub fn interrupt(desk: &mut Desk, work: &mut Backfill, settings: &PassSettings) -> Stop {
    let begun = Turns { kinds: Lot::KINDS.into(), now: work.task().map(|task| task.lot.kind()) };
    close(desk, work, begun, settings, Some(Stop::Interrupted)).unwrap_or(Stop::Interrupted)
}

/// The days that have ended or settled since the last backfill. Nothing happens, and `None` comes
/// back, where there are none or no backfill was ever done.
pub async fn grow(desk: &mut Desk, settings: &PassSettings, only: &[Kind]) -> Option<Backfilled> {
    let wants = |kind| only.is_empty() || only.contains(&kind);
    let mut work = match Backfill::of_growth(desk, wants) {
        Ok(work) => work?,
        Err(error) => return Some(Backfill::of_days(0).report(Some(Stop::Store(error)))),
    };
    let stop = run(desk, &mut work, settings, true, &|_| false).await;
    Some(work.report(stop))
}

/// What has ended or settled since the last backfill, and the server does not refuse.
pub fn due(
    store: &Store,
    now: DateTime<Utc>,
    wants: impl Fn(Kind) -> bool,
) -> StoreResult<Vec<Task>> {
    let refused = store.read(|c| refusals::in_force(c, instant::micros(now)))?;
    let today = (now - spread(store)?).date_naive();
    let mut tasks = Vec::new();
    for kind in Lot::KINDS.into_iter().filter(|kind| wants(*kind)) {
        let state = store.read(|c| metrics::growing(c, kind))?;
        let due = plan::growth(kind, state.from, &state.asked, &state.open, today);
        let is_refused = |task: &Task| refused.iter().any(|r| r.thing == endpoint(task.lot));
        tasks.extend(due.into_iter().filter(|task| !is_refused(task)));
    }
    // The newest days of all kinds come first.
    tasks.sort_by_key(|task| (std::cmp::Reverse(task.day), task.lot));
    Ok(tasks)
}

/// When days are to be asked for next: now, or when the present one has ended; `None` without a
/// backfill.
pub fn next_at(desk: &Desk, wants: impl Fn(Kind) -> bool) -> StoreResult<Option<DateTime<Utc>>> {
    let now = desk.fetcher.clock().now();
    if !due(&desk.store, now, wants)?.is_empty() {
        return Ok(Some(now));
    }
    let mut is_growing = false;
    for kind in Lot::KINDS {
        is_growing |= desk.store.read(|c| metrics::growing(c, kind))?.from.is_some();
    }
    let spread = spread(&desk.store)?;
    let tomorrow = (now - spread).date_naive().checked_add_days(Days::new(1));
    Ok(tomorrow.filter(|_| is_growing).map(|day| day.and_time(NaiveTime::MIN).and_utc() + spread))
}

fn spread(store: &Store) -> StoreResult<TimeDelta> {
    let seconds = store.read(instance::identity)?.seed() % SPREAD_S;
    Ok(TimeDelta::seconds(seconds.cast_signed()))
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
    yields: &Yields<'_>,
) -> Result<(), Stop> {
    begin(desk, work.trigger(), is_identified).await?;
    end_turn(desk, Kind::Meta, &Ending { outcome: outcome::POLLED, ..Ending::default() })?;
    if work.bounds.is_empty() {
        work.plan(desk).await?;
    }
    while let Some(task) = work.task() {
        step(desk, work, begun, task).await?;
        if yields(desk) {
            return Ok(());
        }
    }
    if work.goal != Goal::Growth && !work.is_unfilled {
        let today = number(work.today);
        let whole = Lot::KINDS.into_iter().filter(|kind| !work.given_up.contains_key(kind));
        desk.store.write(|tx| {
            whole.into_iter().try_for_each(|kind| metrics::grow_from(tx, kind, today))
        })?;
    }
    Ok(())
}

/// One request, or the end of a task that has none left.
async fn step(
    desk: &mut Desk,
    work: &mut Backfill,
    begun: &mut Turns,
    task: Task,
) -> Result<(), Stop> {
    let (lot, kind) = (task.lot, task.lot.kind());
    if work.given_up.contains_key(&kind) {
        work.next_task();
        return Ok(());
    }
    let after = work.after.unwrap_or(i64::MIN);
    if work.after.is_none() {
        let today = desk.fetcher.clock().now().date_naive();
        work.is_settled = plan::is_settled(task.day, today);
    }
    let mut bound = work.bounds.get(&kind).copied().unwrap_or(Bound::known(None));
    let (day, date) = (number(task.day), task.day.to_string());
    let wanted = Wanted { lot, day, date: &date, has_settled: work.is_settled };
    let mut subjects = desk.store.read(|c| metrics::next(c, wanted, after, bound.ids()))?;
    let Some(last) = subjects.last().map(|subject| subject.key) else {
        if lot.is_last_of_kind() {
            let (is_settled, at) = (work.is_settled, desk.fetcher.stamp());
            desk.store.write(|tx| metrics::day_done(tx, kind, day, &date, is_settled, at))?;
        }
        work.next_task();
        return Ok(());
    };
    // Room in a request costs nothing. What was published later has counted nothing by then, which is
    // the API's to say.
    let room = bound.ids().saturating_sub(subjects.len());
    if room > 0 {
        subjects.extend(desk.store.read(|c| metrics::later(c, wanted, room))?);
    }
    let is_refused = |subject: &Subject| work.refused.contains(&(kind, subject.key));
    let left_out: Vec<Subject> = subjects.extract_if(.., |subject| is_refused(subject)).collect();
    if !left_out.is_empty() {
        // Remembered, or else a later run would have nothing but them to ask for, and take the refusal
        // for one of everything.
        let told: Vec<_> = left_out.into_iter().map(|one| (one, Told::NotFound)).collect();
        desk.store.write(|tx| metrics::write(tx, wanted, &told))?;
    }
    if !subjects.is_empty() {
        begun.now = Some(kind);
        if begun.kinds.insert(kind) {
            desk.begin_turn(kind, work.trigger())?;
        }
        let total = work.foreseen.max(work.done + 1);
        desk.tell(&Event::Days { kind, done: work.done, total });
        let is_taken = ask(desk, work, task, subjects, &mut bound).await?;
        work.bounds.insert(kind, bound);
        if !is_taken {
            return Ok(());
        }
    }
    work.after = Some(last);
    Ok(())
}

/// Asks for resources on one day. Returns whether they are done with.
async fn ask(
    desk: &mut Desk,
    work: &mut Backfill,
    task: Task,
    subjects: Vec<Subject>,
    bound: &mut Bound,
) -> Result<bool, Stop> {
    let (lot, kind) = (task.lot, task.lot.kind());
    let (sent, first) = (subjects.len(), subjects.first().map(|subject| subject.key));
    match asking::ask(desk, lot, task.day, subjects, bound).await {
        Ok(Asked::Answered(done)) => {
            work.answering.insert(kind);
            work.done += 1;
            let total = work.totals.entry(kind).or_default();
            total.rows += done.rows;
            total.changed += done.changed;
            total.odd += done.odd;
            total.not_found += done.not_found;
            total.passed_over += done.passed_over;
            Ok(true)
        }
        Ok(Asked::Refused(failure)) => {
            desk.remember_refusal(&endpoint(lot), &failure)?;
            work.give_up_refused(lot, &failure);
            Ok(false)
        }
        Ok(Asked::Invalid(failure)) if asking::blames_window(&failure) => {
            work.give_up(lot, failure);
            Ok(false)
        }
        Ok(Asked::Invalid(failure)) => {
            let told = plan::told_bound(&asking::words(&failure), sent);
            match bound.refused(sent, told) {
                Refused::Fewer if told.is_some() => {
                    asking::keep_bound(desk, lot, *bound).map_err(Stop::from)?;
                }
                Refused::Fewer => {}
                // One that is refused where others were answered is itself to blame.
                Refused::Alone if work.answering.contains(&kind) => {
                    tracing::warn!(%kind, error = %failure, "an id is refused; it is left out");
                    work.refused.extend(first.map(|key| (kind, key)));
                    // What was learned on the way down to it was about it.
                    asking::keep_bound(desk, lot, *bound).map_err(Stop::from)?;
                }
                Refused::Alone => work.give_up(lot, failure),
            }
            Ok(false)
        }
        Err(PollError::Api(failure)) => {
            work.give_up(lot, failure);
            Ok(false)
        }
        Err(error) => Err(Stop::from(error)),
    }
}

/// Writes down how it went, kind by kind.
fn close(
    desk: &mut Desk,
    work: &mut Backfill,
    begun: Turns,
    settings: &PassSettings,
    stop: Option<Stop>,
) -> Option<Stop> {
    if desk.pass == 0 {
        return stop;
    }
    let written = write_down(desk, work, &begun, settings, stop.as_ref());
    if work.done > 0 {
        let total = work.foreseen.max(work.done);
        desk.tell(&Event::Days { kind: Kind::Meta, done: work.done, total });
    }
    let turns = desk.store.read(|c| passes::turns(c, desk.pass)).unwrap_or_default();
    work.pass = desk.pass;
    work.requests += turns.iter().map(|turn| turn.tally.requests).sum::<i64>();
    stop.or(written.err())
}

fn write_down(
    desk: &mut Desk,
    work: &Backfill,
    begun: &Turns,
    settings: &PassSettings,
    stop: Option<&Stop>,
) -> Result<(), Stop> {
    // Requests that no answer has accounted for are those of the kind at work.
    let others = begun.kinds.iter().filter(|kind| Some(**kind) != begun.now);
    for kind in begun.now.iter().chain(others).copied() {
        let ending = match (work.given_up.get(&kind), stop) {
            (Some((ending, _)), _) => ending.clone(),
            (None, Some(Stop::Interrupted)) => {
                Ending { outcome: outcome::INTERRUPTED, ..Ending::default() }
            }
            (None, Some(stop)) if begun.now == Some(kind) => stop.ending(),
            (None, None) if work.is_done() => {
                Ending { outcome: outcome::COMPLETE, ..Ending::default() }
            }
            _ => Ending { outcome: outcome::POLLED, ..Ending::default() },
        };
        if !outcome::is_good(ending.outcome) {
            tracing::warn!(%kind, outcome = ending.outcome, detail = ending.detail, "not all went well");
        }
        settle::end(desk, kind, &ending)?;
    }
    let outcome = stop.map_or("finished", Stop::name);
    let detail = stop.map(ToString::to_string);
    Ok(desk.end(outcome, detail.as_deref(), settings.log_retention)?)
}
