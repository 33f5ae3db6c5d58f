//! Columns of the history views, one line each, in the order of the view.

use crate::store::schema_docs::fact::{
    COUNT, ColumnFact, ID, INSTANT, OBJECT, RATE, TEXT, UNIX_SECONDS, nullable, required,
};

#[rustfmt::skip]
pub(super) const ACCOUNT_HISTORY: &[ColumnFact] = &[
    required("account_id", ID, "The account", "GET /accounts, Account.id"),
    required("scraped_at", INSTANT, "When the API read it from the platform", "GET /accounts, Account.last_scrape_time"),
    required("scraped_at_unix", UNIX_SECONDS, "The same instant without its fraction, to filter and sort by", "GET /accounts, Account.last_scrape_time"),
    nullable("follower_count", COUNT, "Followers", "GET /accounts, Account.follower_count"),
    nullable("following_count", COUNT, "Number of profiles it follows", "GET /accounts, Account.following_count"),
    nullable("total_post_count", COUNT, "Number of its posts that the API has collected", "GET /accounts, Account.total_post_count"),
    nullable("view_count", COUNT, "Views of its collected posts", "GET /accounts, Account.view_count"),
    nullable("like_count", COUNT, "Likes of its collected posts", "GET /accounts, Account.like_count"),
    nullable("comment_count", COUNT, "Comments on its collected posts", "GET /accounts, Account.comment_count"),
    nullable("share_count", COUNT, "Shares of its collected posts", "GET /accounts, Account.share_count"),
    nullable("play_count", COUNT, "Plays of its collected posts; TikTok has no separate figure", "GET /accounts, Account.play_count"),
    nullable("saved_count", COUNT, "Saves of its collected posts; Instagram only", "GET /accounts, Account.saved_count"),
    nullable("profile_post_count", COUNT, "Number of posts shown on the profile", "GET /accounts, Account.profile_post_count"),
    nullable("fb_play_count", COUNT, "Plays on Facebook, judging by the name", "GET /accounts, Account.fb_play_count"),
    nullable("ig_play_count", COUNT, "Plays on Instagram only, judging by the name", "GET /accounts, Account.ig_play_count"),
    nullable("fb_like_count", COUNT, "Likes on Facebook, judging by the name", "GET /accounts, Account.fb_like_count"),
];

#[rustfmt::skip]
pub(super) const VIDEO_HISTORY: &[ColumnFact] = &[
    required("video_id", ID, "The video", "GET /videos, Video.id"),
    required("scraped_at", INSTANT, "When the API read it from the platform", "GET /videos, Video.last_scrape_time"),
    required("scraped_at_unix", UNIX_SECONDS, "The same instant without its fraction, to filter and sort by", "GET /videos, Video.last_scrape_time"),
    nullable("view_count", COUNT, "Views", "GET /videos, Video.view_count"),
    nullable("like_count", COUNT, "Likes", "GET /videos, Video.like_count"),
    nullable("comment_count", COUNT, "Comments", "GET /videos, Video.comment_count"),
    nullable("share_count", COUNT, "Shares", "GET /videos, Video.share_count"),
    nullable("play_count", COUNT, "Plays; TikTok has no separate figure", "GET /videos, Video.play_count"),
    nullable("saved_count", COUNT, "Saves; Instagram only", "GET /videos, Video.saved_count"),
    nullable("total_views", COUNT, "Views; how they differ from view_count is not documented", "GET /videos, Video.total_views"),
    nullable("total_plays", COUNT, "Plays; how they differ from play_count is not documented", "GET /videos, Video.total_plays"),
];

#[rustfmt::skip]
pub(super) const ACCOUNT_VIDEO_HISTORY: &[ColumnFact] = &[
    nullable("platform", TEXT, "instagram or tiktok", "GET /account-videos, AccountVideo.platform"),
    required("account_video_id", ID, "The post, together with platform", "GET /account-videos, AccountVideo.id"),
    required("scraped_at", INSTANT, "When the API read it from the platform", "GET /account-videos, AccountVideo.last_scrape_time"),
    required("scraped_at_unix", UNIX_SECONDS, "The same instant without its fraction, to filter and sort by", "GET /account-videos, AccountVideo.last_scrape_time"),
    nullable("view_count", COUNT, "Views", "GET /account-videos, AccountVideo.view_count"),
    nullable("like_count", COUNT, "Likes", "GET /account-videos, AccountVideo.like_count"),
    nullable("comment_count", COUNT, "Comments", "GET /account-videos, AccountVideo.comment_count"),
    nullable("share_count", COUNT, "Shares", "GET /account-videos, AccountVideo.share_count"),
    nullable("play_count", COUNT, "Plays; TikTok has no separate figure", "GET /account-videos, AccountVideo.play_count"),
    nullable("saved_count", COUNT, "Saves; Instagram only", "GET /account-videos, AccountVideo.saved_count"),
];

#[rustfmt::skip]
pub(super) const OVERVIEW_HISTORY: &[ColumnFact] = &[
    required("observed_at", INSTANT, "When the mirror first saw these figures", "mirror"),
    required("period", TEXT, "The period the figures cover, ending at observed_at; 7d", "GET /overview, parameter period"),
    nullable("total_views", COUNT, "Views in the period", "GET /overview, Overview.current.total_views"),
    nullable("api_engagement_rate", RATE, "(likes + comments + shares) / views in the period, as given by the API; whether as a fraction or a percentage is not documented", "GET /overview, Overview.current.engagement_rate"),
    nullable("active_accounts", COUNT, "Accounts tracked and not paused", "GET /overview, Overview.current.active_accounts"),
    nullable("account_videos", COUNT, "Posts found in the feeds of accounts", "GET /overview, Overview.current.account_videos"),
    nullable("tracked_videos", COUNT, "Individually tracked videos", "GET /overview, Overview.current.tracked_videos"),
    nullable("extra", OBJECT, "Members of the answer without a column, and members whose value was not of the documented type, under their own names", "GET /overview, Overview"),
];
