//! The declarations: one line per column, in the order of the view. `tests/schema.rs` holds them against
//! the schema and against the values of a filled mirror.

use crate::store::schema_docs::fact::{
    COUNT, ColumnFact, DATE, FLAG, FRACTION, HOURS, ID, INSTANT, NUMBER, OBJECT, PER_HOUR, RATE,
    SECONDS, TEXT, URL, ViewFact, WHOLE_DAYS, WHOLE_HOURS, always, maybe, view,
};

/// Every view, in the order in which `schema` prints them.
#[rustfmt::skip]
pub const VIEWS: &[ViewFact] = &[
    view("accounts", "Tracked profiles as the API last showed them, removed ones included; key id.", &[ACCOUNTS, MIRRORING]),
    view("creators", "Creators, the organization's own groups of accounts, removed ones included; key id.", &[CREATORS, MIRRORING]),
    view("videos", "Individually tracked posts as the API last showed them, removed ones included; key id.", &[VIDEOS, MIRRORING]),
    view("account_videos", "Posts found in the feeds of tracked accounts, removed ones included; key platform, id. The API documents none of their members: any may be NULL.", &[ACCOUNT_VIDEOS, MIRRORING]),
    view("account_history", "The counts of every account at every scrape; key account_id, scraped_at. Posts that leave the API's window leave the totals, so these may go down.", &[ACCOUNT_HISTORY]),
    view("video_history", "The counts of every video at every scrape; key video_id, scraped_at. It outlives the removal of the video.", &[VIDEO_HISTORY]),
    view("account_video_history", "The counts of every account video at every scrape; key platform, account_video_id, scraped_at.", &[ACCOUNT_VIDEO_HISTORY]),
    view("overview_history", "The organization's headline figures, a row whenever one of them has changed; key period, observed_at.", &[OVERVIEW_HISTORY]),
    view("daily_metrics", "What was counted on each UTC day, one row per resource and day that the API answered for. A day that was not asked for, or that the API knows nothing of, has no row; a zero is a zero of the API's.", &[DAILY_METRICS]),
    view("sync_log", "What every run did, a row per run and kind it worked on; key run_id, kind. Kept for log_retention.", &[SYNC_LOG]),
    view("coverage", "How complete the mirror is, a row per kind; key kind.", &[COVERAGE]),
    view("outbox_log", "The outbox: every queued write and what came of it; key entry. Finished entries are kept for outbox_retention.", &[OUTBOX_LOG]),
    view("outbox_requests", "Insert here to queue a write from SQL; triggers refuse what they can see is wrong. Reading shows what was asked for.", &[OUTBOX_REQUESTS]),
    view("video_growth", "What a video gained from one scrape to the next; key video_id, to_at. The first scrape has nothing before it and no row. Gains are plain differences: negative where a count went down, NULL where either scrape has no number. Removed and paused videos keep their rows.", &[VIDEO_GROWTH]),
    view("video_daily", "The last scrape of each UTC day, and what was gained since the last scrape of an earlier day; key video_id, date. Days without a scrape have no row, so a gain may span several days; a video's first day has NULL gains. Differences are as in video_growth.", &[VIDEO_DAILY]),
    view("video_gains", "What every video gained in the last 1, 7, 14, 30 and 90 days, as far as its history reaches back; key video_id, days: from its last scrape before that time, or else its first one, to its last. Differences are as in video_growth, and removed videos keep their rows. Ask with `WHERE days = 7`: each video then costs a few look-ups, however long its history is.", &[VIDEO_GAINS]),
    view("video_latest", "The current state of every video, removed ones included, with the account that posted it and that account's creator where they are mirrored; key id.", &[VIDEOS, MIRRORING, VIDEO_LATEST]),
    view("creator_rollup", "Creators that are not removed, over their accounts that are not removed, paused ones included; key creator_id. Totals are those of the accounts that have a number; NULL when none has, as for a creator without accounts.", &[CREATOR_ROLLUP]),
    view("freshness", "How old our newest scrape of everything is that is not removed, and when the next is expected; key kind, id. What was never scraped has no expectation.", &[FRESHNESS]),
];

