//! A run from its begin to its report.

use tracing::Instrument;

use crate::fetch::context::SyncContext;
use crate::model::Kind;
use crate::model::KindOutcome;
use crate::model::Outcome;
use crate::outbox;
use crate::sync::kind_run::{begin, end_kind_run};
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::report::Report;
use crate::sync::run_error::RunError;
use crate::sync::verify_report::VerifyReport;
use crate::sync::{backfill, backoff, phases, schedule_state, verify};

/// Runs a run to its end, or to what stops it. The report says what came of it in either case.
pub async fn run(ctx: &mut SyncContext, options: &RunOptions, settings: &SyncSettings) -> Report {
    ctx.run_id = 0;
    let span = tracing::debug_span!("run", trigger = options.trigger);
    let mut verified = None;
    let mut stop = kind_runs(ctx, options, settings, &mut verified).instrument(span).await.err();
    if let Some(reason) = stop.as_ref().filter(|reason| !matches!(reason, RunError::Store(_))) {
        stop = phases::end_others(ctx, reason).await.err().or(stop);
    }
    let mut report = Report { verified, ..close(ctx, settings, stop).await };
    report.paused.retain(|paused| options.wants(paused.kind));
    report
}

/// The same, and after it the days that have ended since the last backfill, if there was one: they are
/// the last in the budget. To compare the mirror with the API is no occasion for them.
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

/// Ends a run that was broken off from outside.
pub async fn interrupt(ctx: &mut SyncContext, settings: &SyncSettings) -> Report {
    close(ctx, settings, Some(RunError::Interrupted)).await
}

async fn kind_runs(
    ctx: &mut SyncContext,
    options: &RunOptions,
    settings: &SyncSettings,
    verified: &mut Option<VerifyReport>,
) -> Result<(), RunError> {
    begin(ctx, options.trigger, options.is_identified).await?;
    let mut to_list = Vec::new();
    if options.verify.is_none() && options.wants(Kind::Meta) {
        to_list
            .push((Kind::Meta, schedule_state::decide(ctx, options, settings, Kind::Meta).await?));
    }
    if !to_list.iter().any(|(_, meta)| meta.is_any()) {
        // The turn of `meta` carries the request that began the run.
        end_kind_run(ctx, Kind::Meta, &KindOutcome::of(Outcome::Polled)).await?;
    }
    if let Some(sampling) = options.verify {
        return verify::verify(ctx, sampling, verified).await;
    }
    // What a user waits for goes before what nobody has asked for just now.
    outbox::push(ctx, settings.push(options)).await?;
    // What is due comes before what is fully synced: a small budget must not be spent by those whose turn
    // happens to be first.
    to_list.extend(phases::polls(ctx, options, settings).await?);
    phases::listings(ctx, options, settings, to_list).await
}

async fn close(ctx: &mut SyncContext, settings: &SyncSettings, stop: Option<RunError>) -> Report {
    // Where the database has failed, the next run notes that this one came to no end.
    if ctx.run_id == 0 || matches!(stop, Some(RunError::Store(_))) {
        return Report::new(ctx, Vec::new(), stop).await;
    }
    let taken_back = match stop {
        Some(RunError::Outage(_)) => backoff::take_back(ctx).await.err(),
        _ => None,
    };
    let outcome = stop.as_ref().map_or("finished", RunError::name);
    let detail = stop.as_ref().map(ToString::to_string);
    let (kind_runs, failed) =
        match ctx.end(outcome, detail.as_deref(), settings.log_retention).await {
            Ok(kind_runs) => (kind_runs, taken_back),
            Err(error) => (Vec::new(), Some(error)),
        };
    Report::new(ctx, kind_runs, stop.or(failed.map(RunError::Store))).await
}
