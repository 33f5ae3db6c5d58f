//! Parses and validates the values of settings.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use crate::config::error::ConfigError;
use crate::config::setting::{Origin, Raw, Setting};
use crate::model::Zone;
use crate::model::settings::RemovalCeiling;
use crate::schedule::FullSyncSchedule;

/// Longest duration accepted: adding a longer one could overflow a date.
const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Bounds of `max_concurrent_requests`.
const CONCURRENT_REQUESTS: RangeInclusive<u32> = 1..=16;

/// A setting with its unparsed text. Each method parses it as one type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub setting: Setting,
    pub raw: &'a Raw,
}

impl Entry<'_> {
    /// Parses a path. In a configuration file it is relative to the directory of that file.
    pub fn path(self) -> Result<PathBuf, ConfigError> {
        let path = PathBuf::from(&self.raw.value);
        if path.as_os_str().is_empty() {
            return Err(self.invalid("is empty"));
        }
        match &self.raw.origin {
            Origin::File { .. } if path.starts_with("~") => {
                Err(self.invalid("begins with `~`, which only a shell expands"))
            }
            Origin::File { path: file, .. } => {
                Ok(file.parent().map_or_else(|| path.clone(), |folder| folder.join(&path)))
            }
            _ => Ok(path),
        }
    }

    /// Parses the path of a file, which must exist.
    pub fn existing_file(self) -> Result<PathBuf, ConfigError> {
        let path = self.path()?;
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(self.invalid("is a directory")),
            // Reading a pipe could block forever.
            Ok(metadata) if !metadata.is_file() => Err(self.invalid("is not a regular file")),
            Ok(_) => Ok(path),
            Err(error) => Err(self.error(format!("cannot use `{}`: {error}", path.display()))),
        }
    }

    /// Parses a duration with a unit.
    pub fn duration(self) -> Result<Duration, ConfigError> {
        let text = self.text()?;
        duration(text).map_err(|why| {
            let error = self.invalid(&format!("is `{text}`, which {why}"));
            match self.setting.unit() {
                Some(unit) if is_bare_number(text) => {
                    error.with_hint(format!("write `{text}{unit}` for seconds"))
                }
                _ => error,
            }
        })
    }

    /// Parses a duration with a unit; `None` for `off`.
    pub fn duration_or_off(self) -> Result<Option<Duration>, ConfigError> {
        match self.text()? {
            "off" => Ok(None),
            _ => self.duration().map(Some),
        }
    }

    /// Parses a share above 0 and at most 1.
    pub fn share(self) -> Result<f64, ConfigError> {
        match self.text()?.parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
            _ => Err(self.unexpected()),
        }
    }

    /// Parses a number of concurrent requests.
    pub fn concurrency(self) -> Result<u32, ConfigError> {
        let number = self.text()?.parse::<u32>().ok();
        number.filter(|n| CONCURRENT_REQUESTS.contains(n)).ok_or_else(|| self.unexpected())
    }

    /// Parses a percentage.
    pub fn removal_ceiling(self) -> Result<RemovalCeiling, ConfigError> {
        let text = self.text()?;
        let Some(number) = text.strip_suffix('%') else {
            let error = self.unexpected();
            return Err(match text.parse::<f64>() {
                Ok(_) => error.with_hint(format!("write `{text}%`")),
                Err(_) => error,
            });
        };
        match number.trim_end().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => {
                Ok(RemovalCeiling { fraction: percent / 100.0 })
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Parses an IANA time zone name.
    pub fn timezone(self) -> Result<Zone, ConfigError> {
        Zone::named(self.text()?).ok_or_else(|| self.unexpected())
    }

    /// Parses a loopback address with port; `None` for `off`.
    pub fn listen(self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.text()?;
        if text == "off" {
            return Ok(None);
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Some(address)),
            Ok(_) => Err(self.invalid(&format!("is `{text}`, which other hosts could reach"))),
            Err(_) => Err(self.unexpected()),
        }
    }

    /// Validates a schedule. Its text is parsed again once the database's seed is known.
    pub fn full_sync(self) -> Result<String, ConfigError> {
        let text = self.text()?;
        FullSyncSchedule::parse(text, 0)
            .map_err(|error| self.error(format!("`{}`: {error}", self.setting)))?;
        Ok(text.to_owned())
    }

    /// Parses the base URL and removes trailing slashes.
    pub fn base_url(self) -> Result<Url, ConfigError> {
        // The URL is not shown, because it may contain a password or a pasted API key.
        let Ok(mut url) = Url::parse(self.text()?) else {
            return Err(self.invalid("is not a URL"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.invalid("contains a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.invalid("contains a query or fragment"));
        }
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => {}
            ("http", Some(host)) if is_loopback(&host) => {}
            ("http", Some(host)) => {
                return Err(self.invalid(&format!(
                    "uses http to `{host}`, which would send the API key unencrypted"
                )));
            }
            _ => return Err(self.invalid("is neither https nor http")),
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }

    fn text(&self) -> Result<&str, ConfigError> {
        let text = self.raw.value.to_str().ok_or_else(|| self.invalid("is not UTF-8"))?;
        Ok(text.trim())
    }

    fn unexpected(&self) -> ConfigError {
        self.invalid(&format!("is `{}`", self.raw.value.display()))
    }

    fn invalid(&self, found: &str) -> ConfigError {
        let expected = self.setting.expected();
        self.error(format!("`{}` {found}, expected {expected}", self.setting))
    }

    fn error(&self, message: String) -> ConfigError {
        ConfigError::setting(format!("{}: {message}", self.raw.origin))
    }
}

/// Parses a duration such as `90s` or `1h 30m`. The error completes a sentence about the text.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    if is_bare_number(text) {
        return Err("has no unit");
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) => Err("is longer than a hundred years"),
        Err(_) => Err("is not a duration"),
    }
}

