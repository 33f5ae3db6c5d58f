//! The two phases of a run: due rows are polled, then lists are read. In each phase several kinds are
//! at work at a time.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::fetch::context::SyncContext;
use crate::fetch::permits::Priority;
use crate::model::Kind;
use crate::schedule::decision::Decision;
use crate::sync::kind_run::kind_run;
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::run_error::RunError;
use crate::sync::schedule_state;

/// Kinds that are polled at the same time; within a group one after the other, since the first may make
/// rows of the second due.
const GROUPS: [&[Kind]; 3] =
    [&[Kind::Account, Kind::AccountVideo], &[Kind::Creator, Kind::Video], &[Kind::Overview]];

/// Decides what to do for each kind and polls due rows. Returns the kinds whose lists are to be read.
pub(super) async fn polls(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
) -> Result<Vec<(Kind, Decision)>, RunError> {
    let mut groups = FuturesUnordered::new();
    for group in GROUPS {
        let mut task_ctx = ctx.lend(Priority::DuePoll);
        groups.push(async move {
            let mut to_list = Vec::new();
            let result = poll_group(&mut task_ctx, options, settings, group, &mut to_list).await;
            (task_ctx, to_list, result)
        });
    }
    let (mut all, mut rate_limited) = (Vec::new(), None);
    while let Some((task_ctx, to_list, result)) = groups.next().await {
        ctx.absorb(task_ctx);
        defer_rate_limit(result, &mut rate_limited)?;
        all.extend(to_list);
    }
    rate_limited.map_or(Ok(all), Err)
}

/// An error of one kind ends the others as well. After a rate limit the answers of requests in flight
/// are still awaited, since they count against the limit already.
fn defer_rate_limit(
    result: Result<(), RunError>,
    rate_limited: &mut Option<RunError>,
) -> Result<(), RunError> {
    match result {
        Err(error @ RunError::RateLimited(_)) => {
            rate_limited.get_or_insert(error);
            Ok(())
        }
        other => other,
    }
}

async fn poll_group(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    group: &[Kind],
    to_list: &mut Vec<(Kind, Decision)>,
) -> Result<(), RunError> {
    for kind in group.iter().copied().filter(|kind| options.wants(*kind)) {
        let now = ctx.fetcher.clock().now();
        let mut decision = schedule_state::decide(ctx, options, settings, kind, now).await?;
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

/// Reads the lists of all kinds at the same time. Requests of the kind whose last full sync is oldest
/// are sent first.
pub(super) async fn listings(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    mut to_list: Vec<(Kind, Decision)>,
) -> Result<(), RunError> {
    to_list.retain(|(kind, _)| !ctx.failures.contains_key(kind));
    to_list.sort_by_key(|(kind, decision)| (decision.state.full_sync_due_after, *kind));
    let mut kind_runs = FuturesUnordered::new();
    for (order, (kind, decision)) in (0..).zip(to_list) {
        let mut task_ctx = ctx.lend(Priority::Listing(order));
        kind_runs.push(async move {
            let result = kind_run(&mut task_ctx, options, settings, kind, decision.listing).await;
            (task_ctx, result.map(drop))
        });
    }
    let mut rate_limited = None;
    while let Some((task_ctx, result)) = kind_runs.next().await {
        ctx.absorb(task_ctx);
        defer_rate_limit(result, &mut rate_limited)?;
    }
    rate_limited.map_or(Ok(()), Err)
}
