//! Rows as the API shows them now, patched where a test says so.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::growth::{Counts, Platform};
use crate::sandbox::moment::DAY;
use crate::sandbox::settings::IdStyle;
use crate::sandbox::words;
use crate::sandbox::world::{Overrides, Row, World};

/// A row of the world, written as the API shows it now.
pub struct RowView<'a> {
    world: &'a World,
    row: Row,
}

impl RowView<'_> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (world, row, mut out) = (self.world, self.row, serializer.serialize_map(None)?);
        match row.kind {
            Kind::Account => world.account(row, &mut out),
            Kind::Creator => world.creator(row, &mut out),
            Kind::Video => world.video(row, &mut out),
            _ => world.post(row, &mut out),
        }?;
        out.end()
    }

    /// The members, with those that a test has replaced.
    fn patched(&self, overrides: &Overrides) -> BTreeMap<String, Box<RawValue>> {
        let mut plain = Vec::new();
        let _ = self.write(&mut serde_json::Serializer::new(&mut plain));
        let mut members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(&plain).unwrap_or_default();
        for (name, value) in overrides {
            match value {
                Some(value) => members.insert(name.clone(), value.clone()),
                None => members.remove(name),
            };
        }
        members
    }
}

impl Serialize for RowView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.world.overridden(self.row) {
            Some(overrides) => self.patched(overrides).serialize(serializer),
            None => self.write(serializer),
        }
    }
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

    fn account<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let account = &self.accounts[row.place as usize];
        let scraped = self.true_last_scrape(row);
        let counts = self.counts(row).unwrap_or_default();
        let instagram = account.platform == Platform::Instagram;
        let creator = account.creator.map(|place| &self.creators[place as usize]);
        let posts =
            account.posts.iter().filter(|n| self.is_found(&self.posts[**n as usize])).count();
        let posts = posts as i64;
        let picture = |host| self.media(host, "avatar", account.text, "jpg");
        out.serialize_entry("id", &Shown(account.id))?;
        out.serialize_entry("platform", &account.platform.name())?;
        out.serialize_entry("username", &account.username)?;
        out.serialize_entry("type", "account")?;
        out.serialize_entry("name", &words::display_name(account.text))?;
        out.serialize_entry("description", &scraped.map(|_| words::bio(account.text)))?;
        out.serialize_entry("profile_pic_url", &scraped.map(|_| picture("media")))?;
        out.serialize_entry(
            "profile_pic_url_original",
            &scraped.map(|_| picture(account.platform.name())),
        )?;
        out.serialize_entry("is_verified", &account.text.is_multiple_of(9))?;
        out.serialize_entry("is_active", &account.is_active)?;
        out.serialize_entry("is_unavailable", &account.is_unavailable)?;
        out.serialize_entry(
            "link_in_bio",
            &(account.text.is_multiple_of(3))
                .then(|| format!("https://links.example/{}", account.username)),
        )?;
        out.serialize_entry("creator_id", &creator.map(|creator| Shown(creator.id)))?;
        out.serialize_entry("creator_name", &creator.map(|creator| creator.name.as_str()))?;
        out.serialize_entry("category", &account.category.as_deref())?;
        out.serialize_entry("metadata", &account.metadata)?;
        out.serialize_entry("added_at", &account.added_at)?;
        out.serialize_entry("first_scrape_time", &self.first_scrape(row))?;
        out.serialize_entry("last_scrape_time", &self.last_scrape(row))?;
        out.serialize_entry("scrape_interval_hours", &account.interval_hours)?;
        out.serialize_entry("follower_count", &self.followers(row.place))?;
        out.serialize_entry("following_count", &scraped.map_or(0, |_| account.growth.following))?;
        out.serialize_entry(
            "profile_post_count",
            &scraped.map_or(0, |_| account.growth.earlier_posts + posts),
        )?;
        out.serialize_entry("total_post_count", &posts)?;
        serialize_counts(&counts, out)?;
        out.serialize_entry("fb_play_count", &instagram.then_some(counts.play / 11))?;
        out.serialize_entry("ig_play_count", &instagram.then_some(counts.play - counts.play / 11))?;
        out.serialize_entry("fb_like_count", &instagram.then_some(counts.like / 17))?;
        out.serialize_entry("max_recent_posts_per_account", &account.max_posts)?;
        out.serialize_entry("post_lookback_days", &account.lookback_days)?;
        out.serialize_entry(
            "effective_max_recent_posts_per_account",
            &account.max_posts.or(Some(100)),
        )?;
        out.serialize_entry("effective_post_lookback_days", &account.lookback_days.or(Some(180)))?;
        Ok(())
    }

    /// Followers at the last scrape.
    pub(super) fn followers(&self, place: u32) -> i64 {
        let account = &self.accounts[place as usize];
        account.schedule.last().map_or(0, |at| account.growth.followers(at))
    }

    fn creator<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let creator = &self.creators[row.place as usize];
        let mut platforms: BTreeMap<_, usize> = BTreeMap::new();
        let mut total_followers = 0;
        for place in &creator.accounts {
            *platforms.entry(self.accounts[*place as usize].platform.name()).or_default() += 1;
            total_followers += self.followers(*place);
        }
        out.serialize_entry("id", &Shown(creator.id))?;
        out.serialize_entry("name", &creator.name)?;
        out.serialize_entry("type", "creator")?;
        out.serialize_entry("is_active", &creator.is_active)?;
        out.serialize_entry("metadata", &creator.metadata)?;
        out.serialize_entry("accounts_summary", &json!({
                "total": creator.accounts.len(), "platforms": platforms, "total_followers": total_followers,
            }))?;
        Ok(())
    }

    fn video<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let video = &self.videos[row.place as usize];
        let scraped = self.true_last_scrape(row);
        let counts = scraped.map(|at| self.counts_at(row, at));
        let count = |of: fn(&Counts) -> i64| counts.as_ref().map(of);
        let owner = video.account.map(|place| &self.accounts[place as usize]);
        let (text, host) = (video.text, video.platform.name());
        let media = |host, what, end| scraped.map(|_| self.media(host, what, text, end));
        let author = || owner.map_or_else(|| words::username(text >> 40), |o| o.username.clone());
        out.serialize_entry("id", &Shown(video.id))?;
        out.serialize_entry("external_id", &Shown(video.external_id))?;
        out.serialize_entry("platform", &video.platform.name())?;
        out.serialize_entry("type", "video")?;
        out.serialize_entry("shortcode", &self.shortcode(video.platform, video.external_id))?;
        out.serialize_entry("is_active", &video.is_active)?;
        out.serialize_entry("scrape_interval_hours", &video.interval_hours)?;
        out.serialize_entry("metadata", &video.metadata)?;
        out.serialize_entry("added_at", &video.added_at)?;
        out.serialize_entry("updated_at", &video.updated_at)?;
        out.serialize_entry("first_scrape_time", &self.first_scrape(row))?;
        out.serialize_entry("last_scrape_time", &self.last_scrape(row))?;
        out.serialize_entry("description", &scraped.map(|_| words::caption(text)))?;
        out.serialize_entry("create_time", &scraped.map(|_| video.growth.published))?;
        out.serialize_entry("media_type", &scraped.map(|_| media_type(video.platform, text)))?;
        out.serialize_entry("duration", &scraped.map(|_| duration(text)))?;
        out.serialize_entry("is_unavailable", &scraped.map(|_| video.is_unavailable))?;
        out.serialize_entry("cover_image_url", &media("media", "cover", "jpg"))?;
        out.serialize_entry("cover_image_url_original", &media(host, "cover", "jpg"))?;
        out.serialize_entry("video_url", &media("media", "video", "mp4"))?;
        out.serialize_entry("video_url_original", &media(host, "video", "mp4"))?;
        out.serialize_entry("view_count", &count(|c| c.view))?;
        out.serialize_entry("like_count", &count(|c| c.like))?;
        out.serialize_entry("comment_count", &count(|c| c.comment))?;
        out.serialize_entry("share_count", &count(|c| c.share))?;
        out.serialize_entry("play_count", &count(|c| c.play))?;
        out.serialize_entry("saved_count", &counts.and_then(|c| c.saved))?;
        out.serialize_entry("total_views", &count(|c| c.view))?;
        out.serialize_entry("total_plays", &count(|c| c.play))?;
        out.serialize_entry("account_id", &owner.map(|owner| Shown(owner.id)))?;
        out.serialize_entry(
            "account_username",
            &video.username.clone().or_else(|| scraped.map(|_| author())),
        )?;
        out.serialize_entry("platform_account_id", &scraped.map(|_| Shown(text >> 8)))?;
        out.serialize_entry(
            "platform_data",
            &scraped
                .map(|_| json!({ "is_ad": text.is_multiple_of(13), "music": "original sound" })),
        )?;
        Ok(())
    }

    fn post<M: SerializeMap>(&self, row: Row, out: &mut M) -> Result<(), M::Error> {
        let post = &self.posts[row.place as usize];
        let owner = &self.accounts[post.account as usize];
        let counts = self.counts(row).unwrap_or_default();
        out.serialize_entry("id", &self.post_id(row.place))?;
        out.serialize_entry("platform", &post.platform.name())?;
        out.serialize_entry("type", "account_video")?;
        out.serialize_entry("external_id", &Shown(post.external_id))?;
        out.serialize_entry("shortcode", &self.shortcode(post.platform, post.external_id))?;
        out.serialize_entry("account_id", &Shown(owner.id))?;
        out.serialize_entry("account_username", &owner.username)?;
        out.serialize_entry("description", &words::caption(post.text))?;
        out.serialize_entry("create_time", &post.growth.published)?;
        out.serialize_entry("media_type", &media_type(post.platform, post.text))?;
        out.serialize_entry("duration", &duration(post.text))?;
        out.serialize_entry("is_unavailable", &false)?;
        out.serialize_entry("first_scrape_time", &self.first_scrape(row))?;
        out.serialize_entry("last_scrape_time", &self.last_scrape(row))?;
        out.serialize_entry("cover_image_url", &self.media("media", "cover", post.text, "jpg"))?;
        out.serialize_entry("video_url", &self.media("media", "video", post.text, "mp4"))?;
        serialize_counts(&counts, out)?;
        out.serialize_entry("is_pinned", &post.text.is_multiple_of(23))?;
        Ok(())
    }

    fn post_id(&self, place: u32) -> Value {
        let post = &self.posts[place as usize];
        match self.settings.account_video_ids {
            IdStyle::Integer => post.number.into(),
            IdStyle::Text => post.number.to_string().into(),
            IdStyle::Uuid => words::uuid(post.external_id, post.number).to_string().into(),
        }
    }

    fn shortcode(&self, platform: Platform, external_id: u64) -> Option<String> {
        (platform == Platform::Instagram).then(|| words::shortcode(external_id))
    }

    fn media(&self, host: &str, what: &str, n: u64, ending: &str) -> String {
        let path = format!("https://{host}.cdn.example/{what}/{n:016x}.{ending}");
        if !self.settings.signed_urls {
            return path;
        }
        let day = self.now.0 / DAY;
        let signature = words::number(n, &day.to_le_bytes());
        format!("{path}?sig={signature:016x}&exp={}", (day + 2) * DAY / 1_000)
    }

    /// The id of a row as text: a UUID, or `platform:id` for an account video.
    pub fn id_text(&self, row: Row) -> String {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => self.accounts[place].id.to_string(),
            Kind::Creator => self.creators[place].id.to_string(),
            Kind::Video => self.videos[place].id.to_string(),
            _ => {
                let platform = self.posts[place].platform.name();
                match self.post_id(row.place) {
                    Value::String(id) => format!("{platform}:{id}"),
                    number => format!("{platform}:{number}"),
                }
            }
        }
    }

    /// The row of this kind with this [`World::id_text`], deleted ones included.
    pub fn find(&self, kind: Kind, id: &str) -> Option<Row> {
        let uuid = || Uuid::try_parse(id).ok();
        let place = match kind {
            Kind::Account => self.account_by_id.get(&uuid()?).copied(),
            Kind::Creator => self.creator_by_id.get(&uuid()?).copied(),
            Kind::Video => self.video_by_id.get(&uuid()?).copied(),
            Kind::AccountVideo => {
                let (platform, number) = id.split_once(':')?;
                // A UUID carries the number in its last 62 bits.
                let number = match Uuid::try_parse(number) {
                    Ok(uuid) => uuid.as_u128() as u64 & (u64::MAX >> 2),
                    Err(_) => number.parse().ok()?,
                };
                let place = self.post_by_number.get(&(Platform::from_name(platform)?, number))?;
                Some(*place).filter(|place| self.id_text(Row { kind, place: *place }) == id)
            }
            _ => None,
        };
        place.map(|place| Row { kind, place })
    }
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

/// The counts that accounts and their posts have in common, which both always show.
fn serialize_counts<M: SerializeMap>(counts: &Counts, out: &mut M) -> Result<(), M::Error> {
    out.serialize_entry("view_count", &counts.view)?;
    out.serialize_entry("like_count", &counts.like)?;
    out.serialize_entry("comment_count", &counts.comment)?;
    out.serialize_entry("share_count", &counts.share)?;
    out.serialize_entry("play_count", &counts.play)?;
    out.serialize_entry("saved_count", &counts.saved)?;
    Ok(())
}
