//! What a run carries: the fetcher, the database, the run's id, and the features the server does not support.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::api::{Failure, Item, Request, Verdict};
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::fetcher::{Fetched, Fetcher};
use crate::fetch::permits::Priority;
use crate::fetch::query;
use crate::fetch::send_queue::lock;
use crate::fetch::write::RunCounters;
use crate::model::due::DueRule;
use crate::model::outbox::Pushed;
use crate::model::{Event, Kind, instant};
use crate::model::{KindOutcome, Outcome};
use crate::schedule;
use crate::store::runs::KindRun;
use crate::store::unsupported::{self, UnsupportedFeature};
use crate::store::{Store, StoreResult, change_log, jobs, listings, runs};

/// An unsupported feature is tried again after this, microseconds.
const UNSUPPORTED_RETRY_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

/// What a run carries.
#[derive(Debug)]
pub struct SyncContext {
    /// Sends requests.
    pub fetcher: Fetcher,
    /// The mirror.
    pub store: Store,
    /// `freshness_target`: how long due rows wait for each other, and how soon a late scrape is polled again.
    pub freshness: Duration,
    /// `sync_log.run_id`; 0 before the run has begun.
    pub run_id: i64,
    /// Features the server does not support, by the names of [`query`].
    pub refused: BTreeSet<String>,
    /// Start of the present kind's run, microseconds.
    pub kind_run_began_at: i64,
    /// Failures by kind.
    pub failures: BTreeMap<Kind, Failure>,
    /// Outbox counters of this run.
    pub pushed: Pushed,
    /// Kinds whose kind run has begun and not ended, shared by all tasks.
    open_kind_runs: Arc<Mutex<BTreeSet<Kind>>>,
    /// Pages and rows of the present kind, as last reported.
    shown: (u64, u64),
    /// Fetchers of concurrent tasks, whose requests are counted at the end.
    lent: Vec<Fetcher>,
}

impl SyncContext {
    /// Creates the context of a run.
    pub fn new((fetcher, store): (Fetcher, Store), freshness: Duration) -> Self {
        Self {
            fetcher,
            store,
            freshness,
            run_id: 0,
            refused: BTreeSet::new(),
            kind_run_began_at: 0,
            failures: BTreeMap::new(),
            pushed: Pushed::default(),
            open_kind_runs: Arc::default(),
            shown: (0, 0),
            lent: Vec::new(),
        }
    }

    /// Returns a context for one of several concurrent tasks; merged back by [`SyncContext::absorb`].
    pub fn lend(&mut self, priority: Priority) -> Self {
        let fetcher = self.fetcher.lend(priority);
        self.lent.push(fetcher.clone());
        Self {
            run_id: self.run_id,
            refused: self.refused.clone(),
            kind_run_began_at: self.kind_run_began_at,
            open_kind_runs: Arc::clone(&self.open_kind_runs),
            ..Self::new((fetcher, self.store.clone()), self.freshness)
        }
    }

    /// Merges what a concurrent task has learned.
    pub fn absorb(&mut self, lent: Self) {
        self.refused.extend(lent.refused);
        self.failures.extend(lent.failures);
    }

    /// Begins a run in the log. Its first kind is `meta`, which counts the requests before all others.
    pub async fn begin(&mut self, trigger: &str) -> StoreResult<()> {
        let at = self.fetcher.stamp();
        let refused = self.store.read(move |c| unsupported::active(c, at)).await?;
        self.refused = refused.into_iter().map(|refusal| refusal.feature).collect();
        self.failures.clear();
        self.pushed = Pushed::default();
        *lock(&self.open_kind_runs) = BTreeSet::from([Kind::Meta]);
        let (request_state, trigger) = (self.fetcher.request_state().clone(), trigger.to_owned());
        self.run_id = self
            .store
            .write(move |tx| {
                let run_id = runs::begin(tx, &trigger, at)?;
                runs::begin_kind(tx, run_id, Kind::Meta, "start", at)?;
                // Saved anew because a limiter restored after a reboot is rebased to this boot's time.
                request_state.keep(tx)?;
                Ok(run_id)
            })
            .await?;
        self.kind_run_began_at = instant::micros(self.fetcher.clock().now());
        Ok(())
    }

