//! What `check` found: a line for each precondition, for people and for programs.

use serde_json::{Value, json};

use crate::model::shown::printable;
use crate::report::exit::{CliError, Exit};

/// Width of the column of names.
const NAME_WIDTH: usize = 14;

/// Longest detail that is shown.
const CHARS_MAX: usize = 1_000;

/// One precondition, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which one; the same on every run.
    pub name: &'static str,
    /// Whether it holds.
    pub finding: Finding,
    /// What to do about it.
    pub hints: Vec<String>,
}

/// Whether a precondition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It does.
    Ok(String),
    /// Somebody should look at it, or it could not be found out.
    Warning(String),
    /// It does not; `sync` would end with this.
    Failure(CliError),
}

impl Check {
    /// It holds.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, finding: Finding::Ok(detail.into()), hints: Vec::new() }
    }

    /// Somebody should look at it.
    pub fn warning(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, finding: Finding::Warning(detail.into()), hints: Vec::new() }
    }

    /// It could not be found out.
    pub fn skipped(name: &'static str, reason: &str) -> Self {
        Self::warning(name, format!("not checked: {reason}"))
    }

    /// It does not hold.
    pub fn failure(name: &'static str, error: CliError) -> Self {
        Self { name, hints: error.hints.clone(), finding: Finding::Failure(error) }
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, advice: impl Into<String>) -> Self {
        self.hints.push(advice.into());
        self
    }

    /// The error, if it does not hold.
    pub fn error(&self) -> Option<&CliError> {
        match &self.finding {
            Finding::Failure(error) => Some(error),
            Finding::Ok(_) | Finding::Warning(_) => None,
        }
    }

    fn level(&self) -> &'static str {
        match self.finding {
            Finding::Ok(_) => "ok",
            Finding::Warning(_) => "warning",
            Finding::Failure(_) => "failure",
        }
    }

    fn detail(&self) -> String {
        let detail = match &self.finding {
            Finding::Ok(detail) | Finding::Warning(detail) => detail.clone(),
            Finding::Failure(error) => {
                let story = std::iter::once(&error.message).chain(&error.causes);
                story.map(String::as_str).collect::<Vec<_>>().join(": ")
            }
        };
        printable(&detail, CHARS_MAX)
    }
}

/// The failure that decides how the program ends: the first in the order of exit codes.
pub fn decisive(checks: &[Check]) -> Option<&CliError> {
    let errors = || checks.iter().filter_map(Check::error);
    Exit::ALL.into_iter().find_map(|exit| errors().find(|error| error.exit == exit))
}

/// A line each, with its advice below it.
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

/// The same as one JSON document.
pub fn json(checks: &[Check], exit: Exit) -> Value {
    let is = |level: &str| checks.iter().any(|check| check.level() == level);
    let outcome = ["failure", "warning"].into_iter().find(|level| is(level)).unwrap_or("ok");
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
    fn the_decisive_failure_is_the_first_in_the_order_of_codes() {
        let checks = [
            failure(Exit::Unavailable),
            Check::warning("x", ""),
            failure(Exit::Partial),
            failure(Exit::Storage),
            failure(Exit::Config),
            failure(Exit::Key),
            failure(Exit::TryAgain),
        ];
        let mut left = &checks[..];
        let mut order = Vec::new();
        for exit in Exit::ALL.into_iter().filter(|exit| !matches!(exit, Exit::Usage | Exit::Done)) {
            let kept: Vec<Check> = checks
                .iter()
                .filter(|check| check.error().is_none_or(|error| !order.contains(&error.exit)))
                .cloned()
                .collect();
            assert_eq!(decisive(&kept).map(|error| error.exit), Some(exit));
            order.push(exit);
            left = &[];
        }
        assert_eq!(decisive(left), None);
        assert_eq!(decisive(&[Check::ok("x", ""), Check::warning("x", "")]), None);
    }

    #[test]
    fn every_finding_has_its_line() {
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
