//! Shortcuts past the lists: the accounts that were scraped last, and the videos of one account.
//!
//! Both are chains of pages in another order or of another selection than the listings, so what they
//! show is mirrored without touching what is known of the listings' pages, and what they do not show
//! proves nothing. A server that refuses or ignores the parameter that makes them is remembered, and
//! listed instead.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use crate::api::{Failure, Head, Page, Request, Verdict};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::{query, write};
use crate::model::due::{DueAccountList, DueRow};
use crate::model::{Kind, Row};
use crate::schedule::request_plan;
use crate::store::due;
use crate::store::runs::KindCounts;
use crate::sync::page_size::{self, Heavy};
use crate::sync::poll::{Polled, all_of};

/// How much later than its time a scrape may show in the API, seconds.
const SCRAPE_SHOWS_S_MAX: i64 = 600;
/// Pages after which a chain is taken for endless.
const PAGES_MAX: usize = 10_000;

/// What a page of a chain says.
struct Link {
    next_cursor: Option<String>,
    /// Whether what was wanted is seen.
    is_enough: bool,
    /// Whether the server answered as if it had not been asked for the selection.
    is_ignored: bool,
}

/// Looks at the accounts, newest scrape first, until no due one can follow.
pub async fn accounts(ctx: &mut SyncContext, due: &[DueRow]) -> FetchResult<Polled> {
    let until = request_plan::accounts_scraped_since(due, SCRAPE_SHOWS_S_MAX);
    let asked = [("order_by", "last_scrape_time"), ("order_direction", "desc")];
    // Rows that were never scraped may stand at either end; they say nothing about the order.
    let is_past = |scraped: Option<i64>| scraped.is_some_and(|at| at < until);
    let followed = chain(ctx, Kind::Account, &asked, |rows| {
        (rows.iter().any(|row| is_past(row.scraped_at.map(|at| at.seconds))), false)
    });
    if let Chain::Refused(failure) = followed.await? {
        return refused(ctx, &query::account_sort_feature(), &failure).await;
    }
    let counters = ctx.counters(Kind::Account);
    let row_ids: Vec<i64> = due.iter().map(|row| row.row_id).collect();
    ctx.store
        .write(move |tx| {
            for row_id in row_ids {
                due::row_read(tx, &counters.due, counters.kind, row_id)?;
            }
            counters.close(tx, &KindCounts::default())
        })
        .await?;
    Ok(Polled::Done)
}

/// Reads the videos of accounts that were scraped, several accounts at a time.
pub async fn account_lists(
    ctx: &mut SyncContext,
    account_lists: &[DueAccountList],
) -> FetchResult<Polled> {
    let at_once = ctx.fetcher.max_concurrent_requests();
    let shared = &*ctx;
    let chains = stream::iter(
        account_lists.iter().map(|account_list| read_account_list(shared, account_list)),
    );
    let is_refused = |chain: &Chain| matches!(chain, Chain::Refused(_));
    match all_of(chains.buffer_unordered(at_once), is_refused).await? {
        Some(Chain::Refused(failure)) => {
            refused(ctx, &query::account_filter_feature(), &failure).await
        }
        _ => Ok(Polled::Done),
    }
}

async fn read_account_list(ctx: &SyncContext, account_list: &DueAccountList) -> FetchResult<Chain> {
    let account = account_list.account;
    let asked = [("account_id", account_list.id.as_str())];
    let is_foreign = |owner: Option<&str>| owner.is_some_and(|owner| owner != account_list.id);
    let read = chain(ctx, Kind::AccountVideo, &asked, |rows| {
        let owner = |row: &Row| is_foreign(row.value(Kind::AccountVideo, "account_id").as_text());
        (false, rows.iter().any(owner))
    });
    let begun = match read.await {
        Ok(Chain::Read(begun)) => begun,
        Ok(refused) => return Ok(refused),
        // The account is gone; its listing will tell.
        Err(FetchError::Api(failure)) if failure.verdict == Verdict::NotFound => {
            ctx.fetcher.stamp()
        }
        Err(error @ FetchError::Api(_)) => {
            // The others go before it the next time.
            let now = ctx.fetcher.stamp();
            ctx.store.write(move |tx| due::account_list_failed(tx, account, now)).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    ctx.store.write(move |tx| due::account_list_read(tx, account, begun)).await?;
    Ok(Chain::Read(begun))
}

/// Remembers what the server refuses or ignores.
async fn refused(ctx: &mut SyncContext, feature: &str, failure: &Failure) -> FetchResult<Polled> {
    ctx.remember_unsupported(feature, failure).await?;
    Ok(Polled::Refused)
}

/// How a chain of pages came out.
enum Chain {
    /// The start of its first request.
    Read(i64),
    /// The server refuses or ignores what was asked.
    Refused(Failure),
}

/// Follows a chain of pages and mirrors their rows.
async fn chain(
    ctx: &SyncContext,
    kind: Kind,
    asked: &[(&str, &str)],
    look: impl Fn(&[Row]) -> (bool, bool),
) -> FetchResult<Chain> {
    let mut parameters: Vec<(String, String)> = query::parameters(kind, &ctx.refused);
    parameters.retain(|(name, _)| name == "limit");
    parameters.extend(asked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut begun = None;
    let mut cursor = None;
    let mut seen = BTreeSet::new();
    loop {
        let request = query::page(kind, &parameters, cursor.as_deref());
        let (link, head, as_of) = match link(ctx, kind, &request, &parameters, &look).await {
            Ok(link) => link,
            Err(FetchError::Api(failure)) if cursor.is_none() && failure.is_refusal() => {
                return Ok(Chain::Refused(failure));
            }
            Err(FetchError::Api(failure)) if failure.is_heavy() => {
                let cursor = cursor.as_deref();
                let heavy = Heavy { kind, cursor, parameters: &parameters, failure: &failure };
                let found = page_size::find(&ctx.fetcher, heavy).await?;
                // Or else it only failed for a moment, but longer than was waited for.
                if found.is_cursor_refused || found.too_heavy.is_empty() {
                    return Err(FetchError::Api(failure));
                }
                parameters = found.parameters;
                continue;
            }
            Err(error) => return Err(error),
        };
        if link.is_ignored {
            let failure = Failure::malformed("answered as if it had not been asked");
            return Ok(Chain::Refused(failure.with_head(&head)));
        }
        let begun = *begun.get_or_insert(as_of);
        match link.next_cursor {
            Some(next) if !link.is_enough && seen.len() < PAGES_MAX => {
                if !seen.insert(next.clone()) {
                    let failure = Failure::malformed("a cursor came twice");
                    return Err(FetchError::Api(failure.with_head(&head)));
                }
                cursor = Some(next);
            }
            _ => return Ok(Chain::Read(begun)),
        }
    }
}

async fn link(
    ctx: &SyncContext,
    kind: Kind,
    request: &Request,
    parameters: &[(String, String)],
    look: &impl Fn(&[Row]) -> (bool, bool),
) -> FetchResult<(Link, Head, i64)> {
    let fetched = ctx.fetcher.fetch(request, |answer| Page::read(kind, parameters, answer)).await?;
    let (page, as_of) = (fetched.value, fetched.as_of);
    let (is_enough, is_foreign) = look(&page.rows);
    let is_ignored = is_foreign || !page.ignored.is_empty();
    let link = Link { next_cursor: page.next_cursor.clone(), is_enough, is_ignored };
    // What a server shows unasked is true all the same.
    write::unlisted(&ctx.store, ctx.counters(kind), page, as_of).await?;
    Ok((link, fetched.head, as_of))
}
