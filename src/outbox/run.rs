//! A run over the outbox: what is ready is sent, oldest first, and what is unsure is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::api::Failure;
use crate::fetch::error::FetchResult;
use crate::fetch::{FetchError, SyncContext};
use crate::model::KindOutcome;
use crate::model::Outcome;
use crate::model::event::Wait;
use crate::model::outbox::{Action, State};
use crate::model::{Event, Kind, instant};
use crate::outbox::reconcile::Creators;
use crate::outbox::validate::{self, CheckError};
use crate::outbox::verdict;
use crate::store::outbox::queue::{self, AttemptResult};
use crate::store::outbox::{self, Entry, enqueue, finish as ends, reread as rereads};
use crate::store::runs::Tally;
use crate::store::{StoreError, StoreResult};
use crate::sync::finish as kind_runs;

/// Sends on end without an answer after which the API is taken for down.
pub(super) const SILENT_MAX: u32 = 5;

/// Entries after which those that are ready are counted anew.
const COUNTED_ENTRIES: u64 = 50;

/// What pushing goes by.
#[derive(Debug, Clone, Copy)]
pub struct OutboxSettings {
    /// How long after a lost answer its outcome is looked up.
    pub reconcile_after: Duration,
    /// How long finished entries are kept.
    pub retention: Duration,
    /// Whether to stay until lost answers are looked up, rather than leave that to the next run.
    pub waits_for_outcome: bool,
}

/// What lives as long as one run over the outbox.
pub(super) struct OutboxRun<'a> {
    pub(super) ctx: &'a mut SyncContext,
    pub(super) settings: OutboxSettings,
    /// The creators as listed last.
    pub(super) creators: Option<Creators>,
    /// Kinds whose turn has begun.
    pub(super) kinds: BTreeSet<Kind>,
    /// Kinds whose lists could not be read, and why: nothing more is looked for in them in this run.
    pub(super) unreadable: BTreeMap<Kind, Failure>,
    /// Kinds of which something could not be read again, and why.
    pub(super) unread: BTreeMap<Kind, FetchError>,
    /// Entries that are tried again in this run, and when.
    pub(super) soon: BTreeMap<i64, i64>,
    /// How often in this run the API could not take an entry just now.
    pub(super) tries: BTreeMap<i64, u32>,
    /// Sends on end without an answer.
    pub(super) silent: u32,
    /// Whether nothing more is sent in this run, because the API takes no writes.
    pub(super) is_resting: bool,
    /// Entries in sight, as counted last.
    pub(super) total: u64,
}

/// Sends what is ready, oldest first, and looks up what is unsure.
pub async fn push(ctx: &mut SyncContext, settings: OutboxSettings) -> FetchResult<()> {
    tidy(ctx, settings).await?;
    let has_work =
        ctx.store.read(move |c| Ok(queue::is_busy(c)? || rereads::next_at(c)?.is_some())).await?;
    if !has_work {
        return Ok(());
    }
    let mut push = OutboxRun {
        ctx,
        settings,
        creators: None,
        kinds: BTreeSet::new(),
        unreadable: BTreeMap::new(),
        unread: BTreeMap::new(),
        soon: BTreeMap::new(),
        tries: BTreeMap::new(),
        silent: 0,
        is_resting: false,
        total: 0,
    };
    push.begin().await?;
    let result = push.work().await;
    push.end(result.as_ref().err()).await?;
    result
}

/// When the outbox next has something to do.
pub async fn next_at(ctx: &SyncContext, now: DateTime<Utc>) -> StoreResult<Option<DateTime<Utc>>> {
    let now = instant::micros(now);
    let at = ctx
        .store
        .read(move |c| {
            let reread = rereads::next_at(c)?.map(|at| at.max(now));
            Ok(queue::next_at(c, now)?.into_iter().chain(reread).min())
        })
        .await?;
    Ok(at.map(instant::from_micros))
}

/// The writes that a run would make, as far as they are known, for `sync --dry-run`.
pub fn preview(c: &Connection) -> StoreResult<Vec<String>> {
    let open = [State::Queued, State::Unsure, State::Sending, State::Waiting];
    let entries = outbox::list(c, &open, i64::MAX)?;
    let line = |entry: &Entry| {
        let path = entry.path.as_deref().unwrap_or("…");
        match entry.state {
            State::Unsure | State::Sending => {
                format!(
                    "{} {path} (entry {}, unless it is done already)",
                    entry.method, entry.entry
                )
            }
            _ => format!("{} {path} (entry {})", entry.method, entry.entry),
        }
    };
    Ok(entries.iter().map(line).collect())
}

