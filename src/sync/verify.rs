//! The mirror proves itself: a sample of its rows is read again and compared, and its totals are
//! compared with the API's. What differs is repaired by the same write that mirrors everything.
//!
//! Accounts, creators and videos are read by their ids. Account videos cannot be; of them the pages on
//! which the sample stands are read again, by the cursors that opened them.

use crate::api::{Failure, Item, Page, Request, Verdict};
use crate::fetch::context::SyncContext;
use crate::fetch::error::FetchError;
use crate::fetch::error::FetchResult;
use crate::fetch::query;
use crate::fetch::write::{self, PageWrite};
use crate::model::KindOutcome;
use crate::model::Outcome;
use crate::model::{Event, Kind};
use crate::store::pages::{self, PageAddress};
use crate::store::runs::Tally;
use crate::store::sample::{self, Picked};
use crate::store::{StoreResult, listings};
use crate::sync::finish;
use crate::sync::kind_run::end_kind_run;
use crate::sync::page;
use crate::sync::run_error::RunError;
use crate::sync::verify_page::{self, Judge};
use crate::sync::verify_report::{Discrepancy, Sampling, Total, VerifyReport};

/// How the sample is shared out, in the order in which what is left over goes on.
const SHARES: [(Kind, usize); 4] =
    [(Kind::Video, 4), (Kind::Account, 2), (Kind::Creator, 1), (Kind::AccountVideo, 1)];

/// Compares a sample and the totals. What was found so far is in `found` however it ends.
pub async fn verify(
    ctx: &mut SyncContext,
    sampling: Sampling,
    found: &mut Option<VerifyReport>,
) -> Result<(), RunError> {
    let verify_report = found.insert(VerifyReport::none(sampling));
    let wanted = usize::try_from(sampling.rows).unwrap_or(usize::MAX);
    let shares = ctx
        .store
        .read(move |c| {
            let mut there = Vec::new();
            for (kind, _) in SHARES {
                let rows = match kind {
                    Kind::AccountVideo => pages::count(c, kind)?,
                    _ => listings::counts(c, kind)?.0,
                };
                there.push(usize::try_from(rows).unwrap_or(0));
            }
            Ok(share(wanted, &there))
        })
        .await?;
    for kind in Kind::LISTS {
        let at = SHARES.iter().position(|(shared, _)| *shared == kind);
        let wanted = at.and_then(|at| shares.get(at)).copied().unwrap_or(0);
        ctx.begin_kind_run(kind, "verify").await?;
        ctx.tell(&Event::Started { kind, resumed_pages: 0 });
        let result = one_kind(ctx, kind, wanted, verify_report).await;
        let kind_outcome = match &result {
            Ok(()) => KindOutcome::of(Outcome::Polled),
            Err(error) => finish::error(error),
        };
        end_kind_run(ctx, kind, &kind_outcome).await?;
        match result {
            Err(error) if error.is_fatal() => return Err(RunError::from(error)),
            Err(FetchError::Api(failure)) => ctx.note_failure(kind, &failure),
            _ => {}
        }
    }
    Ok(())
}

/// Shares `wanted` out among what is there of each kind. What one cannot use goes to the others.
fn share(wanted: usize, there: &[usize]) -> Vec<usize> {
    let parts: usize = SHARES.iter().map(|(_, part)| part).sum();
    let own = SHARES.iter().zip(there);
    let own = own.map(|((_, part), there)| (wanted * part / parts).min(*there));
    let mut shares: Vec<usize> = own.collect();
    let mut left = wanted.saturating_sub(shares.iter().sum());
    for (share, there) in shares.iter_mut().zip(there) {
        let more = left.min(there - *share);
        *share += more;
        left -= more;
    }
    shares
}

