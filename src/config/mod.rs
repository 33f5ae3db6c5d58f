//! Settings from flags, environment, file and defaults, in that order, each with where it came from.
//!
//! - `environment`: the process's variables as a value
//! - `setting`: the table of settings
//! - `file`, `locate`: the configuration file, and which one
//! - `input`: reads both files, which may be pipes
//! - `value`: from text to typed values
//! - `key`: the API key, which is no setting and is read only by who needs it

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

use chrono_tz::Tz;
use secrecy::SecretString;
use url::Url;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use environment::Environment;
pub use error::ConfigError;
pub use key::KeySource;
pub use locate::{Flags, instance_name};
pub use setting::{Origin, Setting};
pub use value::duration;

use crate::model::Kind;
use crate::model::settings::{ApiSettings, RemovalCeiling};
use crate::schedule::FullSyncSchedule;
use key::{KEY_VARIABLE, KeyPlaces};
use setting::{Raw, VARIABLE_PREFIX};
use value::Entry;

/// How long connecting to the API may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one request may take from its start to the last byte of its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(25);

/// Every setting, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The mirror's file.
    pub database: PathBuf,
    /// Where the API is; its path has no slash at the end.
    pub base_url: Url,
    /// A private CA to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The share of the key's budget that is ours, above 0 and at most 1.
    pub rate_share: f64,
    /// The most requests in flight at a time, 1 to 16.
    pub max_concurrent_requests: u32,
    /// How long to wait for a rate limit.
    pub max_wait: Duration,
    /// How long dues in one page wait for each other.
    pub freshness_target: Duration,
    /// The largest part of a kind that one listing may remove.
    pub max_removals: RemovalCeiling,
    /// The zone of the full syncs.
    pub timezone: Tz,
    /// How long finished entries of the outbox are kept.
    pub outbox_retention: Duration,
    /// How long rows of `sync_log` are kept.
    pub log_retention: Duration,
    /// How long after a lost answer its outcome is looked up.
    pub reconcile_after: Duration,
    /// The loopback address for metrics and health.
    pub listen: Option<SocketAddr>,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
    /// What is odd without being wrong.
    pub warnings: Vec<String>,
    full_syncs: BTreeMap<Kind, String>,
    provenance: BTreeMap<Setting, Origin>,
    key_places: KeyPlaces,
}

impl Config {
    /// Puts the settings together.
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

    /// The settings of flags and defaults alone. Neither a file nor the environment is looked at.
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
        let key_places = key_places(flag_key, raws.get(&Setting::ApiKeyFile), environment)?;
        overlay_flags(&mut raws, flags);
        overlay_defaults(&mut raws, environment);

        let entry = |setting: Setting| match raws.get(&setting) {
            Some(raw) => Ok(Entry { setting, raw }),
            // Only the database's default needs the environment, so nothing else can be absent.
            None => Err(ConfigError::setting(format!(
                "`{setting}` is not set, nor are $STATE_DIRECTORY, $XDG_DATA_HOME and $HOME"
            ))
            .with_hint("name the file with --database")),
        };
        let ca_file = raws.get(&Setting::CaFile).map(|raw| Entry { setting: Setting::CaFile, raw });
        let mut full_syncs = BTreeMap::new();
        for kind in Kind::ALL {
            full_syncs.insert(kind, entry(Setting::FullSync(kind))?.full_sync()?);
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
            reconcile_after: entry(Setting::ReconcileAfter)?.duration()?,
            listen: entry(Setting::Listen)?.listen()?,
            full_syncs,
            provenance: raws.into_iter().map(|(setting, raw)| (setting, raw.origin)).collect(),
            key_places,
            file,
            warnings,
        })
    }

    /// Where a setting's value came from.
    pub fn origin(&self, setting: Setting) -> &Origin {
        self.provenance.get(&setting).unwrap_or(&Origin::Default)
    }

    /// The key, read now, and where it was.
    pub fn key(&self) -> Result<(SecretString, KeySource), ConfigError> {
        key::resolve(&self.key_places)
    }

    /// What the remote side needs to know, with this key.
    pub fn api(&self, key: SecretString) -> ApiSettings {
        ApiSettings {
            base_url: self.base_url.clone(),
            key,
            ca_file: self.ca_file.clone(),
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
        }
    }

    /// The full-sync schedule of each kind. The seed, one per database, spreads the shorthands over the hour;
    /// each kind gets a minute of its own from it.
    pub fn full_syncs(&self, seed: u64) -> BTreeMap<Kind, Option<FullSyncSchedule>> {
        let read = |(kind, text): (&Kind, &String)| {
            let seed = xxh3_64_with_seed(kind.name().as_bytes(), seed);
            // The texts were checked when they were loaded, so none fails here.
            (*kind, FullSyncSchedule::parse(text, seed).unwrap_or_default())
        };
        self.full_syncs.iter().map(read).collect()
    }
}

