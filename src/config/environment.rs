//! The process environment as a value. It is read once, so that tests can pass their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// System-wide configuration directory.
const SYSTEM_DIRECTORY: &str = "/etc/creatormirror";

/// Environment variables, and the system-wide configuration directory.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    system_directory: PathBuf,
}

impl Environment {
    /// Reads the environment of this process. Variables whose names are not UTF-8 are skipped.
    pub fn of_process() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self { variables: variables.collect(), system_directory: SYSTEM_DIRECTORY.into() }
    }

    /// Creates an environment with exactly these variables.
    pub fn new<N: Into<String>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect(), system_directory: SYSTEM_DIRECTORY.into() }
    }

    /// Replaces the system-wide configuration directory.
    pub fn with_system_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.system_directory = directory.into();
        self
    }

    /// System-wide configuration directory.
    pub fn system_directory(&self) -> &Path {
        &self.system_directory
    }

    /// Returns a variable's value. An empty value counts as not set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Returns a variable's value if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// Returns the first absolute path of a colon-separated list, which is how systemd passes a
    /// unit's directories.
    pub fn first_directory(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.get(name)?).find(|path| path.is_absolute())
    }

    /// Returns a base directory of the XDG specification: the variable if absolute, else the path
    /// below `$HOME`.
    pub fn xdg_directory(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let configured = self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        configured.or_else(|| Some(Path::new(self.get("HOME")?).join(below_home)))
    }

    /// Returns the names of the variables that are set and begin with `prefix`.
    pub fn names(&self, prefix: &str) -> impl Iterator<Item = &str> {
        self.variables
            .iter()
            .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, _)| name.as_str())
    }
}

/// Shows only names, because values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_the_first_directory_of_a_list() {
        let environment = Environment::new([("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")]);
        assert_eq!(environment.first_directory("STATE_DIRECTORY"), Some("/var/lib/a".into()));
        assert_eq!(environment.first_directory("CONFIGURATION_DIRECTORY"), None);
    }

    #[test]
    fn ignores_a_relative_xdg_directory() {
        let environment = Environment::new([("XDG_DATA_HOME", "data"), ("HOME", "/home/a")]);
        assert_eq!(
            environment.xdg_directory("XDG_DATA_HOME", ".local/share"),
            Some("/home/a/.local/share".into())
        );
    }

    #[test]
    fn debug_output_hides_values() {
        let environment = Environment::new([("CREATORAUDIT_API_KEY", "s3cret")]);
        assert_eq!(format!("{environment:?}"), r#"{"CREATORAUDIT_API_KEY"}"#);
    }
}
