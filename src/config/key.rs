//! Finds and reads the API key. It is kept in memory that is zeroed on drop and in types that do
//! not print it; messages name the source of the key, never the key.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::config::error::ConfigError;
use crate::config::input;
use crate::config::setting::Origin;

/// The vendor's environment variable for the API key.
pub(super) const KEY_VARIABLE: &str = "CREATORAUDIT_API_KEY";

/// Read and write permission for the group and for others.
const GROUP: u32 = 0o060;
const OTHERS: u32 = 0o006;

/// Largest key file accepted, bytes.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// The possible sources of the API key, in order of precedence.
#[derive(Debug, Clone, Default)]
pub(super) struct KeySources {
    /// File named by `--api-key-file`.
    pub flag: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, set by systemd.
    pub credentials: Option<PathBuf>,
    /// File named by `api_key_file`, and where that setting came from.
    pub setting: Option<(PathBuf, Origin)>,
    /// Value of `CREATORAUDIT_API_KEY`.
    pub variable: Option<SecretString>,
}

/// Where the API key was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// The key file; `None` for an environment variable.
    pub file: Option<PathBuf>,
    /// What named the file, or the variable.
    pub origin: Origin,
    /// Warnings about the file's permissions.
    pub warnings: Vec<String>,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{} ({})", file.display(), self.origin),
            None => write!(f, "{}", self.origin),
        }
    }
}

/// Reads the API key from the first source that is set.
pub(super) fn resolve(sources: &KeySources) -> Result<(SecretString, KeySource), ConfigError> {
    if let Some(path) = &sources.flag {
        return from_file(path, Origin::Flag("--api-key-file"));
    }
    if let Some(folder) = &sources.credentials {
        let path = folder.join("api_key");
        let exists = path.try_exists().map_err(|error| unreadable(&path, &error))?;
        if exists {
            let origin = Origin::Variable("CREDENTIALS_DIRECTORY".to_owned());
            let (key, mut source) = from_file(&path, origin)?;
            // systemd manages the permissions of that directory.
            source.warnings.clear();
            return Ok((key, source));
        }
    }
    if let Some((path, origin)) = &sources.setting {
        return from_file(path, origin.clone());
    }
    let Some(key) = &sources.variable else {
        return Err(missing("no API key configured"));
    };
    let origin = Origin::Variable(KEY_VARIABLE.to_owned());
    let key = parse(key.expose_secret(), &origin.to_string())?;
    Ok((key, KeySource { file: None, origin, warnings: Vec::new() }))
}

fn from_file(path: &Path, origin: Origin) -> Result<(SecretString, KeySource), ConfigError> {
    let source = format!("`{}`", path.display());
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX + 1));
    let metadata =
        input::read(path, KEY_BYTES_MAX, &mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > KEY_BYTES_MAX {
        return Err(ConfigError::key(format!("invalid API key: {source} is larger than 64 KiB")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed(&source))?;
    let key = parse(text, &source)?;
    let mode = metadata.permissions().mode() & 0o777;
    let who = match mode {
        _ if !metadata.is_file() => None,
        mode if mode & OTHERS != 0 => Some("any user"),
        mode if mode & GROUP != 0 => Some("its group"),
        _ => None,
    };
    let warning =
        who.map(|who| format!("{source} has mode {mode:04o}: {who} can read the API key"));
    let warnings = Vec::from_iter(warning);
    Ok((key, KeySource { file: Some(path.to_owned()), origin, warnings }))
}

/// Trims surrounding white space and validates the key.
fn parse(text: &str, source: &str) -> Result<SecretString, ConfigError> {
    let key = text.trim();
    if key.is_empty() {
        return Err(missing(&format!("no API key configured: {source} is empty")));
    }
    if let Some(hint) = wrapping(key) {
        return Err(malformed(source).with_hint(hint));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed(source));
    }
    Ok(SecretString::from(key))
}

/// Explains what is written around the key, as in a shell or in an environment file.
fn wrapping(text: &str) -> Option<&'static str> {
    let assigned = text.strip_prefix("export ").unwrap_or(text);
    let name = assigned.split_once('=').map(|(name, rest)| (name.trim(), rest.trim()));
    let is_name = |name: &str| {
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_word && name.to_uppercase().ends_with("KEY")
    };
    if name.is_some_and(|(name, rest)| is_name(name) && !rest.is_empty()) {
        return Some("write the key alone, without `NAME=`");
    }
    let is_quoted = ['"', '\'', '`'].iter().any(|quote| text.starts_with(*quote));
    is_quoted.then_some("write the key without quotes")
}

fn missing(message: &str) -> ConfigError {
    ConfigError::key(message).with_hint(format!(
        "write the key to a file with mode 0600 and name it with `--api-key-file` or `api_key_file`, \
         or set {KEY_VARIABLE}; create keys on the CreatorAudit dashboard"
    ))
}

