//! What a backfill is to do, and how far it is. It outlives the slices in which a daemon does it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::NaiveDate;

use crate::api::{Failure, Verdict};
use crate::fetch::context::SyncContext;
use crate::model::KindOutcome;
use crate::model::Outcome;
use crate::model::metrics::number;
use crate::model::{Event, Kind, SubjectKind, instant};
use crate::schedule::backfill::{self as plan, Bound, Task};
use crate::store::unsupported::{self, UnsupportedFeature};
use crate::store::{StoreResult, metrics};
use crate::sync::backfill::growth::due;
use crate::sync::backfill::report::{BackfillReport, KindBackfillReport};
use crate::sync::daily_metrics as asking;
use crate::sync::daily_metrics::{Done, endpoint};
use crate::sync::run_error::RunError;

/// The code of a refusal that another key would not get.
const SCOPE_CODE: &str = "INSUFFICIENT_SCOPE";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// So many days that end yesterday.
    Days(u32),
    /// What has ended or settled since the last backfill.
    Growth,
}

/// How far a backfill is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: usize,
    after: Option<i64>,
    pub(super) is_settled: bool,
}

/// A backfill under way.
#[derive(Debug)]
pub struct Backfill {
    pub(super) goal: Goal,
    /// What is to be asked for; `None` before it was planned.
    pub(super) tasks: Option<Vec<Task>>,
    pub(super) at: usize,
    /// The key after which the present task goes on, once it has begun.
    pub(super) after: Option<i64>,
    /// Whether the figures of the present task's day are final.
    pub(super) is_settled: bool,
    /// The day on which it was planned.
    pub(super) today: NaiveDate,
    /// Requests in all, as far as can be foreseen, and those done.
    pub(super) foreseen: u64,
    pub(super) done: u64,
    pub(super) bounds: BTreeMap<Kind, Bound>,
    pub(super) totals: BTreeMap<Kind, Done>,
    pub(super) given_up: BTreeMap<Kind, (KindOutcome, Option<Failure>)>,
    /// Kinds whose endpoint has answered.
    pub(super) answering: BTreeSet<Kind>,
    /// Resources whose ids the server refuses.
    pub(super) refused: BTreeSet<(Kind, i64)>,
    pub(super) unaskable: u64,
    /// Whether the mirror has nothing to ask for, because it was never filled.
    pub(super) is_unfilled: bool,
    /// What it is and what it costs, in one sentence.
    announced: String,
    pub(super) run_id: i64,
    pub(super) requests: i64,
}

impl Backfill {
    /// The `count` days that end yesterday.
    pub fn of_days(count: u32) -> Self {
        Self::new(Goal::Days(count))
    }

    /// What has ended or settled since the last backfill, of kinds that `wants` wants; `None` if there
    /// is nothing to do.
    pub(super) async fn of_growth(
        ctx: &SyncContext,
        wants: impl Fn(Kind) -> bool,
    ) -> StoreResult<Option<Self>> {
        let (now, wanted) =
            (ctx.fetcher.clock().now(), SubjectKind::KINDS.into_iter().filter(|kind| wants(*kind)));
        let wanted: Vec<Kind> = wanted.collect();
        let tasks = ctx.store.read(move |c| due(c, now, &wanted)).await?;
        let growth = Self { tasks: Some(tasks), ..Self::new(Goal::Growth) };
        Ok(growth.tasks.as_ref().is_some_and(|tasks| !tasks.is_empty()).then_some(growth))
    }

    fn new(goal: Goal) -> Self {
        Self {
            goal,
            tasks: None,
            at: 0,
            after: None,
            is_settled: false,
            today: NaiveDate::default(),
            foreseen: 0,
            done: 0,
            bounds: BTreeMap::new(),
            totals: BTreeMap::new(),
            given_up: BTreeMap::new(),
            answering: BTreeSet::new(),
            refused: BTreeSet::new(),
            unaskable: 0,
            is_unfilled: false,
            announced: String::new(),
            run_id: 0,
            requests: 0,
        }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.tasks.as_ref().is_some_and(|tasks| self.at >= tasks.len())
    }

