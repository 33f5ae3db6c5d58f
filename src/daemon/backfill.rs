//! Past days: what is last in the budget. They are asked for in slices, while nothing else is due, and
//! with a part of the budget alone, so that neither the loop nor what falls due meanwhile waits for them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::daemon::hooks::stop_signal_received;
use crate::daemon::service::{BackfillJob, Daemon, Step};
use crate::fetch::SyncContext;
use crate::model::instant;
use crate::outbox;
use crate::store::jobs as queue;
use crate::sync::RunError;
use crate::sync::backfill::{self, Backfill, Backfilled};

/// The longest that days are asked for on end; then calls are heard and the plan is made anew.
const SLICE: Duration = Duration::from_secs(10);
/// The longest that a slice waits for the rate limit; longer waits are spent outside.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A daemon that is never idle asks for days after so long all the same, and for so long.
const BETWEEN_RUNS: Duration = Duration::from_secs(5);
/// See [`BETWEEN_RUNS`].
const SLICE_BETWEEN_RUNS: Duration = Duration::from_secs(2);
/// The part of our share of the budget that days may have.
const PART: f64 = 0.7;
/// The same while the budget does not carry what falls due.
const PART_WHEN_SHORT: f64 = 0.1;

impl Daemon {
    /// Asks for days for a moment although something is due, if that has not been for a while: where
    /// there is always something due, they would never be had.
    pub(super) async fn days_between(&mut self, is_short: bool) -> Result<Option<Step>, RunError> {
        if self.uptime().saturating_sub(self.days_seen) < BETWEEN_RUNS {
            return Ok(None);
        }
        let until = instant::later(self.now(), SLICE_BETWEEN_RUNS);
        self.days(Some(until), is_short).await
    }

    /// Asks for days until then, or until something more urgent comes. `None` if there are none to be
    /// asked for now.
    pub(super) async fn days(
        &mut self,
        until: Option<DateTime<Utc>>,
        is_short: bool,
    ) -> Result<Option<Step>, RunError> {
        self.days_seen = self.uptime();
        if self.days_rest_until > self.uptime() {
            return Ok(None);
        }
        let (job, mut work) = match self.backfill_job.pop_front() {
            Some(backfill_job) => {
                // It covers what would be due of itself.
                self.growth = None;
                (Some(backfill_job.job), backfill_job.work)
            }
            None => {
                let growth = match self.growth.take() {
                    Some(growth) => Some(growth),
                    None => backfill::of_growth(&self.ctx, |_| true).await?,
                };
                match growth {
                    Some(growth) => (None, growth),
                    None => return Ok(None),
                }
            }
        };
        if !self.pending.is_empty() {
            self.put_back(job, work);
            return Ok(Some(Step::Idle(self.now())));
        }
        let stop = self.slice(&mut work, until, is_short).await;
        let Some(stop) = stop else { return Ok(Some(Step::End)) };
        self.settle_slice(job, work, stop).await.map(Some)
    }

    /// `None` if it was called to stop.
    async fn slice(
        &mut self,
        work: &mut Backfill,
        until: Option<DateTime<Utc>>,
        is_short: bool,
    ) -> Option<Option<RunError>> {
        self.say(&format!("asking for past days: {}", work.progress())).await;
        let part = if is_short { PART_WHEN_SHORT } else { PART };
        self.ctx.fetcher.limit_budget_share(part, TIMEOUT);
        let ends = self.uptime().saturating_add(SLICE);
        let yields = async move |ctx: &SyncContext| {
            let clock = ctx.fetcher.clock();
            until.is_some_and(|until| until <= clock.now())
                || clock.boot().elapsed >= ends
                || is_wanted(ctx, clock.now()).await
        };
        let settings = self.settings.run_id.clone();
        let stop = {
            let course = backfill::run(&mut self.ctx, work, &settings, true, yields);
            tokio::select! {
                stop = course => Some(stop),
                () = stop_signal_received(&mut self.hooks.signals, &mut self.pending) => None,
            }
        };
        if stop.is_none() {
            // Broken off by a stop, a job stays with the queue, for the next daemon.
            backfill::interrupt(&mut self.ctx, work, &settings).await;
        }
        self.ctx.fetcher.reset_wait();
        self.days_seen = self.uptime();
        stop
    }

    /// Draws the consequences of a slice.
    async fn settle_slice(
        &mut self,
        job: Option<i64>,
        work: Backfill,
        stop: Option<RunError>,
    ) -> Result<Step, RunError> {
        let now = self.uptime();
        match stop {
            None if !work.is_done() => {
                self.note_progress(job, &work).await?;
                self.put_back(job, work);
                return Ok(Step::Go);
            }
            Some(RunError::RateLimited(wait)) => {
                self.days_rest_until = now.saturating_add(wait);
                self.note_progress(job, &work).await?;
                self.put_back(job, work);
                return Ok(Step::Go);
            }
            Some(RunError::Store(error)) => {
                self.put_back(job, work);
                return Err(RunError::Store(error));
            }
            _ => {}
        }
        let report = work.report(stop);
        if let Some(stop) = &report.stop {
            self.note_stop(stop).await;
        }
        if let Some(job) = job {
            self.answer_backfill(job, &report).await?;
            return Ok(Step::Go);
        }
        Ok(Step::Go)
    }

    async fn answer_backfill(&self, job: i64, report: &Backfilled) -> Result<(), RunError> {
        let answer = (self.hooks.answer_backfill)(report);
        let text = serde_json::to_string(&answer).unwrap_or_default();
        let at = self.ctx.fetcher.stamp();
        Ok(self
            .ctx
            .store
            .write(move |tx| queue::finish(tx, job, answer.exit_code, &text, at))
            .await?)
    }

    /// Answers a backfill that cannot go on while the key is refused.
    pub(super) async fn refuse_backfill_job(
        &mut self,
        refusal: &RunError,
    ) -> Result<bool, RunError> {
        let (Some(stop), Some(backfill_job)) = (refusal.about_key(), self.backfill_job.pop_front())
        else {
            return Ok(false);
        };
        self.answer_backfill(backfill_job.job, &backfill_job.work.report(Some(stop))).await?;
        Ok(true)
    }

    /// When days are asked for next.
    pub(super) async fn days_at(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, RunError> {
        let uptime = self.uptime();
        let rest = self.days_rest_until.saturating_sub(uptime);
        let at = match self.backfill_job.is_empty() {
            false => Some(now),
            true => backfill::next_at(&self.ctx).await?,
        };
        Ok(at.map(|at| at.max(instant::later(now, rest))))
    }

    fn put_back(&mut self, job: Option<i64>, work: Backfill) {
        match job {
            Some(job) => self.backfill_job.push_front(BackfillJob { job, work }),
            None => self.growth = Some(work),
        }
    }

    async fn note_progress(&self, job: Option<i64>, work: &Backfill) -> Result<(), RunError> {
        let Some(job) = job else { return Ok(()) };
        let progress = work.progress();
        Ok(self.ctx.store.write(move |tx| queue::note_progress(tx, job, &progress)).await?)
    }
}

/// Whether a job or a write waits.
async fn is_wanted(ctx: &SyncContext, now: DateTime<Utc>) -> bool {
    ctx.store.read(queue::is_waiting).await.unwrap_or(false)
        || outbox::next_at(ctx, now).await.ok().flatten().is_some_and(|at| at <= now)
}
