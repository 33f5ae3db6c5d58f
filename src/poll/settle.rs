//! What a kind's turn came to: closing the walk, drawing its consequences, writing the log.

use crate::api::{Failure, Verdict};
use crate::model::Ending;
use crate::model::Outcome;
use crate::model::shown::printable;
use crate::model::{BadRow, Kind};
use crate::poll::desk::Desk;
use crate::poll::error::{PollError, PollResult};
use crate::poll::query;
use crate::poll::walked::{Flaw, Walked};
use crate::store::due;
use crate::store::passes::{self, Tally};
use crate::store::removals::{self, Policy, Removals};
use crate::store::rows::{self, UnreadableScrapes};
use crate::store::walks::{self, End};

/// Longest part of an answer that is repeated in an outcome.
const NAMED_CHARS_MAX: usize = 80;

/// How many undecodable rows are named.
const NAMED_MAX: usize = 5;

/// Closes a walk, whole or flawed.
pub async fn walk(desk: &mut Desk, walked: &Walked, policy: Policy) -> PollResult<Ending> {
    match &walked.flaw {
        None => whole(desk, walked, policy).await,
        Some(flaw) => flawed(desk, walked, flaw).await,
    }
}

async fn whole(desk: &mut Desk, walked: &Walked, policy: Policy) -> PollResult<Ending> {
    let walk = &walked.walk;
    // A row that could not be decoded may be any of those that seem to be absent.
    let is_ground = walk.is_ground && walk.rows_dropped == 0;
    let now = desk.fetcher.stamp();
    let ledger = desk.ledger(walk.kind);
    let of = walk.clone();
    let removals = desk
        .store
        .write(move |tx| {
            let walk = &of;
            walks::end(tx, walk.walk, End::Complete, now)?;
            walks::complete(tx, walk.kind, walk.started_at)?;
            if walk.kind == Kind::AccountVideo {
                due::feeds_read(tx, walk.started_at)?;
            }
            let removals = match is_ground {
                true => removals::settle(tx, walk, policy, now)?,
                false => Removals::default(),
            };
            ledger.close(tx, &Tally { removed: removals.removed, ..Tally::default() })?;
            Ok(removals)
        })
        .await?;
    if removals.held > 0 {
        return Ok(held(walk.kind, removals.held));
    }
    if walk.rows_dropped > 0 {
        return Ok(dropped(walk.rows_dropped, &walked.notes.bad));
    }
    let detail = (!walked.notes.repaired.is_empty()).then(|| {
        format!(
            "the JSON of {} rows was repaired: {}",
            walked.notes.repaired.len(),
            named(&walked.notes.repaired)
        )
    });
    Ok(Ending { outcome: Outcome::Complete, detail, ..Ending::of(Outcome::Complete) })
}

fn held(kind: Kind, rows: i64) -> Ending {
    let detail = format!(
        "{rows} {} are gone from the API, more than max_removals allows; nothing was marked removed. \
         If that is right, run `creatormirror sync --accept-removals`",
        kind.plural()
    );
    Ending {
        outcome: Outcome::RemovalsHeld,
        error_code: Some("removals_held".to_owned()),
        detail: Some(detail),
        request_id: None,
    }
}

/// A few of the rows, and what is wrong with each.
fn named(bad: &[BadRow]) -> String {
    // Those that can be found again come first.
    let (known, unknown): (Vec<_>, Vec<_>) = bad.iter().partition(|row| row.id.is_some());
    let named: Vec<String> = known
        .into_iter()
        .chain(unknown)
        .take(NAMED_MAX)
        .map(|row| match &row.id {
            Some(id) => format!("{id} ({})", row.reason),
            None => row.reason.to_owned(),
        })
        .collect();
    named.join("; ")
}

fn dropped(rows: i64, bad: &[BadRow]) -> Ending {
    Ending {
        outcome: Outcome::RowsDropped,
        error_code: Some("undecodable_rows".to_owned()),
        detail: Some(format!("{rows} rows could not be decoded: {}", named(bad))),
        request_id: None,
    }
}

