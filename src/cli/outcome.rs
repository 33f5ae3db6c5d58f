//! Turns the report of a run, a verification or a backfill into text, JSON and an exit code, both
//! here and in the daemon for a job.

use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::errors;
use crate::daemon::JobAnswer;
use crate::report::{Answer, CliError, CliResult, Exit};
use crate::report::{backfill as backfill_report, sync as sync_report, verify as verify_report};
use crate::sync::Report;
use crate::sync::backfill::BackfillReport;
use crate::sync::verify_report::{KindVerifyReport, VerifyReport};

/// Answers with the outcome of a job, executed here or in the daemon.
pub fn answer(is_json: bool, (job, verdict): (JobAnswer, CliResult)) -> Answer {
    Answer::report(is_json, || job.text, || job.json).with_result(verdict)
}

/// Renders the report of a run.
pub fn of_run(context: &Context, report: &Report) -> (JobAnswer, CliResult) {
    job_answer(verdict(context, report), |exit_code| match &report.verified {
        Some(verified) => (
            verify_report::json(verified, report, exit_code),
            verify_report::text(verified, report),
        ),
        None => (sync_report::json(report, exit_code), sync_report::text(report)),
    })
}

/// Renders the report of a backfill.
pub fn of_backfill(context: &Context, report: &BackfillReport) -> (JobAnswer, CliResult) {
    job_answer(backfill_verdict(context, report), |exit_code| {
        (backfill_report::json(report, exit_code), backfill_report::text(report))
    })
}

/// Renders a report, given the exit code, as JSON and text.
fn job_answer(
    verdict: CliResult,
    render: impl FnOnce(u8) -> (Value, String),
) -> (JobAnswer, CliResult) {
    let error = verdict.as_ref().err();
    let exit_code = error.map_or(Exit::Done, |error| error.exit).code();
    let (json, text) = render(exit_code);
    let answer = JobAnswer {
        exit_code,
        json,
        text,
        error: error.map(|error| error.message.clone()),
        hints: error.map(|error| error.hints.clone()).unwrap_or_default(),
    };
    (answer, verdict)
}

/// Maps the report of a run to success or the error to exit with.
pub fn verdict(context: &Context, report: &Report) -> CliResult {
    if let Some(error) = &report.run_error {
        return Err(context.run_error(error, report.key_name.as_deref()));
    }
    let failures = report.kinds.iter().filter_map(|kind| kind.failure.as_ref());
    errors::check_outage(failures)?;
    let incomplete = report.kinds.iter().filter(|kind| !kind.is_good()).map(|kind| {
        let detail = kind.kind_run.detail.as_deref().unwrap_or(kind.kind_run.outcome.name());
        format!("{}: {detail}", kind.kind_run.kind)
    });
    let incomplete: Vec<String> = incomplete.collect();
    if !incomplete.is_empty() {
        let message = format!("the mirror is incomplete: {}", incomplete.join("; "));
        return Err(CliError::new(Exit::Partial, message));
    }
    if let Some(daily) = &report.daily {
        backfill_verdict(context, daily)?;
    }
    if let Some(verified) = report.verified.as_ref().filter(|verified| verified.differ()) {
        return Err(difference_error(verified));
    }
    match (report.pushed.failed, report.pushed.left) {
        (0, 0) => Ok(()),
        (failed, left) => {
            let message =
                format!("queued writes are not done: {failed} failed, {left} will be retried");
            Err(CliError::new(Exit::Partial, message).hint("see `creatormirror outbox list`"))
        }
    }
}

/// Reports what `verify` found to differ.
fn difference_error(verified: &VerifyReport) -> CliError {
    let sum = |of: fn(&KindVerifyReport) -> u64| verified.kinds.iter().map(of).sum::<u64>();
    let (drifted, missing) = (sum(|kind| kind.drifted), sum(|kind| kind.missing));
    let totals = sum(|kind| u64::from(kind.total.is_some_and(|total| total.differs())));
    let parts = [
        (drifted, "row, repaired", "rows, repaired"),
        (missing, "row gone from the API", "rows gone from the API"),
        (totals, "total", "totals"),
    ];
    let parts = parts.iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more }))
        .collect();
    let message = format!("the mirror differed from the API: {}", parts.join("; "));
    let error = CliError::new(Exit::Partial, message);
    match totals + missing {
        0 => error,
        _ => error.hint("run `creatormirror sync --full` to list everything and mark removed rows"),
    }
}

/// Maps the report of a backfill to success or the error to exit with.
fn backfill_verdict(context: &Context, report: &BackfillReport) -> CliResult {
    if let Some(error) = &report.run_error {
        return Err(context.run_error(error, None));
    }
    if report.is_unfilled {
        return Err(CliError::new(Exit::Partial, "cannot backfill: the mirror has no rows")
            .hint("run `creatormirror sync` first"));
    }
    let failures = report.kinds.iter().filter_map(|kind| kind.failure.as_ref());
    errors::check_outage(failures)?;
    let failed = report.kinds.iter().filter_map(|kind| {
        let ended = kind.kind_outcome.as_ref()?;
        Some(format!("{}: {}", kind.kind, ended.detail.as_deref().unwrap_or(ended.outcome.name())))
    });
    let mut parts: Vec<String> = failed.collect();
    if report.refused_ids > 0 {
        parts.push(format!("the API refuses {} ids", report.refused_ids));
    }
    match (parts.is_empty(), report.sum(|done| done.passed_over)) {
        (true, 0) => Ok(()),
        (true, rows) => {
            let message =
                format!("{rows} daily metrics missing: the API returned neither values nor errors");
            Err(CliError::new(Exit::Partial, message)
                .hint("run `creatormirror backfill` again to request them"))
        }
        (false, _) => {
            let message = format!("daily metrics are incomplete: {}", parts.join("; "));
            Err(CliError::new(Exit::Partial, message))
        }
    }
}
