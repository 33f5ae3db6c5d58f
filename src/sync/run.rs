//! A run from its begin to its report.

use tracing::Instrument;

use crate::fetch::context::SyncContext;
use crate::model::{Kind, KindOutcome, Outcome};
use crate::outbox;
use crate::schedule::zone_offsets;
use crate::store::zone;
use crate::sync::kind_run::{begin_run, end_kind_run, end_run};
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::report::Report;
use crate::sync::run_error::RunError;
use crate::sync::verify_report::VerifyReport;
use crate::sync::{backfill, backoff, phases, schedule_state, verify};

/// Makes a run. What ended it early, if anything did, is in the report.
pub async fn run(ctx: &mut SyncContext, options: &RunOptions, settings: &SyncSettings) -> Report {
    ctx.run_id = 0;
    let span = tracing::debug_span!("run", trigger = options.trigger);
    let mut verified = None;
    let mut run_error =
        kind_runs(ctx, options, settings, &mut verified).instrument(span).await.err();
    if let Some(error) = run_error.as_ref().filter(|error| !matches!(error, RunError::Store(_))) {
        run_error = end_open_kind_runs(ctx, error).await.err().or(run_error);
    }
    let mut report = Report { verified, ..finish(ctx, settings, run_error).await };
    report.paused.retain(|paused| options.wants(paused.kind));
    report
}

/// Makes a run, and then requests the daily metrics of days that ended since the last backfill, if there
/// was one. They come last in the rate budget, and not after `verify`.
pub async fn run_and_grow(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
) -> Report {
    let mut report = run(ctx, options, settings).await;
    if report.run_error.is_none() && options.verify.is_none() {
        report.daily = backfill::grow(ctx, settings, &options.only).await;
    }
    report
}

/// Ends a run whose future was dropped because of a signal.
pub async fn interrupt(ctx: &mut SyncContext, settings: &SyncSettings) -> Report {
    finish(ctx, settings, Some(RunError::Interrupted)).await
}

async fn kind_runs(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    verified: &mut Option<VerifyReport>,
) -> Result<(), RunError> {
    begin_run(ctx, options.trigger, options.is_identified).await?;
    keep_zone_offsets(ctx, settings).await?;
    if options.scope.full {
        ctx.retry_missing_scopes().await?;
    }
    let mut to_list = Vec::new();
    if options.verify.is_none() && options.wants(Kind::Meta) {
        let now = ctx.fetcher.clock().now();
        let decision = schedule_state::decide(ctx, options, settings, Kind::Meta, now).await?;
        to_list.push((Kind::Meta, decision));
    }
    if !to_list.iter().any(|(_, meta)| meta.is_any()) {
        // The kind run of `meta` counts the request that began the run.
        end_kind_run(ctx, Kind::Meta, &KindOutcome::of(Outcome::Polled)).await?;
    }
    if let Some(sampling) = options.verify {
        return verify::verify(ctx, sampling, verified).await;
    }
    // Queued writes come first, since a user waits for them.
    outbox::push(ctx, settings.outbox_settings(options)).await?;
    // Polls come before listings, so that a small rate limit is not used up by the first kind's listing.
    to_list.extend(phases::polls(ctx, options, settings).await?);
    phases::listings(ctx, options, settings, to_list).await
}

/// Stores the offsets of the time zone if it or its rules have changed, or if they end too early.
async fn keep_zone_offsets(ctx: &SyncContext, settings: &SyncSettings) -> Result<(), RunError> {
    let (zone, now) = (&settings.timezone, ctx.fetcher.clock().now());
    let (name, basis) = (zone.name(), zone_offsets::basis(zone, now));
    if ctx.store.read(zone::basis).await?.as_ref() == Some(&basis) {
        return Ok(());
    }
    let offsets = zone_offsets::zone_offsets(zone, now);
    let offsets: Vec<_> = offsets.iter().map(|one| (one.from_s, one.offset_s)).collect();
    Ok(ctx.store.write(move |tx| zone::replace(tx, name, &basis, &offsets)).await?)
}

/// Ends the kind runs that were at work beside the one that failed, with the same error.
async fn end_open_kind_runs(ctx: &mut SyncContext, error: &RunError) -> Result<(), RunError> {
    for kind in ctx.open_kind_runs() {
        end_kind_run(ctx, kind, &error.kind_outcome()).await?;
    }
    Ok(())
}

async fn finish(
    ctx: &mut SyncContext,
    settings: &SyncSettings,
    run_error: Option<RunError>,
) -> Report {
    // After a database error the next run marks this one as interrupted.
    if ctx.run_id == 0 || matches!(run_error, Some(RunError::Store(_))) {
        return Report::new(ctx, Vec::new(), run_error).await;
    }
    let undone = match run_error {
        Some(RunError::Outage(_)) => backoff::take_back(ctx).await.err(),
        _ => None,
    };
    let (kind_runs, run_error) = end_run(ctx, settings, run_error).await;
    Report::new(ctx, kind_runs, run_error.or(undone.map(RunError::Store))).await
}
