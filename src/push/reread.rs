//! Reading again what writes have touched without their answers showing it. By then the writes are
//! recorded, so nothing that happens here can have one sent again.

use bytes::Bytes;
use rusqlite::Transaction;

use crate::api::{Failure, Request, Verdict, decode, item};
use crate::model::Kind;
use crate::poll::error::PollResult;
use crate::poll::write::Ledger;
use crate::poll::{Desk, PollError};
use crate::push::run::Push;
use crate::push::verdict;
use crate::store::outbox::find;
use crate::store::outbox::reread::{self, Reread};
use crate::store::pages::PageCounts;
use crate::store::passes::Tally;
use crate::store::rows::{RowWriter, Source};
use crate::store::{StoreResult, due, removals};

/// Tries after which a resource is left to the next full sync.
const TRIES_MAX: i64 = 12;

/// A resource on its way into the mirror.
pub(super) struct Fresh {
    pub kind: Kind,
    pub id: String,
    /// The answer about it; `None` when it is not there.
    pub body: Option<Bytes>,
    pub as_of: i64,
}

impl Push<'_> {
    /// Reads again what is due. Returns whether anything was.
    pub(super) async fn reread(&mut self) -> PollResult<bool> {
        let now = self.now();
        let due = self.desk.store.read(move |c| reread::ready(c, now)).await?;
        for one in &due {
            self.begin_turn(one.kind).await?;
            match read(self.desk, one.kind, &one.id).await {
                Ok(fresh) => self.show(one.clone(), fresh).await?,
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => self.put_off_reread(one, error).await?,
            }
        }
        Ok(!due.is_empty())
    }

    async fn show(&mut self, one: Reread, fresh: Fresh) -> StoreResult<()> {
        let ledger = self.desk.ledger(one.kind);
        self.desk
            .store
            .write(move |tx| {
                let mut done = Tally::default();
                mirror(tx, &ledger, &fresh, &mut done)?;
                reread::done(tx, &one, fresh.as_of)?;
                ledger.close(tx, &done)
            })
            .await
    }

    async fn put_off_reread(&mut self, one: &Reread, error: PollError) -> StoreResult<()> {
        let (kind, id) = (one.kind, &one.id);
        let tries = one.tries.saturating_add(1);
        let chance = self.desk.fetcher.chance();
        let pause = verdict::pause(u32::try_from(tries).unwrap_or(u32::MAX), chance);
        let next_at = self.after(pause);
        let ledger = self.desk.ledger(kind);
        let (is_over, due) = (tries >= TRIES_MAX, one.clone());
        self.desk
            .store
            .write(move |tx| {
                match is_over {
                    true => reread::done(tx, &due, ledger.at)?,
                    false => reread::put_off(tx, &due, next_at)?,
                }
                ledger.close(tx, &Tally::default())
            })
            .await?;
        match is_over {
            true => {
                tracing::warn!(%kind, id, %error, "cannot be read again; the next full sync will");
            }
            false => {
                tracing::warn!(%kind, id, %error, "could not be read again; trying again later");
            }
        }
        self.unread.insert(kind, error);
        Ok(())
    }
}

pub(super) async fn read(desk: &mut Desk, kind: Kind, id: &str) -> PollResult<Fresh> {
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

/// The id of the resource that an answer is about.
pub(super) fn id_of(kind: Kind, body: &Bytes) -> Result<String, Failure> {
    let row = decode::row(kind, item(body)?.get().as_bytes())
        .map_err(|bad| Failure::malformed(bad.reason))?;
    Ok(row.id.into_owned())
}

/// Writes a resource. It is counted with the entry's kind.
pub(super) fn mirror(
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
    due::row_written(tx, &ledger.due, fresh.kind, (&row, written), fresh.as_of)?;
    due::row_read(tx, &ledger.due, fresh.kind, written.key)?;
    let mut counts = PageCounts { rows_seen: 1, ..PageCounts::default() };
    counts.count(&row, written);
    done.add(&Tally { page: counts, ..Tally::default() });
    Ok(())
}
