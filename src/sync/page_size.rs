//! A page that is too heavy for the server, or too long for us: with how many rows can it be had?
//!
//! Half as many, and half of that, until a page is answered; then upwards again as far as it goes, so
//! that a server which only failed for a moment is not asked for small pages for a week. Nothing is kept
//! of these answers; the page is then asked for in the size that was found.

use crate::api::{Failure, Page, Verdict};
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::fetcher::Fetcher;
use crate::fetch::query::{self, Parameters};
use crate::model::Kind;
use crate::retry::RetryCause;

/// How often a size is asked for while the server asks to wait.
const LIMITED_MAX: u32 = 3;

/// The page that could not be had.
pub struct Heavy<'a> {
    /// What it lists.
    pub kind: Kind,
    /// The cursor that opens it.
    pub cursor: Option<&'a str>,
    /// The parameters it was asked with.
    pub parameters: &'a [(String, String)],
    /// Why it could not be had.
    pub failure: &'a Failure,
}

/// What was found out.
pub struct Smaller {
    /// The parameters with which the page can be had.
    pub parameters: Parameters,
    /// The sizes that are too heavy; none if the page can be had as it was asked for, after all.
    pub too_heavy: Vec<u32>,
    /// Whether the server does not take the cursor with another size: the list has to begin anew.
    pub is_cursor_refused: bool,
}

/// Finds the largest size in which the page can be had.
///
/// # Errors
/// The last failure, if not even a single row can be had.
pub async fn find(fetcher: &Fetcher, heavy: Heavy<'_>) -> FetchResult<Smaller> {
    let sizes = query::page_sizes(heavy.parameters);
    let mut last = heavy.failure.clone();
    let mut found = None;
    for (at, size) in sizes.iter().enumerate().skip(1) {
        match probe(fetcher, &heavy, *size).await? {
            Ok(()) => {
                found = Some(at);
                break;
            }
            Err(failure) if failure.is_heavy() => last = failure,
            Err(failure) if heavy.cursor.is_some() && failure.is_refusal_or_not_found() => {
                let parameters = query::with_limit(heavy.parameters, *size);
                let too_heavy = sizes.iter().take(at).copied().collect();
                return Ok(Smaller { parameters, too_heavy, is_cursor_refused: true });
            }
            Err(failure) => return Err(FetchError::Api(failure)),
        }
    }
    let Some(mut at) = found else { return Err(FetchError::Api(last)) };
    // What is too long for us is so every time; the server may have recovered.
    while at > 0 && last.verdict != Verdict::TooLarge {
        let larger = sizes.get(at.saturating_sub(1)).copied().unwrap_or(1);
        if probe(fetcher, &heavy, larger).await?.is_err() {
            break;
        }
        at = at.saturating_sub(1);
    }
    let size = sizes.get(at).copied().unwrap_or(1);
    Ok(Smaller {
        parameters: query::with_limit(heavy.parameters, size),
        too_heavy: sizes.into_iter().take(at).collect(),
        is_cursor_refused: false,
    })
}

async fn probe(
    fetcher: &Fetcher,
    heavy: &Heavy<'_>,
    size: u32,
) -> FetchResult<Result<(), Failure>> {
    let parameters = query::with_limit(heavy.parameters, size);
    let request = query::page(heavy.kind, &parameters, heavy.cursor);
    let mut limited = 0;
    loop {
        let read = |answer: &_| Page::read(heavy.kind, &parameters, answer).map(drop);
        match fetcher.fetch_once(&request, read).await {
            Ok(_) => return Ok(Ok(())),
            // The next one waits for as long as the server wishes.
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