    /// Begins a kind in the log.
    pub async fn begin_kind_run(&mut self, kind: Kind, trigger: &str) -> StoreResult<()> {
        self.kind_run_began_at = instant::micros(self.fetcher.clock().now());
        lock(&self.open_kind_runs).insert(kind);
        let (run_id, at, trigger) = (self.run_id, self.fetcher.stamp(), trigger.to_owned());
        self.store.write(move |tx| runs::begin_kind(tx, run_id, kind, &trigger, at)).await
    }

    /// The kinds whose kind run has begun in this run and not ended.
    pub fn open_kind_runs(&self) -> BTreeSet<Kind> {
        match self.run_id {
            0 => BTreeSet::new(),
            _ => lock(&self.open_kind_runs).clone(),
        }
    }

    /// Records the outcome of a kind run, and the requests that no write has counted yet.
    pub async fn end_kind_run(&self, kind: Kind, kind_outcome: &KindOutcome) -> StoreResult<()> {
        lock(&self.open_kind_runs).remove(&kind);
        let (counters, kind_outcome) = (self.counters(kind), kind_outcome.clone());
        self.store
            .write(move |tx| {
                counters.close(tx, &runs::KindCounts::default())?;
                runs::end_kind(tx, counters.run_id, kind, &kind_outcome, counters.at)
            })
            .await
    }

    /// Ends the run in the log and deletes rows of the logs that are no longer kept: `runs_kept` is for runs, jobs and
    /// listings, `changes_kept` for changes, `None` for good. Returns the run's rows, one per kind.
    pub async fn end(
        &mut self,
        outcome: &str,
        detail: Option<&str>,
        runs_kept: Duration,
        changes_kept: Option<Duration>,
    ) -> StoreResult<Vec<KindRun>> {
        let at = self.fetcher.stamp();
        let before =
            |kept: Duration| at.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
        let (runs_before, changes_before) = (before(runs_kept), changes_kept.map(before));
        // Requests of an interrupted kind are counted with `meta`, which every run has.
        let mut counters = self.counters(Kind::Meta);
        for lent in self.lent.drain(..) {
            counters.sent.add(&lent.take_sent());
        }
        let (run_id, outcome, detail) =
            (self.run_id, outcome.to_owned(), detail.map(str::to_owned));
        self.store
            .write(move |tx| {
                counters.close(tx, &runs::KindCounts::default())?;
                let kind_runs = runs::end(tx, run_id, &outcome, detail.as_deref(), at)?;
                jobs::prune(tx, runs_before)?;
                runs::prune(tx, runs_before)?;
                listings::prune(tx, runs_before)?;
                if let Some(before) = changes_before {
                    change_log::prune(tx, before)?;
                }
                Ok(kind_runs)
            })
            .await
    }

    /// Reads a resource by its id; `None` after a 404.
    pub async fn fetch_item(&self, kind: Kind, id: &str) -> FetchResult<Option<Fetched<Item>>> {
        let request = Request::get(kind.path()).segment(id);
        let fetched = self.fetcher.fetch(&request, |answer| Item::read_of(kind, id, answer)).await;
        match fetched {
            Err(FetchError::Api(failure)) if failure.verdict == Verdict::NotFound => Ok(None),
            fetched => fetched.map(Some),
        }
    }

    /// Takes the counters to be written with the next transaction.
    pub fn counters(&self, kind: Kind) -> RunCounters {
        RunCounters {
            run_id: self.run_id,
            kind,
            sent: self.fetcher.take_sent(),
            request_state: self.fetcher.request_state().clone(),
            at: self.fetcher.stamp(),
            due: DueRule {
                next: schedule::due::next,
                now: self.fetcher.clock().now().timestamp(),
                freshness_s: i64::try_from(self.freshness.as_secs()).unwrap_or(i64::MAX),
            },
        }
    }

