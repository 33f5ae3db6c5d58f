//! The table of settings: names, environment variables, defaults, expected values and
//! documentation.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::model::Kind;

/// Prefix of our environment variables.
pub(super) const VARIABLE_PREFIX: &str = "CREATORMIRROR_";

/// A setting, documented by [`Setting::meaning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// `database`
    Database,
    /// `api_key_file`
    ApiKeyFile,
    /// `base_url`
    BaseUrl,
    /// `ca_file`
    CaFile,
    /// `rate_share`
    RateShare,
    /// `max_concurrent_requests`
    MaxConcurrentRequests,
    /// `max_wait`
    MaxWait,
    /// `freshness_target`
    FreshnessTarget,
    /// `max_removals`
    MaxRemovals,
    /// `full_sync_accounts` and so on, one per kind
    FullSync(Kind),
    /// `timezone`
    Timezone,
    /// `outbox_retention`
    OutboxRetention,
    /// `change_log_retention`
    ChangeLogRetention,
    /// `log_retention`
    LogRetention,
    /// `reconcile_after`
    ReconcileAfter,
    /// `listen`
    Listen,
}

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// The configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
    },
    /// A default derived from this environment variable.
    DefaultFrom(&'static str),
    /// The default.
    Default,
}

/// A setting's unparsed text.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub value: OsString,
    pub origin: Origin,
}

/// Expected values that several settings share.
const DURATION: &str = "a duration such as `90s`, `5m`, `1h 30m` or `90d`";
const PERCENTAGE: &str = "a percentage from `0%` to `100%`";
const SCHEDULE: &str = "a crontab expression of five fields, `@daily` and the like, or `off`";

const DURATION_OR_OFF: &str = "a duration such as `365d`, or `off`";

/// Setting, name, default (none if derived or unset), expected value, meaning.
type Row = (Setting, &'static str, Option<&'static str>, &'static str, &'static str);

const TABLE: [Row; 21] = [
    (
        Setting::Database,
        "database",
        None,
        "a path",
        "The SQLite database, created with mode 0640 in a directory with mode 0750. Default: `creatormirror.db` in `$STATE_DIRECTORY`, else in `$XDG_DATA_HOME/creatormirror`.",
    ),
    (
        Setting::ApiKeyFile,
        "api_key_file",
        None,
        "the path of a file that contains the key",
        "The file with the API key. The key is read from the first of `--api-key-file`, `$CREDENTIALS_DIRECTORY/api_key`, this setting and `CREATORAUDIT_API_KEY`. The configuration file itself must not contain a key.",
    ),
    (
        Setting::BaseUrl,
        "base_url",
        Some("https://api.creatoraudit.com/v2"),
        "an https URL, or an http URL on loopback",
        "Base URL of the API.",
    ),
    (
        Setting::CaFile,
        "ca_file",
        None,
        "the path of an existing PEM file",
        "Additional certificate authorities to trust, for a private CA. Verification cannot be switched off.",
    ),
    (
        Setting::RateShare,
        "rate_share",
        Some("0.9"),
        "a number above 0 and at most 1",
        "Share of the key's rate limit to use. The rest is left to other clients of the same key.",
    ),
    (
        Setting::MaxConcurrentRequests,
        "max_concurrent_requests",
        Some("4"),
        "a whole number from 1 to 16",
        "Maximum number of requests in flight. A larger value is faster over a slow connection; the rate limit applies in any case.",
    ),
    (
        Setting::MaxWait,
        "max_wait",
        Some("5m"),
        DURATION,
        "How long a command waits for the rate limit in total before it exits with code 75.",
    ),
    (
        Setting::FreshnessTarget,
        "freshness_target",
        Some("5m"),
        DURATION,
        "How long due videos wait for others on the same page, and how soon a late one is first polled again. A shorter time gives fresher data for more requests.",
    ),
    (
        Setting::MaxRemovals,
        "max_removals",
        Some("20%"),
        PERCENTAGE,
        "A listing that would remove a larger share of a kind (and more than 10 rows) removes nothing until `sync --accept-removals` confirms it.",
    ),
    (
        Setting::FullSync(Kind::Account),
        "full_sync_accounts",
        Some("@hourly"),
        SCHEDULE,
        "When to list all accounts, to find additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::Creator),
        "full_sync_creators",
        Some("@hourly"),
        SCHEDULE,
        "When to list all creators, to find additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::Video),
        "full_sync_videos",
        Some("@daily"),
        SCHEDULE,
        "When to list all videos, to find additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::AccountVideo),
        "full_sync_account_videos",
        Some("@daily"),
        SCHEDULE,
        "When to list all account videos, to find additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::Overview),
        "full_sync_overview",
        Some("@hourly"),
        SCHEDULE,
        "When to read the overview.",
    ),
    (
        Setting::FullSync(Kind::Meta),
        "full_sync_meta",
        Some("@daily"),
        SCHEDULE,
        "When to read the API's version and lifecycle.",
    ),
    (
        Setting::Timezone,
        "timezone",
        Some("UTC"),
        "an IANA name such as `Europe/Berlin`",
        "Time zone of the full-sync schedules and of the columns of views that are in local time. When clocks are set forward or back, a fixed time runs \
         once; `*` and `*/n` hours and minutes follow elapsed time.",
    ),
    (
        Setting::OutboxRetention,
        "outbox_retention",
        Some("90d"),
        DURATION,
        "How long to keep finished outbox entries.",
    ),
    (
        Setting::LogRetention,
        "log_retention",
        Some("90d"),
        DURATION,
        "How long to keep rows of `sync_log`.",
    ),
    (
        Setting::ChangeLogRetention,
        "change_log_retention",
        Some("off"),
        DURATION_OR_OFF,
        "How long to keep rows of `change_log`; `off` keeps them for good.",
    ),
    (
        Setting::ReconcileAfter,
        "reconcile_after",
        Some("5s"),
        DURATION,
        "How long to wait before looking for the result of a write whose answer was lost. The API may still be processing it.",
    ),
    (
        Setting::Listen,
        "listen",
        Some("off"),
        "a loopback address such as `127.0.0.1:9095`, or `off`",
        "Address on which the daemon serves `/metrics` (Prometheus), `/healthz` and `/readyz`.",
    ),
];

