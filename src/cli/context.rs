//! What every command that works on a mirror is given: settings, clock, and how to talk.

use std::io::{self, IsTerminal};

use secrecy::SecretString;

use crate::cli::globals::Globals;
use crate::clock::Clock;
use crate::config::{Config, Environment, Flags, KeySource};
use crate::logging::{self, LogFormat};
use crate::report::CliError;
use crate::report::progress::View;

/// How a command talks to whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// How progress is shown.
    pub progress: View,
    /// Whether stdout is a terminal, so that an answer may be laid out for its width.
    pub stdout_is_terminal: bool,
}

/// Settings, clock and output of a command.
#[derive(Debug, Clone)]
pub struct Context {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// How to talk.
    pub output: Output,
}

impl Output {
    /// How to talk with these flags on these streams.
    pub fn of(globals: &Globals) -> Self {
        let progress = match globals.log_format {
            _ if globals.quiet => View::Silent,
            LogFormat::Text if io::stderr().is_terminal() => View::Terminal,
            _ => View::Log,
        };
        Self { progress, stdout_is_terminal: io::stdout().is_terminal() }
    }
}

impl Context {
    /// Loads the settings and logs what is odd about them.
    pub fn load(
        flags: &Flags,
        environment: &Environment,
        clock: Clock,
        output: Output,
    ) -> Result<Self, CliError> {
        let config = Config::load(flags, environment)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self { config, clock, output })
    }

    /// Reads the key. From here on it cannot appear on stderr.
    pub fn key(&self) -> Result<(SecretString, KeySource), CliError> {
        let (key, source) = self.config.key()?;
        logging::hide(&key);
        for warning in &source.warnings {
            tracing::warn!("{warning}");
        }
        Ok((key, source))
    }
}
