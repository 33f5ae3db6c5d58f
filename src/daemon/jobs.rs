//! Jobs submitted by other processes: `sync`, `backfill` and `verify` beside a daemon let the daemon do the work, because
//! it owns the rate limiter.

use std::time::Duration;

use crate::daemon::failures::KeyCheck;
use crate::daemon::job_request::{JobAnswer, JobRequest};
use crate::daemon::service::{BackfillJob, Daemon, Step};
use crate::model::shown::printable;
use crate::model::{Kind, instant};
use crate::schedule::decision::RunScope;
use crate::store::StoreResult;
use crate::store::jobs::{self as queue, Job};
use crate::sync::backfill::Backfill;
use crate::sync::{Report, RunError, RunOptions};

/// Longest part of a job's request that is logged, characters.
const LOGGED_CHARS_MAX: usize = 500;

impl Daemon {
    /// Claims the oldest waiting job. Jobs before it that cannot be read fail.
    pub(super) async fn claim_job(&mut self) -> StoreResult<Option<(Job, JobRequest)>> {
        while self.ctx.store.read(queue::is_waiting).await? {
            let Some(job) = self.ctx.store.write(queue::claim).await? else {
                return Ok(None);
            };
            match JobRequest::read(&job.request) {
                Ok(request) => return Ok(Some((job, request))),
                Err(error) => {
                    let error = printable(&error, LOGGED_CHARS_MAX);
                    let request = printable(&job.request, LOGGED_CHARS_MAX);
                    tracing::warn!(job = job.job, error, request, "job failed: unreadable request");
                    self.fail_job(&job, RunError::UnreadableJob(error)).await?;
                }
            }
        }
        Ok(None)
    }

    /// Executes a job as its own run and stores the answer for the process that submitted it.
    pub(super) async fn do_job(&mut self, job: Job, request: JobRequest) -> Result<Step, RunError> {
        if let Some(days) = request.backfill_days {
            tracing::info!(job = job.job, days, "backfill job accepted");
            let work = Backfill::of_days(days);
            self.backfill_jobs.push_back(BackfillJob { job: job.job, work });
            return Ok(Step::Continue);
        }
        let options = RunOptions {
            trigger: "job",
            scope: RunScope { full: request.full, accept_removals: request.accept_removals },
            only: request.only.iter().filter_map(|name| Kind::from_name(name)).collect(),
            waits_for_outcome: true,
            // The key may have been given to another organization since the daemon started.
            is_identified: !request.full,
            verify: request.verify,
            ..RunOptions::default()
        };
        let logged = printable(&job.request, LOGGED_CHARS_MAX);
        tracing::info!(job = job.job, request = logged, "job started");
        let wait =
            self.settings.request_settings.max_wait.max(self.wait_left(&job, request.max_wait_s));
        // An interrupted job stays in the queue for the next daemon.
        let Some(report) = self.sync_once(&options, Some(wait)).await else {
            return Ok(Step::Stop);
        };
        self.answer_job(&job, &report).await?;
        self.finish_run(report).await
    }

    /// Returns how much longer the submitting process waits.
    fn wait_left(&self, job: &Job, max_wait_s: u64) -> Duration {
        let age = self.now().signed_duration_since(instant::from_micros(job.created_at));
        Duration::from_secs(max_wait_s).saturating_sub(age.to_std().unwrap_or_default())
    }

    /// Fails the next job while the key is refused, so that its process does not wait. Returns whether there was one.
    pub(super) async fn refuse_job(&mut self, refusal: &RunError) -> Result<bool, RunError> {
        let (Some(error), Some((job, _))) = (refusal.about_key(), self.claim_job().await?) else {
            return Ok(false);
        };
        self.fail_job(&job, error).await?;
        Ok(true)
    }

    /// Tries a job during an outage with a single request, so that its process gets an answer quickly. Returns
    /// `None` without a job or an outage.
    pub(super) async fn job_in_outage(&mut self) -> Result<Option<Step>, RunError> {
        if !self.state.is_unanswered() {
            return Ok(None);
        }
        let Some((job, request)) = self.claim_job().await? else { return Ok(None) };
        // A backfill waits until the outage is over.
        if request.backfill_days.is_some() {
            return self.do_job(job, request).await.map(Some);
        }
        match self.check_key().await? {
            KeyCheck::Stopped => Ok(Some(Step::Stop)),
            KeyCheck::Accepted => {
                self.outage_over();
                self.do_job(job, request).await.map(Some)
            }
            KeyCheck::Failed(error) => {
                self.fail_job(&job, error).await?;
                Ok(Some(Step::Continue))
            }
        }
    }

    async fn fail_job(&self, job: &Job, error: RunError) -> StoreResult<()> {
        self.answer_job(job, &Report::of_none(&self.ctx, error).await).await
    }

    async fn answer_job(&self, job: &Job, report: &Report) -> StoreResult<()> {
        self.finish_job(job.job, &(self.hooks.answer)(report)).await
    }

    /// Stores the answer to a job and marks it as done.
    pub(super) async fn finish_job(&self, job: i64, answer: &JobAnswer) -> StoreResult<()> {
        let exit_code = answer.exit_code;
        let answer = serde_json::to_string(answer).unwrap_or_default();
        let at = self.ctx.fetcher.stamp();
        self.ctx.store.write(move |tx| queue::finish(tx, job, exit_code, &answer, at)).await
    }
}
