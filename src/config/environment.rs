//! The environment as a value: read from the process once, so that nothing else looks at it and
//! tests can hand in their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the system keeps this program's configuration.
const SYSTEM_DIRECTORY: &str = "/etc/creatormirror";

/// Environment variables, and where the system's configuration is.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    system_directory: PathBuf,
}

impl Environment {
    /// The environment of this process. Variables whose name is no UTF-8 cannot be ours.
    pub fn of_process() -> Self {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self { variables: variables.collect(), system_directory: SYSTEM_DIRECTORY.into() }
    }

    /// An environment of exactly these variables.
    pub fn new<N: Into<String>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect(), system_directory: SYSTEM_DIRECTORY.into() }
    }

    /// The same environment with another place for the system's configuration.
    pub fn with_system_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.system_directory = directory.into();
        self
    }

    /// Where the system keeps this program's configuration.
    pub fn system_directory(&self) -> &Path {
        &self.system_directory
    }

    /// A variable's value. One that is set to nothing counts as not set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// A variable's value where it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str()
    }

    /// The first directory of a colon-separated list, as systemd sets for a unit.
    pub fn first_directory(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.get(name)?).find(|path| path.is_absolute())
    }

    /// A base directory of the XDG specification: the variable, else the place below `$HOME`.
    pub fn xdg_directory(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let stated = self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        stated.or_else(|| Some(Path::new(self.get("HOME")?).join(below_home)))
    }

    /// The names of the variables that are set and begin with `prefix`.
    pub fn names(&self, prefix: &str) -> impl Iterator<Item = &str> {
        self.variables
            .iter()
            .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
            .map(|(name, _)| name.as_str())
    }
}

/// Values may be secret, so only the names are shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_of_a_list_counts() {
        let environment = Environment::new([("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")]);
        assert_eq!(environment.first_directory("STATE_DIRECTORY"), Some("/var/lib/a".into()));
        assert_eq!(environment.first_directory("CONFIGURATION_DIRECTORY"), None);
    }

    #[test]
    fn a_relative_xdg_directory_is_ignored_as_the_specification_asks() {
        let environment = Environment::new([("XDG_DATA_HOME", "data"), ("HOME", "/home/a")]);
        assert_eq!(
            environment.xdg_directory("XDG_DATA_HOME", ".local/share"),
            Some("/home/a/.local/share".into())
        );
    }

    #[test]
    fn values_are_not_shown() {
        let environment = Environment::new([("CREATORAUDIT_API_KEY", "s3cret")]);
        assert_eq!(format!("{environment:?}"), r#"{"CREATORAUDIT_API_KEY"}"#);
    }
}
