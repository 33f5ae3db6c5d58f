//! From the text of a setting to its value. Pure, apart from looking whether a named file exists.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use url::{Host, Url};

use crate::config::error::ConfigError;
use crate::config::setting::{Origin, Raw, Setting};
use crate::model::settings::RemovalCeiling;
use crate::schedule::FullSyncSchedule;

/// Durations longer than this would only overflow dates.
const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// How many requests may be in flight at a time.
const CONCURRENT_REQUESTS: RangeInclusive<u32> = 1..=16;

/// A setting with its raw text, ready to be read as one type or another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub setting: Setting,
    pub raw: &'a Raw,
}

impl Entry<'_> {
    /// A path. In a file it may be relative to that file's folder.
    pub fn path(self) -> Result<PathBuf, ConfigError> {
        let path = PathBuf::from(&self.raw.value);
        if path.as_os_str().is_empty() {
            return Err(self.wrong("is empty"));
        }
        match &self.raw.origin {
            Origin::File { .. } if path.starts_with("~") => {
                Err(self.wrong("begins with `~`, which only a shell expands"))
            }
            Origin::File { path: file, .. } => {
                Ok(file.parent().map_or_else(|| path.clone(), |folder| folder.join(&path)))
            }
            _ => Ok(path),
        }
    }

    /// The path of a file that must exist.
    pub fn existing_file(self) -> Result<PathBuf, ConfigError> {
        let path = self.path()?;
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Err(self.wrong("is a folder")),
            // Reading a pipe could wait for ever.
            Ok(metadata) if !metadata.is_file() => Err(self.wrong("is not a regular file")),
            Ok(_) => Ok(path),
            Err(error) => Err(self.fault(format!("cannot use {}: {error}", path.display()))),
        }
    }

    /// A duration with its unit.
    pub fn duration(self) -> Result<Duration, ConfigError> {
        let text = self.text()?;
        duration(text).map_err(|why| {
            let error = self.wrong(&format!("is `{text}`, which {why}"));
            match self.setting.unit() {
                Some(unit) if is_bare_number(text) => {
                    error.with_hint(format!("in seconds write {text}{unit}"))
                }
                _ => error,
            }
        })
    }

    /// A share above 0 and at most 1.
    pub fn share(self) -> Result<f64, ConfigError> {
        match self.text()?.parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
            _ => Err(self.unexpected()),
        }
    }

    /// A number of requests.
    pub fn concurrency(self) -> Result<u32, ConfigError> {
        let number = self.text()?.parse::<u32>().ok();
        number.filter(|n| CONCURRENT_REQUESTS.contains(n)).ok_or_else(|| self.unexpected())
    }

    /// A percentage of removals.
    pub fn removal_ceiling(self) -> Result<RemovalCeiling, ConfigError> {
        let text = self.text()?;
        let Some(number) = text.strip_suffix('%') else {
            let error = self.unexpected();
            return Err(match text.parse::<f64>() {
                Ok(_) => error.with_hint(format!("write {text}%")),
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

    /// A time zone's IANA name.
    pub fn timezone(self) -> Result<Tz, ConfigError> {
        self.text()?.parse().map_err(|_| self.unexpected())
    }

    /// A loopback address and port, or none for `off`.
    pub fn listen(self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.text()?;
        if text == "off" {
            return Ok(None);
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Some(address)),
            Ok(_) => Err(self.wrong(&format!("is `{text}`, which others could reach"))),
            Err(_) => Err(self.unexpected()),
        }
    }

    /// The text of a schedule that has been checked. It is read for good once the seed is known.
    pub fn full_sync(self) -> Result<String, ConfigError> {
        let text = self.text()?;
        FullSyncSchedule::parse(text, 0)
            .map_err(|error| self.fault(format!("`{}`: {error}", self.setting)))?;
        Ok(text.to_owned())
    }

    /// Where the API is, without a slash at the end.
    pub fn base_url(self) -> Result<Url, ConfigError> {
        // What was found is not shown: an address may hold a password, or a pasted key.
        let Ok(mut url) = Url::parse(self.text()?) else {
            return Err(self.wrong("is not an address"));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.wrong("holds a user name or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(self.wrong("holds a query or a fragment"));
        }
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => {}
            ("http", Some(host)) if is_loopback(&host) => {}
            ("http", Some(host)) => {
                return Err(self.wrong(&format!(
                    "is http to {host}, where the key would travel in the clear"
                )));
            }
            _ => return Err(self.wrong("is neither https nor http")),
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(url)
    }

    fn text(&self) -> Result<&str, ConfigError> {
        let text = self.raw.value.to_str().ok_or_else(|| self.wrong("is not UTF-8"))?;
        Ok(text.trim())
    }

    fn unexpected(&self) -> ConfigError {
        self.wrong(&format!("is `{}`", self.raw.value.display()))
    }

    fn wrong(&self, found: &str) -> ConfigError {
        let expected = self.setting.expected();
        self.fault(format!("`{}` {found}, expected {expected}", self.setting))
    }

    fn fault(&self, message: String) -> ConfigError {
        ConfigError::setting(format!("{}: {message}", self.raw.origin))
    }
}

/// Reads a duration such as `90s` or `1h 30m`; else says what the text is or lacks.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    if is_bare_number(text) {
        return Err("has no unit");
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) => Err("is longer than a hundred years"),
        Err(_) => Err("is no duration"),
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
    fn only_loopback_may_go_without_tls() {
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
    fn what_an_address_must_not_hold_is_not_shown() {
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
    fn shares_are_above_nought_and_at_most_one() {
        for (text, share) in [("0.9", Some(0.9)), ("1", Some(1.0)), ("0", None), ("1.1", None)] {
            let entry = Entry { setting: Setting::RateShare, raw: &raw(text) };
            assert_eq!(entry.share().ok(), share);
        }
        for text in ["NaN", "-1", "90%", ""] {
            assert!(Entry { setting: Setting::RateShare, raw: &raw(text) }.share().is_err());
        }
    }

    #[test]
    fn from_1_to_16_requests_may_be_in_flight() {
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
    fn percentages_carry_their_sign() {
        let ceiling = |text: &str| {
            let entry = Entry { setting: Setting::MaxRemovals, raw: &raw(text) };
            entry.removal_ceiling().map(|ceiling| ceiling.fraction)
        };
        assert_eq!(ceiling("20%"), Ok(0.2));
        assert_eq!(ceiling("0.5 %"), Ok(0.005));
        assert_eq!(ceiling("20").unwrap_err().hint(), Some("write 20%"));
        for wrong in ["101%", "-1%", "%", "NaN%", "a"] {
            assert!(ceiling(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("90"), Err("has no unit"));
        let entry = Entry { setting: Setting::MaxWait, raw: &raw("90") };
        assert_eq!(entry.duration().unwrap_err().hint(), Some("in seconds write 90s"));
        for wrong in ["", "0", "5 apples", "-5m", "999999999y"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn metrics_stay_on_loopback() {
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
    fn a_path_in_a_file_is_relative_to_it() {
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
