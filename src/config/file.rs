//! The configuration file: TOML with flat keys. Error messages name file, line and setting but
//! never quote the line, because it may contain an API key.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::{Spanned, Value};

use crate::config::error::ConfigError;
use crate::config::input;
use crate::config::setting::{Origin, Raw, Setting};

/// Largest configuration file accepted, bytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Least similarity of a name to be suggested, 0 to 1.
const SIMILARITY_MIN: f64 = 0.65;

/// Write permission for others.
const OTHERS_WRITE: u32 = 0o002;

/// Unparsed values by setting.
pub(super) type Values = BTreeMap<Setting, Raw>;

/// Reads the file at `path`. Returns its values, and a warning if any user may change the file.
pub(super) fn read(path: &Path) -> Result<(Values, Option<String>), ConfigError> {
    let failed = |why: &dyn std::fmt::Display| {
        let path = path.display();
        ConfigError::setting(format!("cannot read the configuration file `{path}`: {why}"))
    };
    let mut bytes = Vec::new();
    let metadata = input::read(path, FILE_BYTES_MAX, &mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(failed(&"it is larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed(&"it is not UTF-8 text"))?;
    let mode = metadata.permissions().mode() & 0o777;
    let warning = (metadata.is_file() && mode & OTHERS_WRITE != 0).then(|| {
        format!(
            "`{}` has mode {mode:04o}: any user of this machine can change `base_url` and receive the API \
             key; run `chmod o-w`",
            path.display()
        )
    });
    Ok((parse(path, &text)?, warning))
}

fn parse(path: &Path, text: &str) -> Result<Values, ConfigError> {
    let at = |offset: usize| Origin::File { path: path.to_owned(), line: line_of(text, offset) };
    let table: BTreeMap<Spanned<String>, Spanned<Value>> =
        toml::from_str(text).map_err(|error| {
            let origin = at(error.span().map_or(0, |span| span.start));
            ConfigError::setting(format!("{origin}: invalid TOML: {}", error.message()))
        })?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let origin = at(key.span().start);
        let Some(setting) = Setting::from_name(key.as_ref()) else {
            return Err(unknown_setting(key.as_ref(), &origin));
        };
        let text = scalar(setting, value.as_ref(), &origin)?;
        values.insert(setting, Raw { value: OsString::from(text), origin });
    }
    Ok(values)
}

fn unknown_setting(key: &str, origin: &Origin) -> ConfigError {
    let normalized = key.replace('-', "_").to_lowercase();
    if normalized == "api_key" || normalized == "apikey" {
        return ConfigError::setting(format!(
            "{origin}: `{key}` is not allowed here: a configuration file is often copied or committed"
        ))
        .with_hint("write the API key to a separate file with mode 0600 and set `api_key_file`");
    }
    let error = ConfigError::setting(format!("{origin}: unknown setting `{key}`"));
    let names = Setting::ALL.map(Setting::name);
    if let Some(name) = nearest(&normalized, names.into_iter()) {
        return error.with_hint(format!("did you mean `{name}`?"));
    }
    error.with_hint(format!("known settings: {}", names.join(", ")))
}

/// The name that is most alike, if any is alike.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = known.map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let best = alike.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 >= SIMILARITY_MIN).then_some(best.1)
}

/// Returns the value as text. `rate_share` and counts may be numbers; all others must be strings.
fn scalar(setting: Setting, value: &Value, origin: &Origin) -> Result<String, ConfigError> {
    let found = match (value, setting) {
        (Value::String(text), _) => return Ok(text.clone()),
        (Value::Float(number), Setting::RateShare) => return Ok(number.to_string()),
        (Value::Integer(number), Setting::RateShare | Setting::MaxConcurrentRequests) => {
            return Ok(number.to_string());
        }
        (Value::Integer(number), _) => format!("the integer {number}"),
        (Value::Float(number), _) => format!("the number {number}"),
        (Value::Boolean(truth), _) => format!("the boolean {truth}"),
        (Value::Datetime(_), _) => "a date".to_owned(),
        (Value::Array(_), _) => "an array".to_owned(),
        (Value::Table(_), _) => "a table".to_owned(),
    };
    let expected = setting.expected();
    let error =
        ConfigError::setting(format!("{origin}: `{setting}` is {found}, expected {expected}"));
    Err(match (value, setting.unit()) {
        (Value::Integer(number), Some(unit)) => {
            error.with_hint(format!("write \"{number}{unit}\""))
        }
        _ => error,
    })
}

/// Line number of a byte offset, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let error = parse(Path::new("/c.toml"), text).unwrap_err();
        format!("{error} ({})", error.hint().unwrap_or_default())
    }

    #[test]
    fn origin_names_the_line() {
        let text = "# a comment\n\nrate_share = 0.5\n\"timezone\" = 'Europe/Berlin'\n";
        let values = parse(Path::new("/c.toml"), text).unwrap();
        let share = &values[&Setting::RateShare];
        assert_eq!(
            (share.value.to_str(), share.origin.to_string().as_str()),
            (Some("0.5"), "/c.toml:3")
        );
        assert_eq!(values[&Setting::Timezone].origin.to_string(), "/c.toml:4");
    }

    #[test]
    fn unknown_setting_is_named_with_its_line() {
        let found = message("rate_share = 1\nfreshness = '5m'\n");
        assert!(found.starts_with("/c.toml:2: unknown setting `freshness`"), "{found}");
        let found = message("[full_syncs]\nvideos = 'off'\n");
        assert!(found.starts_with("/c.toml:1: unknown setting `full_syncs`"), "{found}");
        for (name, meant) in [
            ("rate-share", "rate_share"),
            ("ratshare", "rate_share"),
            ("full_sync_video", "full_sync_videos"),
            ("baseurl", "base_url"),
            ("freshnes_target", "freshness_target"),
        ] {
            let found = message(&format!("{name} = 1"));
            assert!(found.contains(&format!("did you mean `{meant}`?")), "{found}");
        }
        assert!(message("colour = 1").contains("known settings: "));
    }

    #[test]
    fn rejects_an_api_key_without_showing_it() {
        for text in [
            "api_key = 'ca_live_s3cret'",
            "api-key = 'ca_live_s3cret'",
            "key = 'ca_live_s3cret'",
            "api_key_file = ['ca_live_s3cret']",
            "api_key 'ca_live_s3cret'",
            "api_key = 'ca_live_s3cret",
            "api_key = ca_live_s3cret",
        ] {
            let found = message(text);
            assert!(found.starts_with("/c.toml:1: "), "{found}");
            assert!(!found.contains("s3cret"), "{found}");
        }
    }

    #[test]
    fn wrong_type_names_found_and_expected() {
        let found = message("\nmax_wait = 300");
        assert!(found.contains("/c.toml:2: `max_wait` is the integer 300, expected a duration"));
        assert!(found.contains("write \"300s\""), "{found}");
        assert!(message("max_removals = 20").contains("write \"20%\""));
        assert!(message("listen = false").contains("is the boolean false, expected a loopback"));
        assert!(message("database = 2026-01-01").contains("is a date, expected a path"));
    }

    #[test]
    fn invalid_toml_names_the_line() {
        let found = message("rate_share = 1\nrate_share = 2\n");
        assert!(found.starts_with("/c.toml:2: invalid TOML"), "{found}");
    }
}
