//! What every command that works on a mirror is given: settings, clock, and how to talk.

use std::io::{self, IsTerminal};

use secrecy::SecretString;
use tokio::runtime::{Builder, Runtime};

use crate::cli::{CliError, Exit, Globals};
use crate::clock::Clock;
use crate::config::{Config, Environment, Flags, KeySource};
use crate::logging::{self, LogFormat};
use crate::report::progress::View;

/// One worker decodes while the other writes; more would only wait.
const WORKERS: usize = 2;

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
    pub(super) fn of(globals: &Globals) -> Self {
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
    pub(super) fn load(
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

/// The runtime for commands that talk to the API or serve it, and do several things at a time.
pub fn runtime() -> Result<Runtime, CliError> {
    started(Builder::new_multi_thread().worker_threads(WORKERS))
}

/// The runtime for a command that does one thing and ends. An answer need not change threads on its
/// way in; what blocks has a thread of its own all the same.
pub fn runtime_of_one() -> Result<Runtime, CliError> {
    started(&mut Builder::new_current_thread())
}

fn started(builder: &mut Builder) -> Result<Runtime, CliError> {
    let failed = |error| CliError::new(Exit::Storage, "cannot start the runtime").because(&error);
    builder.enable_all().build().map_err(failed)
}