async fn flawed(desk: &mut Desk, walked: &Walked, flaw: &Flaw) -> PollResult<Ending> {
    let walk = &walked.walk;
    let (number, now) = (walk.walk, desk.fetcher.stamp());
    desk.store.write(move |tx| walks::end(tx, number, End::Incomplete, now)).await?;
    let incomplete = |code: &str, detail: String| Ending {
        outcome: Outcome::Incomplete,
        error_code: Some(code.to_owned()),
        detail: Some(detail),
        request_id: walked.notes.request_id.clone(),
    };
    Ok(match flaw {
        Flaw::CursorRepeated => {
            incomplete("cursor_repeated", format!("a cursor came twice after {} pages", walk.pages))
        }
        Flaw::Endless => {
            incomplete("endless", format!("nothing new for many of its {} pages", walk.pages))
        }
        Flaw::TooLong { seen, expected } => incomplete(
            "endless",
            format!(
                "the list goes on after {seen} rows, though at most {expected} were to be expected"
            ),
        ),
        Flaw::Filtered(names) => incomplete(
            "filtered",
            format!(
                "the API left rows out by filters that were not asked for: {}",
                names.join(", ")
            ),
        ),
        Flaw::EndedShort { seen, total } => incomplete(
            "ended_short",
            format!("the list ended after {seen} rows, but the API counts {total}"),
        ),
        Flaw::CursorRefused(failure) => {
            let mut ending = api(Outcome::Incomplete, failure);
            ending.error_code.get_or_insert_with(|| "cursor_refused".to_owned());
            ending
        }
        Flaw::EndpointRefused(failure) => {
            desk.remember_refusal(&query::endpoint(walk.kind), failure).await?;
            api(Outcome::Unavailable, failure)
        }
    })
}

/// A turn that went well all the same fails where scrapes cannot enter history, which nobody would notice.
pub async fn with_unreadable_scrapes(
    desk: &Desk,
    kind: Kind,
    ending: Ending,
) -> PollResult<Ending> {
    let Some(found) = desk.store.read(move |c| rows::unreadable_scrapes(c, kind)).await? else {
        return Ok(ending);
    };
    let detail = unreadable_text(kind, &found);
    let detail = match &ending.detail {
        Some(before) => format!("{before}; {detail}"),
        None => detail,
    };
    Ok(match ending.outcome.is_good() {
        true => Ending {
            outcome: Outcome::ScrapesUnreadable,
            error_code: Some("last_scrape_time".to_owned()),
            detail: Some(detail),
            request_id: ending.request_id,
        },
        false => Ending { detail: Some(detail), ..ending },
    })
}

/// What it means that scrape times cannot be read, for people.
pub fn unreadable_text(kind: Kind, found: &UnreadableScrapes) -> String {
    let UnreadableScrapes { rows, id, given } = found;
    let given = given.as_ref().map(|given| format!(" `{}`", printable(given, NAMED_CHARS_MAX)));
    format!(
        "last_scrape_time of {rows} {} cannot be read, so their history stops: {} has{}",
        kind.plural(),
        printable(id, NAMED_CHARS_MAX),
        given.unwrap_or_else(|| " no text".to_owned())
    )
}

/// The ending of a kind whose turn broke off with an error.
pub fn error(error: &PollError) -> Ending {
    match error {
        // The API answers, but not with what a list is made of.
        PollError::Api(failure)
            if matches!(failure.verdict, Verdict::Malformed | Verdict::Cut | Verdict::TooLarge) =>
        {
            api(Outcome::Incomplete, failure)
        }
        PollError::Api(failure) | PollError::Outage(failure) | PollError::KeyRefused(failure) => {
            api(Outcome::Failed, failure)
        }
        PollError::RateLimited(_) => Ending {
            outcome: Outcome::RateLimited,
            error_code: Some("rate_limited".to_owned()),
            detail: Some(error.to_string()),
            request_id: None,
        },
        PollError::Store(_) => Ending {
            outcome: Outcome::Failed,
            error_code: Some("database".to_owned()),
            detail: Some(error.to_string()),
            request_id: None,
        },
    }
}

fn api(outcome: Outcome, failure: &Failure) -> Ending {
    Ending {
        outcome,
        error_code: Some(failure.code.clone().unwrap_or_else(|| failure.verdict.name().to_owned())),
        detail: Some(failure.to_string()),
        request_id: failure.request_id.clone(),
    }
}

/// Writes the end of a kind's turn, with the requests that no page has accounted for.
pub async fn end(desk: &mut Desk, kind: Kind, ending: &Ending) -> PollResult<()> {
    let now = desk.fetcher.stamp();
    let ledger = desk.ledger(kind);
    let (pass, ending) = (desk.pass, ending.clone());
    desk.store
        .write(move |tx| {
            ledger.close(tx, &Tally::default())?;
            passes::end_kind(tx, pass, kind, &ending, now)
        })
        .await?;
    Ok(())
}
