//! The declarations: one line per column, in the order of the view. `tests/schema.rs` compares them with
//! the schema and with the values of a filled mirror.

use crate::store::schema_docs::fact::{
    COUNT, ColumnFact, DATE, FLAG, FRACTION, HOURS, ID, INSTANT, NUMBER, OBJECT, PER_HOUR, SECONDS,
    TEXT, UNIX_SECONDS, URL, ViewFact, WHOLE_DAYS, WHOLE_HOURS, nullable, required, view,
};
use crate::store::schema_docs::facts_changes::{CHANGE_LOG, CREATOR_ACCOUNTS, MIRROR_INFO, USAGE};
use crate::store::schema_docs::facts_history::{
    ACCOUNT_HISTORY, ACCOUNT_VIDEO_HISTORY, OVERVIEW_HISTORY, VIDEO_HISTORY,
};
use crate::store::schema_docs::facts_posts::{
    ACCOUNT_DAILY, ACCOUNT_WEEKLY, CREATOR_DAILY, GAINS_VIDEO_ID, POST_AGE_METRICS, POST_DAILY,
    POST_HASHTAGS, POST_HISTORY, POST_KEY, POSTS, WINDOW_GAINS,
};

/// Every view, in the order that `schema` prints.
#[rustfmt::skip]
pub const VIEWS: &[ViewFact] = &[
    view("accounts", "Tracked profiles in their current state, including removed ones; key id.", &[ACCOUNTS, MIRRORING]),
    view("creators", "Creators (groups of accounts defined by the organization) in their current state, including removed ones; key id.", &[CREATORS, MIRRORING]),
    view("videos", "Individually tracked posts in their current state, including removed ones; key id.", &[VIDEOS, MIRRORING]),
    view("account_videos", "Posts found in the feeds of tracked accounts, in their current state, including removed ones; key platform, id. The API does not document their members, so any may be NULL.", &[ACCOUNT_VIDEOS, MIRRORING]),
    view("account_history", "The counts of every account at every scrape; key account_id, scraped_at. The totals may decrease, because they only include posts within the API's window.", &[ACCOUNT_HISTORY]),
    view("video_history", "The counts of every video at every scrape; key video_id, scraped_at. Removed videos keep their history.", &[VIDEO_HISTORY]),
    view("account_video_history", "The counts of every account video at every scrape; key platform, account_video_id, scraped_at.", &[ACCOUNT_VIDEO_HISTORY]),
    view("overview_history", "The organization's headline figures, one row for each change of any of them; key period, observed_at.", &[OVERVIEW_HISTORY]),
    view("daily_metrics", "Metrics per UTC day, one row per resource and day that the API has returned; key kind, id, date. Days that were not requested, or for which the API has no data, have no row; a zero comes from the API.", &[DAILY_METRICS]),
    view("sync_log", "The sync runs, one row per run and kind; key run_id, kind. Rows are kept for log_retention.", &[SYNC_LOG]),
    view("coverage", "How complete the mirror is, one row per kind; key kind.", &[COVERAGE]),
    view("mirror_info", "The mirror itself, one row, so that several mirrors can be attached and told apart.", &[MIRROR_INFO]),
    view("change_log", "Every edit that the mirror saw of what is not a count; key change. Columns of accounts, creators, videos and account_videos are in it, except counts, times of scrapes and of updates, URLs of media, platform_data and extra. What changed and changed back between two answers cannot be known. A new row is no change. Rows are kept for change_log_retention, by default for good.", &[CHANGE_LOG]),
    view("creator_accounts", "Which accounts belonged to each creator, and when, as the mirror saw it; key account_id, from_at. Intervals of an account do not overlap; a removal ends one and a return begins one.", &[CREATOR_ACCOUNTS]),
    view("usage", "What the API's vendor bills by, as far as the mirror can know it: account-level and individually tracked posts, by platform, without removed ones; key platform. Whether paused posts are billed, at which rates, and what was billed in the past is not in the API; whether account_videos lists all posts that are billed is not documented.", &[USAGE]),
    view("outbox_log", "The outbox: every queued write and its outcome; key entry. Finished entries are kept for outbox_retention.", &[OUTBOX_LOG]),
    view("outbox_requests", "Insert a row to queue a write from SQL; triggers reject invalid values they can detect. A query returns the queued requests.", &[OUTBOX_REQUESTS]),
    view("video_growth", "Gains of each video from one scrape to the next; key video_id, to_at. The first scrape of a video has no row. Gains are plain differences: negative if a count decreased, NULL if either count is NULL. Removed and paused videos are included.", &[VIDEO_GROWTH]),
    view("video_daily", "The last scrape of each video on each UTC day, and the gains since its last scrape on an earlier day; key video_id, date. Days without a scrape have no row, so a gain may span several days; on a video's first day the gains are NULL. Differences are computed as in video_growth.", &[VIDEO_DAILY]),
    view("video_gains", "The rows of post_gains of individually tracked videos; key video_id, days. Of a post that was tracked several times only the newest video has rows.", &[GAINS_VIDEO_ID, WINDOW_GAINS]),
    view("video_latest", "The current state of every video, including removed ones, with the account that posted it and its creator, if they are mirrored; key id.", &[VIDEOS, MIRRORING, VIDEO_LATEST]),
    view("posts", "Every post once, whether it is tracked individually, found in the feed of a tracked account, or both, in its current state, including removed ones; key post_key. What both kinds give is taken from videos first, but the counts from the newer scrape.", &[POST_KEY, POSTS]),
    view("post_hashtags", "The hashtags in the captions of posts; key post_key, hashtag.", &[POST_KEY, POST_HASHTAGS]),
    view("post_history", "The counts of every post at every scrape; key post_key, scraped_at. A scrape that the API showed in both kinds is in it once, with the counts in videos.", &[POST_KEY, POST_HISTORY]),
    view("post_gains", "Gains of each post in the windows of the last 1, 7, 14, 28, 30 and 90 days; key post_key, days. The counts at the start of a window are interpolated between the scrapes around it, those at its end are of the newest scrape. Posts without a scrape in the window have no row. A gain is NULL if a count it needs is.", &[POST_KEY, WINDOW_GAINS]),
    view("post_daily", "The counts of each post at the end of each UTC day, whatever the setting `timezone`, from its first scrape to today, and the gains since the day before; key post_key, date. The gains of the first day are the whole counts if the post was published at most 1.5 scrape intervals before its first scrape, else NULL. Ask for one post or a few days: all posts are a row each per day.", &[POST_KEY, POST_DAILY]),
    view("account_daily", "Followers of each account, and what its posts gained, per UTC day, whatever the setting `timezone`, from its first scrape to today; key account_id, date. Gains are those of post_daily.", &[ACCOUNT_DAILY]),
    view("creator_daily", "Sums of account_daily over the accounts that were linked to each creator at the end of each UTC day; key creator_id, date. Days before an account was first mirrored count for the creator it was first seen with.", &[CREATOR_DAILY]),
    view("account_weekly", "Sums of account_daily per week, from Monday to Sunday in UTC; key account_id, week. The present week is incomplete.", &[ACCOUNT_WEEKLY]),
    view("post_age_metrics", "Counts of each post at some ages, interpolated between the scrapes around them, and compared with the account's median; key post_key. NULL before that age, and if there is no scrape before and after it. Counts are 0 at publication if the first scrape came at most 1.5 scrape intervals later.", &[POST_KEY, POST_AGE_METRICS]),
    view("creator_rollup", "Totals per creator over its accounts; key creator_id. Removed creators and accounts are excluded, paused ones are included. A total ignores accounts whose count is NULL, and is NULL if all counts are NULL or the creator has no account.", &[CREATOR_ROLLUP]),
    view("freshness", "Age of the latest scrape of every account and post that is not removed, and the time when the next one is expected (NULL before the first scrape); key kind, id.", &[FRESHNESS]),
];

