//! The tasks of a backfill and its progress, kept over the slices in which a daemon does it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::NaiveDate;

use crate::api::{Failure, Verdict};
use crate::fetch::context::SyncContext;
use crate::fetch::kind_outcome::{of_failure, outcome_of};
use crate::model::metrics::number;
use crate::model::{Event, Kind, KindOutcome, Outcome, SubjectKind, instant};
use crate::schedule::backfill::{self as plan, Bound, Task};
use crate::store::unsupported::{self, UnsupportedFeature};
use crate::store::{StoreResult, metrics};
use crate::sync::backfill::growth::due;
use crate::sync::backfill::report::{BackfillReport, KindBackfillReport};
use crate::sync::daily_metrics::{MetricsCounts, endpoint};
use crate::sync::run_error::RunError;

/// The error code of an endpoint that the key's scope does not cover.
const SCOPE_CODE: &str = "INSUFFICIENT_SCOPE";

/// The days of a backfill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Goal {
    /// The number of days that end yesterday.
    Days(u32),
    /// Days that ended or became final since the last backfill.
    #[default]
    Growth,
}

/// A position in the tasks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    task_index: usize,
    /// The row id after which the current task continues; `None` before its first request.
    pub(super) after: Option<i64>,
    /// Whether the metrics of the current task's day are final.
    pub(super) is_settled: bool,
}

/// A backfill: its tasks and its progress.
#[derive(Debug, Default)]
pub struct Backfill {
    pub(super) goal: Goal,
    /// The tasks; `None` before they were planned.
    pub(super) tasks: Option<Vec<Task>>,
    pub(super) position: Position,
    /// The day on which the tasks were planned.
    pub(super) today: NaiveDate,
    /// Number of requests, estimated.
    pub(super) estimated: u64,
    /// Number of requests answered.
    pub(super) done: u64,
    pub(super) bounds: BTreeMap<Kind, Bound>,
    pub(super) counts: BTreeMap<Kind, MetricsCounts>,
    /// Kinds that are left out for the rest of the backfill, and why.
    pub(super) given_up: BTreeMap<Kind, (KindOutcome, Option<Failure>)>,
    /// The kind of the last requests.
    pub(super) current_kind: Option<Kind>,
    /// Kinds whose endpoint has answered.
    pub(super) answering: BTreeSet<Kind>,
    /// Resources whose ids the server refuses.
    pub(super) refused: BTreeSet<(Kind, i64)>,
    pub(super) unaskable: u64,
    /// Whether the mirror is empty because nothing was ever listed.
    pub(super) is_unfilled: bool,
    /// The number of days and requests, and the estimated time.
    description: String,
    pub(super) run_id: i64,
    pub(super) requests: i64,
}

impl Backfill {
    /// The `count` days that end yesterday.
    pub fn of_days(count: u32) -> Self {
        Self { goal: Goal::Days(count), ..Self::default() }
    }

