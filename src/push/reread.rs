//! Reading again what writes have touched without their answers showing it. By then the writes are
//! recorded, so nothing that happens here can have one sent again.

use rusqlite::Transaction;

use crate::api::{Item, Request, Verdict};
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
    /// As the API shows it; `None` when it is not there.
    pub item: Option<Item>,
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
    let fetched = desk.fetcher.fetch(&request, |answer| Item::read_of(kind, id, answer));
    let (item, as_of) = match fetched.await {
        Ok(fetched) => (Some(fetched.value), fetched.as_of),
        Err(PollError::Api(failure)) if failure.verdict == Verdict::NotFound => {
            (None, desk.fetcher.stamp())
        }
        Err(error) => return Err(error),
    };
    Ok(Fresh { kind, id: id.to_owned(), item, as_of })
}

/// Writes a resource. It is counted with the entry's kind.
pub(super) fn mirror(
    tx: &Transaction<'_>,
    ledger: &Ledger,
    fresh: &Fresh,
    done: &mut Tally,
) -> StoreResult<()> {
    let ledger = Ledger { kind: fresh.kind, ..ledger.clone() };
    let Some(Item { row, .. }) = &fresh.item else {
        if let Some(key) = find::key(tx, fresh.kind, &fresh.id)? {
            done.removed += i64::from(removals::not_found(tx, fresh.kind, key, fresh.as_of)?);
        }
        return Ok(());
    };
    let source = Source { page: None, as_of: fresh.as_of };
    let written = RowWriter::new(tx, fresh.kind)?.write(row, source)?;
    due::row_written(tx, &ledger.due, fresh.kind, (row, written), fresh.as_of)?;
    due::row_read(tx, &ledger.due, fresh.kind, written.key)?;
    let mut counts = PageCounts { rows_seen: 1, ..PageCounts::default() };
    counts.count(row, written);
    done.add(&Tally { page: counts, ..Tally::default() });
    Ok(())
}
