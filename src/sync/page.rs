//! One page of a listing: the request for it, what its answer says, and the pages that are asked for ahead of it.

use crate::api::{Answer, Failure, Page, Request};
use crate::fetch::context::SyncContext;
use crate::fetch::error::FetchResult;
use crate::fetch::fetcher::Fetched;
use crate::fetch::fetcher::Fetcher;
use crate::fetch::query;
use crate::model::Kind;
use crate::store::StoreResult;
use crate::store::listings::Listing;
use crate::store::pages::{self, KnownPage};
use crate::sync::guess_ahead::Ahead;

/// The page to ask for next.
#[derive(Clone)]
pub(super) struct Target {
    pub cursor: Option<String>,
    pub request: Request,
    pub known: Option<KnownPage>,
}

/// What a request for a page brought; `None` for a 304.
pub(super) type Asked = FetchResult<Fetched<Option<Page>>>;
/// Pages that are asked for ahead.
pub(super) type Guesses = Ahead<Target, Asked>;

pub(super) async fn aim(
    ctx: &SyncContext,
    listing: &Listing,
    parameters: &[(String, String)],
    cursor: Option<String>,
) -> StoreResult<Target> {
    let request = query::page(listing.kind, parameters, cursor.as_deref());
    let known = known(ctx, &url(&request)).await?;
    Ok(Target { cursor, request, known })
}

/// Asks for the pages that followed this one when it was read last.
pub(super) async fn look_ahead(
    ctx: &SyncContext,
    listing: &Listing,
    parameters: &[(String, String)],
    target: &Target,
    ahead: &mut Guesses,
) -> StoreResult<()> {
    while ahead.has_room() && !listing.is_clean {
        let known = ahead.last().unwrap_or(target).known.as_ref();
        let Some(cursor) = known.and_then(|page| page.next_cursor.clone()) else { break };
        let next = aim(ctx, listing, parameters, Some(cursor.clone())).await?;
        // What this listing has read already is no guess, but a circle.
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

/// What is mirrored of the page at this path and query string.
pub(super) async fn known(ctx: &SyncContext, url: &str) -> StoreResult<Option<KnownPage>> {
    let url = url.to_owned();
    ctx.store.read(move |c| pages::find(c, &url)).await
}

/// Whether a 304 says anything: writing the page before may have moved a row away from this one.
pub(super) async fn still_vouches(ctx: &SyncContext, target: &Target) -> StoreResult<bool> {
    let known = known(ctx, &url(&target.request)).await?;
    let asked = target.known.as_ref().and_then(|page| page.etag.as_ref());
    Ok(known.is_some_and(|page| page.etag.is_some() && page.etag.as_ref() == asked))
}

/// Asks for a page, conditionally where a 304 would say something.
pub(super) async fn ask(
    fetcher: &Fetcher,
    listing: &Listing,
    target: &Target,
    parameters: &[(String, String)],
) -> Asked {
    let request = conditional(listing, target);
    fetcher.fetch(&request, |answer| read(listing.kind, parameters, answer)).await
}

fn conditional(listing: &Listing, target: &Target) -> Request {
    let known = target.known.as_ref().filter(|_| !listing.is_clean);
    target.request.clone().if_none_match(known.and_then(|page| page.etag.clone()))
}

fn read(
    kind: Kind,
    parameters: &[(String, String)],
    answer: &Answer,
) -> Result<Option<Page>, Failure> {
    answer.if_modified(|answer| Page::read(kind, parameters, answer))
}

/// What a page says after a 304, its rows aside: what is held of it.
pub(super) fn unchanged(known: Option<&KnownPage>) -> Page {
    Page {
        next_cursor: known.and_then(|page| page.next_cursor.clone()),
        total_count: known.and_then(|page| page.total_count),
        ..Page::default()
    }
}

/// The address by which a page is known: path and query, host aside.
pub fn url(request: &Request) -> String {
    let line = request.to_string();
    line.split_once(' ').map_or(line.clone(), |(_, url)| url.to_owned())
}
