//! Write direction: claim, send with a key, look up when unsure, settle.
//!
//! [`check`] makes an entry of a request ([`body`], [`post`]); [`push`] sends what is ready.
//! [`verdict`] says what a failure means; [`lookup`] finds what a lost answer would have told;
//! [`settle`] writes an end with everything that belongs to it in one transaction.
//!
//! An entry is claimed, its attempt counted, in a write that is on the disk before anything is
//! sent. So a crash leaves it either as it was or marked as on its way; what was on its way is never
//! sent again before it was looked for.

pub mod body;
pub mod check;
pub mod lookup;
pub mod post;
mod send;
mod settle;
pub mod verdict;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::model::event::Wait;
use crate::model::outbox::{Action, State};
use crate::model::{Event, Kind, instant};
use crate::poll::error::PollResult;
use crate::poll::settle::{self as turns, outcome};
use crate::poll::{Desk, PollError};
use crate::store::outbox::queue::{self, Told};
use crate::store::outbox::{self, Entry, enqueue, settle as ends};
use crate::store::passes::{Ending, Tally};
use crate::store::{Store, StoreError, StoreResult};

use check::CheckError;
use lookup::Creators;

/// Sends on end without an answer after which the API is taken for down.
const SILENT_MAX: u32 = 5;

/// Entries after which those that are ready are counted anew.
const COUNTED_ENTRIES: u64 = 50;

/// What pushing goes by.
#[derive(Debug, Clone, Copy)]
pub struct PushSettings {
    /// How long after a lost answer its outcome is looked up.
    pub settle_after: Duration,
    /// How long finished entries are kept.
    pub retention: Duration,
    /// Whether to stay until lost answers are looked up, rather than leave that to the next pass.
    pub stays: bool,
}

/// What lives as long as one pass over the outbox.
struct Push<'a> {
    desk: &'a mut Desk,
    settings: PushSettings,
    /// The creators as walked last.
    creators: Option<Creators>,
    /// Kinds whose turn has begun.
    kinds: BTreeSet<Kind>,
    /// Sends on end without an answer.
    silent: u32,
    /// Entries in sight, as counted last.
    total: u64,
}

/// Sends what is ready, oldest first, and looks up what is unsure.
pub async fn push(desk: &mut Desk, settings: PushSettings) -> PollResult<()> {
    tidy(desk, settings)?;
    if !desk.store.read(queue::is_busy)? {
        return Ok(());
    }
    let mut push =
        Push { desk, settings, creators: None, kinds: BTreeSet::new(), silent: 0, total: 0 };
    push.begin()?;
    let result = push.work().await;
    push.end(result.as_ref().err())?;
    result
}

/// When the outbox next has something to do.
pub fn next_at(desk: &Desk, now: DateTime<Utc>) -> StoreResult<Option<DateTime<Utc>>> {
    let at = desk.store.read(|c| queue::next_at(c, instant::micros(now)))?;
    Ok(at.map(instant::from_micros))
}