/// Deletes what was kept long enough.
async fn tidy(ctx: &SyncContext, settings: OutboxSettings) -> StoreResult<()> {
    let retention = i64::try_from(settings.retention.as_micros()).unwrap_or(i64::MAX);
    let before = instant::micros(ctx.fetcher.clock().now()).saturating_sub(retention);
    if ctx.store.read(move |c| queue::is_prunable(c, before)).await? {
        let pruned = ctx.store.write(move |tx| queue::prune(tx, before)).await?;
        tracing::info!(entries = pruned, "finished entries of the outbox were kept long enough");
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

    /// Takes up what a crash left behind. Requests sent until now are not the outbox's.
    async fn begin(&mut self) -> StoreResult<()> {
        let settle = i64::try_from(self.settings.reconcile_after.as_micros()).unwrap_or(i64::MAX);
        let now = self.now();
        let counters = self.ctx.counters(Kind::Meta);
        let lost = self
            .ctx
            .store
            .write(move |tx| {
                counters.close(tx, &Tally::default())?;
                queue::recover(tx, settle, now)
            })
            .await?;
        if lost > 0 {
            tracing::info!(
                entries = lost,
                "the last run ended while these were sent; looking them up"
            );
        }
        Ok(())
    }

    async fn work(&mut self) -> FetchResult<()> {
        loop {
            self.check_new().await?;
            let now = self.now();
            // What the API cannot take just now it would not take of others either.
            let ready = match self.is_resting || !self.soon.is_empty() {
                true => None,
                false => self.ctx.store.read(move |c| queue::ready(c, now)).await?,
            };
            if let Some(entry) = ready {
                self.begin_kind_run(entry.kind).await?;
                self.one(&entry).await?;
                self.tell().await?;
                continue;
            }
            if self.reread().await? {
                continue;
            }
            let Some(length) = self.time_to_stay().await? else { return Ok(()) };
            self.ctx.tell(&Event::Waiting { reason: Wait::Settling, length });
            self.ctx.fetcher.clock().sleep(length).await;
            let now = self.now();
            self.soon.retain(|_, at| *at > now);
        }
    }

    async fn one(&mut self, entry: &Entry) -> FetchResult<()> {
        match (entry.state, entry.action, verdict::answered(entry)) {
            (State::Unsure, Action::Track, _) => self.look(entry).await,
            (State::Unsure, _, status) => self.confirm(entry, status).await,
            _ => self.send(entry).await,
        }
    }

    /// Makes entries ready whose names can now be resolved. What is wrong with one fails it.
    async fn check_new(&mut self) -> StoreResult<()> {
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
                        Ok(checked) => enqueue::keep_checked(tx, entry.entry, &checked)?,
                        Err(CheckError::Store(error)) => return Err::<u64, StoreError>(error),
                        Err(CheckError::Refused(reason)) => {
                            tracing::warn!(
                                entry = entry.entry,
                                reason,
                                "an entry of the outbox cannot be sent"
                            );
                            ends::fail(tx, entry, &refused(entry, reason), now)?;
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

    /// How long to wait for the next entry that may be looked up or tried again, if it is soon.
    async fn time_to_stay(&self) -> StoreResult<Option<Duration>> {
        if !self.settings.waits_for_outcome || self.is_resting {
            return Ok(None);
        }
        let now = self.now();
        let left = |at: i64| {
            let left = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
            Duration::from_micros(left).max(Duration::from_millis(1))
        };
        if let Some(again) = self.soon.values().min() {
            return Ok(Some(left(*again)));
        }
        let unreadable: Vec<Kind> = self.unreadable.keys().copied().collect();
        let look =
            self.ctx.store.read(move |c| queue::next_look_at(c, &unreadable)).await?.map(left);
        // What has failed more often rests longer, and is the next run's.
        Ok(look.filter(|length| *length <= self.settings.reconcile_after))
    }

    pub(super) async fn begin_kind_run(&mut self, kind: Kind) -> StoreResult<()> {
        match self.kinds.insert(kind) {
            true => self.ctx.begin_kind_run(kind, "outbox").await,
            false => Ok(()),
        }
    }

    async fn tell(&mut self) -> StoreResult<()> {
        let pushed = self.ctx.pushed;
        let done = pushed.succeeded + pushed.failed;
        // Counting costs more than telling.
        if done >= self.total || done.is_multiple_of(COUNTED_ENTRIES) {
            let now = self.now();
            let ready = self.ctx.store.read(move |c| queue::waiting(c, now)).await?;
            self.total = done.saturating_add(u64::try_from(ready).unwrap_or(0));
        }
        self.ctx.tell(&Event::Pushed { done, total: self.total });
        Ok(())
    }

    async fn end(&mut self, error: Option<&FetchError>) -> FetchResult<()> {
        let kind_outcome = match error {
            None => KindOutcome::of(Outcome::Polled),
            Some(error) => kind_runs::error(error),
        };
        for kind in std::mem::take(&mut self.kinds) {
            let unread = self.unread.get(&kind).filter(|_| error.is_none()).map(kind_runs::error);
            kind_runs::end(self.ctx, kind, unread.as_ref().unwrap_or(&kind_outcome)).await?;
        }
        let left = self.ctx.store.read(queue::left).await?;
        self.ctx.pushed.left = u64::try_from(left).unwrap_or(0);
        let pushed = self.ctx.pushed;
        if pushed.is_any() {
            let (succeeded, failed, left) = (pushed.succeeded, pushed.failed, pushed.left);
            tracing::info!(succeeded, failed, left, "sent what was queued");
        }
        Ok(())
    }
}

/// What an entry that was refused before it was sent tells.
fn refused(entry: &Entry, reason: String) -> AttemptResult {
    let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| name.starts_with('@'));
    let code = match is_named(&entry.subject) || is_named(&entry.account) {
        true => "DEPENDENCY",
        false => "REFUSED",
    };
    let hint = "discard it and queue it with what is right, or retry it when the mirror knows more";
    AttemptResult {
        code: Some(code.to_owned()),
        detail: Some(reason),
        hint: Some(hint.to_owned()),
        ..AttemptResult::default()
    }
}