/// The tables under the views, which users need not look at.
pub const TABLES: &[&str] = &[
    "instance",
    "unsupported_feature",
    "listing",
    "page",
    "account",
    "creator",
    "video",
    "account_video",
    "account_scrape",
    "video_scrape",
    "account_video_scrape",
    "account_due",
    "video_due",
    "account_list_due",
    "overview_observation",
    "document",
    "kind_state",
    "backoff",
    "job",
    "run",
    "kind_run",
    "outbox",
    "reread_due",
    "metric_kind",
    "metric_day",
    "metric_subject",
    "metric",
];

/// What the mirror adds to every resource.
#[rustfmt::skip]
const MIRRORING: &[ColumnFact] = &[
    maybe("extra", OBJECT, "What the API said beyond the columns, and what was not of the documented type, under its own name", "ours"),
    always("first_mirrored_at", INSTANT, "When the mirror first saw it", "ours"),
    always("mirrored_at", INSTANT, "When the API last confirmed this row, a 304 included", "ours"),
    maybe("removed_at", INSTANT, "When it was found to be gone from the API; NULL while the API lists it", "ours"),
];

#[rustfmt::skip]
const ACCOUNTS: &[ColumnFact] = &[
    always("id", ID, "The account", "GET /accounts, Account.id"),
    maybe("platform", TEXT, "instagram or tiktok", "GET /accounts, Account.platform"),
    maybe("username", TEXT, "Handle on the platform, without the @", "GET /accounts, Account.username"),
    maybe("type", TEXT, "Always account", "GET /accounts, Account.type"),
    maybe("name", TEXT, "Name shown on the profile", "GET /accounts, Account.name"),
    maybe("description", TEXT, "Text of the profile (bio)", "GET /accounts, Account.description"),
    maybe("profile_pic_url", URL, "Profile picture", "GET /accounts, Account.profile_pic_url"),
    maybe("profile_pic_url_original", URL, "Profile picture, presumably at the platform itself", "GET /accounts, Account.profile_pic_url_original"),
    maybe("is_verified", FLAG, "Whether the platform shows a verification badge", "GET /accounts, Account.is_verified"),
    maybe("is_active", FLAG, "1 while it is tracked, 0 when paused", "GET /accounts, Account.is_active"),
    maybe("is_unavailable", FLAG, "Whether the platform no longer shows the profile", "GET /accounts, Account.is_unavailable"),
    maybe("link_in_bio", URL, "Link on the profile", "GET /accounts, Account.link_in_bio"),
    maybe("creator_id", ID, "The creator it is linked to", "GET /accounts, Account.creator_id"),
    maybe("creator_name", TEXT, "Name of that creator", "GET /accounts, Account.creator_name"),
    maybe("category", TEXT, "A label of the organization's own choice", "GET /accounts, Account.category"),
    maybe("metadata", OBJECT, "Tags of the organization's own choice", "GET /accounts, Account.metadata"),
    maybe("added_at", INSTANT, "When tracking began", "GET /accounts, Account.added_at"),
    maybe("first_scrape_time", INSTANT, "When the API first read it from the platform", "GET /accounts, Account.first_scrape_time"),
    maybe("last_scrape_time", INSTANT, "When the API last read it from the platform: the age of every count in this row", "GET /accounts, Account.last_scrape_time"),
    maybe("scrape_interval_hours", WHOLE_HOURS, "Time between scrapes", "GET /accounts, Account.scrape_interval_hours"),
    maybe("follower_count", COUNT, "Followers", "GET /accounts, Account.follower_count"),
    maybe("following_count", COUNT, "Profiles it follows", "GET /accounts, Account.following_count"),
    maybe("profile_post_count", COUNT, "Posts by the profile's own word", "GET /accounts, Account.profile_post_count"),
    maybe("total_post_count", COUNT, "Posts that the API holds of it", "GET /accounts, Account.total_post_count"),
    maybe("view_count", COUNT, "Views of its collected posts", "GET /accounts, Account.view_count"),
    maybe("like_count", COUNT, "Likes of its collected posts", "GET /accounts, Account.like_count"),
    maybe("comment_count", COUNT, "Comments on its collected posts", "GET /accounts, Account.comment_count"),
    maybe("share_count", COUNT, "Shares of its collected posts", "GET /accounts, Account.share_count"),
    maybe("play_count", COUNT, "Plays of its collected posts, which TikTok does not tell from views", "GET /accounts, Account.play_count"),
    maybe("saved_count", COUNT, "Saves of its collected posts, Instagram alone", "GET /accounts, Account.saved_count"),
    maybe("fb_play_count", COUNT, "Plays on Facebook, by its name", "GET /accounts, Account.fb_play_count"),
    maybe("ig_play_count", COUNT, "Plays on Instagram alone, by its name", "GET /accounts, Account.ig_play_count"),
    maybe("fb_like_count", COUNT, "Likes on Facebook, by its name", "GET /accounts, Account.fb_like_count"),
    maybe("max_recent_posts_per_account", COUNT, "Most posts collected, where the account has a bound of its own", "GET /accounts, Account.max_recent_posts_per_account"),
    maybe("post_lookback_days", WHOLE_DAYS, "Greatest age of posts collected, where the account has a bound of its own", "GET /accounts, Account.post_lookback_days"),
    maybe("effective_max_recent_posts_per_account", COUNT, "Most posts collected, the organization's default included", "GET /accounts, Account.effective_max_recent_posts_per_account"),
    maybe("effective_post_lookback_days", WHOLE_DAYS, "Greatest age of posts collected, the organization's default included", "GET /accounts, Account.effective_post_lookback_days"),
];

