//! One run over the outbox: sends ready entries, oldest first, and reconciles those with lost answers.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::api::Failure;
use crate::fetch::error::FetchResult;
use crate::fetch::kind_outcome::of_error;
use crate::fetch::{FetchError, SyncContext};
use crate::model::event::Wait;
use crate::model::outbox::{Action, State};
use crate::model::{Event, Kind, KindOutcome, Outcome, instant};
use crate::outbox::reconcile::Creators;
use crate::outbox::validate::{self, CheckError};
use crate::outbox::verdict;
use crate::store::outbox::queue::{self, AttemptResult};
use crate::store::outbox::{self, Entry, enqueue, finish, reread};
use crate::store::runs::KindCounts;
use crate::store::{StoreError, StoreResult};

/// Successive attempts without an answer after which the API is taken for down.
pub(super) const UNANSWERED_MAX: u32 = 5;

/// Number of entries after which the ready ones are counted again.
const RECOUNT_ENTRIES: u64 = 50;

/// Settings of the outbox.
#[derive(Debug, Clone, Copy)]
pub struct OutboxSettings {
    /// How long after a lost answer a write is reconciled.
    pub reconcile_after: Duration,
    /// How long finished entries are kept.
    pub retention: Duration,
    /// Whether to wait in this run until lost answers are reconciled, rather than leave that to the next run.
    pub waits_for_outcome: bool,
}

/// The state of one run over the outbox.
pub(super) struct OutboxRun<'a> {
    pub(super) ctx: &'a mut SyncContext,
    pub(super) settings: OutboxSettings,
    /// The creators, as last listed.
    pub(super) creators: Option<Creators>,
    /// Kinds whose lists could not be read; no entry of them is reconciled in this run.
    pub(super) unreadable: BTreeMap<Kind, Failure>,
    /// Kinds with resources that could not be read again, and the last error.
    pub(super) reread_errors: BTreeMap<Kind, FetchError>,
    /// Entries that are retried in this run, and when, microseconds.
    pub(super) retries: BTreeMap<i64, i64>,
    /// How often in this run the API was unavailable for an entry.
    pub(super) unavailable: BTreeMap<i64, u32>,
    /// Successive attempts that the API did not serve.
    pub(super) unanswered: u32,
    /// Whether nothing more is sent in this run, because the API accepts no writes.
    pub(super) is_paused: bool,
    /// Finished and ready entries, as last counted.
    pub(super) total: u64,
}

/// Sends ready entries, oldest first, and reconciles those with lost answers.
pub async fn push(ctx: &mut SyncContext, settings: OutboxSettings) -> FetchResult<()> {
    prune(ctx, settings).await?;
    let has_work =
        ctx.store.read(move |c| Ok(queue::is_busy(c)? || reread::next_at(c)?.is_some())).await?;
    if !has_work {
        return Ok(());
    }
    let mut run = OutboxRun {
        ctx,
        settings,
        creators: None,
        unreadable: BTreeMap::new(),
        reread_errors: BTreeMap::new(),
        retries: BTreeMap::new(),
        unavailable: BTreeMap::new(),
        unanswered: 0,
        is_paused: false,
        total: 0,
    };
    run.begin().await?;
    let result = run.work().await;
    run.end(result.as_ref().err()).await?;
    result
}

/// Returns when the outbox next has something to do.
pub async fn next_at(ctx: &SyncContext, now: DateTime<Utc>) -> StoreResult<Option<DateTime<Utc>>> {
    let now = instant::micros(now);
    let at = ctx
        .store
        .read(move |c| {
            let reread_at = reread::next_at(c)?.map(|at| at.max(now));
            Ok(queue::next_at(c, now)?.into_iter().chain(reread_at).min())
        })
        .await?;
    Ok(at.map(instant::from_micros))
}

/// The writes that a run would send, for `sync --dry-run`.
pub fn preview(c: &Connection) -> StoreResult<Vec<String>> {
    let open = [State::Queued, State::Unsure, State::Sending, State::Waiting];
    let entries = outbox::list(c, &open, i64::MAX)?;
    let line = |entry: &Entry| {
        let path = entry.path.as_deref().unwrap_or("…");
        match entry.state {
            State::Unsure | State::Sending => {
                format!(
                    "{} {path} (entry {}, unless it succeeded already)",
                    entry.method, entry.entry
                )
            }
            _ => format!("{} {path} (entry {})", entry.method, entry.entry),
        }
    };
    Ok(entries.iter().map(line).collect())
}

/// Deletes entries that finished longer ago than the retention.
async fn prune(ctx: &SyncContext, settings: OutboxSettings) -> StoreResult<()> {
    let retention = i64::try_from(settings.retention.as_micros()).unwrap_or(i64::MAX);
    let before = instant::micros(ctx.fetcher.clock().now()).saturating_sub(retention);
    if ctx.store.read(move |c| queue::is_prunable(c, before)).await? {
        let entries = ctx.store.write(move |tx| queue::prune(tx, before)).await?;
        tracing::info!(entries, "old outbox entries deleted");
    }
    Ok(())
}

