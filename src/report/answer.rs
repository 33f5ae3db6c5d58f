//! The answer of a command: one text or one JSON document on stdout, and the result of the program.

use std::io::{self, Write};

use serde_json::Value;

use crate::logging;
use crate::model::shown::escaped;
use crate::report::exit::CliError;
use crate::report::text::folded;

/// Result of a command: success, or the error to print.
pub type CliResult = Result<(), CliError>;

/// Output and result of a command.
#[derive(Debug)]
pub struct Answer {
    body: String,
    /// Whether it is printed with `--quiet`.
    is_kept: bool,
    /// Whether long lines are wrapped to the width of the terminal.
    is_folded: bool,
    result: CliResult,
}

impl Answer {
    /// The requested information, as text or as one JSON document.
    pub fn of(is_json: bool, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Self {
        match is_json {
            true => Self::text(format!("{}\n", json())),
            false => Self { is_folded: true, ..Self::text(text()) },
        }
    }

    /// A report on completed work. `--quiet` omits its text, but not its JSON document.
    pub fn report(
        is_json: bool,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Self {
        Self { is_kept: is_json, ..Self::of(is_json, text, json) }
    }

    /// A document that is printed unchanged.
    pub const fn text(body: String) -> Self {
        Self { body, is_kept: true, is_folded: false, result: Ok(()) }
    }

    /// No output.
    pub const fn none() -> Self {
        Self::text(String::new())
    }

    /// Sets the result of the command.
    pub fn with_result(self, result: CliResult) -> Self {
        Self { result, ..self }
    }

    /// Prints the output for a terminal of this width, and returns the result.
    pub fn print(self, is_quiet: bool, width: Option<usize>) -> CliResult {
        let printed = match self.is_kept || !is_quiet {
            true => print(&folded(&self.body, width.filter(|_| self.is_folded))),
            false => Ok(()),
        };
        self.result.and(printed)
    }
}

/// Writes to stdout. Control characters of API data are escaped.
pub fn print(text: &str) -> CliResult {
    // Progress on the terminal is cleared first.
    logging::flush(logging::FLUSH_MAX);
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(escaped(text).as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| CliError::answer(&error))
}
