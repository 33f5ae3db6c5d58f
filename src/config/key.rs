//! Where the key comes from, and how it is read. From its first byte it lives in memory that is
//! wiped, in a type that does not print; what is said about it names its place and never itself.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::config::error::ConfigError;
use crate::config::input;
use crate::config::setting::Origin;

/// The vendor's own variable for the key.
pub(super) const KEY_VARIABLE: &str = "CREATORAUDIT_API_KEY";

/// Read and write permission for the group and for others.
const GROUP: u32 = 0o060;
const OTHERS: u32 = 0o006;

/// A larger file is not a key.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// The places where a key may be, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPlaces {
    /// The file named by the flag.
    pub flag: Option<PathBuf>,
    /// systemd's folder of credentials.
    pub credentials: Option<PathBuf>,
    /// The file named by the setting, and who named it.
    pub setting: Option<(PathBuf, Origin)>,
    /// The variable's value.
    pub variable: Option<SecretString>,
}

/// Which place the key came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    /// The file, unless the key was in a variable.
    pub file: Option<PathBuf>,
    /// Who named that file, or the variable.
    pub origin: Origin,
    /// What is wrong with the file although its key is used.
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

/// Reads the key from the first place that has one.
pub(super) fn resolve(places: &KeyPlaces) -> Result<(SecretString, KeySource), ConfigError> {
    if let Some(path) = &places.flag {
        return from_file(path, Origin::Flag("--api-key-file"));
    }
    if let Some(folder) = &places.credentials {
        let path = folder.join("api_key");
        let exists = path.try_exists().map_err(|error| unreadable(&path, &error))?;
        if exists {
            let origin = Origin::Variable("CREDENTIALS_DIRECTORY".to_owned());
            let (key, mut source) = from_file(&path, origin)?;
            // systemd alone decides about that folder, and keeps others out of it.
            source.warnings.clear();
            return Ok((key, source));
        }
    }
    if let Some((path, origin)) = &places.setting {
        return from_file(path, origin.clone());
    }
    let Some(key) = &places.variable else {
        return Err(missing("no API key is configured"));
    };
    let origin = Origin::Variable(KEY_VARIABLE.to_owned());
    let key = checked(key.expose_secret(), &origin.to_string())?;
    Ok((key, KeySource { file: None, origin, warnings: Vec::new() }))
}

fn from_file(path: &Path, origin: Origin) -> Result<(SecretString, KeySource), ConfigError> {
    let place = path.display().to_string();
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES_MAX + 1));
    let metadata =
        input::read(path, KEY_BYTES_MAX, &mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > KEY_BYTES_MAX {
        return Err(ConfigError::key(format!(
            "{place} is larger than 64 KiB, which is no API key"
        )));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed(&place))?;
    let key = checked(text, &place)?;
    let mode = metadata.permissions().mode() & 0o777;
    let mut warnings = Vec::new();
    let who = match mode {
        mode if mode & OTHERS != 0 => Some("everybody"),
        mode if mode & GROUP != 0 => Some("its group"),
        _ => None,
    };
    if let Some(who) = who.filter(|_| metadata.is_file()) {
        warnings.push(format!("{place} has mode {mode:04o}, so {who} can get at the API key"));
    }
    Ok((key, KeySource { file: Some(path.to_owned()), origin, warnings }))
}

/// A key without the white space that editors and shells leave after it.
fn checked(text: &str, place: &str) -> Result<SecretString, ConfigError> {
    let key = text.trim();
    if key.is_empty() {
        return Err(missing(&format!("the API key is missing: {place} is empty")));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed(place));
    }
    Ok(SecretString::from(key))
}

fn missing(message: &str) -> ConfigError {
    ConfigError::key(message).with_hint(format!(
        "put the key into a file of mode 0600 and name it with --api-key-file or `api_key_file`, \
         or set {KEY_VARIABLE}; keys are made on the CreatorAudit dashboard"
    ))
}

fn malformed(place: &str) -> ConfigError {
    ConfigError::key(format!(
        "{place} does not hold an API key: a key is one word of visible ASCII characters"
    ))
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::key(format!("cannot read the API key from {}: {error}", path.display()))
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

    fn by_setting(path: PathBuf) -> KeyPlaces {
        KeyPlaces { setting: Some((path, Origin::Default)), ..KeyPlaces::default() }
    }

    #[test]
    fn the_places_are_asked_in_order() {
        let files: Vec<_> = [b"flag\n", b"cred\n", b"sett\n"].map(|t| file(t, 0o600)).into();
        let mut places = KeyPlaces {
            flag: Some(files[0].1.clone()),
            credentials: Some(files[1].0.path().to_owned()),
            setting: Some((files[2].1.clone(), Origin::Default)),
            variable: Some("vari".into()),
        };
        let key = |places: &KeyPlaces| resolve(places).unwrap().0.expose_secret().to_owned();
        assert_eq!(key(&places), "flag");
        places.flag = None;
        assert_eq!(key(&places), "cred");
        places.credentials = Some("/nonexistent".into());
        assert_eq!(key(&places), "sett");
        places.setting = None;
        assert_eq!(key(&places), "vari");
        assert_eq!(
            resolve(&places).unwrap().1.to_string(),
            "environment variable CREATORAUDIT_API_KEY"
        );
        places.variable = None;
        let error = resolve(&places).unwrap_err();
        assert!(matches!(&error, ConfigError::Key { .. }) && error.hint().is_some(), "{error}");
    }

    #[test]
    fn what_follows_the_key_is_trimmed() {
        let (_folder, path) = file(b"ca_live_1 \r\n\n", 0o600);
        let (key, source) = resolve(&by_setting(path)).unwrap();
        assert_eq!(key.expose_secret(), "ca_live_1");
        assert_eq!(source.warnings, Vec::<String>::new());
    }

    #[test]
    fn a_bad_key_is_not_shown() {
        let long = vec![b'a'; KEY_BYTES_MAX + 1];
        for (bytes, part) in [
            (b"s3cret key" as &[u8], "visible ASCII"),
            (b"s3 cret", "visible ASCII"),
            (b"s3cret\nmore", "visible ASCII"),
            ("s3crét".as_bytes(), "visible ASCII"),
            (b"\xff\xfes3cret", "visible ASCII"),
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
    fn a_file_that_group_or_others_can_read_is_warned_about() {
        let warnings = |mode| {
            let (_folder, path) = file(b"key", mode);
            resolve(&by_setting(path)).unwrap().1.warnings.concat()
        };
        assert_eq!(warnings(0o600), "");
        assert!(warnings(0o644).contains("mode 0644, so everybody"));
        assert!(warnings(0o640).contains("mode 0640, so its group"));
        let (folder, _) = file(b"key", 0o644);
        let credentials =
            KeyPlaces { credentials: Some(folder.path().to_owned()), ..KeyPlaces::default() };
        assert!(resolve(&credentials).unwrap().1.warnings.is_empty());
    }

    #[test]
    fn an_unreadable_file_is_named_and_nothing_else_is_tried() {
        let places = KeyPlaces {
            flag: Some("/nonexistent/key".into()),
            variable: Some("vari".into()),
            ..KeyPlaces::default()
        };
        let message = resolve(&places).unwrap_err().to_string();
        assert!(message.contains("/nonexistent/key"), "{message}");
        let folder = tempfile::tempdir().unwrap();
        assert!(resolve(&by_setting(folder.path().to_owned())).is_err());
    }
}
