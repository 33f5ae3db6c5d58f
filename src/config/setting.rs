//! The table of settings: names, variables, defaults and what a value looks like.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::model::Kind;

/// What every variable of ours begins with.
pub(super) const VARIABLE_PREFIX: &str = "CREATORMIRROR_";

/// One setting of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// The mirror's file.
    Database,
    /// The file that holds the key.
    ApiKeyFile,
    /// Where the API is.
    BaseUrl,
    /// An added private CA.
    CaFile,
    /// The share of the key's budget that is ours.
    RateShare,
    /// The most requests in flight at a time.
    MaxConcurrentRequests,
    /// How long to wait for a rate limit.
    MaxWait,
    /// How long dues in one page wait for each other.
    FreshnessTarget,
    /// The largest part of a kind that one listing may remove.
    MaxRemovals,
    /// When a kind is listed in full.
    FullSync(Kind),
    /// The zone of the full syncs.
    Timezone,
    /// How long finished entries of the outbox are kept.
    OutboxRetention,
    /// How long rows of `sync_log` are kept.
    LogRetention,
    /// How long after a lost answer its outcome is looked up.
    ReconcileAfter,
    /// The loopback address for metrics and health.
    Listen,
}

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// An environment variable.
    Variable(String),
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The default, derived from this environment variable.
    DefaultFrom(&'static str),
    /// The default.
    Default,
}

/// A setting's text before it is checked.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub value: OsString,
    pub origin: Origin,
}

/// What a value looks like, for messages.
const DURATION: &str = "a duration such as `90s`, `5m`, `1h 30m` or `90d`";
const PERCENTAGE: &str = "a percentage from `0%` to `100%`";
const SCHEDULE: &str = "a crontab expression of five fields, `@daily` and the like, or `off`";

/// A setting, its name in the file, its default as one would write it (none where it is derived, or is nothing), what
/// a value looks like, and what it is for.
type Row = (Setting, &'static str, Option<&'static str>, &'static str, &'static str);

const TABLE: [Row; 20] = [
    (
        Setting::Database,
        "database",
        None,
        "a path",
        "The mirror: one SQLite file, made with mode 0640 in a folder with mode 0750. Default: `creatormirror.db` in `$STATE_DIRECTORY`, else in `$XDG_DATA_HOME/creatormirror`.",
    ),
    (
        Setting::ApiKeyFile,
        "api_key_file",
        None,
        "the path of a file that holds the key",
        "The file with the API key. The key is taken from `--api-key-file`, `$CREDENTIALS_DIRECTORY/api_key`, this setting, or `CREATORAUDIT_API_KEY`, whichever comes first. A key in the configuration file itself is refused.",
    ),
    (
        Setting::BaseUrl,
        "base_url",
        Some("https://api.creatoraudit.com/v2"),
        "an https address, or an http one on loopback",
        "Where the API is.",
    ),
    (
        Setting::CaFile,
        "ca_file",
        None,
        "the path of an existing PEM file",
        "A private certification authority to trust besides those of the system. Verification cannot be switched off.",
    ),
    (
        Setting::RateShare,
        "rate_share",
        Some("0.9"),
        "a number above 0 and at most 1",
        "The part of the key's rate limit that may be used; the rest is left to the key's other clients.",
    ),
    (
        Setting::MaxConcurrentRequests,
        "max_concurrent_requests",
        Some("4"),
        "a whole number from 1 to 16",
        "How many requests may be in flight at a time. More is faster while the API is far away; the rate limit is kept in any case.",
    ),
    (
        Setting::MaxWait,
        "max_wait",
        Some("5m"),
        DURATION,
        "How long a command waits for the rate limit in all, before it exits with code 75.",
    ),
    (
        Setting::FreshnessTarget,
        "freshness_target",
        Some("5m"),
        DURATION,
        "How long videos that are due wait for others on the same page, and how soon a late one is polled again at first. Shorter is fresher and costs more requests.",
    ),
    (
        Setting::MaxRemovals,
        "max_removals",
        Some("20%"),
        PERCENTAGE,
        "A listing that would remove a larger part of a kind (and more than 10 rows) removes nothing, until `sync --accept-removals` confirms it.",
    ),
    (
        Setting::FullSync(Kind::Account),
        "full_sync_accounts",
        Some("@hourly"),
        SCHEDULE,
        "When accounts are listed in full, which finds additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::Creator),
        "full_sync_creators",
        Some("@hourly"),
        SCHEDULE,
        "When creators are listed in full, which finds additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::Video),
        "full_sync_videos",
        Some("@daily"),
        SCHEDULE,
        "When videos are listed in full, which finds additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::AccountVideo),
        "full_sync_account_videos",
        Some("@daily"),
        SCHEDULE,
        "When account videos are listed in full, which finds additions, edits and removals.",
    ),
    (
        Setting::FullSync(Kind::Overview),
        "full_sync_overview",
        Some("@hourly"),
        SCHEDULE,
        "When the overview is read.",
    ),
    (
        Setting::FullSync(Kind::Meta),
        "full_sync_meta",
        Some("@daily"),
        SCHEDULE,
        "When the API's version and lifecycle are read.",
    ),
    (
        Setting::Timezone,
        "timezone",
        Some("UTC"),
        "an IANA name such as `Europe/Berlin`",
        "The time zone of the full-sync schedules. When clocks are set forward or back, a fixed time runs \
         once; `*` and `*/n` hours and minutes follow elapsed time.",
    ),
    (
        Setting::OutboxRetention,
        "outbox_retention",
        Some("90d"),
        DURATION,
        "How long finished entries of the outbox are kept.",
    ),
    (
        Setting::LogRetention,
        "log_retention",
        Some("90d"),
        DURATION,
        "How long rows of `sync_log` are kept.",
    ),
    (
        Setting::ReconcileAfter,
        "reconcile_after",
        Some("5s"),
        DURATION,
        "How long after a lost answer to a write its outcome is looked up: the first request may still be at work.",
    ),
    (
        Setting::Listen,
        "listen",
        Some("off"),
        "a loopback address such as `127.0.0.1:9095`, or `off`",
        "Where the daemon serves `/metrics` (Prometheus), `/healthz` and `/readyz`.",
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

    /// The name in the file.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The environment variable. The vendor's own name is used where there is one.
    pub fn variable(self) -> String {
        match self {
            Self::BaseUrl => "CREATORAUDIT_BASE_URL".to_owned(),
            _ => format!("{VARIABLE_PREFIX}{}", self.name().to_uppercase()),
        }
    }

    /// The setting with this name in the file.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|setting| setting.name() == name)
    }

    /// The default as one would write it. None where the default is derived, or is nothing.
    pub fn default_text(self) -> Option<&'static str> {
        self.row().1
    }

    /// What a value looks like, for messages.
    pub fn expected(self) -> &'static str {
        self.row().2
    }

    /// What it is for, in sentences.
    pub fn meaning(self) -> &'static str {
        self.row().3
    }

    /// The unit that somebody who wrote a bare number most likely meant.
    pub(super) fn unit(self) -> Option<&'static str> {
        match self.expected() {
            DURATION => Some("s"),
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
    fn every_name_finds_its_setting() {
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
    fn every_kind_has_a_sweep() {
        for kind in Kind::ALL {
            assert!(Setting::all().any(|setting| setting == Setting::FullSync(kind)), "{kind}");
        }
    }
}
