//! The table of settings: names, environment variables, defaults, expected values and
//! documentation.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::model::Kind;
use crate::model::named::named;

/// Prefix of our environment variables.
pub(super) const VARIABLE_PREFIX: &str = "CREATORMIRROR_";

named! {
    /// A setting, documented by [`Setting::meaning`].
    pub enum Setting {
        /// `database`
        Database = "database",
        /// `api_key_file`
        ApiKeyFile = "api_key_file",
        /// `base_url`
        BaseUrl = "base_url",
        /// `ca_file`
        CaFile = "ca_file",
        /// `rate_share`
        RateShare = "rate_share",
        /// `max_concurrent_requests`
        MaxConcurrentRequests = "max_concurrent_requests",
        /// `max_wait`
        MaxWait = "max_wait",
        /// `freshness_target`
        FreshnessTarget = "freshness_target",
        /// `max_removals`
        MaxRemovals = "max_removals",
        /// `full_sync_accounts`
        FullSyncAccounts = "full_sync_accounts",
        /// `full_sync_creators`
        FullSyncCreators = "full_sync_creators",
        /// `full_sync_videos`
        FullSyncVideos = "full_sync_videos",
        /// `full_sync_account_videos`
        FullSyncAccountVideos = "full_sync_account_videos",
        /// `full_sync_overview`
        FullSyncOverview = "full_sync_overview",
        /// `full_sync_meta`
        FullSyncMeta = "full_sync_meta",
        /// `timezone`
        Timezone = "timezone",
        /// `outbox_retention`
        OutboxRetention = "outbox_retention",
        /// `log_retention`
        LogRetention = "log_retention",
        /// `change_log_retention`
        ChangeLogRetention = "change_log_retention",
        /// `reconcile_after`
        ReconcileAfter = "reconcile_after",
        /// `listen`
        Listen = "listen",
    }
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

/// Setting, default (none if derived or unset), expected value, meaning.
type Row = (Setting, Option<&'static str>, &'static str, &'static str);

const TABLE: [Row; Setting::ALL.len()] = [
    (
        Setting::Database,
        None,
        "a path",
        "The SQLite database, created with mode 0640 in a directory with mode 0750. Default: `creatormirror.db` in `$STATE_DIRECTORY`, else in `$XDG_DATA_HOME/creatormirror`.",
    ),
    (
        Setting::ApiKeyFile,
        None,
        "the path of a file that contains the key",
        "The file with the API key. The key is read from the first of `--api-key-file`, `$CREDENTIALS_DIRECTORY/api_key`, this setting and `CREATORAUDIT_API_KEY`. The configuration file itself must not contain a key.",
    ),
    (
        Setting::BaseUrl,
        Some("https://api.creatoraudit.com/v2"),
        "an https URL, or an http URL on loopback",
        "Base URL of the API.",
    ),
    (
        Setting::CaFile,
        None,
        "the path of an existing PEM file",
        "Additional certificate authorities to trust, for a private CA. Verification cannot be switched off.",
    ),
    (
        Setting::RateShare,
        Some("0.9"),
        "a number above 0 and at most 1",
        "Share of the key's rate limit to use. The rest is left to other clients of the same key.",
    ),
    (
        Setting::MaxConcurrentRequests,
        Some("4"),
        "a whole number from 1 to 16",
        "Maximum number of requests in flight. A larger value is faster over a slow connection; the rate limit applies in any case.",
    ),
    (
        Setting::MaxWait,
        Some("5m"),
        DURATION,
        "How long a command waits for the rate limit in total before it exits with code 75.",
    ),
    (
        Setting::FreshnessTarget,
        Some("5m"),
        DURATION,
        "How long due videos wait for others on the same page, and how soon a late one is first polled again. A shorter time gives fresher data for more requests.",
    ),
    (
        Setting::MaxRemovals,
        Some("20%"),
        PERCENTAGE,
        "A listing that would remove a larger share of a kind (and more than 10 rows) removes nothing until `sync --accept-removals` confirms it.",
    ),
    (
        Setting::FullSyncAccounts,
        Some("@hourly"),
        SCHEDULE,
        "When to list all accounts, to find additions, edits and removals.",
    ),
    (
        Setting::FullSyncCreators,
        Some("@hourly"),
        SCHEDULE,
        "When to list all creators, to find additions, edits and removals.",
    ),
    (
        Setting::FullSyncVideos,
        Some("@daily"),
        SCHEDULE,
        "When to list all videos, to find additions, edits and removals.",
    ),
    (
        Setting::FullSyncAccountVideos,
        Some("@daily"),
        SCHEDULE,
        "When to list all account videos, to find additions, edits and removals.",
    ),
    (Setting::FullSyncOverview, Some("@hourly"), SCHEDULE, "When to read the overview."),
    (
        Setting::FullSyncMeta,
        Some("@daily"),
        SCHEDULE,
        "When to read the API's version and lifecycle.",
    ),
    (
        Setting::Timezone,
        Some("UTC"),
        "an IANA name such as `Europe/Berlin`",
        "Time zone of the full-sync schedules and of the columns of views that are in local time. When clocks are set forward or back, a fixed time runs \
         once; `*` and `*/n` hours and minutes follow elapsed time.",
    ),
    (Setting::OutboxRetention, Some("90d"), DURATION, "How long to keep finished outbox entries."),
    (Setting::LogRetention, Some("90d"), DURATION, "How long to keep rows of `sync_log`."),
    (
        Setting::ChangeLogRetention,
        Some("off"),
        DURATION_OR_OFF,
        "How long to keep rows of `change_log`; `off` keeps them for good.",
    ),
    (
        Setting::ReconcileAfter,
        Some("5s"),
        DURATION,
        "How long to wait before looking for the result of a write whose answer was lost. The API may still be processing it.",
    ),
    (
        Setting::Listen,
        Some("off"),
        "a loopback address such as `127.0.0.1:9095`, or `off`",
        "Address on which the daemon serves `/metrics` (Prometheus), `/healthz` and `/readyz`.",
    ),
];

impl Setting {
    /// The setting of a kind's full-sync schedule.
    pub const fn full_sync(kind: Kind) -> Self {
        match kind {
            Kind::Account => Self::FullSyncAccounts,
            Kind::Creator => Self::FullSyncCreators,
            Kind::Video => Self::FullSyncVideos,
            Kind::AccountVideo => Self::FullSyncAccountVideos,
            Kind::Overview => Self::FullSyncOverview,
            Kind::Meta => Self::FullSyncMeta,
        }
    }

    fn row(self) -> Row {
        let row = TABLE.iter().find(|(setting, ..)| *setting == self);
        row.copied().unwrap_or((self, None, "", ""))
    }

    /// Name of the environment variable.
    pub fn variable(self) -> String {
        match self {
            Self::BaseUrl => "CREATORAUDIT_BASE_URL".to_owned(),
            _ => format!("{VARIABLE_PREFIX}{}", self.name().to_uppercase()),
        }
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
        for setting in Setting::ALL {
            assert_eq!(Setting::from_name(setting.name()), Some(setting));
            assert_eq!(setting.row().0, setting);
            assert!(!setting.meaning().is_empty(), "{setting}");
        }
        assert_eq!(
            Setting::FullSyncAccountVideos.variable(),
            "CREATORMIRROR_FULL_SYNC_ACCOUNT_VIDEOS"
        );
    }

    #[test]
    fn every_kind_has_a_full_sync_schedule() {
        for kind in Kind::ALL {
            let name = format!("full_sync_{}", kind.plural());
            assert_eq!(Setting::full_sync(kind).name(), name);
        }
    }
}
