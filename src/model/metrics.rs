//! Daily metrics: what is counted, and what one batch request may mix.

use chrono::NaiveDate;

use crate::model::kind::Kind;

/// The figures of a day, in the order of [`NAMES`]. What the API did not give is `None`.
pub type Metrics = [Option<i64>; 6];

/// Their names, in the API and as columns.
pub const NAMES: [&str; 6] = ["views", "plays", "likes", "comments", "shares", "engagement"];

/// What one batch request is about: a kind, and of account videos one platform, as the ids of two
/// platforms may be equal and the answer does not tell them apart.
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
    /// Every lot, in the order in which a day is asked for.
    pub const ALL: [Self; 4] =
        [Self::Accounts, Self::Videos, Self::InstagramPosts, Self::TiktokPosts];

    /// The kinds that have daily metrics.
    pub const KINDS: [Kind; 3] = [Kind::Account, Kind::Video, Kind::AccountVideo];

    /// The kind that it is of.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Accounts => Kind::Account,
            Self::Videos => Kind::Video,
            Self::InstagramPosts | Self::TiktokPosts => Kind::AccountVideo,
        }
    }

    /// The platform, where it is of one alone.
    pub const fn platform(self) -> Option<&'static str> {
        match self {
            Self::Accounts | Self::Videos => None,
            Self::InstagramPosts => Some("instagram"),
            Self::TiktokPosts => Some("tiktok"),
        }
    }

    /// The member of the request that holds the ids.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Accounts => "account_ids",
            Self::Videos => "video_ids",
            Self::InstagramPosts => "instagram_post_ids",
            Self::TiktokPosts => "tiktok_video_ids",
        }
    }

    /// Whether it is the last of its kind on a day.
    pub const fn is_last_of_kind(self) -> bool {
        !matches!(self, Self::InstagramPosts)
    }
}

/// A day as a number: days since 1970-01-01.
pub fn number(day: NaiveDate) -> i64 {
    i64::from(day.to_epoch_days())
}

/// The day of a number; `None` beyond what chrono can say.
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
