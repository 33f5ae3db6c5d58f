//! A walk over a list, from its first page or from where the last run stopped.
//!
//! A walk is a chain: each page is opened by the cursor of the one before. It is complete when every
//! page was of the documented shape, no cursor came twice, the last page said so, and the rows met
//! reach the number the server gives. Page n is written while page n+1 is on its way; a page's rows
//! and the cursor after it are one transaction, so a walk that dies goes on where it stopped.

use crate::api::{Failure, Verdict};
use crate::model::{Event, Kind};
use crate::poll::ahead::{Ahead, Guess};
use crate::poll::desk::Desk;
use crate::poll::error::{PollError, PollResult};
use crate::poll::page::{
    Asked, Guesses, Target, aim, ask, look_ahead, still_vouches, unchanged, url,
};
use crate::poll::query;
use crate::poll::smaller::{self, Heavy, Smaller};
use crate::poll::walked::{Flaw, Notes, Walked, rows_max};
use crate::poll::write::{self, PageDone, PageWrite};
use crate::store::pages;
use crate::store::walks::{self, End, Walk};
use crate::store::{Pending, StoreResult};

/// A walk taken up again later than this after its last page says nothing about removals.
const GROUND_MICROS_MAX: i64 = 3_600 * 1_000_000;
/// How often a walk starts over because its cursor was refused or it ended short.
const RESTARTS_MAX: u32 = 2;
/// How often a page that repeats a cursor is asked for again.
const REPEATS_MAX: u32 = 2;
/// Pages on end without a row that the walk had not met; a server that goes on is broken.
const FRUITLESS_PAGES_MAX: u32 = 10;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first page.
    Afresh,
    /// Where an open walk stopped, if there is one.
    Resume,
    /// With the first page, and without the validators that are held.
    Clean,
}

/// How one run over the list ended.
enum Ended {
    Whole,
    Flawed(Flaw),
    CursorRefused(Failure),
    ParameterRefused(Vec<String>, Failure),
    /// Its pages are too heavy, and the cursor is not good for smaller ones.
    TooHeavy,
}

/// Walks a list to its end, starting over where that can help.
pub async fn walk(desk: &mut Desk, kind: Kind, begin: Begin) -> PollResult<Walked> {
    let mut restarts = 0;
    let mut notes = Notes::default();
    let mut walk = open(desk, kind, begin).await?;
    let resumed_at = (walk.pages > 0).then_some(walk.pages);
    loop {
        let ended = run(desk, &mut walk, &mut notes).await;
        // A page that fails again right after a resume would fail the next time as well, and keep
        // the pages before it from ever being read anew.
        if matches!(ended, Err(PollError::Api(_))) && resumed_at == Some(walk.pages) {
            let now = desk.fetcher.stamp();
            let number = walk.walk;
            desk.store.write(move |tx| walks::end(tx, number, End::Incomplete, now)).await?;
        }
        let flaw = match ended? {
            Ended::Whole => None,
            Ended::Flawed(flaw) => Some(flaw),
            Ended::ParameterRefused(names, failure) => {
                for name in &names {
                    desk.remember_refusal(&query::thing(kind, name), &failure).await?;
                }
                walk = start(desk, kind, walk.is_clean).await?;
                continue;
            }
            // Each time with smaller pages.
            Ended::TooHeavy => {
                walk = start(desk, kind, walk.is_clean).await?;
                continue;
            }
            Ended::CursorRefused(failure) => Some(Flaw::CursorRefused(failure)),
        };
        match flaw {
            // Worth another try from the first page, and without the validators that led here. A
            // cursor is refused for age or by another replica; a short end may be a passing fault.
            Some(Flaw::CursorRefused(_)) if restarts < RESTARTS_MAX => {}
            Some(Flaw::EndedShort { .. }) if restarts == 0 => {}
            _ => return Ok(Walked { walk, flaw, notes }),
        }
        restarts += 1;
        tracing::info!(%kind, ?flaw, "starting the walk over");
        notes = Notes::default();
        walk = start(desk, kind, true).await?;
    }
}

async fn open(desk: &mut Desk, kind: Kind, begin: Begin) -> PollResult<Walk> {
    let line = query::line(&query::parameters(kind, &desk.refused));
    let now = desk.fetcher.stamp();
    let open = desk.store.read(move |c| walks::open(c, kind)).await?;
    if begin == Begin::Resume
        && let Some(mut walk) = open
        && walk.query == line
    {
        if walk.is_ground
            && now.saturating_sub(walk.touched_at).saturating_abs() > GROUND_MICROS_MAX
        {
            let number = walk.walk;
            desk.store.write(move |tx| walks::lose_ground(tx, number)).await?;
            walk.is_ground = false;
        }
        let resumed_pages = u64::try_from(walk.pages).unwrap_or(0);
        desk.tell(&Event::Started { kind, resumed_pages });
        return Ok(walk);
    }
    desk.tell(&Event::Started { kind, resumed_pages: 0 });
    start(desk, kind, begin == Begin::Clean).await
}

