//! Exit codes, and the one place where an error is printed.

use std::error::Error;
use std::fmt::Display;
use std::io;

use serde_json::{Value, json};

use crate::config::ConfigError;
use crate::logging;

/// Exit code of the process. The order of the variants is the precedence: the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command line is wrong. Reported by clap.
    Usage = 2,
    /// The key is missing, refused, or of another organization.
    Key = 77,
    /// The configuration is wrong.
    Config = 78,
    /// The database or the disk failed.
    Storage = 74,
    /// A later attempt may succeed: a long rate limit, or the lock is held.
    TryAgain = 75,
    /// The API cannot be reached, or fails after retries.
    Unavailable = 69,
    /// Finished, but some part failed.
    Partial = 1,
    /// Done.
    Done = 0,
}

impl Exit {
    /// Every code, in order of precedence.
    pub const ALL: [Self; 8] = [
        Self::Usage,
        Self::Key,
        Self::Config,
        Self::Storage,
        Self::TryAgain,
        Self::Unavailable,
        Self::Partial,
        Self::Done,
    ];

    /// The exit code as a number.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The meaning of the code, for help and manual.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Usage => "wrong usage",
            Self::Key => {
                "the API key is missing, refused by the API itself, or of another organization"
            }
            Self::Config => "a setting or the configuration file is wrong",
            Self::Storage => "the database or the disk failed",
            Self::TryAgain => {
                "try again later: the rate limit outlasts --max-wait, or the lock is held"
            }
            Self::Unavailable => {
                "the API is unreachable or fails after retries; a block page in its place included"
            }
            Self::Partial => {
                "finished, but some part failed; an incomplete listing and removals held back included"
            }
            Self::Done => "done",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Returns the section of the help that lists the exit codes.
pub fn help_section() -> String {
    let mut text = "Exit codes (the first that applies):\n".to_owned();
    for exit in Exit::ALL {
        text.push_str(&format!("  {:>2}  {}\n", exit.code(), exit.meaning()));
    }
    text
}

/// Error of a command: a message, its causes, hints, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// The exit code.
    pub exit: Exit,
    /// The message. If empty, nothing is printed.
    pub message: String,
    /// The causes, from the nearest to the root cause.
    pub causes: Vec<String>,
    /// What the user can do.
    pub hints: Vec<String>,
}

impl CliError {
    /// Returns an error without causes and hints.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Converts an error and its causes.
    pub fn from_error(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let converted = Self::new(exit, error);
        match error.source() {
            Some(source) => converted.because(source),
            None => converted,
        }
    }

    /// Adds a cause and its own causes. A cause that only repeats the text before it is omitted.
    pub fn because(mut self, cause: &(dyn Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            let text = cause.to_string();
            let last = self.causes.last().unwrap_or(&self.message);
            if !last.ends_with(&text) {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Adds a hint if there is one.
    pub fn optional_hint(self, hint: Option<impl Display>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Converts an error of writing to stdout.
    pub fn answer(error: &io::Error) -> Self {
        match error.kind() {
            // The reader closed the pipe; exit successfully.
            io::ErrorKind::BrokenPipe => Self::new(Exit::Done, ""),
            _ => Self::new(Exit::Storage, format!("cannot write to stdout: {error}")),
        }
    }

    /// Returns the lines for stderr.
    fn lines(&self) -> Vec<String> {
        let causes = self.causes.iter().map(|cause| format!("  caused by: {cause}"));
        let hints = self.hints.iter().map(|hint| format!("hint: {hint}"));
        std::iter::once(format!("creatormirror: {}", self.message))
            .chain(causes)
            .chain(hints)
            .collect()
    }

    /// The document that `--json` prints if a command fails before it has an answer.
    pub fn json(&self) -> Value {
        json!({
            "outcome": "failed",
            "exit_code": self.exit.code(),
            "detail": self.message,
            "causes": self.causes,
            "hints": self.hints,
        })
    }

    /// Prints the error to stderr and returns its exit code.
    pub fn report(&self) -> Exit {
        if !self.message.is_empty() {
            logging::print_error(&self.lines().join("\n"));
        }
        self.exit
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        let exit = match &error {
            ConfigError::Setting { .. } => Exit::Config,
            ConfigError::Key { .. } => Exit::Key,
        };
        Self::from_error(exit, &error).optional_hint(error.hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the database")]
    struct Outer(#[source] io::Error);

    #[test]
    fn codes_have_the_documented_precedence() {
        let codes: Vec<u8> = Exit::ALL.into_iter().map(Exit::code).collect();
        assert_eq!(codes, [2, 77, 78, 74, 75, 69, 1, 0]);
        for exit in Exit::ALL {
            assert!(help_section().contains(&format!("  {:>2}  {}", exit.code(), exit.meaning())));
        }
    }

    #[test]
    fn error_is_printed_with_causes_and_hints() {
        let error = Outer(io::Error::other("disk full"));
        let error = CliError::from_error(Exit::Storage, &error).hint("make room");
        assert_eq!(
            error.lines(),
            [
                "creatormirror: cannot open the database",
                "  caused by: disk full",
                "hint: make room"
            ]
        );
        assert_eq!(error.exit, Exit::Storage);
    }

    #[test]
    fn repeated_cause_is_omitted() {
        let cause = io::Error::other("disk full");
        let error = CliError::new(Exit::Storage, "cannot write: disk full").because(&cause);
        assert_eq!(error.causes, Vec::<String>::new());
    }

    #[test]
    fn closed_pipe_exits_successfully() {
        assert_eq!(CliError::answer(&io::ErrorKind::BrokenPipe.into()).exit, Exit::Done);
        assert_eq!(CliError::answer(&io::ErrorKind::StorageFull.into()).exit, Exit::Storage);
    }
}
