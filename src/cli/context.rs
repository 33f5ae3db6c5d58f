//! What every command that works on a mirror is given: settings, clock, and how progress is shown.

use secrecy::SecretString;

use crate::clock::Clock;
use crate::config::{Config, Environment, Flags, KeySource};
use crate::logging;
use crate::report::progress::View;
use crate::report::{CliError, terminal};

/// What a command is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// How progress is shown.
    pub view: View,
    /// Columns of the terminal that answers are printed to.
    pub width: Option<usize>,
}

impl Context {
    /// Loads the settings and logs what is odd about them.
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
