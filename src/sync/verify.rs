//! `verify`: reads a sample of rows again and compares them, and the totals, with the API. Differences are
//! repaired by the same write that mirrors every answer.
//!
//! Accounts, creators and videos are read by their ids. Account videos have no endpoint by id, so the pages
//! that hold the sample are read again by their cursors.

use crate::api::{Failure, Page};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::kind_outcome::of_error;
use crate::fetch::query;
use crate::fetch::write::{self, PageWrite};
use crate::model::{Event, Kind, KindOutcome, Outcome};
use crate::store::listings;
use crate::store::pages::{self, PageAddress};
use crate::store::runs::KindCounts;
use crate::store::sample::{self, SampledRow};
use crate::sync::kind_run::end_kind_run;
use crate::sync::page;
use crate::sync::run_error::RunError;
use crate::sync::verify_page::{self, RowComparer};
use crate::sync::verify_report::{Discrepancy, Sampling, Total, VerifyReport};

/// After so many rows of a kind that cannot be read the rest is not tried.
const FAILED_ROWS_MAX: usize = 3;

/// Shares of the kinds in the sample. What a kind cannot use goes to the others in this order.
const SHARES: [(Kind, usize); 4] =
    [(Kind::Video, 4), (Kind::Account, 2), (Kind::Creator, 1), (Kind::AccountVideo, 1)];

