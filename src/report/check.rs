//! Result of `check`: a line for each precondition, as text and as JSON.

use serde_json::{Value, json};

use crate::model::shown::printable;
use crate::report::exit::{CliError, Exit};

/// Width of the column of names, characters.
const NAME_WIDTH: usize = 14;

/// Longest detail that is shown, characters.
const CHARS_MAX: usize = 1_000;

/// A precondition and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable name of the precondition.
    pub name: &'static str,
    /// Whether it holds.
    pub finding: Finding,
    /// What the user can do.
    pub hints: Vec<String>,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The precondition holds.
    Ok(String),
    /// Nothing to act on.
    Info(String),
    /// The user should look at it, or it could not be checked.
    Warning(String),
    /// The precondition does not hold; `sync` would exit with this error.
    Failure(CliError),
}

impl Check {
    /// Returns a check that passed.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, finding: Finding::Ok(detail.into()), hints: Vec::new() }
    }

    /// Returns a line for information.
    pub fn info(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, finding: Finding::Info(detail.into()), hints: Vec::new() }
    }

    /// Returns a check with a warning.
    pub fn warning(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, finding: Finding::Warning(detail.into()), hints: Vec::new() }
    }

    /// Returns a check that could not be made, as a warning.
    pub fn skipped(name: &'static str, reason: &str) -> Self {
        Self::warning(name, format!("not checked: {reason}"))
    }

    /// Returns a check that failed.
    pub fn failure(name: &'static str, error: CliError) -> Self {
        Self { name, hints: error.hints.clone(), finding: Finding::Failure(error) }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Whether the precondition holds.
    pub fn is_ok(&self) -> bool {
        matches!(self.finding, Finding::Ok(_))
    }

    /// The error of a failed check.
    pub fn error(&self) -> Option<&CliError> {
        match &self.finding {
            Finding::Failure(error) => Some(error),
            Finding::Ok(_) | Finding::Info(_) | Finding::Warning(_) => None,
        }
    }

    fn level(&self) -> &'static str {
        match self.finding {
            Finding::Ok(_) => "ok",
            Finding::Info(_) => "info",
            Finding::Warning(_) => "warning",
            Finding::Failure(_) => "failure",
        }
    }

    fn detail(&self) -> String {
        let detail = match &self.finding {
            Finding::Ok(detail) | Finding::Info(detail) | Finding::Warning(detail) => {
                detail.clone()
            }
            Finding::Failure(error) => {
                let messages = std::iter::once(&error.message).chain(&error.causes);
                messages.map(String::as_str).collect::<Vec<_>>().join(": ")
            }
        };
        printable(&detail, CHARS_MAX)
    }
}

/// Returns the failure that determines the exit code: the first in the order of precedence.
pub fn decisive(checks: &[Check]) -> Option<&CliError> {
    let errors = || checks.iter().filter_map(Check::error);
    Exit::ALL.into_iter().find_map(|exit| errors().find(|error| error.exit == exit))
}

/// Returns a line for each check, followed by its hints.
pub fn text<'a>(checks: impl IntoIterator<Item = &'a Check>) -> String {
    let mut text = String::new();
    for check in checks {
        let (level, name, detail) = (check.level(), check.name, check.detail());
        text.push_str(&format!("{level:<9}{name:<NAME_WIDTH$}{detail}\n"));
        for hint in &check.hints {
            text.push_str(&format!("{:<9}{:<NAME_WIDTH$}hint: {hint}\n", "", ""));
        }
    }
    text
}

/// Returns the result as one JSON document.
pub fn json(checks: &[Check], exit: Exit) -> Value {
    let has = |level: &str| checks.iter().any(|check| check.level() == level);
    let outcome = ["failure", "warning"].into_iter().find(|level| has(level)).unwrap_or("ok");
    let checks: Vec<Value> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "level": check.level(),
                "detail": check.detail(),
                "hints": check.hints,
                "exit_code": check.error().map(|error| error.exit.code()),
            })
        })
        .collect();
    json!({ "outcome": outcome, "exit_code": exit.code(), "checks": checks })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(exit: Exit) -> Check {
        Check::failure("x", CliError::new(exit, format!("{exit:?}")))
    }

    #[test]
    fn decisive_failure_has_the_highest_precedence() {
        let checks = [
            failure(Exit::Unavailable),
            Check::warning("x", ""),
            failure(Exit::Partial),
            failure(Exit::Storage),
            failure(Exit::Config),
            failure(Exit::Key),
            failure(Exit::TryAgain),
        ];
        let mut order = Vec::new();
        for exit in Exit::ALL.into_iter().filter(|exit| !matches!(exit, Exit::Usage | Exit::Done)) {
            let kept: Vec<Check> = checks
                .iter()
                .filter(|check| check.error().is_none_or(|error| !order.contains(&error.exit)))
                .cloned()
                .collect();
            assert_eq!(decisive(&kept).map(|error| error.exit), Some(exit));
            order.push(exit);
        }
        assert_eq!(decisive(&[]), None);
        assert_eq!(decisive(&[Check::ok("x", ""), Check::warning("x", "")]), None);
    }

    #[test]
    fn text_has_a_line_for_each_check() {
        let error = CliError::new(Exit::Storage, "cannot open")
            .because(&std::io::Error::other("disk\nfull"))
            .hint("make room");
        let checks = [
            Check::ok("config", "/etc/c.toml"),
            Check::warning("clock", "12 s behind").hint("run NTP"),
            Check::failure("database", error),
        ];
        assert_eq!(
            text(&checks),
            "ok       config        /etc/c.toml\n\
             warning  clock         12 s behind\n\
             \x20                      hint: run NTP\n\
             failure  database      cannot open: disk full\n\
             \x20                      hint: make room\n"
        );
        let document = json(&checks, Exit::Storage);
        assert_eq!((&document["outcome"], &document["exit_code"]), (&"failure".into(), &74.into()));
        assert_eq!(document["checks"][2]["exit_code"], 74);
        assert_eq!(document["checks"][1]["hints"][0], "run NTP");
        assert_eq!(json(&checks[..2], Exit::Done)["outcome"], "warning");
        assert_eq!(json(&checks[..1], Exit::Done)["outcome"], "ok");
    }
}
