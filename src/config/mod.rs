//! Settings from flags, environment, configuration file and defaults, in that order of precedence,
//! each with its origin.
//!
//! - `environment`: the process environment as a value
//! - `setting`: the table of settings: names, defaults, documentation
//! - `locate`, `file`: finds and parses the configuration file
//! - `input`: reads the configuration and key files, which may be pipes
//! - `value`: parses text to typed values
//! - `key`: the API key, read only by commands that need it

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod environment;
mod error;
mod file;
mod input;
mod key;
mod locate;
mod setting;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use environment::Environment;
pub use error::ConfigError;
pub use key::KeySource;
pub use locate::{Flags, instance_name};
pub use setting::{Origin, Setting};
pub use value::duration;

use crate::model::settings::{ApiSettings, RemovalCeiling};
use crate::model::{Kind, Zone};
use crate::schedule::FullSyncSchedule;
use key::{KEY_VARIABLE, KeySources};
use setting::{Raw, VARIABLE_PREFIX};
use value::Entry;

/// Timeout for connecting to the API.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for one request, including the whole response body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);

/// All settings, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path of the database.
    pub database: PathBuf,
    /// Base URL of the API, without a trailing slash.
    pub base_url: Url,
    /// Additional trusted CA certificates (PEM).
    pub ca_file: Option<PathBuf>,
    /// Share of the key's rate limit to use, above 0 and at most 1.
    pub rate_share: f64,
    /// Maximum requests in flight, 1 to 16.
    pub max_concurrent_requests: u32,
    /// Maximum total wait for the rate limit.
    pub max_wait: Duration,
    /// How long due rows on one page wait for each other.
    pub freshness_target: Duration,
    /// Largest share of a kind's rows that one listing may remove.
    pub max_removals: RemovalCeiling,
    /// Time zone of the full-sync schedules.
    pub timezone: Zone,
    /// Retention of finished outbox entries.
    pub outbox_retention: Duration,
    /// Retention of `sync_log` rows.
    pub log_retention: Duration,
    /// Retention of `change_log` rows; `None` keeps them for good.
    pub change_log_retention: Option<Duration>,
    /// Delay before a write whose answer was lost is reconciled.
    pub reconcile_after: Duration,
    /// Loopback address for metrics and health checks.
    pub listen: Option<SocketAddr>,
    /// Configuration file that was read.
    pub file: Option<PathBuf>,
    /// Warnings to log.
    pub warnings: Vec<String>,
    full_syncs: BTreeMap<Kind, String>,
    origins: BTreeMap<Setting, Origin>,
    key_sources: KeySources,
}