async fn start(desk: &mut Desk, kind: Kind, is_clean: bool) -> PollResult<Walk> {
    let line = query::line(&query::parameters(kind, &desk.refused));
    let now = desk.fetcher.stamp();
    Ok(desk.store.write(move |tx| walks::start(tx, kind, &line, now, is_clean)).await?)
}

/// One run along the chain.
async fn run(desk: &mut Desk, walk: &mut Walk, notes: &mut Notes) -> PollResult<Ended> {
    if walks::is_at_its_end(walk) {
        return finish(desk, walk).await;
    }
    // The page in front is one of those that may be in flight.
    let mut ahead = Ahead::new(desk.fetcher.max_concurrent_requests() - 1);
    let ended = follow(desk, walk, notes, &mut ahead).await?;
    ahead.give_up().await;
    Ok(ended)
}

async fn follow(
    desk: &mut Desk,
    walk: &mut Walk,
    notes: &mut Notes,
    ahead: &mut Guesses,
) -> PollResult<Ended> {
    let mut parameters = query::parameters(walk.kind, &desk.refused);
    let mut target = aim(desk, walk, &parameters, walk.next_cursor.clone()).await?;
    let mut guess: Option<Guess<Target, Asked>> = None;
    let mut writing: Option<Pending<PageDone>> = None;
    let mut repeats = 0;
    let mut fruitless = 0;
    let mut recovered = 0;
    let mut expected = None;
    loop {
        look_ahead(desk, walk, &parameters, guess.as_ref().map_or(&target, |g| &g.page), ahead)
            .await?;
        let guessed = match guess.take() {
            Some(guess) => {
                target.known = guess.page.known.clone();
                ahead.during(guess.answer()).await.ok()
            }
            None => None,
        };
        let fetched = match guessed {
            Some(fetched) => Ok(fetched),
            None => ahead.during(ask(&desk.fetcher, walk, &target, &parameters)).await,
        };
        // The page before is in before anything is concluded from this one.
        if let Some(task) = writing.take() {
            let met = walk.rows_seen;
            ahead.during(join(desk, walk, task, notes)).await?;
            fruitless = if walk.rows_seen > met { 0 } else { fruitless + 1 };
        }
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(PollError::Api(failure)) if failure.is_heavy() => {
                ahead.give_up().await;
                let cursor = target.cursor.as_deref();
                let heavy =
                    Heavy { kind: walk.kind, cursor, parameters: &parameters, failure: &failure };
                let found = smaller::find(&desk.fetcher, heavy).await?;
                if found.too_heavy.is_empty() {
                    recovered += 1;
                }
                if recovered > REPEATS_MAX {
                    return Err(PollError::Api(failure));
                }
                keep_to(desk, walk, &found, &failure).await?;
                if found.is_cursor_refused {
                    return Ok(Ended::TooHeavy);
                }
                parameters = found.parameters;
                target = aim(desk, walk, &parameters, target.cursor).await?;
                continue;
            }
            Err(PollError::Api(failure)) => return refused(walk, &target, &parameters, failure),
            Err(error) => return Err(error),
        };
        notes.request_id.clone_from(&fetched.head.request_id);
        if fetched.value.is_none() && !still_vouches(desk, &target).await? {
            target.known = None;
            continue;
        }
        let known = target.known.as_ref();
        let confirmed = known.filter(|_| fetched.value.is_none()).map(|page| page.page);
        let mut page = fetched.value.unwrap_or_else(|| unchanged(known));
        if !page.ignored.is_empty() {
            desk.note_ignored(walk.kind, &page.ignored).await?;
            // In another order than was thought, rows may have slipped by.
            let number = walk.walk;
            desk.store.write(move |tx| walks::lose_ground(tx, number)).await?;
            walk.is_ground = false;
        }
        let expected = match expected {
            Some(expected) => expected,
            None => *expected.insert(rows_expected(desk, walk, page.total_count).await?),
        };
        let next = match &page.next_cursor {
            None => None,
            Some(cursor) => Some(aim(desk, walk, &parameters, Some(cursor.clone())).await?),
        };
        let is_repeated = next.as_ref().is_some_and(|next| {
            next.cursor == target.cursor
                || next.known.as_ref().is_some_and(|page| page.walk == Some(walk.walk))
        });
        if is_repeated && repeats < REPEATS_MAX {
            repeats += 1;
            target.known = None;
            continue;
        }
        // A page that leads in a circle must not be vouched for by a 304 later.
        let unasked = std::mem::take(&mut page.unasked);
        let page = PageWrite {
            url: url(&target.request),
            cursor: target.cursor.clone(),
            etag: fetched.head.etag.filter(|_| !is_repeated),
            as_of: fetched.as_of,
            walk: Some(walk.walk),
            page,
            confirmed,
        };
        let task = write::page(&desk.store, desk.ledger(walk.kind), page);
        match next {
            _ if !unasked.is_empty() => {
                join(desk, walk, task, notes).await?;
                return Ok(Ended::Flawed(Flaw::Filtered(unasked)));
            }
            Some(next)
                if !is_repeated
                    && fruitless < FRUITLESS_PAGES_MAX
                    && walk.rows_seen <= expected =>
            {
                writing = Some(task);
                guess = ahead.claim(next.cursor.as_deref()).await;
                target = next;
            }
            Some(_) => {
                join(desk, walk, task, notes).await?;
                return Ok(Ended::Flawed(match is_repeated {
                    true => Flaw::CursorRepeated,
                    false if fruitless >= FRUITLESS_PAGES_MAX => Flaw::Endless,
                    false => Flaw::TooLong { seen: walk.rows_seen, expected },
                }));
            }
            None => {
                join(desk, walk, task, notes).await?;
                return finish(desk, walk).await;
            }
        }
    }
}

