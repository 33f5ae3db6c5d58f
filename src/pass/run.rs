//! A run from its begin to its report.

use tracing::Instrument;

use crate::model::Ending;
use crate::model::Kind;
use crate::model::Outcome;
use crate::pass::findings::Findings;
use crate::pass::order::{Order, PassSettings};
use crate::pass::report::Report;
use crate::pass::stop::Stop;
use crate::pass::turn::{begin, end_turn};
use crate::pass::{backfill, pauses, phases, standing, verify};
use crate::poll::Desk;
use crate::push;

/// Runs a pass to its end, or to what stops it. The report says what came of it in either case.
pub async fn run(desk: &mut Desk, order: &Order, settings: &PassSettings) -> Report {
    desk.pass = 0;
    let span = tracing::debug_span!("pass", trigger = order.trigger);
    let mut verified = None;
    let mut stop = turns(desk, order, settings, &mut verified).instrument(span).await.err();
    if let Some(reason) = stop.as_ref().filter(|reason| !matches!(reason, Stop::Store(_))) {
        stop = phases::end_others(desk, reason).await.err().or(stop);
    }
    let mut report = Report { verified, ..close(desk, settings, stop).await };
    report.paused.retain(|paused| order.wants(paused.kind));
    report
}

/// The same, and after it the days that have ended since the last backfill, if there was one: they are
/// the last in the budget. To compare the mirror with the API is no occasion for them.
pub async fn run_and_grow(desk: &mut Desk, order: &Order, settings: &PassSettings) -> Report {
    let mut report = run(desk, order, settings).await;
    if report.stop.is_none() && order.verify.is_none() {
        report.daily = backfill::grow(desk, settings, &order.only).await;
    }
    report
}

/// Ends a pass that was broken off from outside.
pub async fn interrupt(desk: &mut Desk, settings: &PassSettings) -> Report {
    close(desk, settings, Some(Stop::Interrupted)).await
}

async fn turns(
    desk: &mut Desk,
    order: &Order,
    settings: &PassSettings,
    verified: &mut Option<Findings>,
) -> Result<(), Stop> {
    begin(desk, order.trigger, order.is_identified).await?;
    let mut to_list = Vec::new();
    if order.verify.is_none() && order.wants(Kind::Meta) {
        to_list.push((Kind::Meta, standing::decide(desk, order, settings, Kind::Meta).await?));
    }
    if !to_list.iter().any(|(_, meta)| meta.is_any()) {
        // The turn of `meta` carries the request that began the pass.
        end_turn(desk, Kind::Meta, &Ending::of(Outcome::Polled)).await?;
    }
    if let Some(sampling) = order.verify {
        return verify::verify(desk, sampling, verified).await;
    }
    // What a user waits for goes before what nobody has asked for just now.
    push::push(desk, settings.push(order)).await?;
    // What is due comes before what is swept: a small budget must not be spent by those whose turn
    // happens to be first.
    to_list.extend(phases::polls(desk, order, settings).await?);
    phases::listings(desk, order, settings, to_list).await
}

async fn close(desk: &mut Desk, settings: &PassSettings, stop: Option<Stop>) -> Report {
    // Where the database has failed, the next pass notes that this one came to no end.
    if desk.pass == 0 || matches!(stop, Some(Stop::Store(_))) {
        return Report::new(desk, Vec::new(), stop).await;
    }
    let taken_back = match stop {
        Some(Stop::Outage(_)) => pauses::take_back(desk).await.err(),
        _ => None,
    };
    let outcome = stop.as_ref().map_or("finished", Stop::name);
    let detail = stop.as_ref().map(ToString::to_string);
    let (turns, failed) = match desk.end(outcome, detail.as_deref(), settings.log_retention).await {
        Ok(turns) => (turns, taken_back),
        Err(error) => (Vec::new(), Some(error)),
    };
    Report::new(desk, turns, stop.or(failed.map(Stop::Store))).await
}
