//! Polls due rows: reads pages again by their cursors, and single resources by their ids.
//!
//! A poll is not a listing: the rows it shows are mirrored, and the absence of a row is no evidence.

use futures_util::{FutureExt, Stream, StreamExt, stream};

use crate::api::{Failure, Page};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::query;
use crate::fetch::write::{self, PageWrite};
use crate::model::Kind;
use crate::schedule::request_plan::RequestPlan;
use crate::store::pages::{self, PageAddress};
use crate::sync::page;

/// The result of polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// All requests were answered.
    Done,
    /// The server refused a kept cursor or a filter; the list has to be read.
    Refused,
}

/// Successive failures after which the endpoint is taken for failing.
const FAILURES_MAX: u32 = 3;

/// Sends the requests of a plan, several at a time.
pub async fn poll(
    ctx: &SyncContext,
    kind: Kind,
    request_plan: &RequestPlan,
) -> FetchResult<Polled> {
    let concurrency = ctx.fetcher.max_concurrent_requests();
    let pages = request_plan.pages.iter().map(|page| read_page(ctx, kind, *page).left_future());
    let items =
        request_plan.items.iter().map(|(key, id)| read_item(ctx, kind, *key, id).right_future());
    let reads = stream::iter(pages.chain(items)).buffer_unordered(concurrency);
    let refused = await_all(reads, |polled| *polled == Polled::Refused).await?;
    Ok(refused.unwrap_or(Polled::Done))
}

/// Awaits concurrent reads. Returns the first result for which `is_last` holds, and `None` if there is none.
///
/// # Errors
/// After a rate limit the answers of requests in flight are still awaited, since they count against the
/// limit already. An API failure ends the reads only if several occur in a row; the first one is returned.
pub(super) async fn await_all<T>(
    mut reads: impl Stream<Item = FetchResult<T>> + Unpin,
    is_last: impl Fn(&T) -> bool,
) -> FetchResult<Option<T>> {
    let (mut limited, mut failed, mut in_a_row) = (None, None, 0);
    while let Some(read) = reads.next().await {
        match read {
            Ok(read) if is_last(&read) => return Ok(Some(read)),
            Ok(_) => in_a_row = 0,
            Err(error @ FetchError::RateLimited(_)) => limited = limited.or(Some(error)),
            Err(error @ FetchError::Api(_)) => {
                in_a_row += 1;
                failed = failed.or(Some(error));
                if in_a_row >= FAILURES_MAX {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    limited.or(failed).map_or(Ok(None), Err)
}

async fn read_page(ctx: &SyncContext, kind: Kind, page: i64) -> FetchResult<Polled> {
    let Some(address) = ctx.store.read(move |c| pages::address(c, page)).await? else {
        return Ok(Polled::Done);
    };
    let parameters = query::parameters(kind, &ctx.refused);
    let request = query::page(kind, &parameters, address.cursor.as_deref());
    let url = page::url(&request);
    if !query::is_same_size(&address.url, &url) {
        return Ok(Polled::Refused);
    }
    // If the parameters changed since the page was read, its ETag belongs to another page.
    let known = page::known_page(ctx, &url).await?;
    let request = request.if_none_match(known.as_ref().and_then(|page| page.etag.clone()));
    let read = |answer: &_| page::read(kind, &parameters, answer);
    let fetched = ctx.fetcher.fetch(&request, read).await;
    let fetched = match fetched {
        Err(FetchError::Api(failure))
            if address.cursor.is_some() && failure.is_refusal_or_not_found() =>
        {
            return Ok(Polled::Refused);
        }
        Err(FetchError::Api(failure)) if failure.is_heavy() => {
            return page_too_heavy(ctx, kind, &address, failure).await;
        }
        fetched => fetched?,
    };
    let (page, confirmed) = match (fetched.value, known) {
        (None, Some(known)) => (page::not_modified_page(Some(&known)), Some(known.page)),
        (None, None) => return Ok(Polled::Done),
        (Some(page), _) => (page, None),
    };
    let page = PageWrite {
        url,
        cursor: address.cursor.clone(),
        etag: fetched.head.etag,
        as_of: fetched.as_of,
        listing: None,
        page,
        confirmed,
    };
    write::page(&ctx.store, ctx.counters(kind), page).await?;
    Ok(Polled::Done)
}

/// If the page can be read with fewer rows, the list has to be read in smaller pages.
async fn page_too_heavy(
    ctx: &SyncContext,
    kind: Kind,
    address: &PageAddress,
    failure: Failure,
) -> FetchResult<Polled> {
    let parameters = query::parameters(kind, &ctx.refused);
    let Some(size) = query::page_sizes(&parameters).get(1).copied() else {
        return Err(FetchError::Api(failure));
    };
    let smaller = query::with_limit(&parameters, size);
    let request = query::page(kind, &smaller, address.cursor.as_deref());
    let read = |answer: &_| Page::read(kind, &smaller, answer).map(drop);
    match ctx.fetcher.fetch_once(&request, read).await {
        Ok(_) => Ok(Polled::Refused),
        Err(FetchError::Api(_)) => Err(FetchError::Api(failure)),
        Err(error) => Err(error),
    }
}

/// Reads one resource. A 404 is a sign of removal, not a failure.
async fn read_item(ctx: &SyncContext, kind: Kind, key: i64, id: &str) -> FetchResult<Polled> {
    match ctx.fetch_item(kind, id).await? {
        Some(fetched) => {
            let (row, as_of, counters) = (fetched.value.row, fetched.as_of, ctx.counters(kind));
            ctx.store.write(move |tx| write::item(tx, &counters, &row, as_of)).await?;
        }
        None => _ = write::not_found(&ctx.store, ctx.counters(kind), key).await?,
    }
    Ok(Polled::Done)
}
