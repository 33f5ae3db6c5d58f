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
    /// The largest part of a kind that one walk may remove.
    MaxRemovals,
    /// When a kind is listed in full.
    FullSync(Kind),
    /// The zone of the sweeps.
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

impl Setting {
    /// Every setting, in the order of the table.
    pub const ALL: [Self; 20] = [
        Self::Database,
        Self::ApiKeyFile,
        Self::BaseUrl,
        Self::CaFile,
        Self::RateShare,
        Self::MaxConcurrentRequests,
        Self::MaxWait,
        Self::FreshnessTarget,
        Self::MaxRemovals,
        Self::FullSync(Kind::Account),
        Self::FullSync(Kind::Creator),
        Self::FullSync(Kind::Video),
        Self::FullSync(Kind::AccountVideo),
        Self::FullSync(Kind::Overview),
        Self::FullSync(Kind::Meta),
        Self::Timezone,
        Self::OutboxRetention,
        Self::LogRetention,
        Self::ReconcileAfter,
        Self::Listen,
    ];

    /// The name in the file.
    pub fn name(self) -> String {
        let name = match self {
            Self::Database => "database",
            Self::ApiKeyFile => "api_key_file",
            Self::BaseUrl => "base_url",
            Self::CaFile => "ca_file",
            Self::RateShare => "rate_share",
            Self::MaxConcurrentRequests => "max_concurrent_requests",
            Self::MaxWait => "max_wait",
            Self::FreshnessTarget => "freshness_target",
            Self::MaxRemovals => "max_removals",
            Self::FullSync(kind) => {
                return format!("full_sync_{}", kind.plural().replace('-', "_"));
            }
            Self::Timezone => "timezone",
            Self::OutboxRetention => "outbox_retention",
            Self::LogRetention => "log_retention",
            Self::ReconcileAfter => "reconcile_after",
            Self::Listen => "listen",
        };
        name.to_owned()
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
        Self::ALL.into_iter().find(|setting| setting.name() == name)
    }

    /// The default as one would write it. None where the default is derived, or is nothing.
    pub const fn default_text(self) -> Option<&'static str> {
        match self {
            Self::Database | Self::ApiKeyFile | Self::CaFile => None,
            Self::BaseUrl => Some("https://api.creatoraudit.com/v2"),
            Self::RateShare => Some("0.9"),
            Self::MaxConcurrentRequests => Some("4"),
            Self::MaxWait | Self::FreshnessTarget => Some("5m"),
            Self::MaxRemovals => Some("20%"),
            Self::FullSync(Kind::Account | Kind::Creator | Kind::Overview) => Some("@hourly"),
            Self::FullSync(Kind::Video | Kind::AccountVideo | Kind::Meta) => Some("@daily"),
            Self::Timezone => Some("UTC"),
            Self::OutboxRetention | Self::LogRetention => Some("90d"),
            Self::ReconcileAfter => Some("5s"),
            Self::Listen => Some("off"),
        }
    }

    /// The unit that somebody who wrote a bare number most likely meant.
    pub(super) const fn unit(self) -> Option<&'static str> {
        match self {
            Self::MaxWait
            | Self::FreshnessTarget
            | Self::OutboxRetention
            | Self::LogRetention
            | Self::ReconcileAfter => Some("s"),
            Self::MaxRemovals => Some("%"),
            _ => None,
        }
    }

    /// What a value looks like, for messages.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Database => "a path",
            Self::ApiKeyFile => "the path of a file that holds the key",
            Self::CaFile => "the path of an existing PEM file",
            Self::BaseUrl => "an https address, or an http one on loopback",
            Self::RateShare => "a number above 0 and at most 1",
            Self::MaxConcurrentRequests => "a whole number from 1 to 16",
            Self::MaxWait
            | Self::FreshnessTarget
            | Self::OutboxRetention
            | Self::LogRetention
            | Self::ReconcileAfter => "a duration such as `90s`, `5m`, `1h 30m` or `90d`",
            Self::MaxRemovals => "a percentage from `0%` to `100%`",
            Self::FullSync(_) => {
                "a crontab expression of five fields, `@daily` and the like, or `off`"
            }
            Self::Timezone => "an IANA name such as `Europe/Berlin`",
            Self::Listen => "a loopback address such as `127.0.0.1:9095`, or `off`",
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
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
        for setting in Setting::ALL {
            assert_eq!(Setting::from_name(&setting.name()), Some(setting));
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
            assert!(Setting::ALL.contains(&Setting::FullSync(kind)), "{kind}");
        }
    }
}