/// The pages to come are asked for in the size that was found, also after a restart.
async fn keep_to(
    desk: &mut Desk,
    walk: &mut Walk,
    found: &Smaller,
    failure: &Failure,
) -> StoreResult<()> {
    for size in &found.too_heavy {
        desk.remember_refusal(&query::size_thing(walk.kind, *size), failure).await?;
    }
    walk.query = query::line(&found.parameters);
    let (number, query) = (walk.walk, walk.query.clone());
    desk.store.write(move |tx| walks::set_query(tx, number, &query)).await
}

/// How many rows the list may have, whatever it says later on.
async fn rows_expected(desk: &Desk, walk: &Walk, total_count: Option<i64>) -> StoreResult<i64> {
    let kind = walk.kind;
    let last = desk.store.read(move |c| walks::last_rows(c, kind)).await?;
    Ok(rows_max(walk.total_count.or(total_count), last))
}

/// The last page is in: were all rows there?
async fn finish(desk: &Desk, walk: &Walk) -> PollResult<Ended> {
    match walk.total_count {
        Some(total) if walk.rows_seen < total => {
            let number = walk.walk;
            desk.store.write(move |tx| pages::void_last(tx, number)).await?;
            Ok(Ended::Flawed(Flaw::EndedShort { seen: walk.rows_seen, total }))
        }
        _ => Ok(Ended::Whole),
    }
}

async fn join(
    desk: &mut Desk,
    walk: &mut Walk,
    task: Pending<PageDone>,
    notes: &mut Notes,
) -> PollResult<()> {
    let done = task.await?;
    walk.pages = walk.pages.saturating_add(1);
    walk.next_cursor = done.next_cursor;
    walk.total_count = done.total_count;
    walk.rows_seen = walk.rows_seen.saturating_add(done.counts.rows_new_to_walk);
    walk.rows_dropped = walk.rows_dropped.saturating_add(done.counts.rows_dropped);
    notes.add(done.bad, done.repaired);
    desk.tell(&Event::Page {
        kind: walk.kind,
        pages: u64::try_from(walk.pages).unwrap_or(0),
        rows: u64::try_from(walk.rows_seen).unwrap_or(0),
        total: walk.total_count.and_then(|total| u64::try_from(total).ok()),
    });
    Ok(())
}

/// A page was refused for good: because of its cursor, a parameter, or the list itself?
fn refused(
    walk: &Walk,
    target: &Target,
    parameters: &[(String, String)],
    failure: Failure,
) -> PollResult<Ended> {
    let has_cursor = target.cursor.is_some();
    let ended = match failure.verdict {
        Verdict::Invalid | Verdict::BadRequest if has_cursor && query::blames_cursor(&failure) => {
            Ended::CursorRefused(failure)
        }
        Verdict::NotFound if has_cursor => Ended::CursorRefused(failure),
        Verdict::Invalid => {
            let names = query::blamed(parameters, &failure);
            match names.is_empty() {
                false => Ended::ParameterRefused(names, failure),
                true if walk.kind == Kind::AccountVideo => {
                    Ended::Flawed(Flaw::EndpointRefused(failure))
                }
                true => return Err(PollError::Api(failure)),
            }
        }
        Verdict::ScopeMissing => Ended::Flawed(Flaw::EndpointRefused(failure)),
        // The other lists are documented: without them the address is wrong, not the server.
        Verdict::NotFound | Verdict::BadRequest if walk.kind == Kind::AccountVideo => {
            Ended::Flawed(Flaw::EndpointRefused(failure))
        }
        _ => return Err(PollError::Api(failure)),
    };
    Ok(ended)
}
