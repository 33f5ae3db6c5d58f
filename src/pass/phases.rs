//! The two phases of a run: what is due is polled, then what is to be listed is listed. In each, several
//! kinds are at work at the same time.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::model::Kind;
use crate::pass::order::{Order, PassSettings};
use crate::pass::standing;
use crate::pass::stop::Stop;
use crate::pass::turn::{end_turn, turn};
use crate::plan::work::Decision;
use crate::poll::{Desk, Priority};
use crate::store::passes;

/// Kinds that may be polled side by side; of those in one line, the first may make the next due.
const LINES: [&[Kind]; 3] =
    [&[Kind::Account, Kind::AccountVideo], &[Kind::Creator, Kind::Video], &[Kind::Overview]];

/// Decides what to do for each kind, and reads what is due, several kinds at a time. Returns what is left to be
/// listed.
pub(super) async fn polls(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
) -> Result<Vec<(Kind, Decision)>, Stop> {
    let mut lines = FuturesUnordered::new();
    for line in LINES {
        let mut lent = desk.lend(Priority::DuePoll);
        lines.push(async move {
            let mut to_list = Vec::new();
            let result = poll_line(&mut lent, order, settings, line, &mut to_list).await;
            (lent, to_list, result)
        });
    }
    let (mut all, mut stop) = (Vec::new(), None);
    while let Some((lent, to_list, result)) = lines.next().await {
        desk.absorb(lent);
        go_on(result, &mut stop)?;
        all.extend(to_list);
    }
    stop.map_or(Ok(all), Err)
}

/// What stops one kind stops the others, except that where it is the rate limit, what they have sent still
/// arrives: it is paid for.
fn go_on(result: Result<(), Stop>, limited: &mut Option<Stop>) -> Result<(), Stop> {
    match result {
        Err(stop @ Stop::RateLimited(_)) => {
            limited.get_or_insert(stop);
            Ok(())
        }
        other => other,
    }
}

async fn poll_line(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
    line: &[Kind],
    to_list: &mut Vec<(Kind, Decision)>,
) -> Result<(), Stop> {
    for kind in line.iter().copied().filter(|kind| order.wants(*kind)) {
        let mut decision = standing::decide(desk, order, settings, kind).await?;
        let is_listed = match decision.polls.take() {
            Some(polls) => turn(desk, order, settings, kind, polls).await?,
            None => false,
        };
        if !is_listed {
            to_list.push((kind, decision));
        }
    }
    Ok(())
}

/// Lists what is to be listed, all kinds at a time; those that wait longest send first.
pub(super) async fn listings(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
    mut to_list: Vec<(Kind, Decision)>,
) -> Result<(), Stop> {
    to_list.retain(|(kind, _)| !desk.failures.contains_key(kind));
    to_list.sort_by_key(|(kind, decision)| (decision.waits_since, *kind));
    let mut turns = FuturesUnordered::new();
    for (place, (kind, decision)) in (0..).zip(to_list) {
        let mut lent = desk.lend(Priority::Listing(place));
        turns.push(async move {
            let result = turn(&mut lent, order, settings, kind, decision.listing).await;
            (lent, result.map(drop))
        });
    }
    let mut stop = None;
    while let Some((lent, result)) = turns.next().await {
        desk.absorb(lent);
        go_on(result, &mut stop)?;
    }
    stop.map_or(Ok(()), Err)
}

/// Ends the kinds at work beside the one that `stop` has stopped, for the same reason.
pub(super) async fn end_others(desk: &mut Desk, stop: &Stop) -> Result<(), Stop> {
    let run = desk.pass;
    let running = desk.store.read(move |c| passes::running(c, run)).await?;
    for kind in running {
        end_turn(desk, kind, &stop.ending()).await?;
    }
    Ok(())
}
