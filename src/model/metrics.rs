//! Daily metrics: the figures, and the subjects one batch request may contain.

use chrono::NaiveDate;

use crate::model::kind::Kind;

/// Figures of a day in the order of [`NAMES`]; `None` if the API did not give one.
pub type Metrics = [Option<i64>; 6];

/// Names of the figures, in the API and as columns.
pub const NAMES: [&str; 6] = ["views", "plays", "likes", "comments", "shares", "engagement"];

/// Subjects of one batch request: a kind, and for account videos one platform, since ids of two platforms may be equal
/// and the answer does not distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    /// Tracked profiles.
    Accounts,
    /// Individually tracked posts.
    Videos,
    /// Posts of Instagram accounts.
    InstagramPosts,
    /// Posts of TikTok accounts.
    TiktokPosts,
}

impl SubjectKind {
    /// All, in the order in which a day is requested.
    pub const ALL: [Self; 4] =
        [Self::Accounts, Self::Videos, Self::InstagramPosts, Self::TiktokPosts];

    /// The kinds that have daily metrics.
    pub const KINDS: [Kind; 3] = [Kind::Account, Kind::Video, Kind::AccountVideo];

    /// Kind of the subjects.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Accounts => Kind::Account,
            Self::Videos => Kind::Video,
            Self::InstagramPosts | Self::TiktokPosts => Kind::AccountVideo,
        }
    }

    /// The platform, if it is limited to one.
    pub const fn platform(self) -> Option<&'static str> {
        match self {
            Self::Accounts | Self::Videos => None,
            Self::InstagramPosts => Some("instagram"),
            Self::TiktokPosts => Some("tiktok"),
        }
    }

    /// Member of the request body that holds the ids.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Accounts => "account_ids",
            Self::Videos => "video_ids",
            Self::InstagramPosts => "instagram_post_ids",
            Self::TiktokPosts => "tiktok_video_ids",
        }
    }

    /// Whether it is the last batch of its kind for a day.
    pub const fn is_last_of_kind(self) -> bool {
        !matches!(self, Self::InstagramPosts)
    }
}

/// A day as a number: days since 1970-01-01.
pub fn number(day: NaiveDate) -> i64 {
    i64::from(day.to_epoch_days())
}

/// The day of such a number; `None` if out of chrono's range.
pub fn day(number: i64) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(i32::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_comes_back_from_its_number() {
        for (text, count) in [("1970-01-01", 0), ("2026-11-19", 20_776), ("1969-12-31", -1)] {
            let date: NaiveDate = text.parse().unwrap();
            assert_eq!((number(date), day(count)), (count, Some(date)));
        }
        assert_eq!(day(i64::MAX), None);
    }
}
