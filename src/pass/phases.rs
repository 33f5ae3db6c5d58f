//! The two phases of a run: what is due is polled, then what is to be listed is listed. In each, several
//! kinds are at work at the same time.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::model::Kind;
use crate::pass::order::{Order, PassSettings};
use crate::pass::standing;
use crate::pass::stop::Stop;
use crate::pass::turn::{end_turn, turn};
use crate::poll::{Desk, Priority};
use crate::store::passes;

/// Kinds that may be polled side by side; of those in one line, the first may make the next due.
const LINES: [&[Kind]; 2] = [&[Kind::Account, Kind::AccountVideo], &[Kind::Creator, Kind::Video]];

/// Reads what is due, several kinds at a time. Returns the kinds that were due.
pub(super) async fn polls(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
) -> Result<Vec<Kind>, Stop> {
    let mut lines = FuturesUnordered::new();
    for line in LINES {
        let mut lent = desk.lend(Priority::DuePoll);
        lines.push(async move {
            let mut polled = Vec::new();
            let result = poll_line(&mut lent, order, settings, line, &mut polled).await;
            (lent, polled, result)
        });
    }
    let (mut all, mut stop) = (Vec::new(), None);
    while let Some((lent, polled, result)) = lines.next().await {
        desk.absorb(lent);
        go_on(result, &mut stop)?;
        all.extend(polled);
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
    polled: &mut Vec<Kind>,
) -> Result<(), Stop> {
    for kind in line.iter().copied().filter(|kind| order.wants(*kind)) {
        let work = standing::decide(desk, order, settings, kind).await?;
        if work.is_for_dues() {
            turn(desk, order, settings, kind, work).await?;
            polled.push(kind);
        }
    }
    Ok(())
}

/// Lists what is to be listed, all kinds at a time; those that wait longest send first.
pub(super) async fn listings(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
    polled: &[Kind],
) -> Result<(), Stop> {
    let mut turns = FuturesUnordered::new();
    let kinds = desk.store.read(standing::by_last_sweep).await?;
    for (place, kind) in (0..).zip(kinds.into_iter().filter(|kind| order.wants(*kind))) {
        if desk.failures.contains_key(&kind) {
            continue;
        }
        let work = standing::decide(desk, order, settings, kind).await?;
        // What a poll has left due is for the next pass.
        if work.is_for_dues() && polled.contains(&kind) {
            continue;
        }
        let mut lent = desk.lend(Priority::Listing(place));
        turns.push(async move {
            let result = turn(&mut lent, order, settings, kind, work).await;
            (lent, result)
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
