//! Polls that read part of a list: the accounts scraped last, and the videos of one account.
//!
//! Their pages have another order or filter than those of a listing. Their rows are mirrored without
//! changing what is stored of the listing's pages, and the absence of a row is no evidence. If the server
//! refuses or ignores the parameter, that is remembered and the list is read instead.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use crate::api::{Failure, Page, Verdict};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::fetcher::Fetched;
use crate::fetch::{query, write};
use crate::model::due::{DueAccountList, DueRow};
use crate::model::{Kind, Row};
use crate::schedule::request_plan;
use crate::store::due;
use crate::store::runs::KindCounts;
use crate::sync::page_size::{self, OversizedPage};
use crate::sync::poll::{Polled, await_all};

/// How late a scrape may appear in the API, seconds.
const SCRAPE_SHOWS_S_MAX: i64 = 600;
/// How much newer than the account before it an account may be in the order of the newest scrape, seconds.
const DISORDER_S_MAX: i64 = 60;
/// The most pages read.
const PAGES_MAX: usize = 10_000;

/// The order of the accounts.
pub const ORDER: [(&str, &str); 2] =
    [("order_by", "last_scrape_time"), ("order_direction", "desc")];
/// The parameter that selects the videos of an account.
pub const FILTER: &str = "account_id";

/// Reads the accounts, newest scrape first, until no due one can follow.
pub async fn accounts(ctx: &mut SyncContext, due: &[DueRow]) -> FetchResult<Polled> {
    let until = request_plan::accounts_scraped_since(due, SCRAPE_SHOWS_S_MAX);
    // Accounts that were never scraped may come at either end.
    let is_past = |scraped: Option<i64>| scraped.is_some_and(|at| at < until);
    let is_last = |row: &Row| is_past(row.scraped_at.map(|at| at.seconds));
    let mut previous = i64::MAX;
    let is_out_of_order = |row: &Row| {
        let Some(scraped_at) = row.scraped_at else { return false };
        let before = std::mem::replace(&mut previous, scraped_at.seconds);
        scraped_at.seconds > before.saturating_add(DISORDER_S_MAX)
    };
    let read = read_pages(ctx, Kind::Account, &ORDER, is_last, is_out_of_order);
    if let PagesResult::Refused(failure) = read.await? {
        return refused(ctx, &query::account_sort_feature(), &failure).await;
    }
    let counters = ctx.counters(Kind::Account);
    let keys: Vec<i64> = due.iter().map(|row| row.row_id).collect();
    ctx.store
        .write(move |tx| {
            for key in keys {
                due::row_read(tx, &counters.due, counters.kind, key)?;
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
    let concurrency = ctx.fetcher.max_concurrent_requests();
    let shared = &*ctx;
    let reads = stream::iter(
        account_lists.iter().map(|account_list| read_account_list(shared, account_list)),
    );
    let is_refused = |result: &PagesResult| matches!(result, PagesResult::Refused(_));
    match await_all(reads.buffer_unordered(concurrency), is_refused).await? {
        Some(PagesResult::Refused(failure)) => {
            refused(ctx, &query::account_filter_feature(), &failure).await
        }
        _ => Ok(Polled::Done),
    }
}

async fn read_account_list(
    ctx: &SyncContext,
    account_list: &DueAccountList,
) -> FetchResult<PagesResult> {
    let account = account_list.account;
    let filter = [(FILTER, account_list.id.as_str())];
    let is_foreign = |row: &Row| {
        let owner = row.value(Kind::AccountVideo, "account_id");
        owner.as_text().is_some_and(|owner| owner != account_list.id)
    };
    let read = read_pages(ctx, Kind::AccountVideo, &filter, |_| false, is_foreign);
    let began_at = match read.await {
        Ok(PagesResult::Read(began_at)) => began_at,
        Ok(refused) => return Ok(refused),
        // The account is gone; the next listing of accounts removes it.
        Err(FetchError::Api(failure)) if failure.verdict == Verdict::NotFound => {
            ctx.fetcher.stamp()
        }
        Err(error @ FetchError::Api(_)) => {
            // The next poll reads the other accounts before it.
            let now = ctx.fetcher.stamp();
            ctx.store.write(move |tx| due::account_list_failed(tx, account, now)).await?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    ctx.store.write(move |tx| due::account_list_read(tx, account, began_at)).await?;
    Ok(PagesResult::Read(began_at))
}

/// Remembers that the server refuses or ignores a parameter.
async fn refused(ctx: &mut SyncContext, feature: &str, failure: &Failure) -> FetchResult<Polled> {
    ctx.remember_unsupported(feature, failure).await?;
    Ok(Polled::Refused)
}

/// The result of reading pages.
enum PagesResult {
    /// The start of the first request, a stamp.
    Read(i64),
    /// The server refuses or ignores the parameters.
    Refused(Failure),
}

/// Reads pages with the `extra` parameters and mirrors their rows, up to the page with a row for which
/// `is_last` holds. A row for which `is_foreign` holds shows that the server ignores the parameters.
async fn read_pages(
    ctx: &SyncContext,
    kind: Kind,
    extra: &[(&str, &str)],
    is_last: impl Fn(&Row) -> bool,
    mut is_foreign: impl FnMut(&Row) -> bool,
) -> FetchResult<PagesResult> {
    let mut parameters = query::parameters(kind, &ctx.refused);
    parameters.retain(|(name, _)| name == "limit");
    parameters.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut began_at = None;
    let mut cursor: Option<String> = None;
    let mut seen = BTreeSet::new();
    loop {
        let request = query::page(kind, &parameters, cursor.as_deref());
        let fetched =
            ctx.fetcher.fetch(&request, |answer| Page::read(kind, &parameters, answer)).await;
        let Fetched { head, value: page, as_of } = match fetched {
            Err(FetchError::Api(failure)) if cursor.is_none() && failure.is_refusal() => {
                return Ok(PagesResult::Refused(failure));
            }
            Err(FetchError::Api(failure)) if failure.is_heavy() => {
                let cursor = cursor.as_deref();
                let page =
                    OversizedPage { kind, cursor, parameters: &parameters, failure: &failure };
                let found = page_size::find(&ctx.fetcher, page).await?;
                // The original size may work again, but only after the retries.
                if found.is_cursor_refused || found.too_heavy.is_empty() {
                    return Err(FetchError::Api(failure));
                }
                parameters = found.parameters;
                continue;
            }
            fetched => fetched?,
        };
        let is_ignored = !page.ignored.is_empty() || page.rows.iter().any(&mut is_foreign);
        let is_enough = page.rows.iter().any(&is_last);
        let next_cursor = page.next_cursor.clone();
        // The rows are valid whatever the server ignored.
        write::unlisted(&ctx.store, ctx.counters(kind), page, as_of).await?;
        if is_ignored {
            let failure = Failure::malformed("the server ignores these parameters");
            return Ok(PagesResult::Refused(failure.with_head(&head)));
        }
        let began_at = *began_at.get_or_insert(as_of);
        match next_cursor {
            Some(next) if !is_enough && seen.len() < PAGES_MAX => {
                if !seen.insert(next.clone()) {
                    let failure = Failure::malformed("a cursor came twice");
                    return Err(FetchError::Api(failure.with_head(&head)));
                }
                cursor = Some(next);
            }
            _ => return Ok(PagesResult::Read(began_at)),
        }
    }
}
