//! Finishes an entry: its result, the answer's resource and what must be read again are one transaction,
//! made before any other request is sent.

use rusqlite::{Connection, Transaction};
use serde::de::IgnoredAny;

use crate::api::{Answer, Failure, Item};
use crate::fetch::error::FetchResult;
use crate::fetch::write::RunCounters;
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::outbox::confirm::is_shown;
use crate::outbox::reread::{FetchedItem, mirror};
use crate::outbox::run::OutboxRun;
use crate::store::outbox::queue::{self, AttemptResult};
use crate::store::outbox::{Entry, find, finish, reread};
use crate::store::runs::KindCounts;
use crate::store::{StoreResult, removals};

impl OutboxRun<'_> {
    /// Applies a 2xx answer.
    pub(super) async fn succeeded(
        &mut self,
        entry: &Entry,
        answer: &Answer,
        as_of: i64,
    ) -> FetchResult<()> {
        let mut attempt_result = AttemptResult {
            http_status: Some(answer.head.status),
            request_id: answer.head.request_id.clone(),
            ..AttemptResult::default()
        };
        if !answer.body.is_empty()
            && let Err(failure) = answer.json::<IgnoredAny>()
        {
            return self.unreadable_answer(entry, failure, attempt_result).await;
        }
        let mut fetched = None;
        let mut result = entry.subject.clone();
        if matches!(entry.action, Action::Track | Action::Set) {
            let item =
                Item::read(entry.kind, answer).map(|item| (item.row.id().into_owned(), item));
            match item {
                Ok((id, item))
                    if entry.action == Action::Track || Some(&id) == entry.subject.as_ref() =>
                {
                    let (kind, item) = (entry.kind, Some(item));
                    let item = FetchedItem { kind, id: id.clone(), item, as_of };
                    if entry.action == Action::Set && is_shown(entry, &item) == Some(false) {
                        // The API may have rounded or merged what was sent, or ignored it.
                        let detail = "the API accepted the change, but shows another value";
                        attempt_result.detail = Some(detail.to_owned());
                    }
                    (fetched, result) = (Some(item), Some(id));
                }
                // Something was created, but its id is not known.
                Err(failure) if entry.action == Action::Track => {
                    return self.unreadable_answer(entry, failure, attempt_result).await;
                }
                // The change was made, but the answer does not show it.
                _ => {}
            }
        }
        if let Some(id) = result.clone().filter(|_| is_new_creator(entry)) {
            let number = entry.entry;
            if self.ctx.store.read(move |c| find::is_taken(c, number, &id)).await? {
                return self.replayed(entry, answer).await;
            }
        }
        self.finish(entry, result, fetched, attempt_result).await
    }

    /// The outcome is reconciled; the stored 2xx status keeps the entry from being sent again.
    async fn unreadable_answer(
        &mut self,
        entry: &Entry,
        failure: Failure,
        attempt_result: AttemptResult,
    ) -> FetchResult<()> {
        let detail = Some(failure.to_string());
        self.unsure(entry, failure, AttemptResult { detail, ..attempt_result }).await
    }

    /// The server replayed its answer to this idempotency key, and another entry of the same name took the
    /// creator as its result. This entry is sent again with a new key.
    async fn replayed(&mut self, entry: &Entry, answer: &Answer) -> FetchResult<()> {
        tracing::info!(
            entry = entry.entry,
            request_id = answer.head.request_id,
            "the API replayed an answer; sending with a new idempotency key"
        );
        let (counters, entry) = (self.ctx.counters(entry.kind), entry.clone());
        self.ctx
            .store
            .write(move |tx| {
                queue::restart_with_new_key(tx, &entry)?;
                counters.close(tx, &KindCounts::default())
            })
            .await?;
        Ok(())
    }

    /// Records success, mirrors what the answer shows, and schedules what it does not show for reading.
    pub(super) async fn finish(
        &mut self,
        entry: &Entry,
        result: Option<String>,
        fetched: Option<FetchedItem>,
        attempt_result: AttemptResult,
    ) -> FetchResult<()> {
        let is_deleted = entry.action == Action::Untrack;
        self.end_with(entry, move |tx, entry, counters| {
            let mut done = KindCounts::default();
            for (kind, id) in touched(tx, entry, fetched.as_ref())? {
                reread::add(tx, kind, &id, counters.at)?;
            }
            if let Some(fetched) = &fetched {
                mirror(tx, counters, fetched, &mut done)?;
            }
            let subject = entry.subject.as_deref().filter(|_| is_deleted);
            if let Some(row_id) =
                subject.map(|id| find::row_id(tx, entry.kind, id)).transpose()?.flatten()
            {
                done.removed += i64::from(removals::deleted(tx, entry.kind, row_id, counters.at)?);
            }
            counters.close(tx, &done)?;
            finish::succeed(tx, entry, result.as_deref(), &attempt_result, counters.at)
        })
        .await?;
        self.ctx.pushed.succeeded += 1;
        Ok(())
    }

    /// Records failure.
    pub(super) async fn fail(
        &mut self,
        entry: &Entry,
        attempt_result: AttemptResult,
    ) -> FetchResult<()> {
        let detail = attempt_result.detail.as_deref().unwrap_or_default();
        tracing::warn!(entry = entry.entry, detail, "outbox entry failed");
        self.end_with(entry, move |tx, entry, counters| {
            counters.close(tx, &KindCounts::default())?;
            finish::fail(tx, entry, &attempt_result, counters.at)
        })
        .await?;
        self.ctx.pushed.failed += 1;
        Ok(())
    }

    async fn end_with(
        &mut self,
        entry: &Entry,
        write: impl FnOnce(&Transaction<'_>, &Entry, &RunCounters) -> StoreResult<bool> + Send + 'static,
    ) -> FetchResult<()> {
        let (ended, counters) = (entry.clone(), self.ctx.counters(entry.kind));
        if !self.ctx.store.write(move |tx| write(tx, &ended, &counters)).await? {
            tracing::info!(entry = entry.entry, "entry was discarded meanwhile");
        }
        Ok(())
    }
}

pub(super) fn is_new_creator(entry: &Entry) -> bool {
    entry.kind == Kind::Creator && entry.action == Action::Track
}

/// The resources that an entry changes and its answer does not show.
fn touched(
    c: &Connection,
    entry: &Entry,
    fetched: Option<&FetchedItem>,
) -> StoreResult<Vec<(Kind, String)>> {
    let subject = entry.subject.clone().unwrap_or_default();
    let mut touched = Vec::new();
    match (entry.kind, entry.action) {
        (_, Action::Link | Action::Unlink) => {
            touched.extend(entry.account.clone().map(|account| (Kind::Account, account)));
            touched.push((Kind::Creator, subject));
        }
        (Kind::Creator, Action::Set | Action::Untrack) => {
            let accounts = find::accounts_of(c, &subject)?;
            touched.extend(accounts.into_iter().map(|id| (Kind::Account, id)));
            if entry.action == Action::Set && fetched.is_none() {
                touched.push((Kind::Creator, subject));
            }
        }
        (Kind::Account, Action::Untrack) => {
            let creator = find::creator_of(c, &subject)?;
            touched.extend(creator.map(|creator| (Kind::Creator, creator)));
        }
        (kind, Action::Set) if fetched.is_none() => touched.push((kind, subject)),
        _ => {}
    }
    Ok(touched)
}
