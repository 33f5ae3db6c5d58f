//! Reads resources again that writes changed and their answers did not show. The results of the writes are
//! recorded by then, so an error here does not cause another attempt.

use rusqlite::Transaction;

use crate::api::Item;
use crate::fetch::error::FetchResult;
use crate::fetch::write::{self, RunCounters};
use crate::fetch::{FetchError, SyncContext};
use crate::model::Kind;
use crate::outbox::run::OutboxRun;
use crate::outbox::verdict;
use crate::store::outbox::find;
use crate::store::outbox::reread::{self, Reread};
use crate::store::runs::KindCounts;
use crate::store::{StoreResult, removals};

/// Attempts after which a resource is left to the next full sync.
const TRIES_MAX: i64 = 12;

/// A resource as read from the API.
pub(super) struct FetchedItem {
    pub kind: Kind,
    pub id: String,
    /// `None` after a 404.
    pub item: Option<Item>,
    pub as_of: i64,
}

impl OutboxRun<'_> {
    /// Reads resources that are due. Returns whether there were any.
    pub(super) async fn reread(&mut self) -> FetchResult<bool> {
        let now = self.now();
        let due = self.ctx.store.read(move |c| reread::ready(c, now)).await?;
        for one in &due {
            self.begin_kind_run(one.kind).await?;
            match read(self.ctx, one.kind, &one.id).await {
                Ok(fetched) => self.mirror_reread(one.clone(), fetched).await?,
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => self.put_off_reread(one, error).await?,
            }
        }
        Ok(!due.is_empty())
    }

    async fn mirror_reread(&mut self, one: Reread, fetched: FetchedItem) -> StoreResult<()> {
        let counters = self.ctx.counters(one.kind);
        self.ctx
            .store
            .write(move |tx| {
                let mut done = KindCounts::default();
                mirror(tx, &counters, &fetched, &mut done)?;
                reread::done(tx, &one, fetched.as_of)?;
                counters.close(tx, &done)
            })
            .await
    }

    async fn put_off_reread(&mut self, one: &Reread, error: FetchError) -> StoreResult<()> {
        let (kind, id) = (one.kind, &one.id);
        let tries = one.tries.saturating_add(1);
        let chance = self.ctx.fetcher.chance();
        let next_at = self.after(verdict::pause(u32::try_from(tries).unwrap_or(u32::MAX), chance));
        let counters = self.ctx.counters(kind);
        let (is_over, due) = (tries >= TRIES_MAX, one.clone());
        self.ctx
            .store
            .write(move |tx| {
                match is_over {
                    true => reread::done(tx, &due, counters.at)?,
                    false => reread::postpone(tx, &due, next_at)?,
                }
                counters.close(tx, &KindCounts::default())
            })
            .await?;
        match is_over {
            true => {
                tracing::warn!(%kind, id, %error, "resource cannot be read again; left to the next full sync");
            }
            false => {
                tracing::warn!(%kind, id, %error, "resource could not be read again; trying again later");
            }
        }
        self.reread_errors.insert(kind, error);
        Ok(())
    }
}

/// Requests a resource by its id.
pub(super) async fn read(ctx: &mut SyncContext, kind: Kind, id: &str) -> FetchResult<FetchedItem> {
    let (item, as_of) = match ctx.fetch_item(kind, id).await? {
        Some(fetched) => (Some(fetched.value), fetched.as_of),
        None => (None, ctx.fetcher.stamp()),
    };
    Ok(FetchedItem { kind, id: id.to_owned(), item, as_of })
}

/// Writes a resource. It is counted with the kind of the entry.
pub(super) fn mirror(
    tx: &Transaction<'_>,
    counters: &RunCounters,
    fetched: &FetchedItem,
    done: &mut KindCounts,
) -> StoreResult<()> {
    let (kind, as_of) = (fetched.kind, fetched.as_of);
    if let Some(Item { row, .. }) = &fetched.item {
        let page = write::uncounted_item(tx, &counters.due, kind, row, as_of)?;
        done.add(&KindCounts { page, ..KindCounts::default() });
    } else if let Some(row_id) = find::row_id(tx, kind, &fetched.id)? {
        done.removed += i64::from(removals::not_found(tx, kind, row_id, as_of)?);
    }
    Ok(())
}
