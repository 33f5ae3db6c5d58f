//! Global flags, and value parsers that several commands use.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tracing::level_filters::LevelFilter;

use crate::config::{self, Flags};
use crate::logging::LogFormat;
use crate::report::progress::View;

/// Global flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Flags that select or override settings.
    #[command(flatten)]
    pub flags: Flags,
    /// Log this level and above; takes precedence over RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL", value_parser = log_level(), conflicts_with = "quiet")]
    pub log_level: Option<LevelFilter>,
    /// Log events as text or as JSON, one per line
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Print only answers and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Globals {
    /// Returns how to show progress.
    pub fn view(&self) -> View {
        match self.log_format {
            _ if self.quiet => View::Silent,
            LogFormat::Text if io::stderr().is_terminal() => View::Terminal,
            _ => View::Log,
        }
    }
}

/// Returns a parser for one of `values`, selected by name.
pub fn one_of<T: Copy + Send + Sync + 'static>(
    values: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let find = move |text: String| values.iter().copied().find(|value| name(*value) == text);
    PossibleValuesParser::new(values.iter().map(|value| name(*value)))
        .try_map(move |text| find(text).ok_or("unknown value"))
}

fn log_level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"])
        .try_map(|name| name.parse::<LevelFilter>())
}

/// Parses a duration argument.
pub fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .map_err(|why| format!("it {why}; use a duration such as `90s`, `5m`, `1h 30m` or `90d`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_error_names_the_missing_unit() {
        assert!(duration("90").unwrap_err().starts_with("it has no unit; use a duration"));
    }
}