    /// The days that ended or became final since the last backfill; `None` if there are none. `only` limits
    /// the kinds unless it is empty.
    pub async fn of_growth(ctx: &SyncContext, only: &[Kind]) -> StoreResult<Option<Self>> {
        let (now, only) = (ctx.fetcher.clock().now(), only.to_vec());
        let tasks = ctx.store.read(move |c| due(c, now, &only)).await?;
        Ok((!tasks.is_empty()).then(|| Self { tasks: Some(tasks), ..Self::default() }))
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| self.position.task_index >= tasks.len())
    }

    /// Describes the progress.
    pub fn progress(&self) -> String {
        if self.description.is_empty() {
            return "not started".to_owned();
        }
        format!("{}; {} of {} done", self.description, self.done, self.estimated.max(self.done))
    }

    pub(super) fn trigger(&self) -> &'static str {
        match self.goal {
            Goal::Days(_) => "backfill",
            Goal::Growth => "daily",
        }
    }

    pub(super) fn task(&self) -> Option<Task> {
        self.tasks.as_ref()?.get(self.position.task_index).copied()
    }

    pub(super) fn next_task(&mut self) {
        self.position.task_index += 1;
        self.position.after = None;
    }

    /// The most ids of a request of this kind.
    pub(super) fn bound(&self, kind: Kind) -> Bound {
        self.bounds.get(&kind).copied().unwrap_or(Bound::known(None))
    }

    /// The subjects of the current task.
    pub(super) fn wanted(&self, task: Task) -> metrics::Wanted {
        let (subject_kind, day, date) = (task.subject_kind, number(task.day), task.day.to_string());
        metrics::Wanted { subject_kind, day, date, has_settled: self.position.is_settled }
    }

    /// Records the answer to a request with `sent` ids.
    pub(super) fn answered(&mut self, kind: Kind, sent: usize, counts: MetricsCounts) {
        let mut bound = self.bound(kind);
        bound.answered(sent);
        self.bounds.insert(kind, bound);
        self.answering.insert(kind);
        self.done += 1;
        let total = self.counts.entry(kind).or_default();
        total.rows += counts.rows;
        total.changed += counts.changed;
        total.type_mismatches += counts.type_mismatches;
        total.not_found += counts.not_found;
        total.passed_over += counts.passed_over;
    }

    /// Plans the tasks and estimates their requests. This may take long for many days that were requested
    /// before, so it yields to other tasks.
    pub(super) async fn plan(&mut self, ctx: &mut SyncContext) -> StoreResult<()> {
        let now = ctx.fetcher.clock().now();
        self.today = now.date_naive();
        for kind in SubjectKind::KINDS {
            let learned =
                ctx.store.read(move |c| metrics::ids_max(c, kind, instant::micros(now))).await?;
            self.bounds.insert(kind, Bound::known(learned));
        }
        if let Goal::Days(count) = self.goal {
            let (has_rows, is_mirrored) = ctx.store.read(metrics::has_rows).await?;
            self.is_unfilled = !has_rows && !is_mirrored;
            self.give_up_unsupported(ctx).await?;
            let days = match self.is_unfilled {
                true => Vec::new(),
                false => plan::days(self.today, count),
            };
            self.tasks = Some(plan::tasks(&days));
            self.unaskable = ctx.store.read(metrics::count_not_requestable).await?;
        }
        self.estimated = self.estimate(ctx).await?;
        self.describe(ctx);
        Ok(())
    }

    /// Gives up kinds whose endpoint is known to be unsupported, except for a scope that may have changed.
    async fn give_up_unsupported(&mut self, ctx: &SyncContext) -> StoreResult<()> {
        let now = instant::micros(ctx.fetcher.clock().now());
        let refused = ctx.store.read(move |c| unsupported::active(c, now)).await?;
        for subject_kind in SubjectKind::ALL {
            let known = refused.iter().find(|refusal| refusal.feature == endpoint(subject_kind));
            let known = known.filter(|refusal| refusal.code.as_deref() != Some(SCOPE_CODE));
            if let Some(refusal) = known {
                self.given_up.insert(subject_kind.kind(), (known_refusal(refusal), None));
            }
        }
        Ok(())
    }

    /// Estimates the number of requests. A day that was never requested takes the ids published by then;
    /// of any other day the missing ids are counted.
    async fn estimate(&self, ctx: &mut SyncContext) -> StoreResult<u64> {
        let mut published = BTreeMap::new();
        let mut requests = 0_u64;
        for task in self.tasks.iter().flatten() {
            let (subject_kind, kind, day) =
                (task.subject_kind, task.subject_kind.kind(), number(task.day));
            let Some(bound) = self.bounds.get(&kind).filter(|_| !self.given_up.contains_key(&kind))
            else {
                continue;
            };
            let date = task.day.to_string();
            let ids = if ctx.store.read(move |c| metrics::is_begun(c, kind, day)).await? {
                let has_settled = plan::is_settled(task.day, self.today);
                let wanted = metrics::Wanted { subject_kind, day, date, has_settled };
                // Report progress, and allow the task to be cancelled.
                ctx.tell(&Event::Days { kind, done: 0, total: requests.max(1) });
                tokio::task::yield_now().await;
                ctx.store.read(move |c| metrics::count(c, &wanted)).await?
            } else {
                if let Entry::Vacant(slot) = published.entry(subject_kind) {
                    let read = move |c: &_| metrics::by_publication(c, subject_kind);
                    slot.insert(ctx.store.read(read).await?);
                }
                let days = published.get(&subject_kind);
                days.map_or(0, |days| days.range(..=date).map(|(_, ids)| *ids).sum())
            };
            requests = requests.saturating_add(plan::requests(ids, bound.ids()));
        }
        Ok(requests)
    }

    fn describe(&mut self, ctx: &SyncContext) {
        let requests = self.estimated;
        let time = match (ctx.fetcher.remaining(), ctx.fetcher.allowance()) {
            _ if requests == 0 => "all are mirrored already".to_owned(),
            (Some(left), Some(each)) => {
                let time = plan::time(requests, left, each).as_secs().next_multiple_of(10);
                match Duration::from_secs(time) {
                    Duration::ZERO => "all within this rate-limit window".to_owned(),
                    time => {
                        let time = humantime::format_duration(time);
                        format!("about {time} at {each} requests per rate-limit window")
                    }
                }
            }
            _ => "the rate limit is not known yet".to_owned(),
        };
        match self.goal {
            Goal::Days(days) => {
                self.description =
                    format!("daily metrics of {days} days: {requests} requests, {time}");
                tracing::info!(days, requests, time, "backfill planned");
            }
            Goal::Growth => {
                self.description = format!("daily metrics: {requests} requests");
                tracing::debug!(requests, "daily metrics planned");
            }
        }
        if self.unaskable > 0 {
            tracing::warn!(
                account_videos = self.unaskable,
                "daily metrics cannot be requested: the API takes numeric ids of Instagram and TikTok only"
            );
        }
    }

    /// Leaves a kind out for the rest of the backfill.
    pub(super) fn give_up(&mut self, subject_kind: SubjectKind, failure: Failure) {
        let kind_outcome = of_failure(outcome_of(&failure), &failure);
        self.given_up.insert(subject_kind.kind(), (kind_outcome, Some(failure)));
    }

    /// Leaves a kind out whose endpoint the server does not support, or not for this key.
    pub(super) fn give_up_refused(&mut self, subject_kind: SubjectKind, failure: &Failure) {
        let mut kind_outcome = of_failure(Outcome::Unavailable, failure);
        if failure.verdict == Verdict::ScopeMissing {
            kind_outcome.detail = Some(format!(
                "the key lacks the scope for {}, a POST that may need the scope `write`: {failure}",
                endpoint(subject_kind)
            ));
        }
        self.given_up.insert(subject_kind.kind(), (kind_outcome, None));
    }

    /// The report so far.
    pub fn report(&self, run_error: Option<RunError>) -> BackfillReport {
        let kinds = SubjectKind::KINDS.into_iter().filter_map(|kind| {
            let counts = self.counts.get(&kind).copied();
            let given_up = self.given_up.get(&kind);
            (counts.is_some() || given_up.is_some()).then(|| KindBackfillReport {
                kind,
                counts: counts.unwrap_or_default(),
                kind_outcome: given_up.map(|(kind_outcome, _)| kind_outcome.clone()),
                failure: given_up.and_then(|(_, failure)| failure.clone()),
            })
        });
        let days = || self.tasks.iter().flatten().map(|task| task.day);
        BackfillReport {
            run_id: self.run_id,
            days: match self.goal {
                Goal::Days(days) => Some(days),
                Goal::Growth => None,
            },
            from: days().min(),
            to: days().max(),
            requests: self.requests,
            kinds: kinds.collect(),
            refused_ids: self.refused.len(),
            unaskable: self.unaskable,
            is_unfilled: self.is_unfilled,
            run_error,
        }
    }
}

fn known_refusal(refusal: &UnsupportedFeature) -> KindOutcome {
    let again = instant::text(instant::from_micros(refusal.retry_at));
    let detail = refusal.detail.as_deref().unwrap_or("it is not supported");
    KindOutcome {
        outcome: Outcome::Unavailable,
        error_code: refusal.code.clone(),
        detail: Some(format!(
            "{} was refused: {detail}; tried again after {again}",
            refusal.feature
        )),
        request_id: refusal.request_id.clone(),
    }
}
