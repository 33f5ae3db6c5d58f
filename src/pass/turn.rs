//! The turn of one kind within a run: the work, its outcome in the log, and what follows from it.

use crate::api::Verdict;
use crate::model::{BackoffScope, Ending, Event, Kind, Outcome};
use crate::pass::order::{Order, PassSettings};
use crate::pass::stop::Stop;
use crate::pass::{identify, pauses};
use crate::plan::work::Work;
use crate::poll::polls::Polled;
use crate::poll::settle;
use crate::poll::walk::Begin;
use crate::poll::{Desk, PollError, documents, follow, polls, query, walk};
use crate::store::removals::Policy;
use crate::store::{StoreResult, walks};

/// The code of a poll that could only go on as a listing, which is paused.
const LIST_PAUSED: &str = "list_paused";

/// Begins a pass in the log, once it is settled whose key it is.
pub(super) async fn begin(desk: &mut Desk, trigger: &str, is_identified: bool) -> Result<(), Stop> {
    if is_identified {
        return Ok(desk.begin(trigger).await?);
    }
    let identified = identify::identify(desk).await;
    // With another organization's key, not even the log is written.
    if let Err(stop @ Stop::OtherOrganization { .. }) = identified {
        return Err(stop);
    }
    desk.begin(trigger).await?;
    if let Err(stop) = identified {
        end_turn(desk, Kind::Meta, &stop.ending()).await?;
        return Err(stop);
    }
    Ok(())
}

/// A kind's turn. An error of its own is logged with it; an error of everybody's ends the pass. Returns
/// whether the list was read, or at least begun.
pub(super) async fn turn(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
    kind: Kind,
    work: Work,
) -> Result<bool, Stop> {
    let trigger = match &work {
        Work::Unavailable if order.wish.full => {
            unconfirmed(desk, kind).await?;
            return Ok(false);
        }
        Work::Nothing | Work::Unavailable => return Ok(false),
        Work::Resume => "resume",
        Work::Walk(reason) => reason.name(),
        Work::Poll(_) | Work::Follow(_) | Work::Feeds(_) => "due",
    };
    desk.begin_turn(kind, trigger).await?;
    let before = desk.store.read(move |c| walks::open(c, kind)).await?;
    let mut is_walk = !work.is_for_dues();
    let result = carry_out(desk, order, settings, kind, work).await;
    // A database that fails is not asked for anything more: each further try may take as long.
    if let Err(PollError::Store(error)) = result {
        return Err(Stop::Store(error));
    }
    // A poll that was refused became a walk.
    is_walk |= result.as_ref().is_ok_and(|ending| {
        ending.outcome != Outcome::Polled && ending.error_code.as_deref() != Some(LIST_PAUSED)
    });
    let ending = match &result {
        Ok(ending) => settle::with_unreadable_scrapes(desk, kind, ending.clone()).await?,
        Err(error) => settle::error(error),
    };
    end_turn(desk, kind, &ending).await?;
    let is_fatal = result.as_ref().is_err_and(PollError::is_fatal);
    match is_walk {
        // What stops the whole pass is no kind's own failure.
        true if is_fatal => note_walk(desk, kind, &ending).await?,
        true => pauses::note_listing(desk, settings, kind, ending.outcome, before.as_ref()).await?,
        false if is_fatal => {}
        false => pauses::note(desk, settings, kind, BackoffScope::Poll, ending.outcome).await?,
    }
    match result {
        Err(error) if error.is_fatal() => Err(Stop::from(error)),
        Err(PollError::Api(failure)) => {
            desk.note_failure(kind, &failure);
            Ok(is_walk)
        }
        _ => Ok(is_walk),
    }
}

/// Everything was wanted, and a list that is mirrored cannot be had: its rows stay unconfirmed.
async fn unconfirmed(desk: &mut Desk, kind: Kind) -> Result<(), Stop> {
    let was_mirrored =
        desk.store.read(move |c| walks::state(c, kind)).await?.complete_as_of.is_some();
    if !was_mirrored {
        return Ok(());
    }
    desk.begin_turn(kind, "full").await?;
    let detail = "the server refuses this list; what is mirrored of it could not be confirmed";
    let ending = Ending {
        outcome: Outcome::Unconfirmed,
        error_code: Some(Outcome::Unavailable.name().to_owned()),
        detail: Some(detail.to_owned()),
        request_id: None,
    };
    end_turn(desk, kind, &ending).await
}