async fn one_kind(
    ctx: &mut SyncContext,
    kind: Kind,
    wanted: usize,
    verify_report: &mut VerifyReport,
) -> FetchResult<()> {
    verify_report.of(kind);
    if ctx.refused.contains(&query::endpoint(kind)) {
        verify_report.of(kind).skipped = Some("the API does not list them for this key".to_owned());
        return Ok(());
    }
    // Before what the sample shows on its way can make up for what is missing.
    total(ctx, kind, verify_report).await?;
    let seed = verify_report.sampling.seed;
    // Of account videos it is the page that costs a request, and many of a sample share one.
    let rows = if kind == Kind::AccountVideo { wanted.saturating_mul(4) } else { wanted };
    let sample = ctx.store.read(move |c| sample::pick(c, kind, rows, seed)).await?;
    match kind {
        Kind::AccountVideo => pages_of(ctx, &sample, wanted, verify_report).await?,
        _ => {
            let mut missing = Vec::new();
            for (at, picked) in sample.iter().enumerate() {
                if by_id(ctx, kind, picked, verify_report).await? == Answered::NotFound {
                    missing.push(picked);
                }
                tell(ctx, kind, at + 1, sample.len());
            }
            // Not every endpoint is documented; one that knows nothing at all says nothing.
            if missing.len() > 1 && missing.len() == sample.len() {
                let why =
                    "the API answers 404 to every id, as if they could not be read one by one";
                verify_report.of(kind).skipped = Some(why.to_owned());
                return Ok(());
            }
            for picked in missing {
                gone(ctx, kind, picked, verify_report).await?;
            }
        }
    }
    Ok(())
}

/// A row that the API does not know has a sign of removal against it.
async fn gone(
    ctx: &mut SyncContext,
    kind: Kind,
    picked: &Picked,
    verify_report: &mut VerifyReport,
) -> StoreResult<()> {
    let counters = ctx.counters(kind);
    let at = counters.at;
    let removed = write::not_found(&ctx.store, counters, picked.key, at).await?;
    let of_kind = verify_report.of(kind);
    of_kind.read += 1;
    of_kind.missing += 1;
    verify_report.tell(kind, &picked.id, Some(picked.stratum), Discrepancy::Missing(removed));
    Ok(())
}

/// What a request by id came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Row,
    NotFound,
}

fn tell(ctx: &mut SyncContext, kind: Kind, read: usize, of: usize) {
    let read = u64::try_from(read).unwrap_or(0);
    let total = u64::try_from(of).ok();
    ctx.tell(&Event::Page { kind, pages: read, rows: read, total });
}

/// Reads one row, compares it, and writes what was said of it.
async fn by_id(
    ctx: &mut SyncContext,
    kind: Kind,
    picked: &Picked,
    verify_report: &mut VerifyReport,
) -> FetchResult<Answered> {
    let request = Request::get(kind.path()).segment(&picked.id);
    let fetched = ctx.fetcher.fetch(&request, |answer| Item::read_of(kind, &picked.id, answer));
    let fetched = match fetched.await {
        Ok(fetched) => fetched,
        Err(FetchError::Api(failure)) if failure.verdict == Verdict::NotFound => {
            return Ok(Answered::NotFound);
        }
        Err(error) => return Err(error),
    };
    let (row, as_of) = (fetched.value.row, fetched.as_of);
    let judge = judge_of(ctx, kind, as_of, verify_report);
    let counters = ctx.counters(kind);
    let judged = ctx
        .store
        .write(move |tx| {
            let judged = judge.row(tx, &row)?;
            // The same content in another form, as in a list, is not worth a page's validator.
            match judged.as_ref().is_some_and(|judged| judged.is_other_form) {
                true => counters.close(tx, &Tally::default())?,
                false => _ = write::item(tx, &counters, &row, as_of)?,
            }
            Ok(judged)
        })
        .await?;
    verify_page::note(verify_report, kind, judged, |_| Some(picked.stratum));
    Ok(Answered::Row)
}

fn judge_of(ctx: &SyncContext, kind: Kind, as_of: i64, verify_report: &VerifyReport) -> Judge {
    let now = ctx.fetcher.clock().now().timestamp();
    Judge { kind, as_of, now, moved: verify_report.moved.clone() }
}

/// Reads again the pages on which the sample stands, and compares all rows they show.
async fn pages_of(
    ctx: &mut SyncContext,
    sample: &[Picked],
    wanted: usize,
    verify_report: &mut VerifyReport,
) -> FetchResult<()> {
    let kind = Kind::AccountVideo;
    let mut kept: Vec<i64> = Vec::new();
    for page in sample.iter().filter_map(|picked| picked.page) {
        if kept.len() < wanted && !kept.contains(&page) {
            kept.push(page);
        }
    }
    if kept.is_empty() && !sample.is_empty() {
        let why = "they have no endpoint by id, and none stands on a page that could be read again";
        verify_report.of(kind).skipped = Some(why.to_owned());
    }
    for (at, page) in kept.iter().copied().enumerate() {
        let Some(address) = ctx.store.read(move |c| pages::address(c, page)).await? else {
            continue;
        };
        if let Some(why) = one_page(ctx, &address, sample, verify_report).await? {
            verify_report.of(kind).skipped = Some(why);
            break;
        }
        tell(ctx, kind, at + 1, kept.len());
    }
    Ok(())
}

