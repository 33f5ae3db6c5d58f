//! The kinds of thing the API lists, and their names in paths, on the command line and in SQL.

use std::fmt;

/// A kind of thing that is mirrored. The order is the order of a pass: accounts and creators
/// before the videos that refer to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The API's lifecycle document, `GET /meta`.
    Meta,
    /// A tracked profile, `GET /accounts`.
    Account,
    /// A client-made group of accounts, `GET /creators`.
    Creator,
    /// An individually tracked post, `GET /videos`.
    Video,
    /// A post found in a tracked account's feed, `GET /account-videos`.
    AccountVideo,
    /// Headline figures of the organization, `GET /overview`.
    Overview,
}

impl Kind {
    /// Every kind, in the order of a pass.
    pub const ALL: [Self; 6] =
        [Self::Meta, Self::Account, Self::Creator, Self::Video, Self::AccountVideo, Self::Overview];

    /// The kinds that are paginated lists of resources.
    pub const LISTS: [Self; 4] = [Self::Account, Self::Creator, Self::Video, Self::AccountVideo];

    /// The name in every `kind` column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Account => "account",
            Self::Creator => "creator",
            Self::Video => "video",
            Self::AccountVideo => "account_video",
            Self::Overview => "overview",
        }
    }

    /// The name on the command line (`--only`) and, with `_` for `-`, in `full_sync_…` settings.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Account => "accounts",
            Self::Creator => "creators",
            Self::Video => "videos",
            Self::AccountVideo => "account-videos",
            Self::Overview => "overview",
        }
    }

    /// The path below the API's base URL.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Meta => "/meta",
            Self::Account => "/accounts",
            Self::Creator => "/creators",
            Self::Video => "/videos",
            Self::AccountVideo => "/account-videos",
            Self::Overview => "/overview",
        }
    }

    /// The kind with this [`Kind::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