async fn carry_out(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
    kind: Kind,
    work: Work,
) -> Result<Ending, PollError> {
    let polled = match &work {
        Work::Poll(cover) => Some(polls::poll(desk, kind, cover).await?),
        Work::Follow(due) => Some(follow::accounts(desk, due).await?),
        Work::Feeds(feeds) => Some(follow::feeds(desk, feeds).await?),
        _ => None,
    };
    let begin = match (polled, work) {
        (Some(Polled::Done), _) => {
            return Ok(Ending::of(Outcome::Polled));
        }
        (Some(Polled::Refused), _) => match is_listing_paused(desk, kind).await? {
            true => return Ok(list_paused()),
            false => Begin::Clean,
        },
        (None, Work::Resume) => Begin::Resume,
        (None, _) => Begin::Afresh,
    };
    match kind {
        Kind::Meta | Kind::Overview => document(desk, kind).await,
        _ => {
            let policy = match order.wish.accept_removals {
                true => Policy::Accept,
                false => Policy::Ceiling(settings.max_removals),
            };
            let walked = walk::walk(desk, kind, begin).await?;
            let mut ending = settle::walk(desk, &walked, policy).await?;
            if order.wish.full && ending.outcome == Outcome::Unavailable {
                let was_mirrored =
                    desk.store.read(move |c| walks::state(c, kind)).await?.complete_as_of;
                ending.outcome = was_mirrored.map_or(ending.outcome, |_| Outcome::Unconfirmed);
            }
            Ok(ending)
        }
    }
}

async fn is_listing_paused(desk: &Desk, kind: Kind) -> StoreResult<bool> {
    Ok(pauses::paused(desk, BackoffScope::Listing, desk.fetcher.clock().now())
        .await?
        .contains_key(&kind))
}

/// The ending of a poll that would have become a listing, which failed lately.
fn list_paused() -> Ending {
    let detail = "the server refuses a kept cursor or a shortcut, and the list, which failed lately, \
                  is not read again yet";
    Ending {
        outcome: Outcome::Incomplete,
        error_code: Some(LIST_PAUSED.to_owned()),
        detail: Some(detail.to_owned()),
        request_id: None,
    }
}

async fn document(desk: &mut Desk, kind: Kind) -> Result<Ending, PollError> {
    desk.tell(&Event::Started { kind, resumed_pages: 0 });
    let read = match kind {
        Kind::Meta => documents::meta(desk).await,
        _ => documents::overview(desk).await,
    };
    match read {
        Err(PollError::Api(failure))
            if matches!(
                failure.verdict,
                Verdict::NotFound | Verdict::Invalid | Verdict::BadRequest
            ) =>
        {
            desk.remember_refusal(&query::endpoint(kind), &failure).await?;
            Ok(Ending {
                outcome: Outcome::Unavailable,
                detail: Some(failure.to_string()),
                ..Ending::of(Outcome::Complete)
            })
        }
        Err(error) => Err(error),
        Ok(()) => Ok(Ending::of(Outcome::Complete)),
    }
}

pub(super) async fn end_turn(desk: &mut Desk, kind: Kind, ending: &Ending) -> Result<(), Stop> {
    settle::end(desk, kind, ending).await?;
    desk.tell_finished(kind, ending.outcome);
    if !ending.outcome.is_good() {
        tracing::warn!(%kind, outcome = %ending.outcome, detail = ending.detail, "not all went well");
    }
    Ok(())
}

/// The sweep is answered for as of the turn's begin: what fires after that is another's.
async fn note_walk(desk: &Desk, kind: Kind, ending: &Ending) -> StoreResult<()> {
    let (began, outcome) = (desk.turn_began_at, ending.outcome);
    desk.store
        .write(move |tx| {
            walks::note_outcome(tx, kind, outcome)?;
            walks::swept(tx, kind, began)
        })
        .await
}