/// The tables and internal views behind the views. Users do not query them.
pub const TABLES: &[&str] = &[
    "instance",
    "zone_offset",
    "unsupported_feature",
    "listing",
    "page",
    "account",
    "creator",
    "video",
    "account_video",
    "account_scrape",
    "post",
    "post_state",
    "post_age",
    "post_scrape",
    "post_scrape_gains",
    "utc_day",
    "day_version",
    "account_day",
    "account_row_day",
    "change",
    "creator_account",
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

/// The columns that the mirror adds to every resource.
#[rustfmt::skip]
const MIRRORING: &[ColumnFact] = &[
    nullable("extra", OBJECT, "Members of the API's answer without a column, and members whose value was not of the documented type, under their own names", "mirror"),
    required("first_mirrored_at", INSTANT, "When the mirror first received it", "mirror"),
    required("mirrored_at", INSTANT, "When the API last confirmed this row, including by a 304 answer", "mirror"),
    nullable("removed_at", INSTANT, "When it was found removed from the API; NULL while the API lists it", "mirror"),
];

#[rustfmt::skip]
const ACCOUNTS: &[ColumnFact] = &[
    required("id", ID, "The account", "GET /accounts, Account.id"),
    nullable("platform", TEXT, "instagram or tiktok", "GET /accounts, Account.platform"),
    nullable("username", TEXT, "Handle on the platform, without the @", "GET /accounts, Account.username"),
    nullable("type", TEXT, "Always account", "GET /accounts, Account.type"),
    nullable("name", TEXT, "Name shown on the profile", "GET /accounts, Account.name"),
    nullable("description", TEXT, "Text of the profile (bio)", "GET /accounts, Account.description"),
    nullable("profile_pic_url", URL, "Profile picture", "GET /accounts, Account.profile_pic_url"),
    nullable("profile_pic_url_original", URL, "Profile picture, presumably at the platform itself", "GET /accounts, Account.profile_pic_url_original"),
    nullable("is_verified", FLAG, "1 if the platform shows a verification badge", "GET /accounts, Account.is_verified"),
    nullable("is_active", FLAG, "1 while it is tracked, 0 when paused", "GET /accounts, Account.is_active"),
    nullable("is_unavailable", FLAG, "1 if the platform no longer shows the profile", "GET /accounts, Account.is_unavailable"),
    nullable("link_in_bio", URL, "Link on the profile", "GET /accounts, Account.link_in_bio"),
    nullable("creator_id", ID, "The creator it is linked to", "GET /accounts, Account.creator_id"),
    nullable("creator_name", TEXT, "Name of that creator", "GET /accounts, Account.creator_name"),
    nullable("category", TEXT, "Label chosen by the organization", "GET /accounts, Account.category"),
    nullable("metadata", OBJECT, "Tags chosen by the organization", "GET /accounts, Account.metadata"),
    nullable("added_at", INSTANT, "When tracking began", "GET /accounts, Account.added_at"),
    nullable("first_scrape_time", INSTANT, "When the API first read it from the platform", "GET /accounts, Account.first_scrape_time"),
    nullable("last_scrape_time", INSTANT, "When the API last read it from the platform; all counts in this row are from then", "GET /accounts, Account.last_scrape_time"),
    nullable("scrape_interval_hours", WHOLE_HOURS, "Time between scrapes", "GET /accounts, Account.scrape_interval_hours"),
    nullable("follower_count", COUNT, "Followers", "GET /accounts, Account.follower_count"),
    nullable("following_count", COUNT, "Number of profiles it follows", "GET /accounts, Account.following_count"),
    nullable("profile_post_count", COUNT, "Number of posts shown on the profile", "GET /accounts, Account.profile_post_count"),
    nullable("total_post_count", COUNT, "Number of its posts that the API has collected", "GET /accounts, Account.total_post_count"),
    nullable("view_count", COUNT, "Views of its collected posts", "GET /accounts, Account.view_count"),
    nullable("like_count", COUNT, "Likes of its collected posts", "GET /accounts, Account.like_count"),
    nullable("comment_count", COUNT, "Comments on its collected posts", "GET /accounts, Account.comment_count"),
    nullable("share_count", COUNT, "Shares of its collected posts", "GET /accounts, Account.share_count"),
    nullable("play_count", COUNT, "Plays of its collected posts; TikTok has no separate figure", "GET /accounts, Account.play_count"),
    nullable("saved_count", COUNT, "Saves of its collected posts; Instagram only", "GET /accounts, Account.saved_count"),
    nullable("fb_play_count", COUNT, "Plays on Facebook, judging by the name", "GET /accounts, Account.fb_play_count"),
    nullable("ig_play_count", COUNT, "Plays on Instagram only, judging by the name", "GET /accounts, Account.ig_play_count"),
    nullable("fb_like_count", COUNT, "Likes on Facebook, judging by the name", "GET /accounts, Account.fb_like_count"),
    nullable("max_recent_posts_per_account", COUNT, "Maximum number of posts collected, if set for this account", "GET /accounts, Account.max_recent_posts_per_account"),
    nullable("post_lookback_days", WHOLE_DAYS, "Maximum age of posts collected, if set for this account", "GET /accounts, Account.post_lookback_days"),
    nullable("effective_max_recent_posts_per_account", COUNT, "Maximum number of posts collected; the organization's default if not set for this account", "GET /accounts, Account.effective_max_recent_posts_per_account"),
    nullable("effective_post_lookback_days", WHOLE_DAYS, "Maximum age of posts collected; the organization's default if not set for this account", "GET /accounts, Account.effective_post_lookback_days"),
];

#[rustfmt::skip]
const CREATORS: &[ColumnFact] = &[
    required("id", ID, "The creator", "GET /creators, Creator.id"),
    nullable("name", TEXT, "Name", "GET /creators, Creator.name"),
    nullable("type", TEXT, "Always creator", "GET /creators, Creator.type"),
    nullable("is_active", FLAG, "0 when paused, which also pauses the linked accounts", "GET /creators, Creator.is_active"),
    nullable("metadata", OBJECT, "Tags chosen by the organization", "GET /creators, Creator.metadata"),
    nullable("accounts_total", COUNT, "Linked accounts", "GET /creators, Creator.accounts_summary.total"),
    nullable("accounts_by_platform", OBJECT, "Linked accounts by platform", "GET /creators, Creator.accounts_summary.platforms"),
    nullable("total_followers", COUNT, "Followers of all linked accounts", "GET /creators, Creator.accounts_summary.total_followers"),
];

#[rustfmt::skip]
const VIDEOS: &[ColumnFact] = &[
    required("id", ID, "The video", "GET /videos, Video.id"),
    nullable("external_id", TEXT, "The platform's id of the post", "GET /videos, Video.external_id"),
    nullable("platform", TEXT, "instagram or tiktok", "GET /videos, Video.platform"),
    nullable("type", TEXT, "Always video", "GET /videos, Video.type"),
    nullable("shortcode", TEXT, "Short code of the post in Instagram URLs", "GET /videos, Video.shortcode"),
    nullable("is_active", FLAG, "1 while it is tracked, 0 when paused", "GET /videos, Video.is_active"),
    nullable("scrape_interval_hours", WHOLE_HOURS, "Time between scrapes", "GET /videos, Video.scrape_interval_hours"),
    nullable("metadata", OBJECT, "Tags chosen by the organization", "GET /videos, Video.metadata"),
    nullable("added_at", INSTANT, "When tracking began", "GET /videos, Video.added_at"),
    nullable("updated_at", INSTANT, "When the API's record of it last changed", "GET /videos, Video.updated_at"),
    nullable("first_scrape_time", INSTANT, "When the API first read it from the platform", "GET /videos, Video.first_scrape_time"),
    nullable("last_scrape_time", INSTANT, "When the API last read it from the platform; all counts in this row are from then", "GET /videos, Video.last_scrape_time"),
    nullable("description", TEXT, "Caption", "GET /videos, Video.description"),
    nullable("create_time", INSTANT, "When it was posted on the platform", "GET /videos, Video.create_time"),
    nullable("media_type", TEXT, "Media type as given by the API", "GET /videos, Video.media_type"),
    nullable("duration", SECONDS, "Presumably the length; not documented", "GET /videos, Video.duration"),
    nullable("is_unavailable", FLAG, "1 if the platform no longer shows it", "GET /videos, Video.is_unavailable"),
    nullable("cover_image_url", URL, "Cover image", "GET /videos, Video.cover_image_url"),
    nullable("cover_image_url_original", URL, "Cover image, presumably at the platform itself", "GET /videos, Video.cover_image_url_original"),
    nullable("video_url", URL, "The video file", "GET /videos, Video.video_url"),
    nullable("video_url_original", URL, "The video file, presumably at the platform itself", "GET /videos, Video.video_url_original"),
    nullable("view_count", COUNT, "Views", "GET /videos, Video.view_count"),
    nullable("like_count", COUNT, "Likes", "GET /videos, Video.like_count"),
    nullable("comment_count", COUNT, "Comments", "GET /videos, Video.comment_count"),
    nullable("share_count", COUNT, "Shares", "GET /videos, Video.share_count"),
    nullable("play_count", COUNT, "Plays; TikTok has no separate figure", "GET /videos, Video.play_count"),
    nullable("saved_count", COUNT, "Saves; Instagram only", "GET /videos, Video.saved_count"),
    nullable("total_views", COUNT, "Views; how they differ from view_count is not documented", "GET /videos, Video.total_views"),
    nullable("total_plays", COUNT, "Plays; how they differ from play_count is not documented", "GET /videos, Video.total_plays"),
    nullable("account_id", ID, "The account that posted it, if that account is tracked", "GET /videos, Video.account_id"),
    nullable("account_username", TEXT, "Handle of the account that posted it", "GET /videos, Video.account_username"),
    nullable("platform_account_id", TEXT, "The platform's id of that account", "GET /videos, Video.platform_account_id"),
    nullable("platform_data", OBJECT, "Members that only this platform has", "GET /videos, Video.platform_data"),
];

#[rustfmt::skip]
const ACCOUNT_VIDEOS: &[ColumnFact] = &[
    nullable("platform", TEXT, "instagram or tiktok", "GET /account-videos, AccountVideo.platform"),
    required("id", ID, "The post, together with platform; a number or a UUID, as text", "GET /account-videos, AccountVideo.id"),
    nullable("external_id", TEXT, "The platform's id of the post", "GET /account-videos, AccountVideo.external_id"),
    nullable("type", TEXT, "Type as given by the API", "GET /account-videos, AccountVideo.type"),
    nullable("shortcode", TEXT, "Short code of the post in Instagram URLs", "GET /account-videos, AccountVideo.shortcode"),
    nullable("account_id", ID, "The account in whose feed it was found", "GET /account-videos, AccountVideo.account_id"),
    nullable("account_username", TEXT, "Handle of that account", "GET /account-videos, AccountVideo.account_username"),
    nullable("description", TEXT, "Caption", "GET /account-videos, AccountVideo.description"),
    nullable("create_time", INSTANT, "When it was posted on the platform", "GET /account-videos, AccountVideo.create_time"),
    nullable("media_type", TEXT, "Media type as given by the API", "GET /account-videos, AccountVideo.media_type"),
    nullable("duration", SECONDS, "Presumably the length; not documented", "GET /account-videos, AccountVideo.duration"),
    nullable("is_unavailable", FLAG, "1 if the platform no longer shows it", "GET /account-videos, AccountVideo.is_unavailable"),
    nullable("first_scrape_time", INSTANT, "When the API first read it from the platform", "GET /account-videos, AccountVideo.first_scrape_time"),
    nullable("last_scrape_time", INSTANT, "When the API last read it from the platform; all counts in this row are from then", "GET /account-videos, AccountVideo.last_scrape_time"),
    nullable("cover_image_url", URL, "Cover image", "GET /account-videos, AccountVideo.cover_image_url"),
    nullable("video_url", URL, "The video file", "GET /account-videos, AccountVideo.video_url"),
    nullable("view_count", COUNT, "Views", "GET /account-videos, AccountVideo.view_count"),
    nullable("like_count", COUNT, "Likes", "GET /account-videos, AccountVideo.like_count"),
    nullable("comment_count", COUNT, "Comments", "GET /account-videos, AccountVideo.comment_count"),
    nullable("share_count", COUNT, "Shares", "GET /account-videos, AccountVideo.share_count"),
    nullable("play_count", COUNT, "Plays; TikTok has no separate figure", "GET /account-videos, AccountVideo.play_count"),
    nullable("saved_count", COUNT, "Saves; Instagram only", "GET /account-videos, AccountVideo.saved_count"),
];

#[rustfmt::skip]
const DAILY_METRICS: &[ColumnFact] = &[
    required("kind", TEXT, "account, video or account_video", "mirror"),
    required("id", ID, "The id in accounts or videos; platform:id for account_video, whose ids are unique per platform only", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, data"),
    required("date", DATE, "The UTC day of the counts", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, start_date and end_date"),
    nullable("views", COUNT, "Views on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, views"),
    nullable("plays", COUNT, "Plays on that day; on TikTok the same as views", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, plays"),
    nullable("likes", COUNT, "Likes on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, likes"),
    nullable("comments", COUNT, "Comments on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, comments"),
    nullable("shares", COUNT, "Shares on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, shares"),
    nullable("engagement", COUNT, "Sum of likes, comments and shares on that day", "POST /accounts/metrics, /videos/metrics, /account-videos/metrics, engagement"),
];

#[rustfmt::skip]
const SYNC_LOG: &[ColumnFact] = &[
    required("run_id", NUMBER, "Number of the run, increasing over time", "mirror"),
    required("started_at", INSTANT, "When the run started on this kind", "mirror"),
    nullable("finished_at", INSTANT, "When it finished with this kind; NULL while running", "mirror"),
    required("trigger", TEXT, "Why the run included this kind: first, full_sync, due, resume, unfinished, full or accept_removals", "mirror"),
    required("kind", TEXT, "account, creator, video, account_video, overview or meta", "mirror"),
    required("requests", COUNT, "Requests sent, retries included", "mirror"),
    required("not_modified", COUNT, "Requests answered with 304 Not Modified", "mirror"),
    required("rows_seen", COUNT, "Rows received, or confirmed by a 304", "mirror"),
    required("rows_changed", COUNT, "Rows that were new or had changed", "mirror"),
    required("type_mismatches", COUNT, "Rows with a member that was not of the documented type, or whose JSON had to be repaired", "mirror"),
    required("snapshots_added", COUNT, "Scrapes added to history", "mirror"),
    required("snapshots_revised", COUNT, "Scrapes in history whose counts a newer answer revised", "mirror"),
    required("removed", COUNT, "Rows marked removed", "mirror"),
    required("outcome", TEXT, "complete, polled, unavailable, unconfirmed, incomplete, rows_dropped, removals_held, scrapes_unreadable, failed, rate_limited, interrupted or running", "mirror"),
    nullable("error_code", TEXT, "Error code, from the API or from the mirror", "Problem.code, or mirror"),
    nullable("request_id", TEXT, "The API's id of the failed request; give it to the API's support", "Problem.request_id"),
    nullable("detail", TEXT, "Explanation of the outcome", "mirror"),
];

#[rustfmt::skip]
const COVERAGE: &[ColumnFact] = &[
    required("kind", TEXT, "account, creator, video, account_video, overview or meta", "mirror"),
    nullable("complete_as_of", INSTANT, "Start of the last complete listing: everything the API listed then is in the mirror; NULL before the first", "mirror"),
    required("rows", COUNT, "Rows that are not removed; for overview the figures recorded, for meta 0 or 1", "mirror"),
    required("removed", COUNT, "Rows that were removed from the API and are kept in the mirror", "mirror"),
    nullable("last_full_sync_at", INSTANT, "Start of the last full sync, whatever its outcome; for overview and meta, of the last request", "mirror"),
    nullable("last_outcome", TEXT, "Outcome of the last full sync, as in sync_log", "mirror"),
];

#[rustfmt::skip]
const OUTBOX_LOG: &[ColumnFact] = &[
    required("entry", NUMBER, "Number of the entry", "mirror"),
    required("created_at", INSTANT, "When it was queued", "mirror"),
    required("kind", TEXT, "account, creator or video", "mirror"),
    required("action", TEXT, "track, set, untrack, link or unlink", "mirror"),
    nullable("target", TEXT, "platform:identifier of the resource to create, else the id of the resource; NULL for a new creator", "mirror"),
    required("state", TEXT, "queued, waiting, held, sending, unsure, succeeded, failed or discarded", "mirror"),
    required("attempts", COUNT, "Number of times it was sent", "mirror"),
    nullable("next_attempt_at", INSTANT, "Earliest time of the next attempt, after its backoff and after any wait that the API asked for; NULL if it can be sent now or is not sent automatically", "mirror"),
    required("idempotency_key", TEXT, "Idempotency-Key header of its requests", "mirror"),
    nullable("http_status", NUMBER, "HTTP status of the last answer", "status line"),
    nullable("code", TEXT, "The API's error code", "Problem.code"),
    nullable("detail", TEXT, "Explanation of its state", "Problem.detail, or mirror"),
    nullable("request_id", TEXT, "The API's id of the last request", "X-Request-ID"),
    nullable("result_id", ID, "Id of the resource that was created or changed", "id of the answer"),
    nullable("finished_at", INSTANT, "When it succeeded, failed or was discarded; NULL while open", "mirror"),
];

#[rustfmt::skip]
const OUTBOX_REQUESTS: &[ColumnFact] = &[
    required("kind", TEXT, "account, creator or video", "mirror"),
    required("action", TEXT, "track, set, untrack, link or unlink", "mirror"),
    nullable("target", TEXT, "The resource: an id, platform:username, or @N for the result of entry N; NULL with track", "mirror"),
    nullable("body", OBJECT, "The request body that the API documents; for link and unlink an object with account_id; NULL with untrack", "AccountCreate, AccountUpdate, VideoCreate, VideoUpdate, CreatorCreate, CreatorUpdate"),
];

#[rustfmt::skip]
const VIDEO_GROWTH: &[ColumnFact] = &[
    required("video_id", ID, "The video", "GET /videos, Video.id"),
    required("from_at", INSTANT, "The earlier scrape", "mirror"),
    required("from_at_unix", UNIX_SECONDS, "The same instant without its fraction", "mirror"),
    required("to_at", INSTANT, "The later scrape", "mirror"),
    required("to_at_unix", UNIX_SECONDS, "The same instant without its fraction", "mirror"),
    required("hours", HOURS, "Time between the two scrapes", "mirror"),
    nullable("views_gained", COUNT, "Views gained since the earlier scrape; negative if they decreased", "mirror"),
    nullable("likes_gained", COUNT, "Likes gained", "mirror"),
    nullable("comments_gained", COUNT, "Comments gained", "mirror"),
    nullable("shares_gained", COUNT, "Shares gained", "mirror"),
    nullable("views_per_hour", PER_HOUR, "views_gained / hours", "mirror"),
    required("is_gap", FLAG, "1 if the time between the scrapes is longer than 1.5 scrape intervals, as set when they were made, and no pause was seen in it: scrapes may be missing", "mirror"),
];

#[rustfmt::skip]
const VIDEO_DAILY: &[ColumnFact] = &[
    required("video_id", ID, "The video", "GET /videos, Video.id"),
    required("date", DATE, "The UTC day, which begins at midnight", "mirror"),
    nullable("view_count", COUNT, "Views at the last scrape of the day", "GET /videos, Video.view_count"),
    nullable("like_count", COUNT, "Likes at the last scrape of the day", "GET /videos, Video.like_count"),
    nullable("comment_count", COUNT, "Comments at the last scrape of the day", "GET /videos, Video.comment_count"),
    nullable("share_count", COUNT, "Shares at the last scrape of the day", "GET /videos, Video.share_count"),
    nullable("play_count", COUNT, "Plays at the last scrape of the day; TikTok has no separate figure", "GET /videos, Video.play_count"),
    nullable("saved_count", COUNT, "Saves at the last scrape of the day; Instagram only", "GET /videos, Video.saved_count"),
    nullable("views_gained", COUNT, "Views gained since the last scrape of an earlier day; NULL on the first day", "mirror"),
    nullable("likes_gained", COUNT, "Likes gained", "mirror"),
    nullable("comments_gained", COUNT, "Comments gained", "mirror"),
    nullable("shares_gained", COUNT, "Shares gained", "mirror"),
];

#[rustfmt::skip]
const VIDEO_LATEST: &[ColumnFact] = &[
    nullable("account_name", TEXT, "Name of the account that posted it", "GET /accounts, Account.name"),
    nullable("creator_id", ID, "The creator of that account", "GET /accounts, Account.creator_id"),
    nullable("creator_name", TEXT, "Name of that creator", "GET /creators, Creator.name"),
    nullable("engagement_rate", FRACTION, "(likes + comments + shares, as far as known) / views; NULL without views, or if none of the three is known", "mirror"),
];

#[rustfmt::skip]
const CREATOR_ROLLUP: &[ColumnFact] = &[
    required("creator_id", ID, "The creator", "GET /creators, Creator.id"),
    nullable("creator_name", TEXT, "Name", "GET /creators, Creator.name"),
    required("accounts", COUNT, "Number of linked accounts that are not removed, paused ones included", "mirror"),
    nullable("followers", COUNT, "Sum over these accounts", "GET /accounts, Account.follower_count"),
    nullable("views", COUNT, "Sum over these accounts", "GET /accounts, Account.view_count"),
    nullable("likes", COUNT, "Sum over these accounts", "GET /accounts, Account.like_count"),
    nullable("comments", COUNT, "Sum over these accounts", "GET /accounts, Account.comment_count"),
    nullable("shares", COUNT, "Sum over these accounts", "GET /accounts, Account.share_count"),
    nullable("engagement_rate", FRACTION, "(likes + comments + shares) / views, from the sums shown", "mirror"),
];

#[rustfmt::skip]
const FRESHNESS: &[ColumnFact] = &[
    required("kind", TEXT, "account, video or account_video", "mirror"),
    required("id", ID, "Its id; platform:id for an account video, whose id is unique per platform only", "GET /accounts, /videos, /account-videos"),
    nullable("last_scrape_time", INSTANT, "When the API last read it from the platform", "last_scrape_time of the resource"),
    nullable("scrape_interval_hours", WHOLE_HOURS, "Time between scrapes; for an account video, that of its account", "scrape_interval_hours of the resource"),
    nullable("expected_at", INSTANT, "When the next scrape is expected: one interval after the last scrape (24 hours if the API gives no interval); NULL before the first scrape", "mirror"),
    nullable("age_hours", HOURS, "Time since the last scrape", "mirror"),
    required("is_overdue", FLAG, "1 if expected_at has passed and the API still scrapes it: it is not paused or unavailable, and the account of an account video is not paused, unavailable or removed", "mirror"),
];