/// Reads a page again; says why it cannot be, if that is so.
async fn one_page(
    ctx: &mut SyncContext,
    address: &PageAddress,
    sample: &[Picked],
    verify_report: &mut VerifyReport,
) -> FetchResult<Option<String>> {
    let kind = Kind::AccountVideo;
    let parameters = query::parameters(kind, &ctx.refused);
    let request = query::page(kind, &parameters, address.cursor.as_deref());
    let fetched = ctx.fetcher.fetch(&request, |answer| Page::read(kind, &parameters, answer)).await;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(FetchError::Api(failure)) if is_refusal(&failure) => {
            return Ok(Some(format!("their pages cannot be read again: {failure}")));
        }
        Err(error) => return Err(error),
    };
    let page = PageWrite {
        url: page::url(&request),
        cursor: address.cursor.clone(),
        etag: fetched.head.etag,
        as_of: fetched.as_of,
        listing: None,
        page: fetched.value,
        confirmed: None,
    };
    let judge = judge_of(ctx, kind, page.as_of, verify_report);
    let counters = ctx.counters(kind);
    let written = ctx
        .store
        .write(move |tx| write::page_after(tx, &counters, page, |tx, rows| judge.rows(tx, rows)));
    let (_, judged) = written.await?;
    verify_page::note(verify_report, kind, judged, |id| {
        sample.iter().find(|picked| picked.id == id).map(|picked| picked.stratum)
    });
    Ok(None)
}

/// Compares how many there are.
async fn total(
    ctx: &mut SyncContext,
    kind: Kind,
    verify_report: &mut VerifyReport,
) -> FetchResult<()> {
    let asks = [("limit", "1"), ("include_total", "true")];
    if asks.iter().any(|(name, _)| ctx.refused.contains(&query::feature(kind, name))) {
        return Ok(());
    }
    let (held, suspected) = ctx
        .store
        .read(move |c| Ok((listings::counts(c, kind)?.0, sample::suspected(c, kind)?)))
        .await?;
    let parameters = asks.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = query::page(kind, &parameters, None);
    let fetched = ctx.fetcher.fetch(&request, |answer| Page::read(kind, &parameters, answer)).await;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(FetchError::Api(failure)) if is_refusal(&failure) => {
            tracing::debug!(%kind, %failure, "the API gives no total");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let page = fetched.value;
    if let Some(found) = page.total_count {
        let now = ctx.fetcher.clock().now().timestamp();
        // Posts are found by the scrapes of their accounts; nothing else grows by itself.
        let is_explained = kind == Kind::AccountVideo
            && found > held
            && ctx.store.read(move |c| sample::awaits_account_lists(c, now)).await?;
        verify_report.of(kind).total = Some(Total { held, suspected, found, is_explained });
    }
    let judge = judge_of(ctx, kind, fetched.as_of, verify_report);
    let (counters, as_of) = (ctx.counters(kind), fetched.as_of);
    let written = ctx.store.write(move |tx| {
        write::unlisted_after(tx, &counters, page, as_of, |tx, rows| judge.rows(tx, rows))
    });
    let (_, judged) = written.await?;
    verify_page::note(verify_report, kind, judged, |_| None);
    Ok(())
}

fn is_refusal(failure: &Failure) -> bool {
    failure.is_refusal_or_not_found() || failure.verdict == Verdict::ScopeMissing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_shared_out_and_never_exceeds_what_was_wanted() {
        assert_eq!(share(50, &[1_000, 1_000, 1_000, 1_000]), [26, 12, 6, 6]);
        // What is not there goes to what is.
        assert_eq!(share(50, &[1_000, 3, 0, 1]), [46, 3, 0, 1]);
        assert_eq!(share(50, &[5, 3, 2, 1]), [5, 3, 2, 1]);
        assert_eq!(share(4, &[9, 9, 9, 9]), [3, 1, 0, 0]);
        assert_eq!(share(1, &[9, 9, 9, 9]), [1, 0, 0, 0]);
        for wanted in 0..200 {
            let shares = share(wanted, &[70, 11, 5, 3]);
            assert_eq!(shares.iter().sum::<usize>(), wanted.min(89), "{wanted}");
        }
    }
}
