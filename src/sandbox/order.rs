//! The keys that lists can be sorted by, and how a request names them.

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::cursor::SortValue;
use crate::sandbox::growth::Counts;
use crate::sandbox::moment::Moment;
use crate::sandbox::replies::Problem;
use crate::sandbox::world::{Row, World};

/// A key that some list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// When tracking began.
    AddedAt,
    /// User name.
    Username,
    /// Last scrape; null before the first.
    LastScrapeTime,
    /// Followers.
    FollowerCount,
    /// Views.
    ViewCount,
    /// Likes.
    LikeCount,
    /// Plays.
    PlayCount,
    /// When the post was published.
    CreateTime,
    /// A creator's name.
    Name,
}

impl SortKey {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddedAt => "added_at",
            Self::Username => "username",
            Self::LastScrapeTime => "last_scrape_time",
            Self::FollowerCount => "follower_count",
            Self::ViewCount => "view_count",
            Self::LikeCount => "like_count",
            Self::PlayCount => "play_count",
            Self::CreateTime => "create_time",
            Self::Name => "name",
        }
    }

    /// The keys of a list, the default first.
    pub const fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Account => &[
                Self::AddedAt,
                Self::Username,
                Self::LastScrapeTime,
                Self::FollowerCount,
                Self::ViewCount,
                Self::LikeCount,
                Self::PlayCount,
            ],
            Kind::Video => &[
                Self::AddedAt,
                Self::CreateTime,
                Self::ViewCount,
                Self::LikeCount,
                Self::PlayCount,
            ],
            Kind::Creator => &[Self::Name],
            _ => &[Self::CreateTime, Self::ViewCount, Self::LikeCount, Self::PlayCount],
        }
    }

    /// The value of a row under this key.
    pub fn value(self, world: &World, row: Row) -> SortValue {
        let n = row.place as usize;
        let instant =
            |at: Option<Moment>| at.map_or(SortValue::Null, |at| SortValue::Integer(at.0));
        let count = |of: fn(&Counts) -> i64| {
            world.counts(row).map_or(SortValue::Null, |counts| SortValue::Integer(of(&counts)))
        };
        match (self, row.kind) {
            (SortKey::AddedAt, Kind::Account) => instant(Some(world.accounts[n].added_at)),
            (SortKey::AddedAt, _) => instant(Some(world.videos[n].added_at)),
            (SortKey::CreateTime, Kind::AccountVideo) => {
                instant(Some(world.posts[n].growth.published))
            }
            (SortKey::CreateTime, _) => {
                let published = world.videos[n].growth.published;
                instant(world.true_last_scrape(row).map(|_| published))
            }
            (SortKey::LastScrapeTime, _) => instant(world.last_scrape(row)),
            (SortKey::FollowerCount, _) => SortValue::Integer(world.followers(row.place)),
            (SortKey::ViewCount, _) => count(|counts| counts.view),
            (SortKey::LikeCount, _) => count(|counts| counts.like),
            (SortKey::PlayCount, _) => count(|counts| counts.play),
            (SortKey::Username, _) => SortValue::Text(world.accounts[n].username.clone()),
            (SortKey::Name, _) => SortValue::Text(world.creators[n].name.clone()),
        }
    }
}

/// The sort key that a request asks for, and whether descending.
pub fn read_order(kind: Kind, call: &Call) -> Result<(SortKey, bool), Problem> {
    let keys = SortKey::of(kind);
    let find = |field: &str, name: &str| {
        let names: Vec<_> = keys.iter().map(|key| key.name()).collect();
        let refused = || Problem::field(field, format!("must be one of {}", names.join(", ")));
        keys.iter().find(|key| key.name() == name).copied().ok_or_else(refused)
    };
    let direction = match call.param("order_direction") {
        None => None,
        Some("asc") => Some(false),
        Some("desc") => Some(true),
        Some(_) => return Err(Problem::field("order_direction", "must be asc or desc")),
    };
    let usual = direction.unwrap_or(kind != Kind::Creator);
    match (call.param("order_by"), call.param("sort")) {
        (Some(name), _) => Ok((find("order_by", name)?, usual)),
        (None, Some(signed)) => match signed.strip_prefix('-') {
            Some(name) => Ok((find("sort", name)?, true)),
            None => Ok((find("sort", signed)?, false)),
        },
        (None, None) => Ok((keys[0], usual)),
    }
}
