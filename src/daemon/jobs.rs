//! Jobs of other processes: a `sync` or `backfill` beside the daemon hands its request over, because
//! the daemon owns the rate limiter and the budget.

use std::time::Duration;

use crate::daemon::job_request::JobRequest;
use crate::daemon::service::{BackfillJob, Daemon, Step};
use crate::model::shown::printable;
use crate::model::{Kind, instant};
use crate::schedule::decision::RunScope;
use crate::store::StoreResult;
use crate::store::jobs::{self as queue, Job};
use crate::sync::backfill::Backfill;
use crate::sync::{Report, RunError, RunOptions};

/// The most of a job's request that is logged, characters.
const LOGGED_CHARS_MAX: usize = 500;

impl Daemon {
    /// Takes up the oldest job that waits. Those before it that cannot be read fail.
    pub(super) async fn claim_job(&mut self) -> StoreResult<Option<(Job, JobRequest)>> {
        while self.ctx.store.read(queue::is_waiting).await? {
            let Some(job) = self.ctx.store.write(queue::claim).await? else {
                return Ok(None);
            };
            match JobRequest::read(&job.request) {
                Ok(request) => return Ok(Some((job, request))),
                Err(why) => {
                    let why = printable(&why, LOGGED_CHARS_MAX);
                    let request = printable(&job.request, LOGGED_CHARS_MAX);
                    tracing::warn!(job = job.job, why, request, "cannot read a job; it fails");
                    self.answer_job(
                        &job,
                        &Report::of_none(&self.ctx, RunError::UnreadableJob(why)).await,
                    )
                    .await?;
                }
            }
        }
        Ok(None)
    }

    /// Does a job as a run of its own, and leaves the answer for whoever asked.
    pub(super) async fn do_job(&mut self, job: Job, request: JobRequest) -> Result<Step, RunError> {
        if let Some(days) = request.backfill_days {
            tracing::info!(job = job.job, days, "a backfill was handed over");
            self.backfill_job
                .push_back(BackfillJob { job: job.job, work: Backfill::of_days(days) });
            return Ok(Step::Go);
        }
        let options = RunOptions {
            trigger: "job",
            scope: RunScope { full: request.full, accept_removals: request.accept_removals },
            only: request.only.iter().filter_map(|name| Kind::from_name(name)).collect(),
            waits_for_outcome: true,
            is_identified: true,
            verify: request.verify,
            ..RunOptions::default()
        };
        let asked = printable(&job.request, LOGGED_CHARS_MAX);
        tracing::info!(job = job.job, request = asked, "doing a job for another process");
        let wait =
            self.settings.request_settings.max_wait.max(self.wait_left(&job, request.max_wait_s));
        // Broken off by a stop, the job stays with the queue, for the next daemon.
        let Some(report) = self.sync_once(&options, Some(wait)).await else { return Ok(Step::End) };
        self.answer_job(&job, &report).await?;
        self.digest(report).await
    }

    /// What is left of the time that whoever handed it over waits.
    fn wait_left(&self, job: &Job, max_wait_s: u64) -> Duration {
        let since = self.now().signed_duration_since(instant::from_micros(job.created_at));
        Duration::from_secs(max_wait_s).saturating_sub(since.to_std().unwrap_or_default())
    }

    /// Answers what cannot be done while the key is refused, rather than keep anybody waiting for it.
    pub(super) async fn refuse_job(&mut self, refusal: &RunError) -> Result<bool, RunError> {
        let (Some(stop), Some((job, _))) = (refusal.about_key(), self.claim_job().await?) else {
            return Ok(false);
        };
        self.answer_job(&job, &Report::of_none(&self.ctx, stop).await).await?;
        Ok(true)
    }

    /// A job while the API is down: whoever asks is told within moments, by a request of its own,
    /// rather than kept waiting for the next attempt. `None`: there is none, or the API is not down.
    pub(super) async fn job_in_outage(&mut self) -> Result<Option<Step>, RunError> {
        if !self.state.is_unanswered() {
            return Ok(None);
        }
        let Some((job, request)) = self.claim_job().await? else { return Ok(None) };
        // A backfill is followed until the outage is over.
        if request.backfill_days.is_some() {
            return self.do_job(job, request).await.map(Some);
        }
        match self.try_key().await {
            None => Ok(Some(Step::End)),
            Some(Ok(())) => {
                self.answers_again();
                self.do_job(job, request).await.map(Some)
            }
            Some(Err(RunError::Store(error))) => Err(RunError::Store(error)),
            Some(Err(stop)) => {
                self.note_stop(&stop).await;
                self.answer_job(&job, &Report::of_none(&self.ctx, stop).await).await?;
                Ok(Some(Step::Go))
            }
        }
    }

    async fn answer_job(&self, job: &Job, report: &Report) -> StoreResult<()> {
        let answer = (self.hooks.answer)(report);
        let exit_code = answer.exit_code;
        let answer = serde_json::to_string(&answer).unwrap_or_default();
        let (job, at) = (job.job, self.ctx.fetcher.stamp());
        self.ctx.store.write(move |tx| queue::finish(tx, job, exit_code, &answer, at)).await
    }
}
