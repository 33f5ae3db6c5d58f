//! Rows as the API shows them now, patched where a test says so.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::growth::{Counts, Platform};
use crate::sandbox::moment::DAY;
use crate::sandbox::settings::IdStyle;
use crate::sandbox::views::{
    AccountView, AccountsSummary, CreatorView, PlatformData, PostId, PostView, RowView, Shown,
    VideoView,
};
use crate::sandbox::words;
use crate::sandbox::world::{Row, World};

impl World {
    /// The row as the API shows it now.
    pub fn view(&self, row: Row) -> RowView<'_> {
        let view = match row.kind {
            Kind::Account => RowView::Account(Box::new(self.account_view(row))),
            Kind::Creator => RowView::Creator(self.creator_view(row)),
            Kind::Video => RowView::Video(Box::new(self.video_view(row))),
            _ => RowView::Post(Box::new(self.post_view(row))),
        };
        match self.overridden(row) {
            Some(overrides) => patched(&view, overrides),
            None => view,
        }
    }

    fn account_view(&self, row: Row) -> AccountView<'_> {
        let account = &self.accounts[row.place as usize];
        let scraped = self.true_last_scrape(row);
        let counts = self.counts(row).unwrap_or_default();
        let instagram = account.platform == Platform::Instagram;
        let creator = account.creator.map(|place| &self.creators[place as usize]);
        let posts =
            account.posts.iter().filter(|n| self.is_found(&self.posts[**n as usize])).count();
        let posts = posts as i64;
        let picture = |host| self.media(host, "avatar", account.text, "jpg");
        AccountView {
            id: Shown(account.id),
            platform: account.platform.name(),
            username: &account.username,
            r#type: "account",
            name: words::display_name(account.text),
            description: scraped.map(|_| words::bio(account.text)),
            profile_pic_url: scraped.map(|_| picture("media")),
            profile_pic_url_original: scraped.map(|_| picture(account.platform.name())),
            is_verified: account.text.is_multiple_of(9),
            is_active: account.is_active,
            is_unavailable: account.is_unavailable,
            link_in_bio: (account.text.is_multiple_of(3))
                .then(|| format!("https://links.example/{}", account.username)),
            creator_id: creator.map(|creator| Shown(creator.id)),
            creator_name: creator.map(|creator| creator.name.as_str()),
            category: account.category.as_deref(),
            metadata: &account.metadata,
            added_at: account.added_at,
            first_scrape_time: self.first_scrape(row),
            last_scrape_time: self.last_scrape(row),
            scrape_interval_hours: account.interval_hours,
            follower_count: self.followers(row.place),
            following_count: scraped.map_or(0, |_| account.growth.following),
            profile_post_count: scraped.map_or(0, |_| account.growth.earlier_posts + posts),
            total_post_count: posts,
            view_count: counts.view,
            like_count: counts.like,
            comment_count: counts.comment,
            share_count: counts.share,
            play_count: counts.play,
            saved_count: counts.saved,
            fb_play_count: instagram.then_some(counts.play / 11),
            ig_play_count: instagram.then_some(counts.play - counts.play / 11),
            fb_like_count: instagram.then_some(counts.like / 17),
            max_recent_posts_per_account: account.max_posts,
            post_lookback_days: account.lookback_days,
            effective_max_recent_posts_per_account: account.max_posts.or(Some(100)),
            effective_post_lookback_days: account.lookback_days.or(Some(180)),
        }
    }

    /// Followers at the last scrape.
    pub(super) fn followers(&self, place: u32) -> i64 {
        let account = &self.accounts[place as usize];
        account.schedule.last().map_or(0, |at| account.growth.followers(at))
    }

    fn creator_view(&self, row: Row) -> CreatorView<'_> {
        let creator = &self.creators[row.place as usize];
        let mut platforms = BTreeMap::new();
        let mut total_followers = 0;
        for place in &creator.accounts {
            *platforms.entry(self.accounts[*place as usize].platform.name()).or_default() += 1;
            total_followers += self.followers(*place);
        }
        CreatorView {
            id: Shown(creator.id),
            name: &creator.name,
            r#type: "creator",
            is_active: creator.is_active,
            metadata: &creator.metadata,
            accounts_summary: AccountsSummary {
                total: creator.accounts.len(),
                platforms,
                total_followers,
            },
        }
    }

    fn video_view(&self, row: Row) -> VideoView<'_> {
        let video = &self.videos[row.place as usize];
        let scraped = self.true_last_scrape(row);
        let counts = scraped.map(|at| self.counts_at(row, at));
        let count = |of: fn(&Counts) -> i64| counts.as_ref().map(of);
        let owner = video.account.map(|place| &self.accounts[place as usize]);
        let (text, host) = (video.text, video.platform.name());
        let media = |host, what, end| scraped.map(|_| self.media(host, what, text, end));
        let author = || owner.map_or_else(|| words::username(text >> 40), |o| o.username.clone());
        VideoView {
            id: Shown(video.id),
            external_id: Shown(video.external_id),
            platform: video.platform.name(),
            r#type: "video",
            shortcode: self.shortcode(video.platform, video.external_id),
            is_active: video.is_active,
            scrape_interval_hours: video.interval_hours,
            metadata: &video.metadata,
            added_at: video.added_at,
            updated_at: video.updated_at,
            first_scrape_time: self.first_scrape(row),
            last_scrape_time: self.last_scrape(row),
            description: scraped.map(|_| words::caption(text)),
            create_time: scraped.map(|_| video.growth.published),
            media_type: scraped.map(|_| media_type(video.platform, text)),
            duration: scraped.map(|_| duration(text)),
            is_unavailable: scraped.map(|_| video.is_unavailable),
            cover_image_url: media("media", "cover", "jpg"),
            cover_image_url_original: media(host, "cover", "jpg"),
            video_url: media("media", "video", "mp4"),
            video_url_original: media(host, "video", "mp4"),
            view_count: count(|c| c.view),
            like_count: count(|c| c.like),
            comment_count: count(|c| c.comment),
            share_count: count(|c| c.share),
            play_count: count(|c| c.play),
            saved_count: counts.and_then(|c| c.saved),
            total_views: count(|c| c.view),
            total_plays: count(|c| c.play),
            account_id: owner.map(|owner| Shown(owner.id)),
            account_username: video.username.clone().or_else(|| scraped.map(|_| author())),
            platform_account_id: scraped.map(|_| Shown(text >> 8)),
            platform_data: scraped
                .map(|_| PlatformData { is_ad: text.is_multiple_of(13), music: "original sound" }),
        }
    }

    fn post_view(&self, row: Row) -> PostView<'_> {
        let post = &self.posts[row.place as usize];
        let owner = &self.accounts[post.account as usize];
        let counts = self.counts(row).unwrap_or_default();
        PostView {
            id: self.post_id(row.place),
            platform: post.platform.name(),
            r#type: "account_video",
            external_id: Shown(post.external_id),
            shortcode: self.shortcode(post.platform, post.external_id),
            account_id: Shown(owner.id),
            account_username: &owner.username,
            description: words::caption(post.text),
            create_time: post.growth.published,
            media_type: media_type(post.platform, post.text),
            duration: duration(post.text),
            is_unavailable: false,
            first_scrape_time: self.first_scrape(row),
            last_scrape_time: self.last_scrape(row),
            cover_image_url: self.media("media", "cover", post.text, "jpg"),
            video_url: self.media("media", "video", post.text, "mp4"),
            view_count: counts.view,
            like_count: counts.like,
            comment_count: counts.comment,
            share_count: counts.share,
            play_count: counts.play,
            saved_count: counts.saved,
            is_pinned: post.text.is_multiple_of(23),
        }
    }

    fn post_id(&self, place: u32) -> PostId {
        let post = &self.posts[place as usize];
        match self.settings.account_video_ids {
            IdStyle::Integer => PostId::Integer(post.number),
            IdStyle::Text => PostId::Text(post.number.to_string()),
            IdStyle::Uuid => PostId::Text(words::uuid(post.external_id, post.number).to_string()),
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
                    PostId::Integer(number) => format!("{platform}:{number}"),
                    PostId::Text(id) => format!("{platform}:{id}"),
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

fn patched<'a>(
    view: &RowView<'a>,
    overrides: &BTreeMap<String, Option<Box<RawValue>>>,
) -> RowView<'a> {
    let plain = serde_json::to_string(view).unwrap_or_default();
    let mut members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(&plain).unwrap_or_default();
    for (name, value) in overrides {
        match value {
            Some(value) => members.insert(name.clone(), value.clone()),
            None => members.remove(name),
        };
    }
    RowView::Patched(members)
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
