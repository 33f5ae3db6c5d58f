//! What came of a run.

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
    /// Its turn, as in the log.
    pub kind_run: KindRun,
    /// The failure that ended it, where one did.
    pub failure: Option<Failure>,
}

impl KindReport {
    /// Whether all went as the user would expect.
    pub fn is_good(&self) -> bool {
        self.kind_run.outcome.is_good()
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Its number in the log.
    pub run_id: i64,
    /// What it did, kind by kind.
    pub kinds: Vec<KindReport>,
    /// What it did about the outbox.
    pub pushed: Pushed,
    /// What is left alone for now because it failed, here or in an earlier pass.
    pub paused: Vec<Backoff>,
    /// What stopped it, if anything did.
    pub run_error: Option<RunError>,
    /// The key's name, as the API gave it last.
    pub key_name: Option<String>,
    /// What came of the days that are asked for as they end, if any were.
    pub daily: Option<BackfillReport>,
    /// What came of comparing the mirror with the API, where that was wanted.
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
        let known = ctx
            .store
            .read(move |c| Ok((instance::identity(c)?.api_key_name, backoff::in_force(c, now)?)));
        let (key_name, paused) = known.await.unwrap_or_default();
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

    /// Of a run that did not take place.
    pub async fn of_none(ctx: &SyncContext, run_error: RunError) -> Self {
        let report = Self::new(ctx, Vec::new(), Some(run_error)).await;
        Self { run_id: 0, pushed: Pushed::default(), paused: Vec::new(), ..report }
    }

    /// Whether nothing that was asked for came to an answer.
    pub fn is_all_failures(&self) -> bool {
        let is_failure = |kind: &KindReport| {
            let cause = kind.failure.as_ref().map(|failure| failure.cause());
            matches!(cause, Some(RetryCause::NoAnswer | RetryCause::Failing))
        };
        let mut asked =
            self.kinds.iter().filter(|kind| kind.kind_run.tally.requests > 0).peekable();
        let has_asked = asked.peek().is_some();
        has_asked && asked.all(is_failure) && self.pushed.succeeded == 0 && self.run_error.is_none()
    }

    /// Requests sent in all.
    pub fn requests(&self) -> i64 {
        let daily = self.daily.as_ref().map_or(0, |daily| daily.requests);
        self.kinds.iter().map(|kind| kind.kind_run.tally.requests).sum::<i64>() + daily
    }
}