#[rustfmt::skip]
const CREATORS: &[ColumnFact] = &[
    always("id", ID, "The creator", "GET /creators, Creator.id"),
    maybe("name", TEXT, "Name", "GET /creators, Creator.name"),
    maybe("type", TEXT, "Always creator", "GET /creators, Creator.type"),
    maybe("is_active", FLAG, "0 when paused, and the linked accounts with it", "GET /creators, Creator.is_active"),
    maybe("metadata", OBJECT, "Tags of the organization's own choice", "GET /creators, Creator.metadata"),
    maybe("accounts_total", COUNT, "Linked accounts", "GET /creators, Creator.accounts_summary.total"),
    maybe("accounts_by_platform", OBJECT, "Linked accounts by platform", "GET /creators, Creator.accounts_summary.platforms"),
    maybe("total_followers", COUNT, "Followers of all linked accounts", "GET /creators, Creator.accounts_summary.total_followers"),
];

#[rustfmt::skip]
const VIDEOS: &[ColumnFact] = &[
    always("id", ID, "The video", "GET /videos, Video.id"),
    maybe("external_id", TEXT, "The platform's own id of the post", "GET /videos, Video.external_id"),
    maybe("platform", TEXT, "instagram or tiktok", "GET /videos, Video.platform"),
    maybe("type", TEXT, "Always video", "GET /videos, Video.type"),
    maybe("shortcode", TEXT, "The post's short name in Instagram's URLs", "GET /videos, Video.shortcode"),
    maybe("is_active", FLAG, "1 while it is tracked, 0 when paused", "GET /videos, Video.is_active"),
    maybe("scrape_interval_hours", WHOLE_HOURS, "Time between scrapes", "GET /videos, Video.scrape_interval_hours"),
    maybe("metadata", OBJECT, "Tags of the organization's own choice", "GET /videos, Video.metadata"),
    maybe("added_at", INSTANT, "When tracking began", "GET /videos, Video.added_at"),
    maybe("updated_at", INSTANT, "When the API's record of it last changed", "GET /videos, Video.updated_at"),
    maybe("first_scrape_time", INSTANT, "When the API first read it from the platform", "GET /videos, Video.first_scrape_time"),
    maybe("last_scrape_time", INSTANT, "When the API last read it from the platform: the age of every count in this row", "GET /videos, Video.last_scrape_time"),
    maybe("description", TEXT, "Caption", "GET /videos, Video.description"),
    maybe("create_time", INSTANT, "When it was posted on the platform", "GET /videos, Video.create_time"),
    maybe("media_type", TEXT, "What it is, in the API's words", "GET /videos, Video.media_type"),
    maybe("duration", SECONDS, "Length, presumably", "GET /videos, Video.duration"),
    maybe("is_unavailable", FLAG, "Whether the platform no longer shows it", "GET /videos, Video.is_unavailable"),
    maybe("cover_image_url", URL, "Cover image", "GET /videos, Video.cover_image_url"),
    maybe("cover_image_url_original", URL, "Cover image, presumably at the platform itself", "GET /videos, Video.cover_image_url_original"),
    maybe("video_url", URL, "The video file", "GET /videos, Video.video_url"),
    maybe("video_url_original", URL, "The video file, presumably at the platform itself", "GET /videos, Video.video_url_original"),
    maybe("view_count", COUNT, "Views", "GET /videos, Video.view_count"),
    maybe("like_count", COUNT, "Likes", "GET /videos, Video.like_count"),
    maybe("comment_count", COUNT, "Comments", "GET /videos, Video.comment_count"),
    maybe("share_count", COUNT, "Shares", "GET /videos, Video.share_count"),
    maybe("play_count", COUNT, "Plays, which TikTok does not tell from views", "GET /videos, Video.play_count"),
    maybe("saved_count", COUNT, "Saves, Instagram alone", "GET /videos, Video.saved_count"),
    maybe("total_views", COUNT, "Views; how they differ from view_count is not documented", "GET /videos, Video.total_views"),
    maybe("total_plays", COUNT, "Plays; how they differ from play_count is not documented", "GET /videos, Video.total_plays"),
    maybe("account_id", ID, "The account that posted it, while that is tracked too", "GET /videos, Video.account_id"),
    maybe("account_username", TEXT, "Handle of the account that posted it", "GET /videos, Video.account_username"),
    maybe("platform_account_id", TEXT, "The platform's own id of that account", "GET /videos, Video.platform_account_id"),
    maybe("platform_data", OBJECT, "What only this platform has", "GET /videos, Video.platform_data"),
];

