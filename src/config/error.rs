//! What can be wrong with the configuration. There are two variants because two exit codes tell
//! them apart: a setting to correct, and a key to supply.

use std::fmt::Display;

/// Why the program cannot be configured. Messages name the place, never the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A setting, or the file they are in, is wrong.
    #[error("{message}")]
    Setting {
        /// What is wrong, and where.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The key is missing or cannot be used.
    #[error("{message}")]
    Key {
        /// What is wrong, and where.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl ConfigError {
    /// A wrong setting.
    pub(super) fn setting(message: impl Display) -> Self {
        Self::Setting { message: message.to_string(), hint: None }
    }

    /// A missing or unusable key.
    pub(super) fn key(message: impl Display) -> Self {
        Self::Key { message: message.to_string(), hint: None }
    }

    /// The same error with advice.
    pub(super) fn with_hint(mut self, advice: impl Display) -> Self {
        let (Self::Setting { hint, .. } | Self::Key { hint, .. }) = &mut self;
        *hint = Some(advice.to_string());
        self
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<&str> {
        let (Self::Setting { hint, .. } | Self::Key { hint, .. }) = self;
        hint.as_deref()
    }
}
