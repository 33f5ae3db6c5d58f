//! The shapes of rows in the API: members in the documented order, written without detours.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::sandbox::moment::Moment;
use crate::sandbox::world::Metadata;

/// One row, ready to be written.
#[derive(Serialize)]
#[serde(untagged)]
pub enum RowView<'a> {
    /// An account.
    Account(Box<AccountView<'a>>),
    /// A creator.
    Creator(CreatorView<'a>),
    /// A video.
    Video(Box<VideoView<'a>>),
    /// An account video.
    Post(Box<PostView<'a>>),
    /// A row of which a test has replaced members.
    Patched(BTreeMap<String, Box<RawValue>>),
}

/// See the schema `Account`.
#[derive(Serialize)]
pub struct AccountView<'a> {
    pub(super) id: Shown<Uuid>,
    pub(super) platform: &'static str,
    pub(super) username: &'a str,
    pub(super) r#type: &'static str,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) profile_pic_url: Option<String>,
    pub(super) profile_pic_url_original: Option<String>,
    pub(super) is_verified: bool,
    pub(super) is_active: bool,
    pub(super) is_unavailable: bool,
    pub(super) link_in_bio: Option<String>,
    pub(super) creator_id: Option<Shown<Uuid>>,
    pub(super) creator_name: Option<&'a str>,
    pub(super) category: Option<&'a str>,
    pub(super) metadata: &'a Metadata,
    pub(super) added_at: Moment,
    pub(super) first_scrape_time: Option<Moment>,
    pub(super) last_scrape_time: Option<Moment>,
    pub(super) scrape_interval_hours: u32,
    pub(super) follower_count: i64,
    pub(super) following_count: i64,
    pub(super) profile_post_count: i64,
    pub(super) total_post_count: i64,
    pub(super) view_count: i64,
    pub(super) like_count: i64,
    pub(super) comment_count: i64,
    pub(super) share_count: i64,
    pub(super) play_count: i64,
    pub(super) saved_count: Option<i64>,
    pub(super) fb_play_count: Option<i64>,
    pub(super) ig_play_count: Option<i64>,
    pub(super) fb_like_count: Option<i64>,
    pub(super) max_recent_posts_per_account: Option<u32>,
    pub(super) post_lookback_days: Option<u32>,
    pub(super) effective_max_recent_posts_per_account: Option<u32>,
    pub(super) effective_post_lookback_days: Option<u32>,
}

/// See the schema `Creator`.
#[derive(Serialize)]
pub struct CreatorView<'a> {
    pub(super) id: Shown<Uuid>,
    pub(super) name: &'a str,
    pub(super) r#type: &'static str,
    pub(super) is_active: bool,
    pub(super) metadata: &'a Metadata,
    pub(super) accounts_summary: AccountsSummary,
}

/// See the schema `CreatorAccountsSummary`.
#[derive(Serialize)]
pub struct AccountsSummary {
    pub(super) total: usize,
    pub(super) platforms: BTreeMap<&'static str, usize>,
    pub(super) total_followers: i64,
}

/// See the schema `Video`.
#[derive(Serialize)]
pub struct VideoView<'a> {
    pub(super) id: Shown<Uuid>,
    pub(super) external_id: Shown<u64>,
    pub(super) platform: &'static str,
    pub(super) r#type: &'static str,
    pub(super) shortcode: Option<String>,
    pub(super) is_active: bool,
    pub(super) scrape_interval_hours: u32,
    pub(super) metadata: &'a Metadata,
    pub(super) added_at: Moment,
    pub(super) updated_at: Option<Moment>,
    pub(super) first_scrape_time: Option<Moment>,
    pub(super) last_scrape_time: Option<Moment>,
    pub(super) description: Option<String>,
    pub(super) create_time: Option<Moment>,
    pub(super) media_type: Option<&'static str>,
    pub(super) duration: Option<f64>,
    pub(super) is_unavailable: Option<bool>,
    pub(super) cover_image_url: Option<String>,
    pub(super) cover_image_url_original: Option<String>,
    pub(super) video_url: Option<String>,
    pub(super) video_url_original: Option<String>,
    pub(super) view_count: Option<i64>,
    pub(super) like_count: Option<i64>,
    pub(super) comment_count: Option<i64>,
    pub(super) share_count: Option<i64>,
    pub(super) play_count: Option<i64>,
    pub(super) saved_count: Option<i64>,
    pub(super) total_views: Option<i64>,
    pub(super) total_plays: Option<i64>,
    pub(super) account_id: Option<Shown<Uuid>>,
    pub(super) account_username: Option<String>,
    pub(super) platform_account_id: Option<Shown<u64>>,
    pub(super) platform_data: Option<PlatformData>,
}

/// What only the platform knows.
#[derive(Serialize)]
pub struct PlatformData {
    pub(super) is_ad: bool,
    pub(super) music: &'static str,
}

/// A post of an account's feed. Its documentation is missing; this is what a video has, and one
/// member more.
#[derive(Serialize)]
pub struct PostView<'a> {
    pub(super) id: PostId,
    pub(super) platform: &'static str,
    pub(super) r#type: &'static str,
    pub(super) external_id: Shown<u64>,
    pub(super) shortcode: Option<String>,
    pub(super) account_id: Shown<Uuid>,
    pub(super) account_username: &'a str,
    pub(super) description: String,
    pub(super) create_time: Moment,
    pub(super) media_type: &'static str,
    pub(super) duration: f64,
    pub(super) is_unavailable: bool,
    pub(super) first_scrape_time: Option<Moment>,
    pub(super) last_scrape_time: Option<Moment>,
    pub(super) cover_image_url: String,
    pub(super) video_url: String,
    pub(super) view_count: i64,
    pub(super) like_count: i64,
    pub(super) comment_count: i64,
    pub(super) share_count: i64,
    pub(super) play_count: i64,
    pub(super) saved_count: Option<i64>,
    pub(super) is_pinned: bool,
}

/// The id of an account video, in the style asked for.
#[derive(Serialize)]
#[serde(untagged)]
pub enum PostId {
    /// A number.
    Integer(u64),
    /// A number as text, or a UUID.
    Text(String),
}

/// A value that JSON shows as the text it displays.
pub struct Shown<T>(pub(super) T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