impl Setting {
    /// Every setting, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(setting, ..)| *setting)
    }

    fn row(self) -> (&'static str, Option<&'static str>, &'static str, &'static str) {
        let row = TABLE.iter().find(|(setting, ..)| *setting == self);
        row.map_or_else(Default::default, |(_, name, default, expected, meaning)| {
            (*name, *default, *expected, *meaning)
        })
    }

    /// Name in the configuration file.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Name of the environment variable.
    pub fn variable(self) -> String {
        match self {
            Self::BaseUrl => "CREATORAUDIT_BASE_URL".to_owned(),
            _ => format!("{VARIABLE_PREFIX}{}", self.name().to_uppercase()),
        }
    }

    /// Finds a setting by its name in the configuration file.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|setting| setting.name() == name)
    }

    /// Default in configuration-file syntax. `None` if it is derived or there is none.
    pub fn default_text(self) -> Option<&'static str> {
        self.row().1
    }

    /// Describes the expected value, for messages.
    pub fn expected(self) -> &'static str {
        self.row().2
    }

    /// Explains the setting in sentences.
    pub fn meaning(self) -> &'static str {
        self.row().3
    }

    /// The unit to suggest when a number has none.
    pub(super) fn unit(self) -> Option<&'static str> {
        match self.expected() {
            DURATION | DURATION_OR_OFF => Some("s"),
            PERCENTAGE => Some("%"),
            _ => None,
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::DefaultFrom(name) => write!(f, "default (from ${name})"),
            Self::Default => f.write_str("default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_settings_by_name() {
        for setting in Setting::all() {
            assert_eq!(Setting::from_name(setting.name()), Some(setting));
        }
        assert_eq!(Setting::FullSync(Kind::AccountVideo).name(), "full_sync_account_videos");
        assert_eq!(
            Setting::FullSync(Kind::AccountVideo).variable(),
            "CREATORMIRROR_FULL_SYNC_ACCOUNT_VIDEOS"
        );
    }

    #[test]
    fn every_kind_has_a_full_sync_schedule() {
        for kind in Kind::ALL {
            assert!(Setting::all().any(|setting| setting == Setting::FullSync(kind)), "{kind}");
        }
    }
}