/// The writes that a pass would make, as far as they are known, for `sync --dry-run`.
pub fn preview(store: &Store) -> StoreResult<Vec<String>> {
    let open = [State::Queued, State::Unsure, State::Sending, State::Waiting];
    let entries = store.read(|c| outbox::list(c, &open, i64::MAX))?;
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
fn tidy(desk: &Desk, settings: PushSettings) -> StoreResult<()> {
    let retention = i64::try_from(settings.retention.as_micros()).unwrap_or(i64::MAX);
    let before = instant::micros(desk.fetcher.clock().now()).saturating_sub(retention);
    if desk.store.read(|c| queue::is_prunable(c, before))? {
        let pruned = desk.store.write(|tx| queue::prune(tx, before))?;
        tracing::info!(entries = pruned, "finished entries of the outbox were kept long enough");
    }
    Ok(())
}

impl Push<'_> {
    fn now(&self) -> i64 {
        instant::micros(self.desk.fetcher.clock().now())
    }

    fn after(&self, length: Duration) -> i64 {
        self.now().saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
    }

    /// Takes up what a crash left behind. Requests sent until now are not the outbox's.
    fn begin(&mut self) -> StoreResult<()> {
        let settle = i64::try_from(self.settings.settle_after.as_micros()).unwrap_or(i64::MAX);
        let now = self.now();
        let ledger = self.desk.ledger(Kind::Meta);
        let lost = self.desk.store.write(|tx| {
            ledger.close(tx, &Tally::default())?;
            queue::recover(tx, settle, now)
        })?;
        if lost > 0 {
            tracing::info!(
                entries = lost,
                "the last run ended while these were sent; looking them up"
            );
        }
        Ok(())
    }

    async fn work(&mut self) -> PollResult<()> {
        loop {
            self.check_new()?;
            let now = self.now();
            match self.desk.store.read(|c| queue::ready(c, now))? {
                Some(entry) => {
                    self.begin_turn(entry.kind)?;
                    self.one(&entry).await?;
                    self.tell()?;
                }
                None => match self.time_to_stay()? {
                    Some(length) => {
                        let reason = Wait::Settling;
                        self.desk.tell(&Event::Waiting { reason, length });
                        self.desk.fetcher.clock().sleep(length).await;
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    async fn one(&mut self, entry: &Entry) -> PollResult<()> {
        match (entry.state, entry.action) {
            (State::Unsure, Action::Track) => self.look(entry).await,
            _ => self.send(entry).await,
        }
    }

    /// Makes entries ready whose names can now be resolved. What is wrong with one fails it.
    fn check_new(&mut self) -> StoreResult<()> {
        let unchecked = self.desk.store.read(enqueue::unchecked)?;
        if unchecked.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let failed = self.desk.store.write(|tx| {
            let mut failed = 0;
            for entry in &unchecked {
                match check::check(tx, &entry.draft()) {
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
        })?;
        self.desk.pushed.failed += failed;
        Ok(())
    }

    /// How long to wait for the next entry that may be looked up, if it is soon.
    fn time_to_stay(&self) -> StoreResult<Option<Duration>> {
        if !self.settings.stays {
            return Ok(None);
        }
        let Some(at) = self.desk.store.read(queue::next_look_at)? else { return Ok(None) };
        let left = at.saturating_sub(self.now()).max(0);
        let left = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        // What has failed more often rests longer, and is the next run's.
        let is_soon = left <= self.settings.settle_after;
        Ok(is_soon.then_some(left.max(Duration::from_millis(1))))
    }

    fn begin_turn(&mut self, kind: Kind) -> StoreResult<()> {
        match self.kinds.insert(kind) {
            true => self.desk.begin_turn(kind, "outbox"),
            false => Ok(()),
        }
    }

    fn tell(&mut self) -> StoreResult<()> {
        let pushed = self.desk.pushed;
        let done = pushed.succeeded + pushed.failed;
        // Counting costs more than telling.
        if done >= self.total || done.is_multiple_of(COUNTED_ENTRIES) {
            let now = self.now();
            let ready = self.desk.store.read(|c| queue::waiting(c, now))?;
            self.total = done.saturating_add(u64::try_from(ready).unwrap_or(0));
        }
        self.desk.tell(&Event::Pushed { done, total: self.total });
        Ok(())
    }

    fn end(&mut self, error: Option<&PollError>) -> PollResult<()> {
        let ending = match error {
            None => Ending { outcome: outcome::POLLED, ..Ending::default() },
            Some(error) => turns::error(error),
        };
        for kind in std::mem::take(&mut self.kinds) {
            turns::end(self.desk, kind, &ending)?;
        }
        let left = self.desk.store.read(queue::left)?;
        self.desk.pushed.left = u64::try_from(left).unwrap_or(0);
        let pushed = self.desk.pushed;
        if pushed.is_any() {
            let (succeeded, failed, left) = (pushed.succeeded, pushed.failed, pushed.left);
            tracing::info!(succeeded, failed, left, "sent what was queued");
        }
        Ok(())
    }
}

/// What an entry that was refused before it was sent tells.
fn refused(entry: &Entry, reason: String) -> Told {
    let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| name.starts_with('@'));
    let code = match is_named(&entry.subject) || is_named(&entry.account) {
        true => "DEPENDENCY",
        false => "REFUSED",
    };
    let hint = "discard it and queue it with what is right, or retry it when the mirror knows more";
    Told {
        code: Some(code.to_owned()),
        detail: Some(reason),
        hint: Some(hint.to_owned()),
        ..Told::default()
    }
}
