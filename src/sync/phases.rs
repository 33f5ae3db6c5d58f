//! The two phases of a run: what is due is polled, then what is to be listed is listed. In each, several
//! kinds are at work at the same time.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::fetch::context::SyncContext;
use crate::fetch::permits::Priority;
use crate::model::Kind;
use crate::schedule::decision::Decision;
use crate::store::runs;
use crate::sync::kind_run::{end_kind_run, kind_run};
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::run_error::RunError;
use crate::sync::schedule_state;

/// Kinds that may be polled side by side; of those in one line, the first may make the next due.
const LINES: [&[Kind]; 3] =
    [&[Kind::Account, Kind::AccountVideo], &[Kind::Creator, Kind::Video], &[Kind::Overview]];

/// Decides what to do for each kind, and reads what is due, several kinds at a time. Returns what is left to be
/// listed.
pub(super) async fn polls(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
) -> Result<Vec<(Kind, Decision)>, RunError> {
    let mut lines = FuturesUnordered::new();
    for line in LINES {
        let mut lent = ctx.lend(Priority::DuePoll);
        lines.push(async move {
            let mut to_list = Vec::new();
            let result = poll_line(&mut lent, options, settings, line, &mut to_list).await;
            (lent, to_list, result)
        });
    }
    let (mut all, mut stop) = (Vec::new(), None);
    while let Some((lent, to_list, result)) = lines.next().await {
        ctx.absorb(lent);
        go_on(result, &mut stop)?;
        all.extend(to_list);
    }
    stop.map_or(Ok(all), Err)
}

/// What stops one kind stops the others, except that where it is the rate limit, what they have sent still
/// arrives: it is paid for.
fn go_on(result: Result<(), RunError>, limited: &mut Option<RunError>) -> Result<(), RunError> {
    match result {
        Err(stop @ RunError::RateLimited(_)) => {
            limited.get_or_insert(stop);
            Ok(())
        }
        other => other,
    }
}

async fn poll_line(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    line: &[Kind],
    to_list: &mut Vec<(Kind, Decision)>,
) -> Result<(), RunError> {
    for kind in line.iter().copied().filter(|kind| options.wants(*kind)) {
        let mut decision = schedule_state::decide(ctx, options, settings, kind).await?;
        let is_listed = match decision.polls.take() {
            Some(polls) => kind_run(ctx, options, settings, kind, polls).await?,
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
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    mut to_list: Vec<(Kind, Decision)>,
) -> Result<(), RunError> {
    to_list.retain(|(kind, _)| !ctx.failures.contains_key(kind));
    to_list.sort_by_key(|(kind, decision)| (decision.waits_since, *kind));
    let mut kind_runs = FuturesUnordered::new();
    for (place, (kind, decision)) in (0..).zip(to_list) {
        let mut lent = ctx.lend(Priority::Listing(place));
        kind_runs.push(async move {
            let result = kind_run(&mut lent, options, settings, kind, decision.listing).await;
            (lent, result.map(drop))
        });
    }
    let mut stop = None;
    while let Some((lent, result)) = kind_runs.next().await {
        ctx.absorb(lent);
        go_on(result, &mut stop)?;
    }
    stop.map_or(Ok(()), Err)
}

/// Ends the kinds at work beside the one that `stop` has stopped, for the same reason.
pub(super) async fn end_others(ctx: &mut SyncContext, stop: &RunError) -> Result<(), RunError> {
    let run = ctx.run_id;
    let running = ctx.store.read(move |c| runs::running(c, run)).await?;
    for kind in running {
        end_kind_run(ctx, kind, &stop.kind_outcome()).await?;
    }
    Ok(())
}
