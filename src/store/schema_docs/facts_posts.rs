//! Columns of the views of posts, and of accounts and creators over time, one line each, in the order of the view.

use crate::store::schema_docs::fact::{
    COUNT, ColumnFact, DATE, FLAG, FRACTION, HOURS, ID, INSTANT, NUMBER, OBJECT, PERCENT, RATE,
    SECONDS, TEXT, UNIX_SECONDS, URL, WHOLE_DAYS, nullable, required,
};

/// The key of every view of posts.
#[rustfmt::skip]
pub(super) const POST_KEY: &[ColumnFact] = &[
    required("post_key", ID, "The post: platform:external_id, or platform:v:id (of videos) or platform:av:id (of account_videos) without an external id", "mirror"),
];

#[rustfmt::skip]
pub(super) const POSTS: &[ColumnFact] = &[
    nullable("platform", TEXT, "instagram or tiktok", "videos.platform, account_videos.platform"),
    nullable("external_id", ID, "The platform's id of the post", "videos.external_id, account_videos.external_id"),
    nullable("shortcode", TEXT, "Short code of the post in Instagram URLs", "videos.shortcode, account_videos.shortcode"),
    nullable("url", URL, "Its page on the platform, made from the columns here; NULL if one of them is unknown", "mirror"),
    nullable("video_id", ID, "Its row in videos: the newest, if it was tracked several times; NULL if it was never tracked individually", "GET /videos, Video.id"),
    nullable("account_video_id", TEXT, "Its row in account_videos, together with platform; NULL if it was not found in a feed", "GET /account-videos, AccountVideo.id"),
    required("is_tracked", FLAG, "1 while it is tracked individually: its row in videos is not removed. Paused ones are tracked", "mirror"),
    nullable("account_id", ID, "The account that posted it, if that account is tracked", "videos.account_id, account_videos.account_id"),
    nullable("account_username", TEXT, "Handle of the account that posted it", "videos.account_username, account_videos.account_username"),
    nullable("creator_id", ID, "The creator of that account now", "GET /accounts, Account.creator_id"),
    nullable("creator_name", TEXT, "Name of that creator", "GET /creators, Creator.name"),
    nullable("category", TEXT, "Category of that account", "GET /accounts, Account.category"),
    nullable("metadata", OBJECT, "Tags of the tracked video; NULL for posts that were never tracked individually", "GET /videos, Video.metadata"),
    nullable("description", TEXT, "Caption", "videos.description, account_videos.description"),
    nullable("media_type", TEXT, "Media type as given by the API", "videos.media_type, account_videos.media_type"),
    nullable("duration", SECONDS, "Presumably the length; not documented", "videos.duration, account_videos.duration"),
    nullable("create_time", INSTANT, "When it was posted on the platform", "videos.create_time, account_videos.create_time"),
    nullable("first_scrape_time", INSTANT, "When the API first read it from the platform", "videos.first_scrape_time, account_videos.first_scrape_time"),
    nullable("last_scrape_time", INSTANT, "When the API last read it from the platform; all counts in this row are from then", "videos.last_scrape_time, account_videos.last_scrape_time"),
    nullable("view_count", COUNT, "Views", "videos.view_count, account_videos.view_count"),
    nullable("like_count", COUNT, "Likes", "videos.like_count, account_videos.like_count"),
    nullable("comment_count", COUNT, "Comments", "videos.comment_count, account_videos.comment_count"),
    nullable("share_count", COUNT, "Shares", "videos.share_count, account_videos.share_count"),
    nullable("play_count", COUNT, "Plays; TikTok has no separate figure", "videos.play_count, account_videos.play_count"),
    nullable("saved_count", COUNT, "Saves; Instagram only", "videos.saved_count, account_videos.saved_count"),
    nullable("engagement_rate", FRACTION, "(likes + comments + shares, as far as known) / views; NULL without views, or if none of the three is known", "mirror"),
    nullable("is_unavailable", FLAG, "1 if the platform no longer shows it", "videos.is_unavailable, account_videos.is_unavailable"),
    nullable("removed_at", INSTANT, "When the last of its rows was found removed from the API; NULL while the API lists one", "mirror"),
    nullable("published_date_local", DATE, "Day of create_time in the time zone of the setting `timezone`", "mirror"),
    nullable("published_hour_local", NUMBER, "Hour of create_time in that time zone, 0 to 23", "mirror"),
    nullable("published_weekday_local", NUMBER, "Day of the week of create_time in that time zone: 1 is Monday, 7 is Sunday", "mirror"),
];

