//! Jobs of other processes: a `sync` or `backfill` beside the daemon hands its request over, because
//! the daemon owns the rate gate and the budget.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::daemon::days::Handed;
use crate::daemon::{Daemon, Step};
use crate::model::shown::printable;
use crate::model::{Kind, instant};
use crate::pass::backfill::Backfill;
use crate::pass::findings::ROWS_MAX as SAMPLE_ROWS_MAX;
use crate::pass::{Order, Report, Sampling, Stop};
use crate::plan::backfill::DAYS_MAX;
use crate::plan::work::Wish;
use crate::store::StoreResult;
use crate::store::jobs::{self as queue, Job};

/// Nobody waits longer, seconds.
const WAIT_S_MAX: u64 = 31 * 24 * 3_600;
/// The most of a job's request that is logged, characters.
const LOGGED_CHARS_MAX: usize = 500;

/// What a `sync` or `backfill` wants, as it is handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobRequest {
    /// New walks of everything.
    pub full: bool,
    /// Removals beyond the ceiling are right.
    pub accept_removals: bool,
    /// Only these kinds, by their names.
    pub only: Vec<String>,
    /// No pass, but the daily metrics of so many days.
    pub backfill_days: Option<u32>,
    /// How long whoever asks waits for a rate limit, and for the whole, seconds; bounded by
    /// [`WAIT_S_MAX`].
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

impl JobRequest {
    /// Reads a request as it was handed over, perhaps by another version. Says what is wrong with one
    /// that asks for anything this version does not know: a part of it would be another job.
    pub fn read(text: &str) -> Result<Self, String> {
        // An array would be taken for the members in their order.
        if !text.trim_start().starts_with('{') {
            return Err("it is no JSON object".to_owned());
        }
        let mut request: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some(name) = request.only.iter().find(|name| Kind::from_name(name).is_none()) {
            return Err(format!("`{name}` is no kind"));
        }
        if request.backfill_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err(format!("backfill_days must be from 1 to {DAYS_MAX}"));
        }
        let rows = request.verify.map(|sampling| sampling.rows);
        if rows.is_some_and(|rows| !(1..=SAMPLE_ROWS_MAX).contains(&rows)) {
            return Err(format!("rows must be from 1 to {SAMPLE_ROWS_MAX}"));
        }
        let is_sync = request.full || request.accept_removals || !request.only.is_empty();
        let wants = [is_sync, request.backfill_days.is_some(), request.verify.is_some()];
        if wants.into_iter().filter(|is_wanted| *is_wanted).count() > 1 {
            return Err("it asks for more than one thing".to_owned());
        }
        request.max_wait_s = request.max_wait_s.min(WAIT_S_MAX);
        Ok(request)
    }
}

