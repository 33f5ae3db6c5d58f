//! One page of a listing: its conditional request, its answer, and the requests ahead of it.

use crate::api::{Answer, Failure, Page, Request};
use crate::fetch::context::SyncContext;
use crate::fetch::error::FetchResult;
use crate::fetch::fetcher::{Fetched, Fetcher};
use crate::fetch::query;
use crate::model::Kind;
use crate::store::StoreResult;
use crate::store::listings::Listing;
use crate::store::pages::{self, KnownPage};
use crate::sync::guess_ahead::Ahead;

/// A page to request.
#[derive(Clone)]
pub(super) struct PageTarget {
    pub cursor: Option<String>,
    pub request: Request,
    pub known: Option<KnownPage>,
}

/// The answer for a page; `None` for a 304.
pub(super) type PageResult = FetchResult<Fetched<Option<Page>>>;
/// Pages requested ahead.
pub(super) type Guesses = Ahead<PageTarget, PageResult>;

/// The page that `cursor` opens, and what is known of it.
pub(super) async fn page_target(
    ctx: &SyncContext,
    listing: &Listing,
    parameters: &[(String, String)],
    cursor: Option<String>,
) -> StoreResult<PageTarget> {
    let request = query::page(listing.kind, parameters, cursor.as_deref());
    let known = known_page(ctx, &url(&request)).await?;
    Ok(PageTarget { cursor, request, known })
}

/// Requests the pages that followed this one in the last listing.
pub(super) async fn request_ahead(
    ctx: &SyncContext,
    listing: &Listing,
    parameters: &[(String, String)],
    target: &PageTarget,
    ahead: &mut Guesses,
) -> StoreResult<()> {
    while ahead.has_room() && !listing.is_clean {
        let known = ahead.last().unwrap_or(target).known.as_ref();
        let Some(cursor) = known.and_then(|page| page.next_cursor.clone()) else { break };
        let next = page_target(ctx, listing, parameters, Some(cursor.clone())).await?;
        // A page that this listing has read already would be a loop.
        if next.known.as_ref().is_none_or(|page| page.listing == Some(listing.listing)) {
            break;
        }
        let (kind, parameters) = (listing.kind, parameters.to_vec());
        let request = conditional(listing, &next).as_guess();
        let fetcher = ctx.fetcher.ahead();
        let sender = fetcher.clone();
        ahead.push((cursor, next), fetcher, async move {
            sender.fetch_once(&request, |answer| read(kind, &parameters, answer)).await
        });
    }
    Ok(())
}

/// Returns what is stored of the page at this path and query.
pub(super) async fn known_page(ctx: &SyncContext, url: &str) -> StoreResult<Option<KnownPage>> {
    let url = url.to_owned();
    ctx.store.read(move |c| pages::find(c, &url)).await
}

/// Whether a 304 still confirms the page: writing the page before may have moved a row away from it.
pub(super) async fn is_not_modified_valid(
    ctx: &SyncContext,
    target: &PageTarget,
) -> StoreResult<bool> {
    let known = known_page(ctx, &url(&target.request)).await?;
    let sent = target.known.as_ref().and_then(|page| page.etag.as_ref());
    Ok(known.is_some_and(|page| page.etag.is_some() && page.etag.as_ref() == sent))
}

/// Requests a page, conditionally where its ETag is known.
pub(super) async fn fetch_page(
    fetcher: &Fetcher,
    listing: &Listing,
    target: &PageTarget,
    parameters: &[(String, String)],
) -> PageResult {
    let request = conditional(listing, target);
    fetcher.fetch(&request, |answer| read(listing.kind, parameters, answer)).await
}

fn conditional(listing: &Listing, target: &PageTarget) -> Request {
    let known = target.known.as_ref().filter(|_| !listing.is_clean);
    target.request.clone().if_none_match(known.and_then(|page| page.etag.clone()))
}

/// Reads the answer for a page; `None` for a 304.
pub(super) fn read(
    kind: Kind,
    parameters: &[(String, String)],
    answer: &Answer,
) -> Result<Option<Page>, Failure> {
    answer.if_modified(|answer| Page::read(kind, parameters, answer))
}

/// The stored cursor and total of a page that was answered 304.
pub(super) fn not_modified_page(known: Option<&KnownPage>) -> Page {
    Page {
        next_cursor: known.and_then(|page| page.next_cursor.clone()),
        total_count: known.and_then(|page| page.total_count),
        ..Page::default()
    }
}

/// The path and query under which a page is stored.
pub fn url(request: &Request) -> String {
    let line = request.to_string();
    line.split_once(' ').map_or(line.clone(), |(_, url)| url.to_owned())
}
