//! The flags that every command takes.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tracing::level_filters::LevelFilter;

use crate::config::{self, Flags};
use crate::logging::LogFormat;
use crate::report::progress::View;

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Read the settings from this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "instance")]
    pub config: Option<PathBuf>,
    /// Read the settings from /etc/creatormirror/NAME/config.toml
    #[arg(long, global = true, value_name = "NAME", value_parser = config::instance_name)]
    pub instance: Option<String>,
    /// The mirror's file
    #[arg(long, global = true, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Where the API is: https, or http on loopback
    #[arg(long, global = true, value_name = "URL")]
    pub base_url: Option<String>,
    /// Read the API key from this file
    #[arg(long, global = true, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Log this level and above; without it RUST_LOG counts
    #[arg(long, global = true, value_name = "LEVEL", value_parser = levels(), conflicts_with = "quiet")]
    pub log_level: Option<LevelFilter>,
    /// Write a line of text or a JSON object per log event
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Globals {
    /// How progress is shown.
    pub fn view(&self) -> View {
        match self.log_format {
            _ if self.quiet => View::Silent,
            LogFormat::Text if io::stderr().is_terminal() => View::Terminal,
            _ => View::Log,
        }
    }

    /// As the settings take them.
    pub fn flags(&self, max_wait: Option<Duration>) -> Flags {
        Flags {
            config: self.config.clone(),
            instance: self.instance.clone(),
            database: self.database.clone(),
            base_url: self.base_url.clone(),
            api_key_file: self.api_key_file.clone(),
            max_wait,
        }
    }
}

/// Reads one of these values by its name.
pub fn one_of<T: Copy + Send + Sync + 'static>(
    values: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let named = move |text: String| values.iter().copied().find(|value| name(*value) == text);
    PossibleValuesParser::new(values.iter().map(|value| name(*value)))
        .try_map(move |text| named(text).ok_or("not known"))
}

fn levels() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"])
        .try_map(|name| name.parse::<LevelFilter>())
}

/// Reads a duration on the command line.
pub fn duration(text: &str) -> Result<Duration, String> {
    config::duration(text)
        .map_err(|why| format!("it {why}; durations are written `90s`, `5m`, `1h 30m` or `90d`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_lack_a_unit_are_explained() {
        assert!(duration("90").unwrap_err().starts_with("it has no unit; durations are written"));
    }
}