#[rustfmt::skip]
const ACCOUNT_VIDEOS: &[ColumnFact] = &[
    maybe("platform", TEXT, "instagram or tiktok", "GET /account-videos, AccountVideo.platform"),
    always("id", ID, "The post, together with platform; a number or a UUID, as text", "GET /account-videos, AccountVideo.id"),
    maybe("external_id", TEXT, "The platform's own id of the post", "GET /account-videos, AccountVideo.external_id"),
    maybe("type", TEXT, "The API's word for it", "GET /account-videos, AccountVideo.type"),
    maybe("shortcode", TEXT, "The post's short name in Instagram's URLs", "GET /account-videos, AccountVideo.shortcode"),
    maybe("account_id", ID, "The account in whose feed it was found", "GET /account-videos, AccountVideo.account_id"),
    maybe("account_username", TEXT, "Handle of that account", "GET /account-videos, AccountVideo.account_username"),
    maybe("description", TEXT, "Caption", "GET /account-videos, AccountVideo.description"),
    maybe("create_time", INSTANT, "When it was posted on the platform", "GET /account-videos, AccountVideo.create_time"),
    maybe("media_type", TEXT, "What it is, in the API's words", "GET /account-videos, AccountVideo.media_type"),
    maybe("duration", SECONDS, "Length, presumably", "GET /account-videos, AccountVideo.duration"),
    maybe("is_unavailable", FLAG, "Whether the platform no longer shows it", "GET /account-videos, AccountVideo.is_unavailable"),
    maybe("first_scrape_time", INSTANT, "When the API first read it from the platform", "GET /account-videos, AccountVideo.first_scrape_time"),
    maybe("last_scrape_time", INSTANT, "When the API last read it from the platform: the age of every count in this row", "GET /account-videos, AccountVideo.last_scrape_time"),
    maybe("cover_image_url", URL, "Cover image", "GET /account-videos, AccountVideo.cover_image_url"),
    maybe("video_url", URL, "The video file", "GET /account-videos, AccountVideo.video_url"),
    maybe("view_count", COUNT, "Views", "GET /account-videos, AccountVideo.view_count"),
    maybe("like_count", COUNT, "Likes", "GET /account-videos, AccountVideo.like_count"),
    maybe("comment_count", COUNT, "Comments", "GET /account-videos, AccountVideo.comment_count"),
    maybe("share_count", COUNT, "Shares", "GET /account-videos, AccountVideo.share_count"),
    maybe("play_count", COUNT, "Plays, which TikTok does not tell from views", "GET /account-videos, AccountVideo.play_count"),
    maybe("saved_count", COUNT, "Saves, Instagram alone", "GET /account-videos, AccountVideo.saved_count"),
];