/// Adds what the environment says, and returns warnings about variables that say nothing.
fn overlay_environment(
    raws: &mut BTreeMap<Setting, Raw>,
    environment: &Environment,
) -> Result<Vec<String>, ConfigError> {
    let mut warnings = Vec::new();
    for name in environment.names(VARIABLE_PREFIX) {
        if name == "CREATORMIRROR_API_KEY" {
            return Err(ConfigError::setting(
                "environment variable CREATORMIRROR_API_KEY is refused: the settings of this \
                 program never hold the key, so that they can be shown",
            )
            .with_hint(format!(
                "name a file with CREATORMIRROR_API_KEY_FILE, or use the vendor's {KEY_VARIABLE}"
            )));
        }
        if Setting::all().all(|setting| setting.variable() != name) {
            let instead = match name {
                "CREATORMIRROR_BASE_URL" => "; the vendor's name for it is CREATORAUDIT_BASE_URL",
                _ => "",
            };
            warnings.push(format!("environment variable {name} is no setting{instead}"));
        }
    }
    for setting in Setting::all() {
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
    for setting in Setting::all() {
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

/// The places of the key. `named` is the setting as environment and file have it.
fn key_places(
    flag: Option<PathBuf>,
    named: Option<&Raw>,
    environment: &Environment,
) -> Result<KeyPlaces, ConfigError> {
    let setting = match named {
        Some(raw) => {
            let path = Entry { setting: Setting::ApiKeyFile, raw }.path()?;
            Some((path, raw.origin.clone()))
        }
        None => None,
    };
    // A value that is no UTF-8 stays a value, so that it is refused where keys are checked.
    let variable = environment.get(KEY_VARIABLE).map(|key| key.to_string_lossy().into_owned());
    Ok(KeyPlaces {
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
    fn with_nothing_said_everything_has_its_default() {
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
        assert_eq!(config.timezone, Tz::UTC);
        assert_eq!(config.outbox_retention, Duration::from_secs(90 * 86_400));
        assert_eq!(config.log_retention, config.outbox_retention);
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
    fn a_variable_set_to_nothing_says_nothing() {
        let pairs = [("CREATORMIRROR_RATE_SHARE", ""), ("CREATORMIRROR_API_KEY", "")];
        let config = Config::load(&Flags::default(), &environment(&pairs)).unwrap();
        assert_eq!(config.origin(Setting::RateShare), &Origin::Default);
    }

    #[test]
    fn unknown_variables_are_warned_about_and_a_key_among_them_refused() {
        let pairs = [("CREATORMIRROR_BASE_URL", "x"), ("CREATORMIRROR_SPEED", "x")];
        let warnings = Config::load(&Flags::default(), &environment(&pairs)).unwrap().warnings;
        assert_eq!(warnings.len(), 2);
        assert!(warnings.concat().contains("CREATORAUDIT_BASE_URL"), "{warnings:?}");
        let pairs = [("CREATORMIRROR_API_KEY", "s3cret")];
        let error = Config::load(&Flags::default(), &environment(&pairs)).unwrap_err();
        assert!(!format!("{error:?}").contains("s3cret"));
    }

    #[test]
    fn a_file_that_was_named_must_exist() {
        let flags = Flags { config: Some("/nonexistent.toml".into()), ..Flags::default() };
        let error = Config::load(&flags, &environment(&[])).unwrap_err();
        assert!(error.to_string().contains("/nonexistent.toml"), "{error}");
        let flags = Flags { instance: Some("acme".to_owned()), ..Flags::default() };
        assert!(Config::load(&flags, &environment(&[])).is_err());
    }

    #[test]
    fn wrong_values_say_where_they_are() {
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
    fn the_key_is_no_part_of_what_is_shown() {
        let pairs = [("CREATORAUDIT_API_KEY", "ca_s3cret\n")];
        let config = Config::load(&Flags::default(), &environment(&pairs)).unwrap();
        assert_eq!(config.key().unwrap().0.expose_secret(), "ca_s3cret");
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn a_key_file_of_the_environment_beats_that_of_the_file() {
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
    fn sweeps_are_spread_by_seed_and_kind() {
        let pairs = [("CREATORMIRROR_FULL_SYNC_META", "off")];
        let config = Config::load(&Flags::default(), &environment(&pairs)).unwrap();
        let minutes = |seed: u64| -> Vec<u32> {
            let full_syncs = config.full_syncs(seed).into_values().flatten();
            full_syncs
                .map(|full_sync| {
                    full_sync.next_after(DateTime::UNIX_EPOCH, Tz::UTC).unwrap().minute()
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