    /// How far it is, in one sentence.
    pub fn progress(&self) -> String {
        if self.announced.is_empty() {
            return "about to begin".to_owned();
        }
        format!("{}; {} of {} done", self.announced, self.done, self.foreseen.max(self.done))
    }

    pub(super) fn trigger(&self) -> &'static str {
        match self.goal {
            Goal::Days(_) => "backfill",
            Goal::Growth => "daily",
        }
    }

    pub(super) fn task(&self) -> Option<Task> {
        self.tasks.as_ref()?.get(self.at).copied()
    }

    pub(super) fn next_task(&mut self) {
        self.at += 1;
        self.after = None;
    }

    /// How far it is.
    pub(super) fn place(&self) -> Place {
        Place { at: self.at, after: self.after, is_settled: self.is_settled }
    }

    /// Takes the work up again from there.
    pub(super) fn go_back(&mut self, place: Place) {
        (self.at, self.after, self.is_settled) = (place.at, place.after, place.is_settled);
    }

    /// The most ids that a request of this kind takes, as far as it is known.
    pub(super) fn bound(&self, kind: Kind) -> Bound {
        self.bounds.get(&kind).copied().unwrap_or(Bound::known(None))
    }

    /// What the present task asks for.
    pub(super) fn wanted(&self, task: Task) -> metrics::Wanted {
        let (subject_kind, day, date) = (task.subject_kind, number(task.day), task.day.to_string());
        metrics::Wanted { subject_kind, day, date, has_settled: self.is_settled }
    }

    /// A request for so many resources was answered.
    pub(super) fn answered(&mut self, kind: Kind, sent: usize, done: Done) {
        let mut bound = self.bound(kind);
        bound.answered(sent);
        self.bounds.insert(kind, bound);
        self.answering.insert(kind);
        self.done += 1;
        let total = self.totals.entry(kind).or_default();
        total.rows += done.rows;
        total.changed += done.changed;
        total.type_mismatches += done.type_mismatches;
        total.not_found += done.not_found;
        total.passed_over += done.passed_over;
    }

    /// Decides what to do, and tells what it costs. Long where many days are looked through again, so it
    /// lets others have a turn meanwhile.
    pub(super) async fn plan(&mut self, ctx: &mut SyncContext) -> StoreResult<()> {
        let now = ctx.fetcher.clock().now();
        self.today = now.date_naive();
        for kind in SubjectKind::KINDS {
            let learned =
                ctx.store.read(move |c| metrics::bound(c, kind, instant::micros(now))).await?;
            self.bounds.insert(kind, Bound::known(learned));
        }
        if let Goal::Days(count) = self.goal {
            let (has_rows, is_mirrored) = ctx.store.read(metrics::has_rows).await?;
            self.is_unfilled = !has_rows && !is_mirrored;
            self.leave_refused(ctx).await?;
            let days = match self.is_unfilled {
                true => Vec::new(),
                false => plan::days(self.today, count),
            };
            self.tasks = Some(plan::tasks(&days));
            self.unaskable = ctx.store.read(metrics::unaskable).await?;
        }
        self.foreseen = self.foresee(ctx).await?;
        self.announce(ctx);
        Ok(())
    }

    /// Leaves alone what the server refused lately. What it refused the key's scope may have changed.
    async fn leave_refused(&mut self, ctx: &SyncContext) -> StoreResult<()> {
        let now = instant::micros(ctx.fetcher.clock().now());
        let refused = ctx.store.read(move |c| unsupported::in_force(c, now)).await?;
        for subject_kind in SubjectKind::ALL {
            let known = refused.iter().find(|refusal| refusal.feature == endpoint(subject_kind));
            let known = known.filter(|refusal| refusal.code.as_deref() != Some(SCOPE_CODE));
            if let Some(refusal) = known {
                self.given_up.insert(subject_kind.kind(), (known_refusal(refusal), None));
            }
        }
        Ok(())
    }

    /// The requests that it will take. A day that nobody has asked for yet takes as many ids as were
    /// published by then; only the others have to be looked through.
    async fn foresee(&self, ctx: &mut SyncContext) -> StoreResult<u64> {
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
                // Signs of life, and a chance to be stopped.
                ctx.tell(&Event::Days { kind, done: 0, total: requests.max(1) });
                tokio::task::yield_now().await;
                ctx.store.read(move |c| metrics::count(c, &wanted)).await?
            } else {
                if let std::collections::btree_map::Entry::Vacant(slot) =
                    published.entry(subject_kind)
                {
                    slot.insert(
                        ctx.store.read(move |c| metrics::by_publication(c, subject_kind)).await?,
                    );
                }
                published
                    .get(&subject_kind)
                    .map_or(0, |days| days.range(..=date).map(|(_, n)| *n).sum())
            };
            requests = requests.saturating_add(plan::requests(ids, bound.ids()));
        }
        Ok(requests)
    }

    fn announce(&mut self, ctx: &SyncContext) {
        let requests = self.foreseen;
        let time = match (ctx.fetcher.remaining(), ctx.fetcher.allowance()) {
            _ if requests == 0 => "all is there already".to_owned(),
            (Some(left), Some(each)) => {
                // Rounded up to what people count in.
                let time = plan::time(requests, left, each).as_secs().next_multiple_of(10);
                match Duration::from_secs(time) {
                    Duration::ZERO => "all in this window of the rate limit".to_owned(),
                    time => {
                        let time = humantime::format_duration(time);
                        format!("about {time} at {each} requests per window of the rate limit")
                    }
                }
            }
            _ => "no rate limit is known".to_owned(),
        };
        match self.goal {
            Goal::Days(days) => {
                self.announced =
                    format!("daily metrics of {days} days: {requests} requests, {time}");
                tracing::info!("{}", self.announced);
            }
            Goal::Growth => {
                self.announced = format!("daily metrics: {requests} requests");
                tracing::debug!("{}", self.announced);
            }
        }
        if self.unaskable > 0 {
            tracing::warn!(
                "{} account videos cannot be asked for: the API takes whole numbers of Instagram and TikTok, and their ids are none",
                self.unaskable
            );
        }
    }

    /// A kind is left alone for the rest of the run.
    pub(super) fn give_up(&mut self, subject_kind: SubjectKind, failure: Failure) {
        let kind = subject_kind.kind();
        let kind_outcome = match failure.verdict {
            Verdict::Malformed | Verdict::Cut | Verdict::TooLarge => {
                kind_outcome(Outcome::Incomplete, &failure)
            }
            _ => kind_outcome(Outcome::Failed, &failure),
        };
        self.given_up.insert(kind, (kind_outcome, Some(failure)));
    }

    /// The same because the server does not have it, or not for this key.
    pub(super) fn give_up_refused(&mut self, subject_kind: SubjectKind, failure: &Failure) {
        let mut kind_outcome = kind_outcome(Outcome::Unavailable, failure);
        if failure.verdict == Verdict::ScopeMissing {
            kind_outcome.detail = Some(format!(
                "the key lacks the scope for {}, which is a POST and as such may need the scope `write`: {failure}",
                asking::endpoint(subject_kind)
            ));
        }
        self.given_up.insert(subject_kind.kind(), (kind_outcome, None));
    }

    /// What came of it so far.
    pub fn report(&self, run_error: Option<RunError>) -> BackfillReport {
        let kinds = SubjectKind::KINDS.into_iter().filter_map(|kind| {
            let done = self.totals.get(&kind).copied();
            let given_up = self.given_up.get(&kind);
            (done.is_some() || given_up.is_some()).then(|| KindBackfillReport {
                kind,
                done: done.unwrap_or_default(),
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

fn kind_outcome(outcome: Outcome, failure: &Failure) -> KindOutcome {
    KindOutcome {
        outcome,
        error_code: Some(failure.code.clone().unwrap_or_else(|| failure.verdict.name().to_owned())),
        detail: Some(failure.to_string()),
        request_id: failure.request_id.clone(),
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