#[rustfmt::skip]
pub(super) const POST_HASHTAGS: &[ColumnFact] = &[
    required("hashtag", TEXT, "A hashtag of its caption: what follows a # up to a blank or punctuation other than _, unless that is digits alone; ASCII letters in lower case", "mirror"),
];

#[rustfmt::skip]
pub(super) const POST_HISTORY: &[ColumnFact] = &[
    required("scraped_at", INSTANT, "When the API read it from the platform", "videos.last_scrape_time, account_videos.last_scrape_time"),
    required("scraped_at_unix", UNIX_SECONDS, "The same instant without its fraction, to filter and sort by", "videos.last_scrape_time, account_videos.last_scrape_time"),
    nullable("view_count", COUNT, "Views", "videos.view_count, account_videos.view_count"),
    nullable("like_count", COUNT, "Likes", "videos.like_count, account_videos.like_count"),
    nullable("comment_count", COUNT, "Comments", "videos.comment_count, account_videos.comment_count"),
    nullable("share_count", COUNT, "Shares", "videos.share_count, account_videos.share_count"),
    nullable("play_count", COUNT, "Plays; TikTok has no separate figure", "videos.play_count, account_videos.play_count"),
    nullable("saved_count", COUNT, "Saves; Instagram only", "videos.saved_count, account_videos.saved_count"),
];

#[rustfmt::skip]
pub(super) const WINDOW_GAINS: &[ColumnFact] = &[
    required("days", WHOLE_DAYS, "Length of the window, which ends now: 1, 7, 14, 28, 30 or 90", "mirror"),
    required("from_at", INSTANT, "What the gains are counted from: the start of the window, the publication (is_new), or the first scrape (is_partial)", "mirror"),
    required("from_at_unix", UNIX_SECONDS, "The same instant without its fraction", "mirror"),
    required("to_at", INSTANT, "The newest scrape", "mirror"),
    required("to_at_unix", UNIX_SECONDS, "The same instant without its fraction", "mirror"),
    required("window_hours", HOURS, "Time from from_at to to_at", "mirror"),
    nullable("views_gained", COUNT, "Views gained; negative if they decreased", "mirror"),
    nullable("likes_gained", COUNT, "Likes gained", "mirror"),
    nullable("comments_gained", COUNT, "Comments gained", "mirror"),
    nullable("shares_gained", COUNT, "Shares gained", "mirror"),
    nullable("saves_gained", COUNT, "Saves gained", "mirror"),
    required("is_new", FLAG, "1 if it was published in the window: it gained its whole counts", "mirror"),
    required("is_partial", FLAG, "1 if its history begins within the window although it is older or its age is unknown", "mirror"),
    required("has_wide_gap", FLAG, "1 if the scrapes around the start of the window, between which its counts there are interpolated, are more than 1.5 scrape intervals apart", "mirror"),
];

#[rustfmt::skip]
pub(super) const GAINS_VIDEO_ID: &[ColumnFact] = &[
    required("video_id", ID, "The video", "GET /videos, Video.id"),
];

#[rustfmt::skip]
pub(super) const POST_DAILY: &[ColumnFact] = &[
    required("date", DATE, "The UTC day", "mirror"),
    nullable("view_count", COUNT, "Views at the last scrape until the end of the day", "videos.view_count, account_videos.view_count"),
    nullable("like_count", COUNT, "Likes at the last scrape until the end of the day", "videos.like_count, account_videos.like_count"),
    nullable("comment_count", COUNT, "Comments at the last scrape until the end of the day", "videos.comment_count, account_videos.comment_count"),
    nullable("share_count", COUNT, "Shares at the last scrape until the end of the day", "videos.share_count, account_videos.share_count"),
    nullable("play_count", COUNT, "Plays at the last scrape until the end of the day", "videos.play_count, account_videos.play_count"),
    nullable("saved_count", COUNT, "Saves at the last scrape until the end of the day", "videos.saved_count, account_videos.saved_count"),
    nullable("views_gained", COUNT, "Views gained; negative if they decreased", "mirror"),
    nullable("likes_gained", COUNT, "Likes gained", "mirror"),
    nullable("comments_gained", COUNT, "Comments gained", "mirror"),
    nullable("shares_gained", COUNT, "Shares gained", "mirror"),
    nullable("saves_gained", COUNT, "Saves gained", "mirror"),
    required("is_carried", FLAG, "1 if there was no scrape on that day: the counts are those of the last scrape before it", "mirror"),
];

