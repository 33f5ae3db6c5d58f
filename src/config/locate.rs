//! Finds the configuration file, and the default path of the database.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::setting::Origin;

const FILE_NAME: &str = "config.toml";

/// Flags that select or override settings.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Read settings from this file
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "instance")]
    pub config: Option<PathBuf>,
    /// Read settings from /etc/creatormirror/NAME/config.toml
    #[arg(long, global = true, value_name = "NAME", value_parser = instance_name)]
    pub instance: Option<String>,
    /// Database file
    #[arg(long, global = true, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// Base URL of the API: https, or http on loopback
    #[arg(long, global = true, value_name = "URL")]
    pub base_url: Option<String>,
    /// Read the API key from this file
    #[arg(long, global = true, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Maximum wait for the rate limit; a flag of the commands that wait for it
    #[arg(skip)]
    pub max_wait: Option<Duration>,
}

/// Returns the configuration file to read: the one selected by a flag, else the first that exists
/// in the default directories, else `None`.
pub(super) fn file(
    flags: &Flags,
    environment: &Environment,
) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(path) = &flags.config {
        return Ok(Some(path.clone()));
    }
    if let Some(name) = &flags.instance {
        let name = instance_name(name).map_err(ConfigError::setting)?;
        return Ok(Some(environment.system_directory().join(name).join(FILE_NAME)));
    }
    for folder in default_folders(environment) {
        let path = folder.join(FILE_NAME);
        // An unreadable directory may contain the intended file, so skipping it could load the
        // wrong one.
        let exists = path.try_exists().map_err(|error| {
            ConfigError::setting(format!("cannot access `{}`: {error}", path.display()))
                .with_hint("name the configuration file with `--config`")
        })?;
        if exists {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Returns the default path of the database, and the variable it is derived from.
pub(super) fn database(environment: &Environment) -> Option<(PathBuf, Origin)> {
    const NAME: &str = "creatormirror.db";
    if let Some(folder) = environment.first_directory("STATE_DIRECTORY") {
        return Some((folder.join(NAME), Origin::DefaultFrom("STATE_DIRECTORY")));
    }
    let folder = environment.xdg_directory("XDG_DATA_HOME", ".local/share")?;
    Some((folder.join("creatormirror").join(NAME), Origin::DefaultFrom("XDG_DATA_HOME")))
}

/// Validates an instance name, which becomes a directory name.
pub fn instance_name(name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(fits) {
        return Err(format!(
            "invalid instance name `{name}`: use letters, digits, `-`, `_`, `.` and `@`"
        ));
    }
    Ok(name.to_owned())
}

fn default_folders(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    let user = environment.xdg_directory("XDG_CONFIG_HOME", ".config");
    [
        environment.first_directory("CONFIGURATION_DIRECTORY"),
        Some(environment.system_directory().to_owned()),
        user.map(|folder: PathBuf| folder.join(Path::new("creatormirror"))),
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_folders_are_searched_in_order() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["unit", "system", "home/.config/creatormirror"].map(|name| {
            let folder = root.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder
        });
        let unit = format!("{}:/nowhere", folders[0].display());
        let home = root.path().join("home").into_os_string();
        let environment =
            Environment::new([("CONFIGURATION_DIRECTORY", unit.into()), ("HOME", home)])
                .with_system_directory(&folders[1]);
        let find = || file(&Flags::default(), &environment).unwrap();
        assert_eq!(find(), None);
        for folder in folders.iter().rev() {
            let path = folder.join(FILE_NAME);
            std::fs::write(&path, "").unwrap();
            assert_eq!(find(), Some(path));
        }
    }

    #[test]
    fn instance_selects_its_configuration_file() {
        let environment = Environment::new([("HOME", "/home/a")]);
        let flags = Flags { instance: Some("acme".to_owned()), ..Flags::default() };
        assert_eq!(
            file(&flags, &environment),
            Ok(Some("/etc/creatormirror/acme/config.toml".into()))
        );
        for wrong in ["..", "a/b", "", ".hidden", "a b"] {
            assert!(instance_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn database_path_prefers_the_state_directory() {
        let at = |pairs: &[(&str, &str)]| {
            let environment = Environment::new(pairs.iter().copied());
            database(&environment).map(|(path, _)| path.display().to_string())
        };
        let state = ("STATE_DIRECTORY", "/var/lib/creatormirror:/var/lib/other");
        let (data, home) = (("XDG_DATA_HOME", "/data"), ("HOME", "/home/a"));
        assert_eq!(
            at(&[state, data, home]).as_deref(),
            Some("/var/lib/creatormirror/creatormirror.db")
        );
        assert_eq!(at(&[data, home]).as_deref(), Some("/data/creatormirror/creatormirror.db"));
        assert_eq!(
            at(&[home]).as_deref(),
            Some("/home/a/.local/share/creatormirror/creatormirror.db")
        );
        assert_eq!(at(&[]), None);
    }
}
