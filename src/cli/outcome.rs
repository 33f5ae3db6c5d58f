//! What came of a run, a verification or a backfill, here or by way of the daemon: the answer, and how it
//! ends the program.

use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::errors;
use crate::daemon::JobAnswer;
use crate::report::{Answer, CliError, CliResult, Exit};
use crate::report::{backfill as backfill_report, sync as sync_report, verify as verify_report};
use crate::sync::Report;
use crate::sync::backfill::Backfilled;
use crate::sync::verify_report::{KindVerifyReport, VerifyReport};

/// Answers with the document that `--json` promises, where the command ended before it had one.
pub fn promised(is_json: bool, answer: Result<Answer, CliError>) -> Result<Answer, CliError> {
    match answer {
        Err(error) if is_json => {
            let document = sync_report::json_of_error(error.exit.code(), &error.message);
            Ok(Answer::of(true, String::new, || document).with_result(Err(error)))
        }
        answer => answer,
    }
}

/// Answers with what came of it, here or in the daemon.
pub fn answer(is_json: bool, (job, verdict): (JobAnswer, CliResult)) -> Answer {
    Answer::report(is_json, || job.text, || job.json).with_result(verdict)
}

/// What came of a run.
pub fn of_run(context: &Context, report: &Report) -> (JobAnswer, CliResult) {
    let told = |exit_code| match &report.verified {
        Some(verify_report) => (
            verify_report::json(verify_report, report, exit_code),
            verify_report::text(verify_report, report),
        ),
        None => (sync_report::json(report, exit_code), sync_report::text(report)),
    };
    answered(verdict(context, report), told)
}

/// What came of a backfill.
pub fn of_backfill(context: &Context, report: &Backfilled) -> (JobAnswer, CliResult) {
    let told =
        |exit_code| (backfill_report::json(report, exit_code), backfill_report::text(report));
    answered(verdict_of_backfill(context, report), told)
}

fn answered(
    verdict: CliResult,
    told: impl FnOnce(u8) -> (Value, String),
) -> (JobAnswer, CliResult) {
    let error = verdict.as_ref().err();
    let exit_code = error.map_or(Exit::Done, |error| error.exit).code();
    let (json, text) = told(exit_code);
    let answer = JobAnswer {
        exit_code,
        json,
        text,
        error: error.map(|error| error.message.clone()),
        hints: error.map(|error| error.hints.clone()).unwrap_or_default(),
    };
    (answer, verdict)
}

/// How a run ends the program: the error to print, or the code of its success.
pub fn verdict(context: &Context, report: &Report) -> CliResult {
    if let Some(stop) = &report.stop {
        return Err(errors::ended(context, stop, report.key_name.as_deref()));
    }
    if let Some(error) =
        errors::breakdown(report.kinds.iter().filter_map(|kind| kind.failure.as_ref()))
    {
        return Err(error);
    }
    let parts: Vec<String> = report
        .kinds
        .iter()
        .filter(|kind| !kind.is_good())
        .map(|kind| {
            let detail = kind.kind_run.detail.as_deref().unwrap_or(kind.kind_run.outcome.name());
            format!("{}: {detail}", kind.kind_run.kind)
        })
        .collect();
    if !parts.is_empty() {
        let parts = parts.join("; ");
        return Err(CliError::new(Exit::Partial, format!("not all is mirrored; {parts}")));
    }
    if let Some(daily) = &report.daily {
        verdict_of_backfill(context, daily)?;
    }
    if let Some(verify_report) =
        report.verified.as_ref().filter(|verify_report| verify_report.differ())
    {
        return Err(differs(verify_report));
    }
    match (report.pushed.failed, report.pushed.left) {
        (0, 0) => Ok(()),
        (failed, left) => Err(CliError::new(
            Exit::Partial,
            format!("not all that was queued is done: {failed} entries failed, {left} are tried again later"),
        )
        .hint("`creatormirror outbox list` shows them")),
    }
}

/// The mirror is not what it should be.
fn differs(verify_report: &VerifyReport) -> CliError {
    let sum = |of: fn(&KindVerifyReport) -> u64| verify_report.kinds.iter().map(of).sum::<u64>();
    let (drifted, missing) = (sum(|kind| kind.drifted), sum(|kind| kind.missing));
    let totals = sum(|kind| u64::from(kind.total.is_some_and(|total| total.differs())));
    let parts = [
        (drifted, "row, repaired", "rows, repaired"),
        (missing, "row that is gone", "rows that are gone"),
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
        _ => error.hint("`creatormirror sync --full` lists everything and settles what is gone"),
    }
}

/// How a backfill ends the program: the error to print, or the code of its success.
fn verdict_of_backfill(context: &Context, report: &Backfilled) -> CliResult {
    if let Some(stop) = &report.stop {
        return Err(errors::ended(context, stop, None));
    }
    if report.is_unfilled {
        return Err(CliError::new(Exit::Partial, "the mirror has no rows to ask for")
            .hint("run `creatormirror sync` first"));
    }
    let failures = report.kinds.iter().filter_map(|kind| kind.failure.as_ref());
    if let Some(error) = errors::breakdown(failures) {
        return Err(error);
    }
    let mut parts: Vec<String> = report
        .kinds
        .iter()
        .filter_map(|kind| kind.kind_outcome.as_ref().map(|kind_outcome| (kind.kind, kind_outcome)))
        .map(|(kind, kind_outcome)| {
            format!(
                "{kind}: {}",
                kind_outcome.detail.as_deref().unwrap_or(kind_outcome.outcome.name())
            )
        })
        .collect();
    if report.refused_ids > 0 {
        parts.push(format!("the API refuses {} ids", report.refused_ids));
    }
    match (parts.is_empty(), report.sum(|done| done.passed_over)) {
        (true, 0) => Ok(()),
        (true, rows) => Err(CliError::new(
            Exit::Partial,
            format!("the API has passed over {rows} daily figures: neither given nor not found"),
        )
        .hint("the next `creatormirror backfill` asks for them again")),
        (false, _) => {
            let parts = parts.join("; ");
            Err(CliError::new(Exit::Partial, format!("not all days could be had; {parts}")))
        }
    }
}
