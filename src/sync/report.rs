//! The report of a run.

use crate::api::Failure;
use crate::fetch::context::SyncContext;
use crate::model::instant;
use crate::model::outbox::Pushed;
use crate::retry::RetryCause;
use crate::store::backoff::{self, Backoff};
use crate::store::instance;
use crate::store::runs::KindRun;
use crate::sync::backfill::BackfillReport;
use crate::sync::run_error::RunError;
use crate::sync::verify_report::VerifyReport;

/// What a run did for a kind.
#[derive(Debug, Clone)]
pub struct KindReport {
    /// As in the log.
    pub kind_run: KindRun,
    /// The API failure that ended it, if any.
    pub failure: Option<Failure>,
}

impl KindReport {
    /// Whether it finished without errors.
    pub fn is_good(&self) -> bool {
        self.kind_run.outcome.is_good()
    }
}

/// The report of a run.
#[derive(Debug)]
pub struct Report {
    /// Its id in the log; 0 if it did not begin.
    pub run_id: i64,
    /// The kind runs in the order in which they began.
    pub kinds: Vec<KindReport>,
    /// Counts of queued writes.
    pub pushed: Pushed,
    /// Backoff in force, from this run or an earlier one.
    pub paused: Vec<Backoff>,
    /// The error that ended it early, if any.
    pub run_error: Option<RunError>,
    /// The API key's name, as last given by the API.
    pub key_name: Option<String>,
    /// Daily metrics requested after the run, if any were due.
    pub daily: Option<BackfillReport>,
    /// The comparison with the API, if it was wanted.
    pub verified: Option<VerifyReport>,
}

impl Report {
    pub(super) async fn new(
        ctx: &SyncContext,
        kind_runs: Vec<KindRun>,
        run_error: Option<RunError>,
    ) -> Self {
        let kinds = kind_runs.into_iter().map(|kind_run| KindReport {
            failure: ctx.failures.get(&kind_run.kind).cloned(),
            kind_run,
        });
        let now = instant::micros(ctx.fetcher.clock().now());
        let read = ctx
            .store
            .read(move |c| Ok((instance::identity(c)?.api_key_name, backoff::active(c, now)?)));
        let (key_name, paused) = read.await.unwrap_or_default();
        Self {
            run_id: ctx.run_id,
            kinds: kinds.collect(),
            pushed: ctx.pushed,
            paused,
            run_error,
            key_name,
            daily: None,
            verified: None,
        }
    }

    /// The report of a run that did not begin.
    pub async fn of_none(ctx: &SyncContext, run_error: RunError) -> Self {
        let report = Self::new(ctx, Vec::new(), Some(run_error)).await;
        Self { run_id: 0, pushed: Pushed::default(), paused: Vec::new(), ..report }
    }

    /// Whether all kinds that sent requests failed, and nothing succeeded.
    pub fn is_all_failures(&self) -> bool {
        let is_failure = |kind: &KindReport| {
            let cause = kind.failure.as_ref().map(|failure| failure.cause());
            matches!(cause, Some(RetryCause::NoAnswer | RetryCause::Failing))
        };
        let mut sent =
            self.kinds.iter().filter(|kind| kind.kind_run.counts.requests > 0).peekable();
        let has_sent = sent.peek().is_some();
        has_sent && sent.all(is_failure) && self.pushed.succeeded == 0 && self.run_error.is_none()
    }

    /// Number of requests sent.
    pub fn requests(&self) -> i64 {
        let daily = self.daily.as_ref().map_or(0, |daily| daily.requests);
        self.kinds.iter().map(|kind| kind.kind_run.counts.requests).sum::<i64>() + daily
    }
}
