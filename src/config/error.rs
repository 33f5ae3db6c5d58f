//! Configuration errors: one variant per exit code.

use std::fmt::Display;

/// A configuration error. Messages name the source of a value, never the API key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A setting or the configuration file is invalid (exit code 78).
    #[error("{message}")]
    Setting {
        /// What is wrong, and where it was set.
        message: String,
        /// How to fix it.
        hint: Option<String>,
    },
    /// The API key is missing or unusable (exit code 77).
    #[error("{message}")]
    Key {
        /// What is wrong, and where it was set.
        message: String,
        /// How to fix it.
        hint: Option<String>,
    },
}

impl ConfigError {
    /// Creates an error about a setting.
    pub(super) fn setting(message: impl Display) -> Self {
        Self::Setting { message: message.to_string(), hint: None }
    }

    /// Creates an error about the API key.
    pub(super) fn key(message: impl Display) -> Self {
        Self::Key { message: message.to_string(), hint: None }
    }

    /// Sets the hint.
    pub(super) fn with_hint(mut self, advice: impl Display) -> Self {
        let (Self::Setting { hint, .. } | Self::Key { hint, .. }) = &mut self;
        *hint = Some(advice.to_string());
        self
    }

    /// Returns the hint, if there is one.
    pub fn hint(&self) -> Option<&str> {
        let (Self::Setting { hint, .. } | Self::Key { hint, .. }) = self;
        hint.as_deref()
    }
}