impl Config {
    /// Loads and validates the settings.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let file = locate::file(flags, environment)?;
        let (raws, warning) = match &file {
            Some(path) => file::read(path)?,
            None => Default::default(),
        };
        let mut config = Self::assemble(raws, file, flags, environment)?;
        config.warnings.extend(warning);
        Ok(config)
    }

    /// Builds settings from flags and defaults alone, ignoring configuration file and environment.
    pub fn of_flags(flags: &Flags) -> Result<Self, ConfigError> {
        let nothing: [(String, OsString); 0] = [];
        Self::assemble(BTreeMap::new(), None, flags, &Environment::new(nothing))
    }

    fn assemble(
        mut raws: BTreeMap<Setting, Raw>,
        file: Option<PathBuf>,
        flags: &Flags,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let warnings = overlay_environment(&mut raws, environment)?;
        let flag_key = flags.api_key_file.clone();
        let key_sources = key_sources(flag_key, raws.get(&Setting::ApiKeyFile), environment)?;
        overlay_flags(&mut raws, flags);
        overlay_defaults(&mut raws, environment);

        let entry = |setting: Setting| {
            match raws.get(&setting) {
            Some(raw) => Ok(Entry { setting, raw }),
            // Only `database` has a default that depends on the environment.
            None => Err(ConfigError::setting(format!(
                "`{setting}` is not set and has no default: $STATE_DIRECTORY, $XDG_DATA_HOME and $HOME are unset"
            ))
            .with_hint("name the file with `--database`")),
        }
        };
        let ca_file = raws.get(&Setting::CaFile).map(|raw| Entry { setting: Setting::CaFile, raw });
        let mut full_syncs = BTreeMap::new();
        for kind in Kind::ALL {
            full_syncs.insert(kind, entry(Setting::full_sync(kind))?.full_sync()?);
        }
        Ok(Self {
            database: entry(Setting::Database)?.path()?,
            base_url: entry(Setting::BaseUrl)?.base_url()?,
            ca_file: ca_file.map(Entry::existing_file).transpose()?,
            rate_share: entry(Setting::RateShare)?.share()?,
            max_concurrent_requests: entry(Setting::MaxConcurrentRequests)?.concurrency()?,
            max_wait: entry(Setting::MaxWait)?.duration()?,
            freshness_target: entry(Setting::FreshnessTarget)?.duration()?,
            max_removals: entry(Setting::MaxRemovals)?.removal_ceiling()?,
            timezone: entry(Setting::Timezone)?.timezone()?,
            outbox_retention: entry(Setting::OutboxRetention)?.duration()?,
            log_retention: entry(Setting::LogRetention)?.duration()?,
            change_log_retention: entry(Setting::ChangeLogRetention)?.duration_or_off()?,
            reconcile_after: entry(Setting::ReconcileAfter)?.duration()?,
            listen: entry(Setting::Listen)?.listen()?,
            full_syncs,
            origins: raws.into_iter().map(|(setting, raw)| (setting, raw.origin)).collect(),
            key_sources,
            file,
            warnings,
        })
    }

    /// Returns where a setting's value came from.
    pub fn origin(&self, setting: Setting) -> &Origin {
        self.origins.get(&setting).unwrap_or(&Origin::Default)
    }

    /// Reads the API key. Returns it with its source.
    pub fn key(&self) -> Result<(SecretString, KeySource), ConfigError> {
        key::resolve(&self.key_sources)
    }

    /// Returns the settings of the API client.
    pub fn api(&self, key: SecretString) -> ApiSettings {
        ApiSettings {
            base_url: self.base_url.clone(),
            key,
            ca_file: self.ca_file.clone(),
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
        }
    }

    /// Returns the full-sync schedule of each kind, `None` if off. `seed`, one per database, sets
    /// the minute at which `@hourly` and the like run, a different one for each kind.
    pub fn full_syncs(&self, seed: u64) -> BTreeMap<Kind, Option<FullSyncSchedule>> {
        let parse = |(kind, text): (&Kind, &String)| {
            let seed = xxh3_64_with_seed(kind.name().as_bytes(), seed);
            // Cannot fail: `load` validated the expression.
            (*kind, FullSyncSchedule::parse(text, seed).unwrap_or_default())
        };
        self.full_syncs.iter().map(parse).collect()
    }
}

/// Applies environment variables. Returns a warning for each unknown variable with our prefix.
fn overlay_environment(
    raws: &mut BTreeMap<Setting, Raw>,
    environment: &Environment,
) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    for name in environment.names(VARIABLE_PREFIX) {
        if name == "CREATORMIRROR_API_KEY" {
            return Err(ConfigError::setting(
                "environment variable CREATORMIRROR_API_KEY is not supported: the API key is not a setting",
            )
            .with_hint(format!(
                "use {KEY_VARIABLE}, or name a file with CREATORMIRROR_API_KEY_FILE"
            )));
        }
        if Setting::ALL.iter().all(|setting| setting.variable() != name) {
            let variables = Setting::ALL.map(Setting::variable);
            let instead = match name {
                "CREATORMIRROR_BASE_URL" => ": use CREATORAUDIT_BASE_URL".to_owned(),
                name => file::nearest(name, variables.iter().map(String::as_str))
                    .map_or_else(String::new, |meant| format!(": did you mean {meant}?")),
            };
            warnings.push(format!("unknown environment variable {name}{instead}"));
        }
    }
    for setting in Setting::ALL {
        let name = setting.variable();
        if let Some(value) = environment.get(&name) {
            let raw = Raw { value: value.to_owned(), origin: Origin::Variable(name) };
            raws.insert(setting, raw);
        }
    }
    Ok(warnings)
}

fn overlay_flags(raws: &mut BTreeMap<Setting, Raw>, flags: &Flags) {
    let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
    let max_wait = flags.max_wait.map(|wait| humantime::format_duration(wait).to_string().into());
    let given = [
        (Setting::Database, "--database", path(&flags.database)),
        (Setting::BaseUrl, "--base-url", flags.base_url.clone().map(OsString::from)),
        (Setting::ApiKeyFile, "--api-key-file", path(&flags.api_key_file)),
        (Setting::MaxWait, "--max-wait", max_wait),
    ];
    for (setting, name, value) in given {
        if let Some(value) = value {
            raws.insert(setting, Raw { value, origin: Origin::Flag(name) });
        }
    }
}

