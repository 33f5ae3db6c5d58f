//! Daily metrics have the lowest priority. They are requested in slices while nothing else is due, and with only a part
//! of the rate limit, so that neither the loop nor newly due rows wait for them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::daemon::hooks::stop_signal_received;
use crate::daemon::service::{BackfillJob, Daemon, Step};
use crate::daemon::wait::has_urgent_work;
use crate::fetch::SyncContext;
use crate::model::instant;
use crate::store::{StoreResult, jobs as queue};
use crate::sync::RunError;
use crate::sync::backfill::{self, Backfill, BackfillReport};

/// Longest slice. After it, signals are handled and due times are read again.
const SLICE: Duration = Duration::from_secs(10);
/// Longest wait of a slice for the rate limit. Longer waits happen outside of the slice.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How often a daemon that is never idle requests daily metrics between two runs.
const BETWEEN_RUNS: Duration = Duration::from_secs(5);
/// Longest slice between two runs.
const SLICE_BETWEEN_RUNS: Duration = Duration::from_secs(2);
/// Part of the daemon's share of the rate limit that daily metrics may use.
const PART: f64 = 0.7;
/// The same while the rate limit is too low for the due rows.
const PART_WHEN_SHORT: f64 = 0.1;

impl Daemon {
    /// Runs a short slice although something is due, if the last slice is a while ago. Without it, a daemon that always
    /// has something due would never request daily metrics.
    pub(super) async fn backfill_between_runs(
        &mut self,
        is_short: bool,
    ) -> Result<Option<Step>, RunError> {
        if self.uptime().saturating_sub(self.last_slice_at) < BETWEEN_RUNS {
            return Ok(None);
        }
        let until = instant::later(self.now(), SLICE_BETWEEN_RUNS);
        self.backfill(Some(until), is_short).await
    }

    /// Runs a slice that ends at `until` or when something more urgent is due. Returns `None` if no daily metrics can be
    /// requested now.
    pub(super) async fn backfill(
        &mut self,
        until: Option<DateTime<Utc>>,
        is_short: bool,
    ) -> Result<Option<Step>, RunError> {
        self.last_slice_at = self.uptime();
        if self.backfill_paused_until > self.uptime() {
            return Ok(None);
        }
        let (job, mut work) = match self.backfill_jobs.pop_front() {
            Some(backfill_job) => {
                // The job includes the days that would be due by themselves.
                self.new_days = None;
                (Some(backfill_job.job), backfill_job.work)
            }
            None => {
                let new_days = match self.new_days.take() {
                    Some(new_days) => Some(new_days),
                    None => Backfill::of_growth(&self.ctx, &[]).await?,
                };
                match new_days {
                    Some(new_days) => (None, new_days),
                    None => return Ok(None),
                }
            }
        };
        if !self.pending_signals.is_empty() {
            self.put_back(job, work);
            return Ok(Some(Step::WaitUntil(self.now())));
        }
        match self.run_slice(&mut work, until, is_short).await {
            None => Ok(Some(Step::Stop)),
            Some(error) => self.finish_slice(job, work, error).await.map(Some),
        }
    }

    /// Returns the error that ended the slice, if any; `None` if a stop signal came.
    async fn run_slice(
        &mut self,
        work: &mut Backfill,
        until: Option<DateTime<Utc>>,
        is_short: bool,
    ) -> Option<Option<RunError>> {
        self.set_status(&format!("requesting daily metrics: {}", work.progress())).await;
        let part = if is_short { PART_WHEN_SHORT } else { PART };
        self.ctx.fetcher.limit_budget_share(part, TIMEOUT);
        let slice_end = self.uptime().saturating_add(SLICE);
        let yields = async move |ctx: &SyncContext| {
            let clock = ctx.fetcher.clock();
            until.is_some_and(|until| until <= clock.now())
                || clock.boot().elapsed >= slice_end
                || has_urgent_work(ctx).await
        };
        let settings = self.settings.sync_settings.clone();
        let result = {
            let slice = backfill::run(&mut self.ctx, work, &settings, true, yields);
            tokio::select! {
                error = slice => Some(error),
                () = stop_signal_received(&mut self.hooks.signals, &mut self.pending_signals) => None,
            }
        };
        if result.is_none() {
            // An interrupted job stays in the queue for the next daemon.
            backfill::interrupt(&mut self.ctx, work, &settings).await;
        }
        self.ctx.fetcher.reset_wait();
        self.last_slice_at = self.uptime();
        result
    }

    async fn finish_slice(
        &mut self,
        job: Option<i64>,
        work: Backfill,
        error: Option<RunError>,
    ) -> Result<Step, RunError> {
        match error {
            Some(RunError::Store(error)) => {
                self.put_back(job, work);
                return Err(RunError::Store(error));
            }
            Some(RunError::RateLimited(wait)) => {
                self.backfill_paused_until = self.uptime().saturating_add(wait);
            }
            None if !work.is_done() => {}
            error => {
                let report = work.report(error);
                if let Some(error) = &report.run_error {
                    self.handle_error(error).await;
                }
                if let Some(job) = job {
                    self.answer_backfill(job, &report).await?;
                }
                return Ok(Step::Continue);
            }
        }
        if let Some(job) = job {
            let progress = work.progress();
            self.ctx.store.write(move |tx| queue::set_progress(tx, job, &progress)).await?;
        }
        self.put_back(job, work);
        Ok(Step::Continue)
    }

    async fn answer_backfill(&self, job: i64, report: &BackfillReport) -> StoreResult<()> {
        self.finish_job(job, &(self.hooks.answer_backfill)(report)).await
    }

    /// Answers a backfill job that cannot continue while the key is refused. Returns whether there was one.
    pub(super) async fn refuse_backfill_job(
        &mut self,
        refusal: &RunError,
    ) -> Result<bool, RunError> {
        let (Some(error), Some(backfill_job)) =
            (refusal.about_key(), self.backfill_jobs.pop_front())
        else {
            return Ok(false);
        };
        self.answer_backfill(backfill_job.job, &backfill_job.work.report(Some(error))).await?;
        Ok(true)
    }

    /// Returns when the next slice is due.
    pub(super) async fn next_backfill_at(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, RunError> {
        let pause = self.backfill_paused_until.saturating_sub(self.uptime());
        let at = match self.backfill_jobs.is_empty() {
            false => Some(now),
            true => backfill::next_at(&self.ctx).await?,
        };
        Ok(at.map(|at| at.max(instant::later(now, pause))))
    }

    fn put_back(&mut self, job: Option<i64>, work: Backfill) {
        match job {
            Some(job) => self.backfill_jobs.push_front(BackfillJob { job, work }),
            None => self.new_days = Some(work),
        }
    }
}
