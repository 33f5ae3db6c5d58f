//! The keys that lists can be sorted by, and how a request names them.

use crate::model::Kind;
use crate::model::named::named;
use crate::sandbox::call::Call;
use crate::sandbox::cursor::SortValue;
use crate::sandbox::growth::Counts;
use crate::sandbox::moment::Moment;
use crate::sandbox::replies::Problem;
use crate::sandbox::world::{Row, World};

named! {
    /// A key that some list can be sorted by.
    pub enum SortKey {
        /// When tracking began.
        AddedAt = "added_at",
        /// A creator's name.
        Name = "name",
        /// When the post was published.
        CreateTime = "create_time",
        /// User name.
        Username = "username",
        /// Last scrape; null before the first.
        LastScrapeTime = "last_scrape_time",
        /// Followers.
        FollowerCount = "follower_count",
        /// Views.
        ViewCount = "view_count",
        /// Likes.
        LikeCount = "like_count",
        /// Plays.
        PlayCount = "play_count",
    }
}

impl SortKey {
    /// The default sort key of a list.
    pub fn default_of(kind: Kind) -> Self {
        let fitting = Self::ALL.into_iter().find(|key| key.fits(kind));
        fitting.unwrap_or(Self::CreateTime)
    }

    /// Whether a list can be sorted by this key. The first key that fits is the list's default.
    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::AddedAt => matches!(kind, Kind::Account | Kind::Video),
            Self::Name => kind == Kind::Creator,
            Self::CreateTime => matches!(kind, Kind::Video | Kind::AccountVideo),
            Self::Username | Self::LastScrapeTime | Self::FollowerCount => kind == Kind::Account,
            Self::ViewCount | Self::LikeCount | Self::PlayCount => kind != Kind::Creator,
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
            (SortKey::AddedAt, _) => instant(world.tracked(row).map(|tracked| tracked.added_at)),
            (SortKey::CreateTime, Kind::AccountVideo) => {
                instant(Some(world.posts[n].growth.published))
            }
            (SortKey::CreateTime, _) => {
                let published = world.videos[n].growth.published;
                instant(world.last_scrape(row).map(|_| published))
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
    let find = |field: &str, name: &str| {
        let keys = SortKey::ALL.into_iter().filter(|key| key.fits(kind));
        let names: Vec<_> = keys.map(SortKey::name).collect();
        let refused = || Problem::field(field, format!("must be one of {}", names.join(", ")));
        SortKey::from_name(name).filter(|key| key.fits(kind)).ok_or_else(refused)
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
        (None, None) => Ok((SortKey::default_of(kind), usual)),
    }
}