fn overlay_defaults(raws: &mut BTreeMap<Setting, Raw>, environment: &Environment) {
    for setting in Setting::ALL {
        let default = match setting {
            Setting::Database => locate::database(environment)
                .map(|(path, origin)| Raw { value: path.into_os_string(), origin }),
            _ => setting
                .default_text()
                .map(|text| Raw { value: text.into(), origin: Origin::Default }),
        };
        if let Some(raw) = default {
            raws.entry(setting).or_insert(raw);
        }
    }
}

/// Returns the possible sources of the API key. `named` is `api_key_file` as set by environment or
/// file.
fn key_sources(
    flag: Option<PathBuf>,
    named: Option<&Raw>,
    environment: &Environment,
) -> Result<KeySources, ConfigError> {
    let setting = named.map(|raw| {
        let path = Entry { setting: Setting::ApiKeyFile, raw }.path()?;
        Ok((path, raw.origin.clone()))
    });
    let setting = setting.transpose()?;
    // Converted lossily, so that a key that is not UTF-8 fails validation instead of counting as
    // unset.
    let variable = environment.get(KEY_VARIABLE).map(|key| key.to_string_lossy().into_owned());
    Ok(KeySources {
        flag,
        credentials: environment.first_directory("CREDENTIALS_DIRECTORY"),
        setting,
        variable: variable.map(SecretString::from),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::{DateTime, Timelike};
    use secrecy::ExposeSecret;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let home = ("HOME", "/home/a");
        Environment::new(pairs.iter().copied().chain([home]))
            .with_system_directory("/nonexistent/creatormirror")
    }

    fn with_file(text: &str) -> (tempfile::TempDir, Flags) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Flags { config: Some(path), ..Flags::default() })
    }

    #[test]
    fn defaults_apply_when_nothing_is_set() {
        let config = Config::load(&Flags::default(), &environment(&[])).unwrap();
        assert_eq!(config.base_url.as_str(), "https://api.creatoraudit.com/v2");
        assert_eq!(
            config.database,
            Path::new("/home/a/.local/share/creatormirror/creatormirror.db")
        );
        assert_eq!(config.rate_share.to_string(), "0.9");
        assert_eq!(config.max_concurrent_requests, 4);
        assert_eq!(config.max_wait, Duration::from_secs(300));
        assert_eq!(config.freshness_target, Duration::from_secs(300));
        assert_eq!(config.max_removals, RemovalCeiling { fraction: 0.2 });
        assert_eq!(config.timezone, Zone::utc());
        assert_eq!(config.outbox_retention, Duration::from_secs(90 * 86_400));
        assert_eq!(config.log_retention, config.outbox_retention);
        assert_eq!(config.change_log_retention, None);
        assert_eq!(config.reconcile_after, Duration::from_secs(5));
        assert_eq!(
            (config.ca_file.as_ref(), config.listen, config.file.as_ref()),
            (None, None, None)
        );
        assert!(config.warnings.is_empty());
        assert_eq!(config.origin(Setting::RateShare), &Origin::Default);
        assert!(config.key().is_err());
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let (folder, mut flags) = with_file(
            "database = 'file.db'\nmax_wait = '1m'\nreconcile_after = '1s'\nrate_share = 0.5\n",
        );
        flags.database = Some("flag.db".into());
        flags.max_wait = Some(Duration::from_millis(1_500));
        let pairs = [("CREATORMIRROR_DATABASE", "env.db"), ("CREATORMIRROR_RECONCILE_AFTER", "2s")];
        let config = Config::load(&flags, &environment(&pairs)).unwrap();
        assert_eq!(config.database, Path::new("flag.db"));
        assert_eq!(config.origin(Setting::Database).to_string(), "flag --database");
        assert_eq!(config.max_wait, Duration::from_millis(1_500));
        assert_eq!(config.reconcile_after, Duration::from_secs(2));
        let variable = "environment variable CREATORMIRROR_RECONCILE_AFTER";
        assert_eq!(config.origin(Setting::ReconcileAfter).to_string(), variable);
        let line = format!("{}:4", folder.path().join("config.toml").display());
        assert_eq!(config.origin(Setting::RateShare).to_string(), line);
        flags.database = None;
        let config = Config::load(&flags, &environment(&[])).unwrap();
        assert_eq!(config.database, folder.path().join("file.db"));
    }

    #[test]
    fn empty_variable_counts_as_unset() {
        let pairs = [("CREATORMIRROR_RATE_SHARE", ""), ("CREATORMIRROR_API_KEY", "")];
        let config = Config::load(&Flags::default(), &environment(&pairs)).unwrap();
        assert_eq!(config.origin(Setting::RateShare), &Origin::Default);
    }

    #[test]
    fn warns_about_unknown_variables_and_rejects_a_key() {
        let pairs = [("CREATORMIRROR_BASE_URL", "x"), ("CREATORMIRROR_SPEED", "x")];
        let warnings = Config::load(&Flags::default(), &environment(&pairs)).unwrap().warnings;
        assert_eq!(warnings.len(), 2);
        assert!(warnings.concat().contains("CREATORAUDIT_BASE_URL"), "{warnings:?}");
        let pairs = [("CREATORMIRROR_API_KEY", "s3cret")];
        let error = Config::load(&Flags::default(), &environment(&pairs)).unwrap_err();
        assert!(!format!("{error:?}").contains("s3cret"));
    }

    #[test]
    fn named_configuration_file_must_exist() {
        let flags = Flags { config: Some("/nonexistent.toml".into()), ..Flags::default() };
        let error = Config::load(&flags, &environment(&[])).unwrap_err();
        assert!(error.to_string().contains("/nonexistent.toml"), "{error}");
        let flags = Flags { instance: Some("acme".to_owned()), ..Flags::default() };
        assert!(Config::load(&flags, &environment(&[])).is_err());
    }

    #[test]
    fn invalid_value_names_its_origin() {
        let pairs = [("CREATORMIRROR_FULL_SYNC_VIDEOS", "0 25 * * *")];
        let error = Config::load(&Flags::default(), &environment(&pairs)).unwrap_err().to_string();
        assert!(
            error.contains("CREATORMIRROR_FULL_SYNC_VIDEOS: `full_sync_videos`: hour field"),
            "{error}"
        );
        let (_folder, flags) = with_file("\nca_file = 'absent.pem'\n");
        let error = Config::load(&flags, &environment(&[])).unwrap_err().to_string();
        assert!(
            error.contains("config.toml:2: cannot use") && error.contains("absent.pem"),
            "{error}"
        );
    }

    #[test]
    fn debug_output_hides_the_key() {
        let pairs = [("CREATORAUDIT_API_KEY", "ca_s3cret\n")];
        let config = Config::load(&Flags::default(), &environment(&pairs)).unwrap();
        assert_eq!(config.key().unwrap().0.expose_secret(), "ca_s3cret");
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn key_file_from_environment_beats_configuration_file() {
        let (folder, flags) = with_file("api_key_file = 'one'\n");
        std::fs::write(folder.path().join("one"), "1").unwrap();
        let two = folder.path().join("two");
        std::fs::write(&two, "2").unwrap();
        let key = |pairs: &[(&str, &str)]| {
            let config = Config::load(&flags, &environment(pairs)).unwrap();
            config.key().unwrap().0.expose_secret().to_owned()
        };
        assert_eq!(key(&[]), "1");
        assert_eq!(key(&[("CREATORMIRROR_API_KEY_FILE", two.to_str().unwrap())]), "2");
    }

    #[test]
    fn full_syncs_are_spread_by_seed_and_kind() {
        let pairs = [("CREATORMIRROR_FULL_SYNC_META", "off")];
        let config = Config::load(&Flags::default(), &environment(&pairs)).unwrap();
        let minutes = |seed: u64| -> Vec<u32> {
            let full_syncs = config.full_syncs(seed).into_values().flatten();
            full_syncs
                .map(|full_sync| {
                    full_sync.next_after(DateTime::UNIX_EPOCH, &Zone::utc()).unwrap().minute()
                })
                .collect()
        };
        assert_eq!(config.full_syncs(7)[&Kind::Meta], None);
        assert_eq!(minutes(7).len(), 5);
        assert_eq!(minutes(7), minutes(7));
        assert_ne!(minutes(7), minutes(8));
        assert!(minutes(7).windows(2).any(|pair| pair[0] != pair[1]));
    }
}
