//! The mirror proves itself: a sample of its rows is read again and compared, and its totals are
//! compared with the API's. What differs is repaired by the same write that mirrors everything.
//!
//! Accounts, creators and videos are read by their ids. Account videos cannot be; of them the pages on
//! which the sample stands are read again, by the cursors that opened them.

use crate::api::{Failure, Item, Page, Request, Verdict};
use crate::model::Ending;
use crate::model::Outcome;
use crate::model::{Event, Kind};
use crate::pass::findings::{Findings, Sampling, Total, What};
use crate::pass::judge::{self, Judge};
use crate::pass::stop::Stop;
use crate::pass::turn::end_turn;
use crate::poll::error::PollResult;
use crate::poll::settle;
use crate::poll::write::{self, PageWrite};
use crate::poll::{Desk, PollError, page, query};
use crate::store::pages::{self, PageAddress};
use crate::store::passes::Tally;
use crate::store::sample::{self, Picked};
use crate::store::{StoreResult, walks};

/// How the sample is shared out, in the order in which what is left over goes on.
const SHARES: [(Kind, usize); 4] =
    [(Kind::Video, 4), (Kind::Account, 2), (Kind::Creator, 1), (Kind::AccountVideo, 1)];

/// Compares a sample and the totals. What was found so far is in `found` however it ends.
pub async fn verify(
    desk: &mut Desk,
    sampling: Sampling,
    found: &mut Option<Findings>,
) -> Result<(), Stop> {
    let findings = found.insert(Findings::none(sampling));
    let wanted = usize::try_from(sampling.rows).unwrap_or(usize::MAX);
    let shares = desk
        .store
        .read(move |c| {
            let mut there = Vec::new();
            for (kind, _) in SHARES {
                let rows = match kind {
                    Kind::AccountVideo => pages::count(c, kind)?,
                    _ => walks::counts(c, kind)?.0,
                };
                there.push(usize::try_from(rows).unwrap_or(0));
            }
            Ok(share(wanted, &there))
        })
        .await?;
    for kind in Kind::LISTS {
        let at = SHARES.iter().position(|(shared, _)| *shared == kind);
        let wanted = at.and_then(|at| shares.get(at)).copied().unwrap_or(0);
        desk.begin_turn(kind, "verify").await?;
        desk.tell(&Event::Started { kind, resumed_pages: 0 });
        let result = one_kind(desk, kind, wanted, findings).await;
        let ending = match &result {
            Ok(()) => Ending::of(Outcome::Polled),
            Err(error) => settle::error(error),
        };
        end_turn(desk, kind, &ending).await?;
        match result {
            Err(error) if error.is_fatal() => return Err(Stop::from(error)),
            Err(PollError::Api(failure)) => desk.note_failure(kind, &failure),
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
    desk: &mut Desk,
    kind: Kind,
    wanted: usize,
    findings: &mut Findings,
) -> PollResult<()> {
    findings.of(kind);
    if desk.refused.contains(&query::endpoint(kind)) {
        findings.of(kind).skipped = Some("the API does not list them for this key".to_owned());
        return Ok(());
    }
    // Before what the sample shows on its way can make up for what is missing.
    total(desk, kind, findings).await?;
    let seed = findings.sampling.seed;
    // Of account videos it is the page that costs a request, and many of a sample share one.
    let rows = if kind == Kind::AccountVideo { wanted.saturating_mul(4) } else { wanted };
    let sample = desk.store.read(move |c| sample::pick(c, kind, rows, seed)).await?;
    match kind {
        Kind::AccountVideo => pages_of(desk, &sample, wanted, findings).await?,
        _ => {
            let mut missing = Vec::new();
            for (at, picked) in sample.iter().enumerate() {
                if by_id(desk, kind, picked, findings).await? == Answered::NotFound {
                    missing.push(picked);
                }
                tell(desk, kind, at + 1, sample.len());
            }
            // Not every endpoint is documented; one that knows nothing at all says nothing.
            if missing.len() > 1 && missing.len() == sample.len() {
                let why =
                    "the API answers 404 to every id, as if they could not be read one by one";
                findings.of(kind).skipped = Some(why.to_owned());
                return Ok(());
            }
            for picked in missing {
                gone(desk, kind, picked, findings).await?;
            }
        }
    }
    Ok(())
}

/// A row that the API does not know has a sign of removal against it.
async fn gone(
    desk: &mut Desk,
    kind: Kind,
    picked: &Picked,
    findings: &mut Findings,
) -> StoreResult<()> {
    let ledger = desk.ledger(kind);
    let at = ledger.at;
    let removed = write::not_found(&desk.store, ledger, picked.key, at).await?;
    let of_kind = findings.of(kind);
    of_kind.read += 1;
    of_kind.missing += 1;
    findings.tell(kind, &picked.id, Some(picked.stratum), What::Missing(removed));
    Ok(())
}

/// What a request by id came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Row,
    NotFound,
}

fn tell(desk: &mut Desk, kind: Kind, read: usize, of: usize) {
    let read = u64::try_from(read).unwrap_or(0);
    let total = u64::try_from(of).ok();
    desk.tell(&Event::Page { kind, pages: read, rows: read, total });
}

/// Reads one row, compares it, and writes what was said of it.
async fn by_id(
    desk: &mut Desk,
    kind: Kind,
    picked: &Picked,
    findings: &mut Findings,
) -> PollResult<Answered> {
    let request = Request::get(kind.path()).segment(&picked.id);
    let fetched = desk.fetcher.fetch(&request, |answer| Item::read_of(kind, &picked.id, answer));
    let fetched = match fetched.await {
        Ok(fetched) => fetched,
        Err(PollError::Api(failure)) if failure.verdict == Verdict::NotFound => {
            return Ok(Answered::NotFound);
        }
        Err(error) => return Err(error),
    };
    let (row, as_of) = (fetched.value.row, fetched.as_of);
    let judge = judge_of(desk, kind, as_of, findings);
    let ledger = desk.ledger(kind);
    let judged = desk
        .store
        .write(move |tx| {
            let judged = judge.row(tx, &row)?;
            // The same content in another form, as in a list, is not worth a page's validator.
            match judged.as_ref().is_some_and(|judged| judged.is_other_form) {
                true => ledger.close(tx, &Tally::default())?,
                false => _ = write::item(tx, &ledger, &row, as_of)?,
            }
            Ok(judged)
        })
        .await?;
    judge::note(findings, kind, judged, |_| Some(picked.stratum));
    Ok(Answered::Row)
}

fn judge_of(desk: &Desk, kind: Kind, as_of: i64, findings: &Findings) -> Judge {
    let now = desk.fetcher.clock().now().timestamp();
    Judge { kind, as_of, now, moved: findings.moved.clone() }
}

/// Reads again the pages on which the sample stands, and compares all rows they show.
async fn pages_of(
    desk: &mut Desk,
    sample: &[Picked],
    wanted: usize,
    findings: &mut Findings,
) -> PollResult<()> {
    let kind = Kind::AccountVideo;
    let mut kept: Vec<i64> = Vec::new();
    for page in sample.iter().filter_map(|picked| picked.page) {
        if kept.len() < wanted && !kept.contains(&page) {
            kept.push(page);
        }
    }
    if kept.is_empty() && !sample.is_empty() {
        let why = "they have no endpoint by id, and none stands on a page that could be read again";
        findings.of(kind).skipped = Some(why.to_owned());
    }
    for (at, page) in kept.iter().copied().enumerate() {
        let Some(address) = desk.store.read(move |c| pages::address(c, page)).await? else {
            continue;
        };
        if let Some(why) = one_page(desk, &address, sample, findings).await? {
            findings.of(kind).skipped = Some(why);
            break;
        }
        tell(desk, kind, at + 1, kept.len());
    }
    Ok(())
}

/// Reads a page again; says why it cannot be, if that is so.
async fn one_page(
    desk: &mut Desk,
    address: &PageAddress,
    sample: &[Picked],
    findings: &mut Findings,
) -> PollResult<Option<String>> {
    let kind = Kind::AccountVideo;
    let parameters = query::parameters(kind, &desk.refused);
    let request = query::page(kind, &parameters, address.cursor.as_deref());
    let fetched =
        desk.fetcher.fetch(&request, |answer| Page::read(kind, &parameters, answer)).await;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(PollError::Api(failure)) if is_refusal(&failure) => {
            return Ok(Some(format!("their pages cannot be read again: {failure}")));
        }
        Err(error) => return Err(error),
    };
    let page = PageWrite {
        url: page::url(&request),
        cursor: address.cursor.clone(),
        etag: fetched.head.etag,
        as_of: fetched.as_of,
        walk: None,
        page: fetched.value,
        confirmed: None,
    };
    let judge = judge_of(desk, kind, page.as_of, findings);
    let ledger = desk.ledger(kind);
    let written = desk
        .store
        .write(move |tx| write::page_after(tx, &ledger, page, |tx, rows| judge.rows(tx, rows)));
    let (_, judged) = written.await?;
    judge::note(findings, kind, judged, |id| {
        sample.iter().find(|picked| picked.id == id).map(|picked| picked.stratum)
    });
    Ok(None)
}