impl OutboxRun<'_> {
    pub(super) fn now(&self) -> i64 {
        instant::micros(self.ctx.fetcher.clock().now())
    }

    pub(super) fn after(&self, length: Duration) -> i64 {
        self.now().saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
    }

    /// Recovers entries that a crash left in state `sending`. Requests before this are counted for `meta`.
    async fn begin(&mut self) -> StoreResult<()> {
        let reconcile_after =
            i64::try_from(self.settings.reconcile_after.as_micros()).unwrap_or(i64::MAX);
        let now = self.now();
        let counters = self.ctx.counters(Kind::Meta);
        let lost = self
            .ctx
            .store
            .write(move |tx| {
                counters.close(tx, &KindCounts::default())?;
                queue::recover(tx, reconcile_after, now)
            })
            .await?;
        if lost > 0 {
            tracing::info!(entries = lost, "entries were being sent when the last run ended");
        }
        Ok(())
    }

    async fn work(&mut self) -> FetchResult<()> {
        loop {
            self.validate_new().await?;
            let now = self.now();
            // While the API is unavailable for one entry, it would be for others.
            let ready = match self.is_paused || !self.retries.is_empty() {
                true => None,
                false => self.ctx.store.read(move |c| queue::ready(c, now)).await?,
            };
            if let Some(entry) = ready {
                self.begin_kind_run(entry.kind).await?;
                self.process(&entry).await?;
                self.report_progress().await?;
                continue;
            }
            if self.reread().await? {
                continue;
            }
            let Some(length) = self.wait_for_next().await? else { return Ok(()) };
            self.ctx.tell(&Event::Waiting { reason: Wait::Settling, length });
            self.ctx.fetcher.clock().sleep(length).await;
            let now = self.now();
            self.retries.retain(|_, at| *at > now);
        }
    }

    async fn process(&mut self, entry: &Entry) -> FetchResult<()> {
        match (entry.state, entry.action, verdict::success_status(entry)) {
            (State::Unsure, Action::Track, _) => self.reconcile(entry).await,
            (State::Unsure, _, status) => self.confirm(entry, status).await,
            _ => self.send(entry).await,
        }
    }

    /// Validates new entries. One whose names can be resolved becomes ready; an invalid one fails.
    async fn validate_new(&mut self) -> StoreResult<()> {
        let unchecked = self.ctx.store.read(enqueue::unchecked).await?;
        if unchecked.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let failed = self
            .ctx
            .store
            .write(move |tx| {
                let mut failed = 0;
                for entry in &unchecked {
                    match validate::check(tx, &entry.draft()) {
                        Ok(checked) => enqueue::save_checked(tx, entry.entry, &checked)?,
                        Err(CheckError::Store(error)) => return Err::<u64, StoreError>(error),
                        Err(CheckError::Refused(reason)) => {
                            tracing::warn!(entry = entry.entry, reason, "outbox entry is invalid");
                            finish::fail(tx, entry, &invalid(entry, reason), now)?;
                            failed += 1;
                        }
                    }
                }
                Ok(failed)
            })
            .await?;
        self.ctx.pushed.failed += failed;
        Ok(())
    }

    /// Returns how long to wait in this run for the next entry to be reconciled or retried, if at all.
    async fn wait_for_next(&self) -> StoreResult<Option<Duration>> {
        if !self.settings.waits_for_outcome || self.is_paused {
            return Ok(None);
        }
        let now = self.now();
        let left = |at: i64| {
            let left = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
            Duration::from_micros(left).max(Duration::from_millis(1))
        };
        if let Some(retry_at) = self.retries.values().min() {
            return Ok(Some(left(*retry_at)));
        }
        let unreadable: Vec<Kind> = self.unreadable.keys().copied().collect();
        let next_at =
            self.ctx.store.read(move |c| queue::next_reconcile_at(c, &unreadable)).await?;
        // An entry that failed more often waits longer, and is left to the next run.
        Ok(next_at.map(left).filter(|length| *length <= self.settings.reconcile_after))
    }

    pub(super) async fn begin_kind_run(&mut self, kind: Kind) -> StoreResult<()> {
        match self.ctx.open_kind_runs().contains(&kind) {
            true => Ok(()),
            false => self.ctx.begin_kind_run(kind, "outbox").await,
        }
    }

    async fn report_progress(&mut self) -> StoreResult<()> {
        let pushed = self.ctx.pushed;
        let done = pushed.succeeded + pushed.failed;
        if done >= self.total || done.is_multiple_of(RECOUNT_ENTRIES) {
            let now = self.now();
            let ready = self.ctx.store.read(move |c| queue::count_ready(c, now)).await?;
            self.total = done.saturating_add(u64::try_from(ready).unwrap_or(0));
        }
        self.ctx.tell(&Event::Pushed { done, total: self.total });
        Ok(())
    }

    async fn end(&mut self, error: Option<&FetchError>) -> FetchResult<()> {
        let kind_outcome = match error {
            None => KindOutcome::of(Outcome::Polled),
            Some(error) => of_error(error),
        };
        // The kind run of `meta` began before the outbox.
        for kind in self.ctx.open_kind_runs().into_iter().filter(|kind| *kind != Kind::Meta) {
            let reread_error = self.reread_errors.get(&kind).filter(|_| error.is_none());
            let kind_outcome = reread_error.map_or_else(|| kind_outcome.clone(), of_error);
            self.ctx.end_kind_run(kind, &kind_outcome).await?;
        }
        let left = self.ctx.store.read(queue::count_retrying).await?;
        self.ctx.pushed.left = u64::try_from(left).unwrap_or(0);
        let pushed = self.ctx.pushed;
        if pushed.is_any() {
            let (succeeded, failed, left) = (pushed.succeeded, pushed.failed, pushed.left);
            tracing::info!(succeeded, failed, left, "outbox sent");
        }
        Ok(())
    }
}

/// The result of an entry that is invalid.
fn invalid(entry: &Entry, reason: String) -> AttemptResult {
    let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| name.starts_with('@'));
    let code = match is_named(&entry.subject) || is_named(&entry.account) {
        true => "DEPENDENCY",
        false => "REFUSED",
    };
    let hint = "discard it and queue a corrected one, or retry it after the next full sync";
    AttemptResult {
        code: Some(code.to_owned()),
        detail: Some(reason),
        hint: Some(hint.to_owned()),
        ..AttemptResult::default()
    }
}