#[rustfmt::skip]
pub(super) const ACCOUNT_DAILY: &[ColumnFact] = &[
    required("account_id", ID, "The account", "GET /accounts, Account.id"),
    required("date", DATE, "The UTC day", "mirror"),
    nullable("follower_count", COUNT, "Followers at the last scrape until the end of the day", "GET /accounts, Account.follower_count"),
    nullable("followers_gained", COUNT, "Followers gained since the last scrape before the day; NULL on the first day", "mirror"),
    required("posts_published", COUNT, "Posts published on that day, as far as mirrored", "mirror"),
    required("views_gained", COUNT, "Sum of the views gained by its posts (post_daily), as far as known", "mirror"),
    required("likes_gained", COUNT, "Sum of the likes gained by its posts", "mirror"),
    required("comments_gained", COUNT, "Sum of the comments gained by its posts", "mirror"),
    required("shares_gained", COUNT, "Sum of the shares gained by its posts", "mirror"),
    required("is_carried", FLAG, "1 if the account was not scraped on that day", "mirror"),
];

#[rustfmt::skip]
pub(super) const CREATOR_DAILY: &[ColumnFact] = &[
    required("creator_id", ID, "The creator", "GET /creators, Creator.id"),
    required("date", DATE, "The UTC day", "mirror"),
    nullable("followers", COUNT, "Followers of the accounts that were linked to it at the end of the day", "mirror"),
    nullable("followers_gained", COUNT, "Followers gained by these accounts; a link changes followers, but gains none", "mirror"),
    required("posts_published", COUNT, "Posts published on that day, as far as mirrored", "mirror"),
    required("views_gained", COUNT, "Sum of the views gained by their posts (post_daily), as far as known", "mirror"),
    required("likes_gained", COUNT, "Sum of the likes gained by their posts", "mirror"),
    required("comments_gained", COUNT, "Sum of the comments gained by their posts", "mirror"),
    required("shares_gained", COUNT, "Sum of the shares gained by their posts", "mirror"),
];

#[rustfmt::skip]
pub(super) const ACCOUNT_WEEKLY: &[ColumnFact] = &[
    required("account_id", ID, "The account", "GET /accounts, Account.id"),
    required("week", DATE, "Monday of the week, UTC", "mirror"),
    nullable("follower_count", COUNT, "Followers at the last scrape of the week or before", "GET /accounts, Account.follower_count"),
    nullable("followers_gained", COUNT, "Followers gained in the week", "mirror"),
    nullable("followers_gained_pct", PERCENT, "Followers gained, in percent of the followers before the week", "mirror"),
    required("posts_published", COUNT, "Posts published in the week", "mirror"),
    required("views_gained", COUNT, "Views gained by its posts", "mirror"),
    nullable("engagement_rate", FRACTION, "(likes + comments + shares) / views, all as gained by its posts in the week", "mirror"),
    nullable("engagement_per_follower", FRACTION, "Likes, comments and shares gained, per follower at the end of the week", "mirror"),
];

#[rustfmt::skip]
pub(super) const POST_AGE_METRICS: &[ColumnFact] = &[
    nullable("views_24h", COUNT, "Views 24 hours after publication", "mirror"),
    nullable("views_72h", COUNT, "Views 72 hours after publication", "mirror"),
    nullable("views_7d", COUNT, "Views 7 days after publication", "mirror"),
    nullable("views_28d", COUNT, "Views 28 days after publication", "mirror"),
    nullable("engagements_24h", COUNT, "Likes, comments and shares 24 hours after publication, as far as known", "mirror"),
    nullable("engagements_7d", COUNT, "The same 7 days after publication", "mirror"),
    nullable("account_median_views_7d", RATE, "Median of views_7d over all posts of the account", "mirror"),
    nullable("times_median", RATE, "views_7d / account_median_views_7d", "mirror"),
];
