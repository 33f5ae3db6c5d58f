//! Jobs of other processes: a `sync` or `backfill` beside the daemon hands its request over, because
//! the daemon owns the rate gate and the budget.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::days::Handed;
use super::{Daemon, Step};
use crate::model::{Kind, instant};
use crate::pass::backfill::Backfill;
use crate::pass::{Order, Report, Sampling, Stop};
use crate::plan::work::Wish;
use crate::store::StoreResult;
use crate::store::jobs::{self as queue, Job};

/// What a `sync` or `backfill` wants, as it is handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobRequest {
    /// New walks of everything.
    pub full: bool,
    /// Removals beyond the ceiling are right.
    pub accept_removals: bool,
    /// Only these kinds, by their names.
    pub only: Vec<String>,
    /// No pass, but the daily metrics of so many days.
    pub backfill_days: Option<u32>,
    /// How long whoever asks waits for a rate limit, and for the whole, seconds.
    pub max_wait_s: u64,
    /// Nothing but to compare the mirror with the API.
    pub verify: Option<Sampling>,
}

/// What the process that handed a job over prints, and how it exits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its exit code.
    pub exit_code: u8,
    /// The report as one JSON document.
    pub json: serde_json::Value,
    /// The report for people.
    pub text: String,
    /// What goes to stderr when it did not go well.
    pub error: Option<String>,
    /// Advice that goes with the error.
    pub hints: Vec<String>,
}

impl Daemon {
    pub(super) fn claim_job(&mut self) -> StoreResult<Option<Job>> {
        if !self.desk.store.read(queue::is_waiting)? {
            return Ok(None);
        }
        self.desk.store.write(queue::claim)
    }

    /// Does a job as a pass of its own, and leaves the answer for whoever asked.
    pub(super) async fn do_job(&mut self, job: Job) -> Result<Step, Stop> {
        let request: JobRequest = serde_json::from_str(&job.request).unwrap_or_default();
        if let Some(days) = request.backfill_days {
            tracing::info!(job = job.job, days, "a backfill was handed over");
            self.handed.push_back(Handed { job: job.job, work: Backfill::of_days(days) });
            return Ok(Step::Go);
        }
        let order = Order {
            trigger: "job",
            wish: Wish { full: request.full, accept_removals: request.accept_removals },
            only: request.only.iter().filter_map(|name| Kind::from_name(name)).collect(),
            settles: true,
            is_identified: true,
            verify: request.verify,
            ..Order::default()
        };
        tracing::info!(job = job.job, request = job.request, "doing a job for another process");
        let wait = self.settings.manners.max_wait.max(self.wait_left(&job, request.max_wait_s));
        // Broken off by a stop, the job stays with the queue, for the next daemon.
        let Some(report) = self.run_pass(&order, Some(wait)).await else { return Ok(Step::End) };
        self.answer_job(&job, &report)?;
        self.digest(report).await
    }

    /// What is left of the time that whoever handed it over waits.
    fn wait_left(&self, job: &Job, max_wait_s: u64) -> Duration {
        let since = self.now().signed_duration_since(instant::from_micros(job.created_at));
        Duration::from_secs(max_wait_s).saturating_sub(since.to_std().unwrap_or_default())
    }

    /// Answers what cannot be done while the key is refused, rather than keep anybody waiting for it.
    pub(super) fn refuse_job(&mut self, refusal: &Stop) -> Result<bool, Stop> {
        let (Some(stop), Some(job)) = (refusal.about_key(), self.claim_job()?) else {
            return Ok(false);
        };
        self.answer_job(&job, &Report::of_none(&self.desk, stop))?;
        Ok(true)
    }

    /// A job while the API is down: whoever asks is told within moments, by a request of its own,
    /// rather than kept waiting for the next attempt. `None`: there is none, or the API is not down.
    pub(super) async fn job_in_outage(&mut self) -> Result<Option<Step>, Stop> {
        if !self.troubles.is_down() {
            return Ok(None);
        }
        let Some(job) = self.claim_job()? else { return Ok(None) };
        let request: JobRequest = serde_json::from_str(&job.request).unwrap_or_default();
        // A backfill is followed until the outage is over.
        if request.backfill_days.is_some() {
            return self.do_job(job).await.map(Some);
        }
        match self.knock().await {
            None => Ok(Some(Step::End)),
            Some(Ok(())) => {
                self.answers_again();
                self.do_job(job).await.map(Some)
            }
            Some(Err(Stop::Store(error))) => Err(Stop::Store(error)),
            Some(Err(stop)) => {
                self.note_stop(&stop);
                self.answer_job(&job, &Report::of_none(&self.desk, stop))?;
                Ok(Some(Step::Go))
            }
        }
    }

    fn answer_job(&self, job: &Job, report: &Report) -> StoreResult<()> {
        let answer = (self.front.answer)(report);
        let exit_code = answer.exit_code;
        let answer = serde_json::to_string(&answer).unwrap_or_default();
        let at = self.desk.fetcher.stamp();
        self.desk.store.write(|tx| queue::finish(tx, job.job, exit_code, &answer, at))
    }
}
