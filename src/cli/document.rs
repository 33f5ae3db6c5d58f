//! What a command that works on the mirror answers, here or by way of the daemon: text, or the one JSON
//! document that `--json` promises whatever happens.

use serde_json::Value;

use crate::cli::{CliError, Context, Exit, backfill, session};
use crate::daemon::Answer;
use crate::pass::Report;
use crate::pass::backfill::Backfilled;
use crate::report::progress::View;
use crate::report::{backfill as backfill_report, sync as sync_report, verify as verify_report};

/// How a command ends the program: the error to print, or the code of its success.
pub type Verdict = Result<Exit, CliError>;

/// Whether a document is wanted, and whether the command has answered.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    is_wanted: bool,
    is_out: bool,
}

/// Runs a command, and prints the document of its error where it ended before it had answered.
pub fn promised(is_wanted: bool, command: impl FnOnce(&mut Document) -> Verdict) -> Verdict {
    let mut document = Document { is_wanted, is_out: false };
    let result = command(&mut document);
    if let Err(error) = &result
        && document.is_wanted
        && !document.is_out
    {
        let error = sync_report::json_of_error(error.exit.code(), &error.message);
        crate::cli::answer(format!("{error}\n").as_bytes())?;
    }
    result
}

impl Document {
    /// Answers, in the form that is wanted.
    pub fn give(&mut self, context: &Context, answer: &Answer) -> Result<(), CliError> {
        self.is_out = true;
        if self.is_wanted {
            crate::cli::answer(format!("{}\n", answer.json).as_bytes())
        } else if context.output.progress != View::Silent {
            crate::cli::answer(answer.text.as_bytes())
        } else {
            Ok(())
        }
    }
}

/// What came of a pass, and how that ends the program.
pub fn of_pass(context: &Context, report: &Report) -> (Answer, Verdict) {
    let told = |exit_code| match &report.verified {
        Some(findings) => (
            verify_report::json(findings, report, exit_code),
            verify_report::text(findings, report),
        ),
        None => (sync_report::json(report, exit_code), sync_report::text(report)),
    };
    answered(session::verdict(context, report), told)
}

/// What came of a backfill, and how that ends the program.
pub fn of_backfill(context: &Context, report: &Backfilled) -> (Answer, Verdict) {
    let told =
        |exit_code| (backfill_report::json(report, exit_code), backfill_report::text(report));
    answered(backfill::verdict(context, report), told)
}

fn answered(verdict: Verdict, told: impl FnOnce(u8) -> (Value, String)) -> (Answer, Verdict) {
    let exit_code = verdict.as_ref().map_or_else(|error| error.exit, |exit| *exit).code();
    let error = verdict.as_ref().err();
    let (json, text) = told(exit_code);
    let answer = Answer {
        exit_code,
        json,
        text,
        error: error.map(|error| error.message.clone()),
        hints: error.map(|error| error.hints.clone()).unwrap_or_default(),
    };
    (answer, verdict)
}