    /// Reports a progress event.
    pub fn tell(&mut self, event: &Event) {
        match event {
            Event::Started { .. } => self.shown = (0, 0),
            Event::Page { pages, rows, .. } => self.shown = (*pages, *rows),
            Event::Answered { .. }
            | Event::Pushed { .. }
            | Event::Days { .. }
            | Event::Waiting { .. }
            | Event::Finished { .. } => {}
        }
        self.fetcher.watcher().tell(event);
    }

    /// Reports that a kind is finished.
    pub fn tell_finished(&mut self, kind: Kind, outcome: Outcome) {
        let (pages, rows) = self.shown;
        self.tell(&Event::Finished { kind, outcome, pages, rows });
    }

    /// Whether the kind was ever read completely.
    pub async fn was_mirrored(&self, kind: Kind) -> StoreResult<bool> {
        Ok(self.store.read(move |c| listings::state(c, kind)).await?.complete_as_of.is_some())
    }

    /// Records that the server, or the key's scopes, do not support the endpoint of a kind.
    ///
    /// # Errors
    ///
    /// The failure itself if the endpoint has worked before: then it is tried again sooner than in a week.
    pub async fn endpoint_refused(&mut self, kind: Kind, failure: &Failure) -> FetchResult<()> {
        if failure.verdict != Verdict::ScopeMissing && self.was_mirrored(kind).await? {
            return Err(FetchError::Api(failure.clone()));
        }
        Ok(self.remember_unsupported(&query::endpoint(kind), failure).await?)
    }

    /// Records that the server does not support a feature, and logs it once.
    pub async fn remember_unsupported(
        &mut self,
        feature: &str,
        failure: &Failure,
    ) -> StoreResult<()> {
        tracing::warn!(feature, error = %failure, "the server does not support a feature; trying again in a week");
        self.remember(UnsupportedFeature {
            feature: feature.to_owned(),
            // An answer over the size bound has a status of 2xx.
            status: failure.status.filter(|status| *status >= 300).map(i64::from),
            code: failure.code.clone(),
            detail: Some(failure.to_string()),
            request_id: failure.request_id.clone(),
            ..UnsupportedFeature::default()
        })
        .await
    }

    /// Forgets what the key was not allowed to request, so that this run tries it: its scopes may have changed.
    pub async fn retry_missing_scopes(&mut self) -> StoreResult<()> {
        let at = self.fetcher.stamp();
        let mut features = self.store.read(move |c| unsupported::active(c, at)).await?;
        features.retain(UnsupportedFeature::is_missing_scope);
        for UnsupportedFeature { feature, .. } in features {
            self.refused.remove(&feature);
            self.store.write(move |tx| unsupported::forget(tx, &feature)).await?;
        }
        Ok(())
    }

    /// Records parameters that the server ignored.
    pub async fn note_ignored(&mut self, kind: Kind, parameters: &[String]) -> StoreResult<()> {
        for parameter in parameters {
            let feature = query::feature(kind, parameter);
            if self.refused.contains(&feature) {
                continue;
            }
            tracing::warn!(feature, "the server ignores a parameter; trying again in a week");
            let detail = Some("not echoed in `filters`".to_owned());
            let refusal = UnsupportedFeature { feature, detail, ..UnsupportedFeature::default() };
            self.remember(refusal).await?;
        }
        Ok(())
    }

    async fn remember(&mut self, refusal: UnsupportedFeature) -> StoreResult<()> {
        let now = self.fetcher.stamp();
        let refusal = UnsupportedFeature {
            refused_at: now,
            retry_at: now.saturating_add(UNSUPPORTED_RETRY_MICROS),
            ..refusal
        };
        self.refused.insert(refusal.feature.clone());
        self.store.write(move |tx| unsupported::remember(tx, &refusal)).await
    }

    /// Records a kind's failure for the run report.
    pub fn note_failure(&mut self, kind: Kind, failure: &Failure) {
        if failure.verdict != Verdict::KeyRefused {
            self.failures.insert(kind, failure.clone());
        }
    }
}
