//! The end of an entry: what its answer brought, what it touched, and its record, in one transaction.

use bytes::Bytes;
use rusqlite::Transaction;
use serde_json::Value;

use super::Push;
use super::send::told;
use crate::api::{Answer, Failure, Request, Verdict, decode, item};
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::poll::error::PollResult;
use crate::poll::write::Ledger;
use crate::poll::{Desk, PollError, schedule};
use crate::store::outbox::queue::{self, Back, Told};
use crate::store::outbox::{Entry, find, settle};
use crate::store::pages::PageCounts;
use crate::store::passes::Tally;
use crate::store::rows::{RowWriter, Source};
use crate::store::{StoreResult, removals};

/// A resource on its way into the mirror.
struct Fresh {
    kind: Kind,
    id: String,
    /// The answer about it; `None` when it is not there.
    body: Option<Bytes>,
    as_of: i64,
}

impl Push<'_> {
    /// The API did it.
    pub(super) async fn succeeded(
        &mut self,
        entry: &Entry,
        answer: &Answer,
        as_of: i64,
    ) -> PollResult<()> {
        // Some proxy's page with status 200 does not say that anything was done.
        if !answer.body.is_empty()
            && let Err(failure) = answer.json::<Value>()
        {
            return self.unsure(entry, failure);
        }
        let mut fresh = Vec::new();
        let mut result = entry.subject.clone();
        if matches!(entry.action, Action::Track | Action::Set) {
            match id_of(entry.kind, &answer.body) {
                Ok(id) if entry.action == Action::Track || Some(&id) == entry.subject.as_ref() => {
                    let body = Some(answer.body.clone());
                    fresh.push(Fresh { kind: entry.kind, id: id.clone(), body, as_of });
                    result = Some(id);
                }
                // Something was created, but what?
                Err(failure) if entry.action == Action::Track => {
                    return self.unsure(entry, failure);
                }
                // It was changed, but the answer does not show it; it is read again below.
                _ => {}
            }
        }
        if let Some(id) = result.as_deref().filter(|_| is_new_creator(entry))
            && self.desk.store.read(|c| find::is_taken(c, entry.entry, id))?
        {
            return self.replayed(entry, answer);
        }
        let is_shown = !fresh.is_empty();
        let request_id = answer.request_id.clone();
        let told = Told { http_status: Some(answer.status), request_id, ..Told::default() };
        self.finish(entry, result, fresh, is_shown, told).await
    }

    /// The server repeated what it had answered to this key, and what it had made was taken by another
    /// entry that wanted one of the same name: this one still has none, and asks under another key.
    fn replayed(&mut self, entry: &Entry, answer: &Answer) -> PollResult<()> {
        tracing::info!(
            entry = entry.entry,
            request_id = answer.request_id,
            "the API repeated itself; asking anew"
        );
        let ledger = self.desk.ledger(entry.kind);
        self.desk.store.write(|tx| {
            queue::begin_anew(tx, entry)?;
            ledger.close(tx, &Tally::default())
        })?;
        Ok(())
    }

    /// What was to be deleted is not there, after a send whose outcome was not known.
    pub(super) async fn already_so(&mut self, entry: &Entry, failure: &Failure) -> PollResult<()> {
        let detail = Some("an earlier send whose answer was lost had done it".to_owned());
        let told = Told { detail, ..told(failure) };
        self.finish(entry, entry.subject.clone(), Vec::new(), false, told).await
    }

    /// Reads again what the entry touched, and writes it all.
    async fn finish(
        &mut self,
        entry: &Entry,
        result: Option<String>,
        mut fresh: Vec<Fresh>,
        is_shown: bool,
        told: Told,
    ) -> PollResult<()> {
        for (kind, id) in touched(self.desk, entry, is_shown)? {
            match read(self.desk, kind, &id).await {
                Ok(read) => fresh.push(read),
                // It is repeated, which does no harm, so that the mirror shows it when it ends.
                Err(error) if error.is_fatal() => {
                    let next_at = self.after(self.settings.settle_after);
                    self.put_back(entry, Back::Unsure, next_at, &told)?;
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(entry = entry.entry, %kind, id, %error, "could not be read again; the next sweep will");
                }
            }
        }
        let is_deleted = entry.action == Action::Untrack;
        self.end_with(entry, |tx, ledger| {
            let mut done = Tally::default();
            for fresh in &fresh {
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
        })?;
        self.desk.pushed.succeeded += 1;
        Ok(())
    }

    /// What an entry wanted was found.
    pub(super) fn found(&mut self, entry: &Entry, id: &str, told: Told) -> PollResult<()> {
        self.end_with(entry, |tx, ledger| {
            ledger.close(tx, &Tally::default())?;
            settle::succeed(tx, entry, Some(id), &told, ledger.at)
        })?;
        self.desk.pushed.succeeded += 1;
        Ok(())
    }

    /// It will not be done.
    pub(super) fn fail(&mut self, entry: &Entry, told: Told) -> PollResult<()> {
        let detail = told.detail.as_deref().unwrap_or_default();
        tracing::warn!(entry = entry.entry, detail, "an entry of the outbox failed");
        self.end_with(entry, |tx, ledger| {
            ledger.close(tx, &Tally::default())?;
            settle::fail(tx, entry, &told, ledger.at)
        })?;
        self.desk.pushed.failed += 1;
        Ok(())
    }

    fn end_with(
        &mut self,
        entry: &Entry,
        write: impl FnOnce(&Transaction<'_>, &Ledger) -> StoreResult<bool>,
    ) -> PollResult<()> {
        let ledger = self.desk.ledger(entry.kind);
        if !self.desk.store.write(|tx| write(tx, &ledger))? {
            tracing::info!(entry = entry.entry, "was discarded while it was looked up");
        }
        Ok(())
    }
}

fn is_new_creator(entry: &Entry) -> bool {
    entry.kind == Kind::Creator && entry.action == Action::Track
}

/// What has to be read again before the entry is at its end, because its answer does not show it.
fn touched(desk: &Desk, entry: &Entry, is_shown: bool) -> StoreResult<Vec<(Kind, String)>> {
    let subject = entry.subject.clone().unwrap_or_default();
    let mut touched = Vec::new();
    desk.store.read(|c| {
        match (entry.kind, entry.action) {
            (_, Action::Link | Action::Unlink) => {
                touched.extend(entry.account.clone().map(|account| (Kind::Account, account)));
                touched.push((Kind::Creator, subject));
            }
            (Kind::Creator, Action::Set | Action::Untrack) => {
                let accounts = find::accounts_of(c, &subject)?;
                touched.extend(accounts.into_iter().map(|id| (Kind::Account, id)));
                if entry.action == Action::Set && !is_shown {
                    touched.push((Kind::Creator, subject));
                }
            }
            (Kind::Account, Action::Untrack) => {
                let creator = find::creator_of(c, &subject)?;
                touched.extend(creator.map(|creator| (Kind::Creator, creator)));
            }
            (kind, Action::Set) if !is_shown => touched.push((kind, subject)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(touched)
}

async fn read(desk: &mut Desk, kind: Kind, id: &str) -> PollResult<Fresh> {
    let request = Request::get(kind.path()).segment(id);
    let wanted = id.to_owned();
    let fetched = desk.fetcher.fetch(&request, |answer| match id_of(kind, &answer.body)? {
        id if id == wanted => Ok(()),
        _ => Err(Failure::malformed("the answer is about another resource")),
    });
    match fetched.await {
        Ok(fetched) => {
            let body = Some(fetched.answer.body);
            Ok(Fresh { kind, id: id.to_owned(), body, as_of: fetched.as_of })
        }
        Err(PollError::Api(failure)) if failure.verdict == Verdict::NotFound => {
            Ok(Fresh { kind, id: id.to_owned(), body: None, as_of: desk.fetcher.stamp() })
        }
        Err(error) => Err(error),
    }
}

fn id_of(kind: Kind, body: &Bytes) -> Result<String, Failure> {
    let row = decode::row(kind, item(body)?.get().as_bytes())
        .map_err(|bad| Failure::malformed(bad.reason))?;
    Ok(row.id.into_owned())
}

/// Writes a resource. It is counted with the entry's kind.
fn mirror(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    fresh: &Fresh,
    done: &mut Tally,
) -> StoreResult<()> {
    let ledger = Ledger { kind: fresh.kind, ..ledger.clone() };
    let row = fresh.body.as_ref().and_then(|body| item(body).ok());
    let row = row.and_then(|raw| decode::row(fresh.kind, raw.get().as_bytes()).ok());
    let Some(row) = row else {
        if let Some(key) = find::key(tx, fresh.kind, &fresh.id)? {
            done.removed += i64::from(removals::not_found(tx, fresh.kind, key, fresh.as_of)?);
        }
        return Ok(());
    };
    let source = Source { page: None, as_of: fresh.as_of };
    let written = RowWriter::new(tx, fresh.kind)?.write(&row, source)?;
    schedule::row(tx, &ledger, &row, written, fresh.as_of)?;
    schedule::one(tx, &ledger, written.key)?;
    let mut counts = PageCounts { rows_seen: 1, ..PageCounts::default() };
    counts.count(&row, written);
    done.add(&Tally { page: counts, ..Tally::default() });
    Ok(())
}