#[rustfmt::skip]
const ACCOUNT_HISTORY: &[ColumnFact] = &[
    always("account_id", ID, "The account", "GET /accounts, Account.id"),
    always("scraped_at", INSTANT, "When the API read it from the platform", "GET /accounts, Account.last_scrape_time"),
    maybe("follower_count", COUNT, "Followers", "GET /accounts, Account.follower_count"),
    maybe("following_count", COUNT, "Profiles it follows", "GET /accounts, Account.following_count"),
    maybe("total_post_count", COUNT, "Posts that the API holds of it", "GET /accounts, Account.total_post_count"),
    maybe("view_count", COUNT, "Views of its collected posts", "GET /accounts, Account.view_count"),
    maybe("like_count", COUNT, "Likes of its collected posts", "GET /accounts, Account.like_count"),
    maybe("comment_count", COUNT, "Comments on its collected posts", "GET /accounts, Account.comment_count"),
    maybe("share_count", COUNT, "Shares of its collected posts", "GET /accounts, Account.share_count"),
    maybe("play_count", COUNT, "Plays of its collected posts, which TikTok does not tell from views", "GET /accounts, Account.play_count"),
    maybe("saved_count", COUNT, "Saves of its collected posts, Instagram alone", "GET /accounts, Account.saved_count"),
];

#[rustfmt::skip]
const VIDEO_HISTORY: &[ColumnFact] = &[
    always("video_id", ID, "The video", "GET /videos, Video.id"),
    always("scraped_at", INSTANT, "When the API read it from the platform", "GET /videos, Video.last_scrape_time"),
    maybe("view_count", COUNT, "Views", "GET /videos, Video.view_count"),
    maybe("like_count", COUNT, "Likes", "GET /videos, Video.like_count"),
    maybe("comment_count", COUNT, "Comments", "GET /videos, Video.comment_count"),
    maybe("share_count", COUNT, "Shares", "GET /videos, Video.share_count"),
    maybe("play_count", COUNT, "Plays, which TikTok does not tell from views", "GET /videos, Video.play_count"),
    maybe("saved_count", COUNT, "Saves, Instagram alone", "GET /videos, Video.saved_count"),
];

#[rustfmt::skip]
const ACCOUNT_VIDEO_HISTORY: &[ColumnFact] = &[
    maybe("platform", TEXT, "instagram or tiktok", "GET /account-videos, AccountVideo.platform"),
    always("account_video_id", ID, "The post, together with platform", "GET /account-videos, AccountVideo.id"),
    always("scraped_at", INSTANT, "When the API read it from the platform", "GET /account-videos, AccountVideo.last_scrape_time"),
    maybe("view_count", COUNT, "Views", "GET /account-videos, AccountVideo.view_count"),
    maybe("like_count", COUNT, "Likes", "GET /account-videos, AccountVideo.like_count"),
    maybe("comment_count", COUNT, "Comments", "GET /account-videos, AccountVideo.comment_count"),
    maybe("share_count", COUNT, "Shares", "GET /account-videos, AccountVideo.share_count"),
    maybe("play_count", COUNT, "Plays, which TikTok does not tell from views", "GET /account-videos, AccountVideo.play_count"),
    maybe("saved_count", COUNT, "Saves, Instagram alone", "GET /account-videos, AccountVideo.saved_count"),
];