/// Compares a sample and the totals. `found` holds the results so far, also after an error.
pub async fn verify(
    ctx: &mut SyncContext,
    sampling: Sampling,
    found: &mut Option<VerifyReport>,
) -> Result<(), RunError> {
    let report = found.insert(VerifyReport::none(sampling));
    let wanted = usize::try_from(sampling.rows).unwrap_or(usize::MAX);
    let shares = ctx
        .store
        .read(move |c| {
            let mut available = Vec::new();
            for (kind, _) in SHARES {
                let rows = match kind {
                    Kind::AccountVideo => pages::count(c, kind)?,
                    _ => listings::counts(c, kind)?.0,
                };
                available.push(usize::try_from(rows).unwrap_or(0));
            }
            Ok(share(wanted, &available))
        })
        .await?;
    for kind in Kind::LISTS {
        let at = SHARES.iter().position(|(shared, _)| *shared == kind);
        let wanted = at.and_then(|at| shares.get(at)).copied().unwrap_or(0);
        ctx.begin_kind_run(kind, "verify").await?;
        ctx.tell(&Event::Started { kind, resumed_pages: 0 });
        let result = KindVerifier { ctx, report, kind }.verify(wanted).await;
        let kind_outcome = match &result {
            Ok(()) => KindOutcome::of(Outcome::Polled),
            Err(error) => of_error(error),
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

/// Distributes `wanted` over the kinds, at most `available` of each.
fn share(wanted: usize, available: &[usize]) -> Vec<usize> {
    let parts: usize = SHARES.iter().map(|(_, part)| part).sum();
    let shares = SHARES.iter().zip(available);
    let shares = shares.map(|((_, part), available)| (wanted * part / parts).min(*available));
    let mut shares: Vec<usize> = shares.collect();
    let mut left = wanted.saturating_sub(shares.iter().sum());
    for (share, available) in shares.iter_mut().zip(available) {
        let more = left.min(available - *share);
        *share += more;
        left -= more;
    }
    shares
}

/// Verifies one kind.
struct KindVerifier<'a> {
    ctx: &'a mut SyncContext,
    report: &'a mut VerifyReport,
    kind: Kind,
}

impl KindVerifier<'_> {
    async fn verify(&mut self, wanted: usize) -> FetchResult<()> {
        self.report.of(self.kind);
        if self.ctx.refused.contains(&query::endpoint(self.kind)) {
            self.skip("the API does not list them for this key");
            return Ok(());
        }
        // First the totals, before the answers of the sample repair the mirror.
        self.compare_total().await?;
        let (kind, seed) = (self.kind, self.report.sampling.seed);
        // Account videos are read by page, and several rows of a sample are on one page.
        let rows = if kind == Kind::AccountVideo { wanted.saturating_mul(4) } else { wanted };
        let sample = self.ctx.store.read(move |c| sample::pick(c, kind, rows, seed)).await?;
        if kind == Kind::AccountVideo {
            return self.compare_pages(&sample, wanted).await;
        }
        let (mut missing, mut failures) = (Vec::new(), Vec::new());
        for (at, picked) in sample.iter().enumerate() {
            match self.compare_item(picked).await {
                Ok(true) => {}
                Ok(false) => missing.push(picked),
                // A row that cannot be read does not keep the others from being compared.
                Err(FetchError::Api(failure)) => failures.push(failure),
                Err(error) => return Err(error),
            }
            if failures.len() >= FAILED_ROWS_MAX {
                break;
            }
            self.report_progress(at + 1, sample.len());
        }
        // An undocumented endpoint may answer 404 to everything.
        if missing.len() > 1 && missing.len() == sample.len() {
            self.skip("the API answers 404 to every id");
            return Ok(());
        }
        for picked in missing {
            // A 404 is a sign of removal.
            let counters = self.ctx.counters(kind);
            let removed = write::not_found(&self.ctx.store, counters, picked.row_id).await?;
            self.report.of(kind).read += 1;
            self.report.of(kind).missing += 1;
            let what = Discrepancy::Missing(removed);
            self.report.add(kind, &picked.id, Some(picked.stratum), what);
        }
        failures.pop().map_or(Ok(()), |failure| Err(FetchError::Api(failure)))
    }

    fn skip(&mut self, why: impl Into<String>) {
        self.report.of(self.kind).skipped = Some(why.into());
    }

    fn report_progress(&mut self, read: usize, of: usize) {
        let read = u64::try_from(read).unwrap_or(0);
        let total = u64::try_from(of).ok();
        self.ctx.tell(&Event::Page { kind: self.kind, pages: read, rows: read, total });
    }

    fn comparer(&self, as_of: i64) -> RowComparer {
        let now = self.ctx.fetcher.clock().now().timestamp();
        RowComparer {
            kind: self.kind,
            as_of,
            now,
            newly_scraped: self.report.newly_scraped.clone(),
        }
    }

    /// Reads one row, compares it and writes the answer. Returns whether it was found.
    async fn compare_item(&mut self, picked: &SampledRow) -> FetchResult<bool> {
        let kind = self.kind;
        let fetched = self.ctx.fetch_item(kind, &picked.id).await?;
        let Some(fetched) = fetched else { return Ok(false) };
        let (row, as_of) = (fetched.value.row, fetched.as_of);
        let (comparer, counters) = (self.comparer(as_of), self.ctx.counters(kind));
        let written = self.ctx.store.write(move |tx| {
            let compared = comparer.row(tx, &row)?;
            // Writing the same content in another form would clear the ETag of its page.
            match compared.as_ref().is_some_and(|compared| compared.is_other_form) {
                true => counters.close(tx, &KindCounts::default())?,
                false => write::item(tx, &counters, &row, as_of)?,
            }
            Ok(compared)
        });
        let compared = written.await?;
        verify_page::record(self.report, kind, compared, |_| Some(picked.stratum));
        Ok(true)
    }

    /// Reads the pages again that hold the sample, and compares all their rows.
    async fn compare_pages(&mut self, sample: &[SampledRow], wanted: usize) -> FetchResult<()> {
        let mut page_ids: Vec<i64> = Vec::new();
        for page in sample.iter().filter_map(|picked| picked.page) {
            if page_ids.len() < wanted && !page_ids.contains(&page) {
                page_ids.push(page);
            }
        }
        if page_ids.is_empty() && !sample.is_empty() {
            self.skip("cannot be re-read: no endpoint by id and no known page");
        }
        for (at, page) in page_ids.iter().copied().enumerate() {
            let address = self.ctx.store.read(move |c| pages::address(c, page)).await?;
            let Some(address) = address else { continue };
            if let Some(failure) = self.compare_page(address, sample).await? {
                self.skip(format!("their pages cannot be read again: {failure}"));
                break;
            }
            self.report_progress(at + 1, page_ids.len());
        }
        Ok(())
    }

    /// Reads a page again. Returns the failure if the API refuses it.
    async fn compare_page(
        &mut self,
        address: PageAddress,
        sample: &[SampledRow],
    ) -> FetchResult<Option<Failure>> {
        let kind = self.kind;
        let parameters = query::parameters(kind, &self.ctx.refused);
        let request = query::page(kind, &parameters, address.cursor.as_deref());
        let read = |answer: &_| Page::read(kind, &parameters, answer);
        let fetched = match self.ctx.fetcher.fetch(&request, read).await {
            Err(FetchError::Api(failure)) if failure.is_unsupported() => return Ok(Some(failure)),
            fetched => fetched?,
        };
        let page = PageWrite {
            url: page::url(&request),
            cursor: address.cursor,
            etag: fetched.head.etag,
            as_of: fetched.as_of,
            listing: None,
            page: fetched.value,
            confirmed: None,
        };
        let (comparer, counters) = (self.comparer(page.as_of), self.ctx.counters(kind));
        let written = self.ctx.store.write(move |tx| {
            write::page_after(tx, &counters, page, |tx, rows| comparer.rows(tx, rows))
        });
        let (_, compared) = written.await?;
        verify_page::record(self.report, kind, compared, |id| {
            sample.iter().find(|picked| picked.id == id).map(|picked| picked.stratum)
        });
        Ok(None)
    }

    /// Compares the number of rows.
    async fn compare_total(&mut self) -> FetchResult<()> {
        let kind = self.kind;
        let extra = [("limit", "1"), ("include_total", "true")];
        if extra.iter().any(|(name, _)| self.ctx.refused.contains(&query::feature(kind, name))) {
            return Ok(());
        }
        let held = move |c: &_| Ok((listings::counts(c, kind)?.0, sample::suspected(c, kind)?));
        let (held, suspected) = self.ctx.store.read(held).await?;
        let parameters = extra.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = query::page(kind, &parameters, None);
        let read = |answer: &_| Page::read(kind, &parameters, answer);
        let fetched = match self.ctx.fetcher.fetch(&request, read).await {
            Err(FetchError::Api(failure)) if failure.is_unsupported() => {
                tracing::debug!(%kind, %failure, "no total");
                return Ok(());
            }
            fetched => fetched?,
        };
        let (page, as_of) = (fetched.value, fetched.as_of);
        let mut differs = false;
        if let Some(found) = page.total_count {
            let now = self.ctx.fetcher.clock().now().timestamp();
            // Scrapes of accounts add account videos; rows of other kinds are added by users only.
            let is_explained = kind == Kind::AccountVideo
                && found > held
                && self.ctx.store.read(move |c| sample::awaits_account_lists(c, now)).await?;
            let total = Total { held, suspected, found, is_explained };
            differs = total.differs();
            self.report.of(kind).total = Some(total);
        }
        let (comparer, counters) = (self.comparer(as_of), self.ctx.counters(kind));
        let written = self.ctx.store.write(move |tx| {
            if differs {
                // The full sync that the report asks for reads every page: an ETag may not cover all of it.
                pages::clear_etags(tx, kind)?;
            }
            write::unlisted_after(tx, &counters, &page, as_of, |tx, rows| comparer.rows(tx, rows))
        });
        verify_page::record(self.report, kind, written.await?, |_| None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_sample_add_up_to_at_most_what_was_wanted() {
        assert_eq!(share(50, &[1_000, 1_000, 1_000, 1_000]), [26, 12, 6, 6]);
        // What a kind cannot use goes to the others.
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
