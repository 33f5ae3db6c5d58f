//! Kinds of resources, and their names in paths, on the command line and in SQL.

use crate::model::named::named;

named! {
    /// A kind of resource. Declared in the order of a run: accounts and creators before the videos that refer to them.
    pub enum Kind {
        /// The API's lifecycle document, `GET /meta`.
        Meta = "meta",
        /// A tracked profile, `GET /accounts`.
        Account = "account",
        /// A client-made group of accounts, `GET /creators`.
        Creator = "creator",
        /// An individually tracked post, `GET /videos`.
        Video = "video",
        /// A post found in a tracked account's feed, `GET /account-videos`.
        AccountVideo = "account_video",
        /// Headline figures of the organization, `GET /overview`.
        Overview = "overview",
    }
}

impl Kind {
    /// The kinds that are paginated lists of resources.
    pub const LISTS: [Self; 4] = [Self::Account, Self::Creator, Self::Video, Self::AccountVideo];

    /// The name of all of them: that of their view, and in `full_sync_…` settings.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Account => "accounts",
            Self::Creator => "creators",
            Self::Video => "videos",
            Self::AccountVideo => "account_videos",
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

    /// Kind of the resources that a request path begins with; `meta` if none.
    pub fn of_path(path: &str) -> Self {
        let is_below = |kind: &Self| {
            path.strip_prefix(kind.path())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Self::ALL.into_iter().find(is_below).unwrap_or(Self::Meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_kind_it_begins_with() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_path(kind.path()), kind);
            assert_eq!(Kind::of_path(&format!("{}/x", kind.path())), kind);
        }
        assert_eq!(Kind::of_path("/creators/c/accounts/a"), Kind::Creator);
        assert_eq!(Kind::of_path("/whoami"), Kind::Meta);
        assert_eq!(Kind::of_path("/videosx"), Kind::Meta);
    }
}