#[rustfmt::skip]
const OVERVIEW_HISTORY: &[ColumnFact] = &[
    always("observed_at", INSTANT, "When the mirror first saw these figures", "ours"),
    always("period", TEXT, "The window they are of, which ends then; 7d", "GET /overview, parameter period"),
    maybe("total_views", COUNT, "Views in the window", "GET /overview, Overview.current.total_views"),
    maybe("api_engagement_rate", RATE, "(likes + comments + shares) / views in the window, as the API gives it; whether 1 or 100 is the whole is not documented", "GET /overview, Overview.current.engagement_rate"),
    maybe("active_accounts", COUNT, "Accounts tracked and not paused", "GET /overview, Overview.current.active_accounts"),
    maybe("account_videos", COUNT, "Posts found in the feeds of accounts", "GET /overview, Overview.current.account_videos"),
    maybe("tracked_videos", COUNT, "Individually tracked videos", "GET /overview, Overview.current.tracked_videos"),
];

#[rustfmt::skip]
const DAILY_METRICS: &[ColumnFact] = &[
    always("kind", TEXT, "What is counted: account or video or account_video", "ours"),
    always("id", ID, "The id in accounts or videos; platform:id for account_video, whose ids are unique by platform alone", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, data"),
    always("date", DATE, "The day the counts are of", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, start_date and end_date"),
    maybe("views", COUNT, "Views on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, views"),
    maybe("plays", COUNT, "Plays on that day; on TikTok the same as views", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, plays"),
    maybe("likes", COUNT, "Likes on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, likes"),
    maybe("comments", COUNT, "Comments on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, comments"),
    maybe("shares", COUNT, "Shares on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, shares"),
    maybe("engagement", COUNT, "Likes, comments and shares of that day together", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, engagement"),
];

#[rustfmt::skip]
const SYNC_LOG: &[ColumnFact] = &[
    always("run_id", NUMBER, "Number of the run, in order of time", "ours"),
    always("started_at", INSTANT, "When the run began with this kind", "ours"),
    maybe("finished_at", INSTANT, "When it ended; NULL while it runs", "ours"),
    always("trigger", TEXT, "Why the run worked on this kind: first, full_sync, due, resume, unfinished, full or accept_removals", "ours"),
    always("kind", TEXT, "account, creator, video, account_video, overview or meta", "ours"),
    always("requests", COUNT, "Requests sent, repeated ones included", "ours"),
    always("not_modified", COUNT, "Requests answered with 304", "ours"),
    always("rows_seen", COUNT, "Rows read or confirmed", "ours"),
    always("rows_changed", COUNT, "Rows new or changed", "ours"),
    always("type_mismatches", COUNT, "Rows with a member that was not of its documented type, or whose JSON had to be repaired", "ours"),
    always("snapshots_added", COUNT, "Scrapes new in the history", "ours"),
    always("snapshots_revised", COUNT, "Scrapes in the history whose counts a newer answer changed", "ours"),
    always("removed", COUNT, "Rows marked removed", "ours"),
    always("outcome", TEXT, "complete, polled, unavailable, unconfirmed, incomplete, rows_dropped, removals_held, scrapes_unreadable, failed, rate_limited, interrupted or running", "ours"),
    maybe("error_code", TEXT, "What went wrong, by the API's code or ours", "Problem.code, or ours"),
    maybe("request_id", TEXT, "The API's id of the request that failed, for its support", "Problem.request_id"),
    maybe("detail", TEXT, "What is to be said about the outcome", "ours"),
];

#[rustfmt::skip]
const COVERAGE: &[ColumnFact] = &[
    always("kind", TEXT, "account, creator, video, account_video, overview or meta", "ours"),
    maybe("complete_as_of", INSTANT, "Start of the last complete listing: everything the API listed then is in the mirror; NULL before the first", "ours"),
    always("rows", COUNT, "Rows that the API lists, as far as the mirror knows", "ours"),
    always("removed", COUNT, "Rows that are gone from the API and kept here", "ours"),
    maybe("last_full_sync_at", INSTANT, "Start of the last full sync, or of the last request where the kind is one document", "ours"),
    maybe("last_outcome", TEXT, "Its outcome, in the words of sync_log", "ours"),
];

#[rustfmt::skip]
const OUTBOX_LOG: &[ColumnFact] = &[
    always("entry", NUMBER, "Number of the entry", "ours"),
    always("created_at", INSTANT, "When it was queued", "ours"),
    always("kind", TEXT, "account, creator or video", "ours"),
    always("action", TEXT, "track, set, untrack, link or unlink", "ours"),
    maybe("target", TEXT, "What it is about: platform:identifier of what is created, else the id; NULL for a new creator", "ours"),
    always("state", TEXT, "queued, waiting, held, sending, unsure, succeeded, failed or discarded", "ours"),
    always("attempts", COUNT, "How often it was sent", "ours"),
    maybe("next_attempt_at", INSTANT, "When it is tried next: not before its own pause nor the wait that the API asked for is over; NULL as soon as something runs that sends it, and when it is not tried by itself", "ours"),
    always("idempotency_key", TEXT, "The Idempotency-Key that it is sent with", "ours"),
    maybe("http_status", NUMBER, "Status of the last answer", "status line"),
    maybe("code", TEXT, "The API's code for what is wrong", "Problem.code"),
    maybe("detail", TEXT, "What is to be said about how it stands", "Problem.detail, or ours"),
    maybe("request_id", TEXT, "The API's id of the last request", "X-Request-ID"),
    maybe("result_id", ID, "The resource that was created or changed", "id of the answer"),
    maybe("finished_at", INSTANT, "When it came to its end", "ours"),
];

#[rustfmt::skip]
const OUTBOX_REQUESTS: &[ColumnFact] = &[
    always("kind", TEXT, "account, creator or video", "ours"),
    always("action", TEXT, "track, set, untrack, link or unlink", "ours"),
    maybe("target", TEXT, "What it is about: an id, platform:username, or @N for the result of entry N; NULL with track", "ours"),
    maybe("body", OBJECT, "What the API documents for the request; for link and unlink an object with account_id; NULL with untrack", "AccountCreate, AccountUpdate, VideoCreate, VideoUpdate, CreatorCreate, CreatorUpdate"),
];

#[rustfmt::skip]
const VIDEO_GROWTH: &[ColumnFact] = &[
    always("video_id", ID, "The video", "GET /videos, Video.id"),
    always("from_at", INSTANT, "The earlier scrape", "ours"),
    always("to_at", INSTANT, "The later scrape", "ours"),
    always("hours", HOURS, "Time between the two", "ours"),
    maybe("views_gained", COUNT, "Views more than at the earlier scrape; negative where they went down", "ours"),
    maybe("likes_gained", COUNT, "Likes more", "ours"),
    maybe("comments_gained", COUNT, "Comments more", "ours"),
    maybe("shares_gained", COUNT, "Shares more", "ours"),
    maybe("views_per_hour", PER_HOUR, "views_gained over hours", "ours"),
    always("is_gap", FLAG, "1 when hours is over 1.5 times the interval the video has now (24 hours where the API gives none), so that scrapes between may have been overwritten unseen", "ours"),
];

#[rustfmt::skip]
const VIDEO_DAILY: &[ColumnFact] = &[
    always("video_id", ID, "The video", "GET /videos, Video.id"),
    always("date", DATE, "The UTC day, midnight being its first instant", "ours"),
    maybe("view_count", COUNT, "Views at the last scrape of the day", "GET /videos, Video.view_count"),
    maybe("like_count", COUNT, "Likes at the last scrape of the day", "GET /videos, Video.like_count"),
    maybe("comment_count", COUNT, "Comments at the last scrape of the day", "GET /videos, Video.comment_count"),
    maybe("share_count", COUNT, "Shares at the last scrape of the day", "GET /videos, Video.share_count"),
    maybe("play_count", COUNT, "Plays at the last scrape of the day, which TikTok does not tell from views", "GET /videos, Video.play_count"),
    maybe("saved_count", COUNT, "Saves at the last scrape of the day, Instagram alone", "GET /videos, Video.saved_count"),
    maybe("views_gained", COUNT, "Views more than at the last scrape of an earlier day; NULL on the first day", "ours"),
    maybe("likes_gained", COUNT, "Likes more", "ours"),
    maybe("comments_gained", COUNT, "Comments more", "ours"),
    maybe("shares_gained", COUNT, "Shares more", "ours"),
];

#[rustfmt::skip]
const VIDEO_GAINS: &[ColumnFact] = &[
    always("video_id", ID, "The video", "GET /videos, Video.id"),
    always("days", WHOLE_DAYS, "Length of the window, which ends now: 1 or 7 or 14 or 30 or 90", "ours"),
    always("from_at", INSTANT, "The scrape the gains count from", "ours"),
    always("to_at", INSTANT, "The latest scrape", "ours"),
    maybe("views_gained", COUNT, "Views more than at that scrape; negative where they went down", "ours"),
    maybe("likes_gained", COUNT, "Likes more", "ours"),
    maybe("comments_gained", COUNT, "Comments more", "ours"),
    maybe("shares_gained", COUNT, "Shares more", "ours"),
    always("is_partial", FLAG, "1 when the history begins only within the window, so that gains are those since then", "ours"),
];

#[rustfmt::skip]
const VIDEO_LATEST: &[ColumnFact] = &[
    maybe("account_name", TEXT, "Name of the account that posted it", "GET /accounts, Account.name"),
    maybe("creator_id", ID, "That account's creator", "GET /accounts, Account.creator_id"),
    maybe("creator_name", TEXT, "Name of that creator", "GET /creators, Creator.name"),
    maybe("engagement_rate", FRACTION, "(likes + comments + shares) / views; NULL without views, or where one of them is NULL", "ours"),
];

#[rustfmt::skip]
const CREATOR_ROLLUP: &[ColumnFact] = &[
    always("creator_id", ID, "The creator", "GET /creators, Creator.id"),
    maybe("creator_name", TEXT, "Name", "GET /creators, Creator.name"),
    always("accounts", COUNT, "Linked accounts that are not removed, paused ones included", "ours"),
    maybe("followers", COUNT, "Sum over these accounts", "GET /accounts, Account.follower_count"),
    maybe("views", COUNT, "Sum over these accounts", "GET /accounts, Account.view_count"),
    maybe("likes", COUNT, "Sum over these accounts", "GET /accounts, Account.like_count"),
    maybe("comments", COUNT, "Sum over these accounts", "GET /accounts, Account.comment_count"),
    maybe("shares", COUNT, "Sum over these accounts", "GET /accounts, Account.share_count"),
    maybe("engagement_rate", FRACTION, "(likes + comments + shares) / views of the sums shown", "ours"),
];

#[rustfmt::skip]
const FRESHNESS: &[ColumnFact] = &[
    always("kind", TEXT, "account, video or account_video", "ours"),
    always("id", ID, "Its id; of an account video platform:id, as its id alone is not unique", "GET /accounts, /videos, /account-videos"),
    maybe("last_scrape_time", INSTANT, "When the API last read it from the platform", "last_scrape_time of the resource"),
    maybe("scrape_interval_hours", WHOLE_HOURS, "Time between scrapes; of an account video that of its account", "scrape_interval_hours of the resource"),
    maybe("expected_at", INSTANT, "When the next scrape is expected: an interval after the last, or 24 hours where the API gives none; NULL before the first", "ours"),
    maybe("age_hours", HOURS, "Time since the last scrape", "ours"),
    always("is_overdue", FLAG, "1 when expected_at is past and it is still being collected: not paused, not unavailable, and an account video's account neither and not removed", "ours"),
];