impl Daemon {
    /// Takes up the oldest job that waits. Those before it that cannot be read fail.
    pub(super) async fn claim_job(&mut self) -> StoreResult<Option<(Job, JobRequest)>> {
        while self.desk.store.read(queue::is_waiting).await? {
            let Some(job) = self.desk.store.write(queue::claim).await? else {
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
                        &Report::of_none(&self.desk, Stop::UnreadableJob(why)).await,
                    )
                    .await?;
                }
            }
        }
        Ok(None)
    }

    /// Does a job as a pass of its own, and leaves the answer for whoever asked.
    pub(super) async fn do_job(&mut self, job: Job, request: JobRequest) -> Result<Step, Stop> {
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
        let asked = printable(&job.request, LOGGED_CHARS_MAX);
        tracing::info!(job = job.job, request = asked, "doing a job for another process");
        let wait = self.settings.manners.max_wait.max(self.wait_left(&job, request.max_wait_s));
        // Broken off by a stop, the job stays with the queue, for the next daemon.
        let Some(report) = self.run_pass(&order, Some(wait)).await else { return Ok(Step::End) };
        self.answer_job(&job, &report).await?;
        self.digest(report).await
    }

    /// What is left of the time that whoever handed it over waits.
    fn wait_left(&self, job: &Job, max_wait_s: u64) -> Duration {
        let since = self.now().signed_duration_since(instant::from_micros(job.created_at));
        Duration::from_secs(max_wait_s).saturating_sub(since.to_std().unwrap_or_default())
    }

    /// Answers what cannot be done while the key is refused, rather than keep anybody waiting for it.
    pub(super) async fn refuse_job(&mut self, refusal: &Stop) -> Result<bool, Stop> {
        let (Some(stop), Some((job, _))) = (refusal.about_key(), self.claim_job().await?) else {
            return Ok(false);
        };
        self.answer_job(&job, &Report::of_none(&self.desk, stop).await).await?;
        Ok(true)
    }

    /// A job while the API is down: whoever asks is told within moments, by a request of its own,
    /// rather than kept waiting for the next attempt. `None`: there is none, or the API is not down.
    pub(super) async fn job_in_outage(&mut self) -> Result<Option<Step>, Stop> {
        if !self.troubles.is_down() {
            return Ok(None);
        }
        let Some((job, request)) = self.claim_job().await? else { return Ok(None) };
        // A backfill is followed until the outage is over.
        if request.backfill_days.is_some() {
            return self.do_job(job, request).await.map(Some);
        }
        match self.knock().await {
            None => Ok(Some(Step::End)),
            Some(Ok(())) => {
                self.answers_again();
                self.do_job(job, request).await.map(Some)
            }
            Some(Err(Stop::Store(error))) => Err(Stop::Store(error)),
            Some(Err(stop)) => {
                self.note_stop(&stop).await;
                self.answer_job(&job, &Report::of_none(&self.desk, stop).await).await?;
                Ok(Some(Step::Go))
            }
        }
    }

    async fn answer_job(&self, job: &Job, report: &Report) -> StoreResult<()> {
        let answer = (self.front.answer)(report);
        let exit_code = answer.exit_code;
        let answer = serde_json::to_string(&answer).unwrap_or_default();
        let (job, at) = (job.job, self.desk.fetcher.stamp());
        self.desk.store.write(move |tx| queue::finish(tx, job, exit_code, &answer, at)).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_job_that_cannot_be_read_is_no_other_job() {
        for text in [
            "",
            "null",
            "[]",
            "[true]",
            "7",
            "{",
            r#"{"full":"yes"}"#,
            r#"{"fulll":true}"#,
            r#"{"restore":"/x.db"}"#,
            r#"{"only":["videos","tags"]}"#,
            r#"{"only":["tag"]}"#,
            r#"{"only":"video"}"#,
            r#"{"backfill_days":0}"#,
            r#"{"backfill_days":4294967295}"#,
            r#"{"backfill_days":3,"full":true}"#,
            r#"{"max_wait_s":-1}"#,
            r#"{"max_wait_s":1e300}"#,
            r#"{"verify":{}}"#,
            r#"{"verify":{"rows":0,"seed":1}}"#,
            r#"{"verify":{"rows":5,"seed":1,"deep":true}}"#,
            r#"{"verify":{"rows":5,"seed":1},"backfill_days":3}"#,
            r#"{"full":true,"full":false}"#,
        ] {
            assert!(JobRequest::read(text).is_err(), "{text}");
        }
        let absurd = JobRequest::read(r#"{"max_wait_s":18446744073709551615}"#).unwrap();
        assert_eq!(absurd, JobRequest { max_wait_s: WAIT_S_MAX, ..JobRequest::default() });
    }

    proptest! {
        #[test]
        fn what_is_handed_over_is_what_is_read(
            full: bool, accept_removals: bool, kinds in proptest::sample::subsequence(Kind::ALL.to_vec(), 0..=6),
            max_wait_s in 0..=WAIT_S_MAX,
        ) {
            let only = kinds.iter().map(|kind| kind.name().to_owned()).collect();
            let asked = JobRequest { full, accept_removals, only, max_wait_s, ..JobRequest::default() };
            let text = serde_json::to_string(&asked).unwrap();
            prop_assert_eq!(JobRequest::read(&text), Ok(asked));
            // With any part of it missing it is either the same kind of job or none.
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                prop_assert!(JobRequest::read(&text[..end]).is_err());
            }
        }
    }
}