fn is_bare_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw {
        Raw { value: text.into(), origin: Origin::Variable("V".to_owned()) }
    }

    fn url(text: &str) -> Result<String, String> {
        let entry = Entry { setting: Setting::BaseUrl, raw: &raw(text) };
        entry.base_url().map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn allows_http_on_loopback_only() {
        for (given, taken) in [
            ("https://api.creatoraudit.com/v2/", "https://api.creatoraudit.com/v2"),
            ("http://127.0.0.1:8080/v2", "http://127.0.0.1:8080/v2"),
            ("http://127.9.9.9", "http://127.9.9.9/"),
            ("http://[::1]:1/v2//", "http://[::1]:1/v2"),
            ("http://localhost:80/", "http://localhost/"),
        ] {
            assert_eq!(url(given).as_deref(), Ok(taken));
        }
        for wrong in [
            "http://api.creatoraudit.com/v2",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://10.0.0.1/",
            "http://[::ffff:10.0.0.1]/",
            "ftp://localhost/",
            "api.creatoraudit.com",
            "https://",
            "",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn error_about_a_url_does_not_show_secrets_in_it() {
        for wrong in [
            "https://user:s3cret@host/v2",
            "https://s3cret@host/v2",
            "https://host/v2?key=s3cret",
            "https://host/v2#s3cret",
            "s3cret",
        ] {
            let message = url(wrong).unwrap_err();
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn share_is_above_0_and_at_most_1() {
        for (text, share) in [("0.9", Some(0.9)), ("1", Some(1.0)), ("0", None), ("1.1", None)] {
            let entry = Entry { setting: Setting::RateShare, raw: &raw(text) };
            assert_eq!(entry.share().ok(), share);
        }
        for text in ["NaN", "-1", "90%", ""] {
            assert!(Entry { setting: Setting::RateShare, raw: &raw(text) }.share().is_err());
        }
    }

    #[test]
    fn concurrency_is_1_to_16() {
        for (text, number) in [
            ("1", Some(1)),
            ("16", Some(16)),
            ("0", None),
            ("17", None),
            ("-1", None),
            ("4.5", None),
        ] {
            let entry = Entry { setting: Setting::MaxConcurrentRequests, raw: &raw(text) };
            assert_eq!(entry.concurrency().ok(), number, "{text}");
        }
    }

    #[test]
    fn percentage_needs_a_percent_sign() {
        let ceiling = |text: &str| {
            let entry = Entry { setting: Setting::MaxRemovals, raw: &raw(text) };
            entry.removal_ceiling().map(|ceiling| ceiling.fraction)
        };
        assert_eq!(ceiling("20%"), Ok(0.2));
        assert_eq!(ceiling("0.5 %"), Ok(0.005));
        assert_eq!(ceiling("20").unwrap_err().hint(), Some("write `20%`"));
        for wrong in ["101%", "-1%", "%", "NaN%", "a"] {
            assert!(ceiling(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn duration_needs_a_unit() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("90"), Err("has no unit"));
        let entry = Entry { setting: Setting::MaxWait, raw: &raw("90") };
        assert_eq!(entry.duration().unwrap_err().hint(), Some("write `90s` for seconds"));
        for wrong in ["", "0", "5 apples", "-5m", "999999999y"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn listen_accepts_loopback_only() {
        let listen = |text: &str| {
            let entry = Entry { setting: Setting::Listen, raw: &raw(text) };
            entry.listen().map(|address| address.map(|address| address.to_string()))
        };
        assert_eq!(listen("off"), Ok(None));
        assert_eq!(listen("[::1]:9095"), Ok(Some("[::1]:9095".to_owned())));
        for wrong in ["0.0.0.0:80", "127.0.0.1", "localhost:1", "on"] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn path_in_a_file_is_relative_to_its_directory() {
        let entry = |text: &str, origin: Origin| {
            let raw = Raw { value: text.into(), origin };
            Entry { setting: Setting::Database, raw: &raw }.path()
        };
        let file = || Origin::File { path: "/etc/creatormirror/config.toml".into(), line: 3 };
        assert_eq!(entry("a.db", file()), Ok("/etc/creatormirror/a.db".into()));
        assert_eq!(entry("/b/a.db", file()), Ok("/b/a.db".into()));
        assert_eq!(entry("a.db", Origin::Flag("--database")), Ok("a.db".into()));
        assert!(entry("~/a.db", file()).is_err());
        assert!(entry("", file()).is_err());
    }
}
