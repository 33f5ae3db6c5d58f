//! How every command answers: one text or one JSON document on stdout, and how the program ends.

use std::io::{self, Write};

use serde_json::Value;

use crate::logging;
use crate::model::shown::escaped;
use crate::report::exit::CliError;

/// How a command ends the program: well, or with the error to print.
pub type Verdict = Result<(), CliError>;

/// What a command answers.
#[derive(Debug)]
pub struct Answer {
    body: String,
    /// Whether it is printed under `--quiet`.
    is_kept: bool,
    verdict: Verdict,
}

impl Answer {
    /// What was asked for, as one JSON document or as text.
    pub fn of(is_json: bool, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> Self {
        match is_json {
            true => Self::text(format!("{}\n", json())),
            false => Self::text(text()),
        }
    }

    /// A report on work that is done: likewise, but `--quiet` leaves out the text.
    pub fn report(
        is_json: bool,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> Self {
        Self { is_kept: is_json, ..Self::of(is_json, text, json) }
    }

    /// A text that was asked for.
    pub const fn text(body: String) -> Self {
        Self { body, is_kept: true, verdict: Ok(()) }
    }

    /// A text that `--quiet` leaves out.
    pub const fn remark(body: String) -> Self {
        Self { body, is_kept: false, verdict: Ok(()) }
    }

    /// Nothing, or nothing more.
    pub const fn none() -> Self {
        Self::text(String::new())
    }

    /// Ends the program like this, after it is printed.
    pub fn kind_outcome(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }

    /// Prints it, and returns how the program ends.
    pub fn print(self, is_quiet: bool) -> Verdict {
        if self.is_kept || !is_quiet {
            print(&self.body)?;
        }
        self.verdict
    }
}

/// Writes to stdout. What it says of the API's data is escaped here, if it was not before.
pub fn print(text: &str) -> Verdict {
    // On a terminal, progress is taken away before the answer stands there.
    logging::flush(logging::FLUSH_MAX);
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(escaped(text).as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| CliError::answer(&error))
}
