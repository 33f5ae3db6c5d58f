//! Rows as the API shows them now.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::growth::{Counts, Platform};
use crate::sandbox::settings::IdStyle;
use crate::sandbox::words;
use crate::sandbox::world::{Row, World};

/// A row of the world, written as the API shows it now.
pub struct RowView<'a> {
    world: &'a World,
    row: Row,
}

impl Serialize for RowView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (world, row, mut out) = (self.world, self.row, serializer.serialize_map(None)?);
        match row.kind {
            Kind::Account => world.account(row, &mut out),
            Kind::Creator => world.creator(row, &mut out),
            Kind::Video => world.video(row, &mut out),
            _ => world.post(row, &mut out),
        }?;
        out.end()
    }
}

/// Writes members of a row.
macro_rules! members {
    ($out:ident; $($name:literal: $value:expr,)+) => { $($out.serialize_entry($name, &$value)?;)+ };
}

/// A value that JSON shows as the text it displays.
struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl World {
    /// The row as the API shows it now.
    pub fn view(&self, row: Row) -> RowView<'_> {
        RowView { world: self, row }
    }

    /// What accounts and videos have in common.
    fn tracked_members<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let Some(tracked) = self.tracked(row) else { return Ok(()) };
        members! { out;
            "id": Shown(tracked.id),
            "platform": tracked.platform,
            "is_active": tracked.is_active,
            "metadata": tracked.metadata,
            "added_at": tracked.added_at,
            "first_scrape_time": self.first_scrape(row),
            "last_scrape_time": self.last_scrape(row),
            "scrape_interval_hours": tracked.interval_hours,
        }
        Ok(())
    }

    fn account<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let account = &self.accounts[row.place as usize];
        let (scraped, text) = (self.last_scrape(row), account.tracked.text);
        let counts = self.counts(row).unwrap_or_default();
        let platform = account.tracked.platform;
        let instagram = platform == Platform::Instagram;
        let creator = account.creator.map(|place| &self.creators[place as usize]);
        let posts =
            account.posts.iter().map(|place| Row { kind: Kind::AccountVideo, place: *place });
        let posts = posts.filter(|row| self.is_listed(*row)).count() as i64;
        let picture = |host| scraped.map(|_| media(host, "avatar", text, "jpg"));
        let link = || format!("https://links.example/{}", account.username);
        self.tracked_members(row, out)?;
        members! { out;
            "username": account.username,
            "type": "account",
            "name": words::display_name(text),
            "description": scraped.map(|_| words::bio(text)),
            "profile_pic_url": picture("media"),
            "profile_pic_url_original": picture(platform.name()),
            "is_verified": text.is_multiple_of(9),
            "is_unavailable": account.tracked.is_unavailable,
            "link_in_bio": text.is_multiple_of(3).then(link),
            "creator_id": creator.map(|creator| Shown(creator.id)),
            "creator_name": creator.map(|creator| creator.name.as_str()),
            "category": account.category,
            "follower_count": self.followers(row.place),
            "following_count": scraped.map_or(0, |_| account.growth.following),
            "profile_post_count": scraped.map_or(0, |_| account.growth.earlier_posts + posts),
            "total_post_count": posts,
            "fb_play_count": instagram.then_some(counts.play / 11),
            "ig_play_count": instagram.then_some(counts.play - counts.play / 11),
            "fb_like_count": instagram.then_some(counts.like / 17),
            "max_recent_posts_per_account": account.max_posts,
            "post_lookback_days": account.lookback_days,
            "effective_max_recent_posts_per_account": account.max_posts.or(Some(100)),
            "effective_post_lookback_days": account.lookback_days.or(Some(180)),
        }
        serialize_counts(Some(&counts), out)
    }

    /// Followers at the last scrape.
    pub(super) fn followers(&self, place: u32) -> i64 {
        let account = &self.accounts[place as usize];
        account.tracked.schedule.last().map_or(0, |at| account.growth.followers(at))
    }

    fn creator<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let creator = &self.creators[row.place as usize];
        let accounts = &creator.accounts;
        let mut platforms: BTreeMap<_, usize> = BTreeMap::new();
        for place in accounts {
            *platforms
                .entry(self.accounts[*place as usize].tracked.platform.name())
                .or_default() += 1;
        }
        let total_followers: i64 = accounts.iter().map(|place| self.followers(*place)).sum();
        members! { out;
            "id": Shown(creator.id),
            "name": creator.name,
            "type": "creator",
            "is_active": creator.is_active,
            "metadata": creator.metadata,
            "accounts_summary": json!({
                "total": accounts.len(), "platforms": platforms, "total_followers": total_followers,
            }),
        }
        Ok(())
    }

    fn video<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let video = &self.videos[row.place as usize];
        let scraped = self.last_scrape(row);
        let counts = self.counts(row);
        let owner = video.account.map(|place| &self.accounts[place as usize]);
        let (text, platform) = (video.tracked.text, video.tracked.platform);
        let media = |host, what, end| scraped.map(|_| media(host, what, text, end));
        let author = || owner.map_or_else(|| words::username(text >> 40), |o| o.username.clone());
        let username = video.username.clone().or_else(|| scraped.map(|_| author()));
        let data = || json!({ "is_ad": text.is_multiple_of(13), "music": "original sound" });
        self.tracked_members(row, out)?;
        members! { out;
            "external_id": Shown(video.external_id),
            "type": "video",
            "shortcode": shortcode(platform, video.external_id),
            "updated_at": video.updated_at,
            "description": scraped.map(|_| words::caption(text)),
            "create_time": scraped.map(|_| video.growth.published),
            "media_type": scraped.map(|_| media_type(platform, text)),
            "duration": scraped.map(|_| duration(text)),
            "is_unavailable": scraped.map(|_| video.tracked.is_unavailable),
            "cover_image_url": media("media", "cover", "jpg"),
            "cover_image_url_original": media(platform.name(), "cover", "jpg"),
            "video_url": media("media", "video", "mp4"),
            "video_url_original": media(platform.name(), "video", "mp4"),
            "total_views": counts.map(|counts| counts.view),
            "total_plays": counts.map(|counts| counts.play),
            "account_id": owner.map(|owner| Shown(owner.tracked.id)),
            "account_username": username,
            "platform_account_id": scraped.map(|_| Shown(text >> 8)),
            "platform_data": scraped.map(|_| data()),
        }
        serialize_counts(counts.as_ref(), out)
    }

    fn post<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let post = &self.posts[row.place as usize];
        let owner = &self.accounts[post.account as usize];
        let counts = self.counts(row).unwrap_or_default();
        members! { out;
            "id": self.post_id(row.place),
            "platform": post.platform,
            "type": "account_video",
            "external_id": Shown(post.external_id),
            "shortcode": shortcode(post.platform, post.external_id),
            "account_id": Shown(owner.tracked.id),
            "account_username": owner.username,
            "description": words::caption(post.text),
            "create_time": post.growth.published,
            "media_type": media_type(post.platform, post.text),
            "duration": duration(post.text),
            "is_unavailable": false,
            "first_scrape_time": self.first_scrape(row),
            "last_scrape_time": self.last_scrape(row),
            "cover_image_url": media("media", "cover", post.text, "jpg"),
            "video_url": media("media", "video", post.text, "mp4"),
            "is_pinned": post.text.is_multiple_of(23),
        }
        serialize_counts(Some(&counts), out)
    }

    fn post_id(&self, place: u32) -> Value {
        let post = &self.posts[place as usize];
        match self.settings.account_video_ids {
            IdStyle::Integer => post.number.into(),
            IdStyle::Text => post.number.to_string().into(),
            IdStyle::Uuid => words::uuid(post.external_id, post.number).to_string().into(),
        }
    }

    /// The id of a row as text: a UUID, or `platform:id` for an account video.
    pub fn id_text(&self, row: Row) -> String {
        if row.kind != Kind::AccountVideo {
            return Uuid::from_u128(self.id_number(row)).to_string();
        }
        let platform = self.posts[row.place as usize].platform;
        match self.post_id(row.place) {
            Value::String(id) => format!("{platform}:{id}"),
            number => format!("{platform}:{number}"),
        }
    }

    /// The row of this kind with this [`World::id_text`], deleted ones included.
    pub fn find(&self, kind: Kind, id: &str) -> Option<Row> {
        if kind != Kind::AccountVideo {
            let row = self.by_id.get(&Uuid::try_parse(id).ok()?).copied();
            return row.filter(|row| row.kind == kind);
        }
        let (platform, number) = id.split_once(':')?;
        // A UUID carries the number in its last 62 bits.
        let number = match Uuid::try_parse(number) {
            Ok(uuid) => uuid.as_u128() as u64 & (u64::MAX >> 2),
            Err(_) => number.parse().ok()?,
        };
        let place = *self.post_by_number.get(&(Platform::from_name(platform)?, number))?;
        Some(Row { kind, place }).filter(|row| self.id_text(*row) == id)
    }
}

fn shortcode(platform: Platform, external_id: u64) -> Option<String> {
    (platform == Platform::Instagram).then(|| words::shortcode(external_id))
}

fn media(host: &str, what: &str, n: u64, ending: &str) -> String {
    format!("https://{host}.cdn.example/{what}/{n:016x}.{ending}")
}

fn media_type(platform: Platform, text: u64) -> &'static str {
    match platform {
        Platform::Instagram if text.is_multiple_of(5) => "carousel",
        Platform::Instagram => "reel",
        Platform::Tiktok => "video",
    }
}

fn duration(text: u64) -> f64 {
    (50 + text % 1_700) as f64 / 10.0
}

fn serialize_counts<M: SerializeMap>(counts: Option<&Counts>, out: &mut M) -> Result<(), M::Error> {
    members! { out;
        "view_count": counts.map(|counts| counts.view),
        "like_count": counts.map(|counts| counts.like),
        "comment_count": counts.map(|counts| counts.comment),
        "share_count": counts.map(|counts| counts.share),
        "play_count": counts.map(|counts| counts.play),
        "saved_count": counts.and_then(|counts| counts.saved),
    }
    Ok(())
}
