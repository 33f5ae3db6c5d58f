//! Input of every command that works on a mirror: settings, clock, and how to show progress.

use secrecy::SecretString;

use crate::clock::Clock;
use crate::config::{Config, Environment, Flags, KeySource};
use crate::logging;
use crate::report::progress::View;
use crate::report::{CliError, terminal};

/// Settings, clock and view.
#[derive(Debug, Clone)]
pub struct Context {
    /// Settings.
    pub config: Config,
    /// Clock.
    pub clock: Clock,
    /// How to show progress.
    pub view: View,
    /// Columns of the terminal that answers are printed to.
    pub width: Option<usize>,
}

impl Context {
    /// Loads the settings and logs their warnings.
    pub fn load(
        flags: &Flags,
        environment: &Environment,
        clock: Clock,
        view: View,
    ) -> Result<Self, CliError> {
        let config = Config::load(flags, environment)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Self { config, clock, view, width: terminal::width(environment) })
    }

    /// Reads the API key and logs warnings about its file. It is redacted from stderr from now on.
    pub fn key(&self) -> Result<(SecretString, KeySource), CliError> {
        let (key, source) = self.config.key()?;
        logging::add_secret(&key);
        for warning in &source.warnings {
            tracing::warn!("{warning}");
        }
        Ok((key, source))
    }
}