fn malformed(source: &str) -> ConfigError {
    ConfigError::key(format!(
        "invalid API key: {source} must contain one word of printable ASCII characters"
    ))
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::key(format!("cannot read the API key from `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api_key");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn by_setting(path: PathBuf) -> KeySources {
        KeySources { setting: Some((path, Origin::Default)), ..KeySources::default() }
    }

    #[test]
    fn sources_are_tried_in_order() {
        let files: Vec<_> = [b"flag\n", b"cred\n", b"sett\n"].map(|t| file(t, 0o600)).into();
        let mut sources = KeySources {
            flag: Some(files[0].1.clone()),
            credentials: Some(files[1].0.path().to_owned()),
            setting: Some((files[2].1.clone(), Origin::Default)),
            variable: Some("vari".into()),
        };
        let key = |sources: &KeySources| resolve(sources).unwrap().0.expose_secret().to_owned();
        assert_eq!(key(&sources), "flag");
        sources.flag = None;
        assert_eq!(key(&sources), "cred");
        sources.credentials = Some("/nonexistent".into());
        assert_eq!(key(&sources), "sett");
        sources.setting = None;
        assert_eq!(key(&sources), "vari");
        assert_eq!(
            resolve(&sources).unwrap().1.to_string(),
            "environment variable CREATORAUDIT_API_KEY"
        );
        sources.variable = None;
        let error = resolve(&sources).unwrap_err();
        assert!(matches!(&error, ConfigError::Key { .. }) && error.hint().is_some(), "{error}");
    }

    #[test]
    fn trims_white_space_after_the_key() {
        let (_folder, path) = file(b"ca_live_1 \r\n\n", 0o600);
        let (key, source) = resolve(&by_setting(path)).unwrap();
        assert_eq!(key.expose_secret(), "ca_live_1");
        assert_eq!(source.warnings, Vec::<String>::new());
    }

    #[test]
    fn error_about_an_invalid_key_does_not_show_it() {
        let long = vec![b'a'; KEY_BYTES_MAX + 1];
        for (bytes, part) in [
            (b"s3cret key" as &[u8], "printable ASCII"),
            (b"s3 cret", "printable ASCII"),
            (b"s3cret\nmore", "printable ASCII"),
            ("s3crét".as_bytes(), "printable ASCII"),
            (b"\xff\xfes3cret", "printable ASCII"),
            (b" \n", "is empty"),
            (b"", "is empty"),
            (&long, "64 KiB"),
        ] {
            let (_folder, path) = file(bytes, 0o600);
            let error = resolve(&by_setting(path.clone())).unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, ConfigError::Key { .. }), "{message}");
            assert!(message.contains(part) && message.contains(&path.display().to_string()));
            assert!(!message.contains("s3cr"), "{message}");
        }
    }

    #[test]
    fn quotes_and_a_name_around_the_key_are_explained() {
        for (text, hint) in [
            ("\"s3cret\"", Some("write the key without quotes")),
            ("'s3cret'\n", Some("write the key without quotes")),
            ("CREATORAUDIT_API_KEY=s3cret", Some("write the key alone, without `NAME=`")),
            (
                "export CREATORAUDIT_API_KEY=\"s3cret\"",
                Some("write the key alone, without `NAME=`"),
            ),
            ("api_key = s3cret", Some("write the key alone, without `NAME=`")),
            ("s3 cret", None),
        ] {
            let (_folder, path) = file(text.as_bytes(), 0o600);
            let error = resolve(&by_setting(path)).unwrap_err();
            assert_eq!(error.hint(), hint, "{text}");
            assert!(!format!("{error:?}").contains("s3cr"), "{error:?}");
        }
        for key in ["ca_live_s3cret==", "key=", "a=b"] {
            let (_folder, path) = file(key.as_bytes(), 0o600);
            assert_eq!(resolve(&by_setting(path)).unwrap().0.expose_secret(), key);
        }
    }

    #[test]
    fn warns_about_a_key_file_readable_by_group_or_others() {
        let warnings = |mode| {
            let (_folder, path) = file(b"key", mode);
            resolve(&by_setting(path)).unwrap().1.warnings.concat()
        };
        assert_eq!(warnings(0o600), "");
        assert!(warnings(0o644).contains("mode 0644: any user"));
        assert!(warnings(0o640).contains("mode 0640: its group"));
        let (folder, _) = file(b"key", 0o644);
        let credentials =
            KeySources { credentials: Some(folder.path().to_owned()), ..KeySources::default() };
        assert!(resolve(&credentials).unwrap().1.warnings.is_empty());
    }

    #[test]
    fn unreadable_key_file_is_an_error_even_if_the_variable_is_set() {
        let sources = KeySources {
            flag: Some("/nonexistent/key".into()),
            variable: Some("vari".into()),
            ..KeySources::default()
        };
        let message = resolve(&sources).unwrap_err().to_string();
        assert!(message.contains("/nonexistent/key"), "{message}");
        let folder = tempfile::tempdir().unwrap();
        assert!(resolve(&by_setting(folder.path().to_owned())).is_err());
    }
}