/// Compares how many there are.
async fn total(desk: &mut Desk, kind: Kind, findings: &mut Findings) -> PollResult<()> {
    let asks = [("limit", "1"), ("include_total", "true")];
    if asks.iter().any(|(name, _)| desk.refused.contains(&query::thing(kind, name))) {
        return Ok(());
    }
    let (held, suspected) = desk
        .store
        .read(move |c| Ok((walks::counts(c, kind)?.0, sample::suspected(c, kind)?)))
        .await?;
    let parameters = asks.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = query::page(kind, &parameters, None);
    let fetched =
        desk.fetcher.fetch(&request, |answer| Page::read(kind, &parameters, answer)).await;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(PollError::Api(failure)) if is_refusal(&failure) => {
            tracing::debug!(%kind, %failure, "the API gives no total");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let page = fetched.value;
    if let Some(found) = page.total_count {
        let now = desk.fetcher.clock().now().timestamp();
        // Posts are found by the scrapes of their accounts; nothing else grows by itself.
        let is_explained = kind == Kind::AccountVideo
            && found > held
            && desk.store.read(move |c| sample::awaits_feeds(c, now)).await?;
        findings.of(kind).total = Some(Total { held, suspected, found, is_explained });
    }
    let judge = judge_of(desk, kind, fetched.as_of, findings);
    let (ledger, as_of) = (desk.ledger(kind), fetched.as_of);
    let written = desk.store.write(move |tx| {
        write::loose_after(tx, &ledger, page, as_of, |tx, rows| judge.rows(tx, rows))
    });
    let (_, judged) = written.await?;
    judge::note(findings, kind, judged, |_| None);
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
