//! Finds a smaller page size for a page that the server cannot serve, or that exceeds the size bound.
//!
//! The size is halved until a page is answered, and then doubled again as far as it goes, so that after a
//! passing error the following pages are not requested in small sizes for a week. The answers are not
//! stored; the page is then requested in the size that was found.

use crate::api::{Failure, Page, Verdict};
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::fetcher::Fetcher;
use crate::fetch::query::{self, Parameters};
use crate::model::Kind;
use crate::retry::RetryCause;

/// Attempts per size while the server answers with a rate limit.
const LIMITED_MAX: u32 = 3;

/// A page that could not be read.
pub struct OversizedPage<'a> {
    /// What it lists.
    pub kind: Kind,
    /// The cursor that opens it.
    pub cursor: Option<&'a str>,
    /// The parameters of its request.
    pub parameters: &'a [(String, String)],
    /// Why it could not be read.
    pub failure: &'a Failure,
}

/// The page size that was found.
pub struct SmallerPage {
    /// The parameters with which the page can be read.
    pub parameters: Parameters,
    /// The sizes that failed; empty if the original size works now.
    pub too_heavy: Vec<u32>,
    /// Whether the server refuses the cursor with another size, so that the list must start over.
    pub is_cursor_refused: bool,
}

/// Finds the largest size in which the page can be read.
///
/// # Errors
/// The last failure, if not even a page of one row can be read.
pub async fn find(fetcher: &Fetcher, page: OversizedPage<'_>) -> FetchResult<SmallerPage> {
    let sizes = query::page_sizes(page.parameters);
    let mut last = page.failure.clone();
    let mut found = None;
    for (at, size) in sizes.iter().enumerate().skip(1) {
        match probe(fetcher, &page, *size).await? {
            Ok(()) => {
                found = Some(at);
                break;
            }
            Err(failure) if failure.is_heavy() => last = failure,
            Err(failure) if page.cursor.is_some() && failure.is_refusal_or_not_found() => {
                let parameters = query::with_limit(page.parameters, *size);
                let too_heavy = sizes.iter().take(at).copied().collect();
                return Ok(SmallerPage { parameters, too_heavy, is_cursor_refused: true });
            }
            Err(failure) => return Err(FetchError::Api(failure)),
        }
    }
    let Some(mut at) = found else { return Err(FetchError::Api(last)) };
    // A page beyond the size bound exceeds it every time; a server error may have passed.
    while at > 0 && last.verdict != Verdict::TooLarge {
        let larger = sizes.get(at.saturating_sub(1)).copied().unwrap_or(1);
        if probe(fetcher, &page, larger).await?.is_err() {
            break;
        }
        at = at.saturating_sub(1);
    }
    let size = sizes.get(at).copied().unwrap_or(1);
    Ok(SmallerPage {
        parameters: query::with_limit(page.parameters, size),
        too_heavy: sizes.into_iter().take(at).collect(),
        is_cursor_refused: false,
    })
}

async fn probe(
    fetcher: &Fetcher,
    page: &OversizedPage<'_>,
    size: u32,
) -> FetchResult<Result<(), Failure>> {
    let parameters = query::with_limit(page.parameters, size);
    let request = query::page(page.kind, &parameters, page.cursor);
    let mut limited = 0;
    loop {
        let read = |answer: &_| Page::read(page.kind, &parameters, answer).map(drop);
        match fetcher.fetch_once(&request, read).await {
            Ok(_) => return Ok(Ok(())),
            // The rate limiter delays the next attempt.
            Err(FetchError::Api(failure))
                if matches!(failure.cause(), RetryCause::Limited(_)) && limited < LIMITED_MAX =>
            {
                limited += 1;
            }
            Err(FetchError::Api(failure)) => return Ok(Err(failure)),
            Err(error) => return Err(error),
        }
    }
}
