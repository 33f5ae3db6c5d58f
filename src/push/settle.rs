//! The end of an entry: what its answer brought, what must be read again, and its record, in one
//! transaction, before any other request is sent.

use rusqlite::{Connection, Transaction};
use serde::de::IgnoredAny;

use crate::api::{Answer, Failure, Item};
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::poll::error::PollResult;
use crate::poll::write::Ledger;
use crate::push::reread::{Fresh, mirror};
use crate::push::run::Push;
use crate::push::send::told;
use crate::store::outbox::queue::{self, Told};
use crate::store::outbox::{Entry, find, reread, settle};
use crate::store::passes::Tally;
use crate::store::{StoreResult, removals};

impl Push<'_> {
    /// The API did it.
    pub(super) async fn succeeded(
        &mut self,
        entry: &Entry,
        answer: &Answer,
        as_of: i64,
    ) -> PollResult<()> {
        let told = Told {
            http_status: Some(answer.head.status),
            request_id: answer.head.request_id.clone(),
            ..Told::default()
        };
        if !answer.body.is_empty()
            && let Err(failure) = answer.json::<IgnoredAny>()
        {
            return self.unreadable_answer(entry, failure, told).await;
        }
        let mut fresh = None;
        let mut result = entry.subject.clone();
        if matches!(entry.action, Action::Track | Action::Set) {
            let item =
                Item::read(entry.kind, answer).map(|item| (item.row.id().into_owned(), item));
            match item {
                Ok((id, item))
                    if entry.action == Action::Track || Some(&id) == entry.subject.as_ref() =>
                {
                    let (kind, item) = (entry.kind, Some(item));
                    fresh = Some(Fresh { kind, id: id.clone(), item, as_of });
                    result = Some(id);
                }
                // Something was created, but what?
                Err(failure) if entry.action == Action::Track => {
                    return self.unreadable_answer(entry, failure, told).await;
                }
                // It was changed, but the answer does not show it.
                _ => {}
            }
        }
        if let Some(id) = result.clone().filter(|_| is_new_creator(entry)) {
            let number = entry.entry;
            if self.desk.store.read(move |c| find::is_taken(c, number, &id)).await? {
                return self.replayed(entry, answer).await;
            }
        }
        self.finish(entry, result, fresh, told).await
    }

    /// It is looked whether it was done, and with the status of the answer it is not sent again.
    async fn unreadable_answer(
        &mut self,
        entry: &Entry,
        failure: Failure,
        told: Told,
    ) -> PollResult<()> {
        let detail = Some(failure.to_string());
        self.unsure(entry, failure, Told { detail, ..told }).await
    }

    /// The server repeated what it had answered to this key, and what it had made was taken by another
    /// entry that wanted one of the same name: this one still has none, and asks under another key.
    async fn replayed(&mut self, entry: &Entry, answer: &Answer) -> PollResult<()> {
        tracing::info!(
            entry = entry.entry,
            request_id = answer.head.request_id,
            "the API repeated itself; asking anew"
        );
        let (ledger, entry) = (self.desk.ledger(entry.kind), entry.clone());
        self.desk
            .store
            .write(move |tx| {
                queue::begin_anew(tx, &entry)?;
                ledger.close(tx, &Tally::default())
            })
            .await?;
        Ok(())
    }

    /// What was to be deleted is not there, after a send whose outcome was not known.
    pub(super) async fn already_so(&mut self, entry: &Entry, failure: &Failure) -> PollResult<()> {
        let detail = Some("an earlier send whose answer was lost had done it".to_owned());
        let told = Told { detail, ..told(failure) };
        self.finish(entry, entry.subject.clone(), None, told).await
    }

    /// Records the answer with what it shows, and makes due what it does not show.
    pub(super) async fn finish(
        &mut self,
        entry: &Entry,
        result: Option<String>,
        fresh: Option<Fresh>,
        told: Told,
    ) -> PollResult<()> {
        let is_deleted = entry.action == Action::Untrack;
        self.end_with(entry, move |tx, entry, ledger| {
            let mut done = Tally::default();
            for (kind, id) in touched(tx, entry, fresh.as_ref())? {
                reread::add(tx, kind, &id, ledger.at)?;
            }
            if let Some(fresh) = &fresh {
                mirror(tx, ledger, fresh, &mut done)?;
            }
            let subject = entry.subject.as_deref().filter(|_| is_deleted);
            if let Some(key) =
                subject.map(|id| find::key(tx, entry.kind, id)).transpose()?.flatten()
            {
                done.removed += i64::from(removals::deleted(tx, entry.kind, key, ledger.at)?);
            }
            ledger.close(tx, &done)?;
            settle::succeed(tx, entry, result.as_deref(), &told, ledger.at)
        })
        .await?;
        self.desk.pushed.succeeded += 1;
        Ok(())
    }

    /// What an entry wanted was found.
    pub(super) async fn found(&mut self, entry: &Entry, id: &str, told: Told) -> PollResult<()> {
        let id = id.to_owned();
        self.end_with(entry, move |tx, entry, ledger| {
            ledger.close(tx, &Tally::default())?;
            settle::succeed(tx, entry, Some(&id), &told, ledger.at)
        })
        .await?;
        self.desk.pushed.succeeded += 1;
        Ok(())
    }

    /// It will not be done.
    pub(super) async fn fail(&mut self, entry: &Entry, told: Told) -> PollResult<()> {
        let detail = told.detail.as_deref().unwrap_or_default();
        tracing::warn!(entry = entry.entry, detail, "an entry of the outbox failed");
        self.end_with(entry, move |tx, entry, ledger| {
            ledger.close(tx, &Tally::default())?;
            settle::fail(tx, entry, &told, ledger.at)
        })
        .await?;
        self.desk.pushed.failed += 1;
        Ok(())
    }

    async fn end_with(
        &mut self,
        entry: &Entry,
        write: impl FnOnce(&Transaction<'_>, &Entry, &Ledger) -> StoreResult<bool> + Send + 'static,
    ) -> PollResult<()> {
        let (ended, ledger) = (entry.clone(), self.desk.ledger(entry.kind));
        if !self.desk.store.write(move |tx| write(tx, &ended, &ledger)).await? {
            tracing::info!(entry = entry.entry, "was discarded while it was looked up");
        }
        Ok(())
    }
}

fn is_new_creator(entry: &Entry) -> bool {
    entry.kind == Kind::Creator && entry.action == Action::Track
}

/// What has to be read again because the answer to an entry does not show it.
fn touched(
    c: &Connection,
    entry: &Entry,
    fresh: Option<&Fresh>,
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
            if entry.action == Action::Set && fresh.is_none() {
                touched.push((Kind::Creator, subject));
            }
        }
        (Kind::Account, Action::Untrack) => {
            let creator = find::creator_of(c, &subject)?;
            touched.extend(creator.map(|creator| (Kind::Creator, creator)));
        }
        (kind, Action::Set) if fresh.is_none() => touched.push((kind, subject)),
        _ => {}
    }
    Ok(touched)
}
