-- The views that users query. They hold no data: dropping and making them again loses nothing.
--
-- The comment before a view and those before its columns are the documentation: `schema` prints them,
-- and `src/store/dictionary` reads them. A column's is `what it is, unit; where the API says it`,
-- the unit with `or NULL` where that may be; `ours` is what the mirror itself says or works out.

-- Tracked profiles as the API last showed them, removed ones included; key id.
CREATE VIEW accounts AS
SELECT
    -- The account, id; GET /accounts, Account.id
    r.id,
    -- instagram or tiktok, text or NULL; GET /accounts, Account.platform
    r.platform,
    -- Handle on the platform, without the @, text or NULL; GET /accounts, Account.username
    r.username,
    -- Always account, text or NULL; GET /accounts, Account.type
    r.type,
    -- Name shown on the profile, text or NULL; GET /accounts, Account.name
    r.name,
    -- Text of the profile (bio), text or NULL; GET /accounts, Account.description
    r.description,
    -- Profile picture, URL or NULL; GET /accounts, Account.profile_pic_url
    r.profile_pic_url,
    -- Profile picture, presumably at the platform itself, URL or NULL; GET /accounts,
    -- Account.profile_pic_url_original
    r.profile_pic_url_original,
    -- Whether the platform shows a verification badge, 0/1 or NULL; GET /accounts,
    -- Account.is_verified
    r.is_verified,
    -- 1 while it is tracked, 0 when paused, 0/1 or NULL; GET /accounts, Account.is_active
    r.is_active,
    -- Whether the platform no longer shows the profile, 0/1 or NULL; GET /accounts,
    -- Account.is_unavailable
    r.is_unavailable,
    -- Link on the profile, URL or NULL; GET /accounts, Account.link_in_bio
    r.link_in_bio,
    -- The creator it is linked to, id or NULL; GET /accounts, Account.creator_id
    r.creator_id,
    -- Name of that creator, text or NULL; GET /accounts, Account.creator_name
    r.creator_name,
    -- A label of the organization's own choice, text or NULL; GET /accounts, Account.category
    r.category,
    -- Tags of the organization's own choice, JSON object or NULL; GET /accounts, Account.metadata
    r.metadata,
    -- When tracking began, UTC instant or NULL; GET /accounts, Account.added_at
    r.added_at,
    -- When the API first read it from the platform, UTC instant or NULL; GET /accounts,
    -- Account.first_scrape_time
    r.first_scrape_time,
    -- When the API last read it from the platform: the age of every count in this row, UTC instant
    -- or NULL; GET /accounts, Account.last_scrape_time
    r.last_scrape_time,
    -- Time between scrapes, whole hours or NULL; GET /accounts, Account.scrape_interval_hours
    r.scrape_interval_hours,
    -- Followers, count or NULL; GET /accounts, Account.follower_count
    r.follower_count,
    -- Profiles it follows, count or NULL; GET /accounts, Account.following_count
    r.following_count,
    -- Posts by the profile's own word, count or NULL; GET /accounts, Account.profile_post_count
    r.profile_post_count,
    -- Posts that the API holds of it, count or NULL; GET /accounts, Account.total_post_count
    r.total_post_count,
    -- Views of its collected posts, count or NULL; GET /accounts, Account.view_count
    r.view_count,
    -- Likes of its collected posts, count or NULL; GET /accounts, Account.like_count
    r.like_count,
    -- Comments on its collected posts, count or NULL; GET /accounts, Account.comment_count
    r.comment_count,
    -- Shares of its collected posts, count or NULL; GET /accounts, Account.share_count
    r.share_count,
    -- Plays of its collected posts, which TikTok does not tell from views, count or NULL; GET
    -- /accounts, Account.play_count
    r.play_count,
    -- Saves of its collected posts, Instagram alone, count or NULL; GET /accounts,
    -- Account.saved_count
    r.saved_count,
    -- Plays on Facebook, by its name, count or NULL; GET /accounts, Account.fb_play_count
    r.fb_play_count,
    -- Plays on Instagram alone, by its name, count or NULL; GET /accounts, Account.ig_play_count
    r.ig_play_count,
    -- Likes on Facebook, by its name, count or NULL; GET /accounts, Account.fb_like_count
    r.fb_like_count,
    -- Most posts collected, where the account has a bound of its own, count or NULL; GET /accounts,
    -- Account.max_recent_posts_per_account
    r.max_recent_posts_per_account,
    -- Greatest age of posts collected, where the account has a bound of its own, whole days or
    -- NULL; GET /accounts, Account.post_lookback_days
    r.post_lookback_days,
    -- Most posts collected, the organization's default included, count or NULL; GET /accounts,
    -- Account.effective_max_recent_posts_per_account
    r.effective_max_recent_posts_per_account,
    -- Greatest age of posts collected, the organization's default included, whole days or NULL; GET
    -- /accounts, Account.effective_post_lookback_days
    r.effective_post_lookback_days,
    -- What the API said beyond the columns, and what was not of the documented type, under its own
    -- name, JSON object or NULL; ours
    r.extra,
    -- When the mirror first saw it, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    -- When the API last confirmed this row, a 304 included, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    -- When it was found to be gone from the API; NULL while the API lists it, UTC instant or NULL;
    -- ours
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM account AS r
LEFT JOIN page AS p ON p.page = r.page;

-- Creators, the organization's own groups of accounts, removed ones included; key id.
CREATE VIEW creators AS
SELECT
    -- The creator, id; GET /creators, Creator.id
    r.id,
    -- Name, text or NULL; GET /creators, Creator.name
    r.name,
    -- Always creator, text or NULL; GET /creators, Creator.type
    r.type,
    -- 0 when paused, and the linked accounts with it, 0/1 or NULL; GET /creators, Creator.is_active
    r.is_active,
    -- Tags of the organization's own choice, JSON object or NULL; GET /creators, Creator.metadata
    r.metadata,
    -- Linked accounts, count or NULL; GET /creators, Creator.accounts_summary.total
    r.accounts_total,
    -- Linked accounts by platform, JSON object or NULL; GET /creators,
    -- Creator.accounts_summary.platforms
    r.accounts_by_platform,
    -- Followers of all linked accounts, count or NULL; GET /creators,
    -- Creator.accounts_summary.total_followers
    r.total_followers,
    -- What the API said beyond the columns, and what was not of the documented type, under its own
    -- name, JSON object or NULL; ours
    r.extra,
    -- When the mirror first saw it, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    -- When the API last confirmed this row, a 304 included, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    -- When it was found to be gone from the API; NULL while the API lists it, UTC instant or NULL;
    -- ours
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM creator AS r
LEFT JOIN page AS p ON p.page = r.page;

-- Individually tracked posts as the API last showed them, removed ones included; key id.
CREATE VIEW videos AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id,
    -- The platform's own id of the post, text or NULL; GET /videos, Video.external_id
    r.external_id,
    -- instagram or tiktok, text or NULL; GET /videos, Video.platform
    r.platform,
    -- Always video, text or NULL; GET /videos, Video.type
    r.type,
    -- The post's short name in Instagram's URLs, text or NULL; GET /videos, Video.shortcode
    r.shortcode,
    -- 1 while it is tracked, 0 when paused, 0/1 or NULL; GET /videos, Video.is_active
    r.is_active,
    -- Time between scrapes, whole hours or NULL; GET /videos, Video.scrape_interval_hours
    r.scrape_interval_hours,
    -- Tags of the organization's own choice, JSON object or NULL; GET /videos, Video.metadata
    r.metadata,
    -- When tracking began, UTC instant or NULL; GET /videos, Video.added_at
    r.added_at,
    -- When the API's record of it last changed, UTC instant or NULL; GET /videos, Video.updated_at
    r.updated_at,
    -- When the API first read it from the platform, UTC instant or NULL; GET /videos,
    -- Video.first_scrape_time
    r.first_scrape_time,
    -- When the API last read it from the platform: the age of every count in this row, UTC instant
    -- or NULL; GET /videos, Video.last_scrape_time
    r.last_scrape_time,
    -- Caption, text or NULL; GET /videos, Video.description
    r.description,
    -- When it was posted on the platform, UTC instant or NULL; GET /videos, Video.create_time
    r.create_time,
    -- What it is, in the API's words, text or NULL; GET /videos, Video.media_type
    r.media_type,
    -- Length, presumably, seconds or NULL; GET /videos, Video.duration
    r.duration,
    -- Whether the platform no longer shows it, 0/1 or NULL; GET /videos, Video.is_unavailable
    r.is_unavailable,
    -- Cover image, URL or NULL; GET /videos, Video.cover_image_url
    r.cover_image_url,
    -- Cover image, presumably at the platform itself, URL or NULL; GET /videos,
    -- Video.cover_image_url_original
    r.cover_image_url_original,
    -- The video file, URL or NULL; GET /videos, Video.video_url
    r.video_url,
    -- The video file, presumably at the platform itself, URL or NULL; GET /videos,
    -- Video.video_url_original
    r.video_url_original,
    -- Views, count or NULL; GET /videos, Video.view_count
    r.view_count,
    -- Likes, count or NULL; GET /videos, Video.like_count
    r.like_count,
    -- Comments, count or NULL; GET /videos, Video.comment_count
    r.comment_count,
    -- Shares, count or NULL; GET /videos, Video.share_count
    r.share_count,
    -- Plays, which TikTok does not tell from views, count or NULL; GET /videos, Video.play_count
    r.play_count,
    -- Saves, Instagram alone, count or NULL; GET /videos, Video.saved_count
    r.saved_count,
    -- Views; how they differ from view_count is not documented, count or NULL; GET /videos,
    -- Video.total_views
    r.total_views,
    -- Plays; how they differ from play_count is not documented, count or NULL; GET /videos,
    -- Video.total_plays
    r.total_plays,
    -- The account that posted it, while that is tracked too, id or NULL; GET /videos,
    -- Video.account_id
    r.account_id,
    -- Handle of the account that posted it, text or NULL; GET /videos, Video.account_username
    r.account_username,
    -- The platform's own id of that account, text or NULL; GET /videos, Video.platform_account_id
    r.platform_account_id,
    -- What only this platform has, JSON object or NULL; GET /videos, Video.platform_data
    r.platform_data,
    -- What the API said beyond the columns, and what was not of the documented type, under its own
    -- name, JSON object or NULL; ours
    r.extra,
    -- When the mirror first saw it, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    -- When the API last confirmed this row, a 304 included, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    -- When it was found to be gone from the API; NULL while the API lists it, UTC instant or NULL;
    -- ours
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM video AS r
LEFT JOIN page AS p ON p.page = r.page;

-- Posts found in the feeds of tracked accounts, removed ones included; key platform, id. The API
-- documents none of their members: any may be NULL.
CREATE VIEW account_videos AS
SELECT
    -- instagram or tiktok, text or NULL; GET /account-videos, AccountVideo.platform
    nullif(r.platform, '') AS platform,
    -- The post, together with platform; a number or a UUID, as text, id; GET /account-videos,
    -- AccountVideo.id
    r.id,
    -- The platform's own id of the post, text or NULL; GET /account-videos,
    -- AccountVideo.external_id
    r.external_id,
    -- The API's word for it, text or NULL; GET /account-videos, AccountVideo.type
    r.type,
    -- The post's short name in Instagram's URLs, text or NULL; GET /account-videos,
    -- AccountVideo.shortcode
    r.shortcode,
    -- The account in whose feed it was found, id or NULL; GET /account-videos,
    -- AccountVideo.account_id
    r.account_id,
    -- Handle of that account, text or NULL; GET /account-videos, AccountVideo.account_username
    r.account_username,
    -- Caption, text or NULL; GET /account-videos, AccountVideo.description
    r.description,
    -- When it was posted on the platform, UTC instant or NULL; GET /account-videos,
    -- AccountVideo.create_time
    r.create_time,
    -- What it is, in the API's words, text or NULL; GET /account-videos, AccountVideo.media_type
    r.media_type,
    -- Length, presumably, seconds or NULL; GET /account-videos, AccountVideo.duration
    r.duration,
    -- Whether the platform no longer shows it, 0/1 or NULL; GET /account-videos,
    -- AccountVideo.is_unavailable
    r.is_unavailable,
    -- When the API first read it from the platform, UTC instant or NULL; GET /account-videos,
    -- AccountVideo.first_scrape_time
    r.first_scrape_time,
    -- When the API last read it from the platform: the age of every count in this row, UTC instant
    -- or NULL; GET /account-videos, AccountVideo.last_scrape_time
    r.last_scrape_time,
    -- Cover image, URL or NULL; GET /account-videos, AccountVideo.cover_image_url
    r.cover_image_url,
    -- The video file, URL or NULL; GET /account-videos, AccountVideo.video_url
    r.video_url,
    -- Views, count or NULL; GET /account-videos, AccountVideo.view_count
    r.view_count,
    -- Likes, count or NULL; GET /account-videos, AccountVideo.like_count
    r.like_count,
    -- Comments, count or NULL; GET /account-videos, AccountVideo.comment_count
    r.comment_count,
    -- Shares, count or NULL; GET /account-videos, AccountVideo.share_count
    r.share_count,
    -- Plays, which TikTok does not tell from views, count or NULL; GET /account-videos,
    -- AccountVideo.play_count
    r.play_count,
    -- Saves, Instagram alone, count or NULL; GET /account-videos, AccountVideo.saved_count
    r.saved_count,
    -- What the API said beyond the columns, and what was not of the documented type, under its own
    -- name, JSON object or NULL; ours
    r.extra,
    -- When the mirror first saw it, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    -- When the API last confirmed this row, a 304 included, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    -- When it was found to be gone from the API; NULL while the API lists it, UTC instant or NULL;
    -- ours
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM account_video AS r
LEFT JOIN page AS p ON p.page = r.page;

-- The counts of every account at every scrape; key account_id, scraped_at. Posts that leave the
-- API's window leave the totals, so these may go down.
CREATE VIEW account_history AS
SELECT
    -- The account, id; GET /accounts, Account.id
    r.id AS account_id,
    -- When the API read it from the platform, UTC instant; GET /accounts, Account.last_scrape_time
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    -- Followers, count or NULL; GET /accounts, Account.follower_count
    s.follower_count,
    -- Profiles it follows, count or NULL; GET /accounts, Account.following_count
    s.following_count,
    -- Posts that the API holds of it, count or NULL; GET /accounts, Account.total_post_count
    s.total_post_count,
    -- Views of its collected posts, count or NULL; GET /accounts, Account.view_count
    s.view_count,
    -- Likes of its collected posts, count or NULL; GET /accounts, Account.like_count
    s.like_count,
    -- Comments on its collected posts, count or NULL; GET /accounts, Account.comment_count
    s.comment_count,
    -- Shares of its collected posts, count or NULL; GET /accounts, Account.share_count
    s.share_count,
    -- Plays of its collected posts, which TikTok does not tell from views, count or NULL; GET
    -- /accounts, Account.play_count
    s.play_count,
    -- Saves of its collected posts, Instagram alone, count or NULL; GET /accounts,
    -- Account.saved_count
    s.saved_count
FROM account_scrape AS s
JOIN account AS r ON r.key = s.account;

-- The counts of every video at every scrape; key video_id, scraped_at. It outlives the removal of
-- the video.
CREATE VIEW video_history AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id AS video_id,
    -- When the API read it from the platform, UTC instant; GET /videos, Video.last_scrape_time
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    -- Views, count or NULL; GET /videos, Video.view_count
    s.view_count,
    -- Likes, count or NULL; GET /videos, Video.like_count
    s.like_count,
    -- Comments, count or NULL; GET /videos, Video.comment_count
    s.comment_count,
    -- Shares, count or NULL; GET /videos, Video.share_count
    s.share_count,
    -- Plays, which TikTok does not tell from views, count or NULL; GET /videos, Video.play_count
    s.play_count,
    -- Saves, Instagram alone, count or NULL; GET /videos, Video.saved_count
    s.saved_count
FROM video_scrape AS s
JOIN video AS r ON r.key = s.video;

-- The counts of every account video at every scrape; key platform, account_video_id, scraped_at.
CREATE VIEW account_video_history AS
SELECT
    -- instagram or tiktok, text or NULL; GET /account-videos, AccountVideo.platform
    nullif(r.platform, '') AS platform,
    -- The post, together with platform, id; GET /account-videos, AccountVideo.id
    r.id AS account_video_id,
    -- When the API read it from the platform, UTC instant; GET /account-videos,
    -- AccountVideo.last_scrape_time
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    -- Views, count or NULL; GET /account-videos, AccountVideo.view_count
    s.view_count,
    -- Likes, count or NULL; GET /account-videos, AccountVideo.like_count
    s.like_count,
    -- Comments, count or NULL; GET /account-videos, AccountVideo.comment_count
    s.comment_count,
    -- Shares, count or NULL; GET /account-videos, AccountVideo.share_count
    s.share_count,
    -- Plays, which TikTok does not tell from views, count or NULL; GET /account-videos,
    -- AccountVideo.play_count
    s.play_count,
    -- Saves, Instagram alone, count or NULL; GET /account-videos, AccountVideo.saved_count
    s.saved_count
FROM account_video_scrape AS s
JOIN account_video AS r ON r.key = s.account_video;

-- The organization's headline figures, a row whenever one of them has changed; key period,
-- observed_at.
CREATE VIEW overview_history AS
SELECT
    -- When the mirror first saw these figures, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', observed_at / 1000000, 'unixepoch') || CASE observed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', observed_at % 1000000), '0') END || 'Z' AS observed_at,
    -- The window they are of, which ends then; 7d, text; GET /overview, parameter period
    period,
    -- Views in the window, count or NULL; GET /overview, Overview.current.total_views
    total_views,
    -- (likes + comments + shares) / views in the window, as the API gives it; whether 1 or 100 is
    -- the whole is not documented, rate or NULL; GET /overview, Overview.current.engagement_rate
    api_engagement_rate,
    -- Accounts tracked and not paused, count or NULL; GET /overview,
    -- Overview.current.active_accounts
    active_accounts,
    -- Posts found in the feeds of accounts, count or NULL; GET /overview,
    -- Overview.current.account_videos
    account_videos,
    -- Individually tracked videos, count or NULL; GET /overview, Overview.current.tracked_videos
    tracked_videos
FROM overview_observation;

-- What was counted on each UTC day, one row per resource and day that the API answered for. A day that
-- was not asked for, or that the API knows nothing of, has no row; a zero is a zero of the API's.
CREATE VIEW daily_metrics AS
SELECT
    -- What is counted: account or video or account_video, text; ours
    d.kind AS kind,
    -- The id in accounts or videos; platform:id for account_video, whose ids are unique by platform
    -- alone, id; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, data
    s.id AS id,
    -- The day the counts are of, UTC date; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, start_date and end_date
    d.date AS date,
    -- Views on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, views
    m.views AS views,
    -- Plays on that day; on TikTok the same as views, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, plays
    m.plays AS plays,
    -- Likes on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, likes
    m.likes AS likes,
    -- Comments on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, comments
    m.comments AS comments,
    -- Shares on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, shares
    m.shares AS shares,
    -- Likes, comments and shares of that day together, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, engagement
    m.engagement AS engagement
FROM metric_day AS d
JOIN metric AS m ON m.slot = d.slot AND m.state < 2
JOIN metric_subject AS s ON s.kind = d.kind AND s.key = m.key;

-- What every run did, a row per run and kind it worked on; key run_id, kind. Kept for log_retention.
CREATE VIEW sync_log AS
SELECT
    -- Number of the run, in order of time, number; ours
    run_id,
    -- When the run began with this kind, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000, 'unixepoch') || CASE started_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', started_at % 1000000), '0') END || 'Z' AS started_at,
    -- When it ended; NULL while it runs, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || CASE finished_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', finished_at % 1000000), '0') END || 'Z' AS finished_at,
    -- Why the run worked on this kind: first, full_sync, due, resume, unfinished, full or accept_removals,
    -- text; ours
    trigger,
    -- account, creator, video, account_video, overview or meta, text; ours
    kind,
    -- Requests sent, repeated ones included, count; ours
    requests,
    -- Requests answered with 304, count; ours
    not_modified,
    -- Rows read or confirmed, count; ours
    rows_seen,
    -- Rows new or changed, count; ours
    rows_changed,
    -- Rows with a member that was not of its documented type, count; ours
    type_mismatches,
    -- Scrapes new in the history, count; ours
    snapshots_added,
    -- Scrapes in the history whose counts a newer answer changed, count; ours
    snapshots_revised,
    -- Rows marked removed, count; ours
    removed,
    -- complete, polled, unavailable, unconfirmed, incomplete, rows_dropped, removals_held, failed,
    -- rate_limited, interrupted or running, text; ours
    outcome,
    -- What went wrong, by the API's code or ours, text or NULL; Problem.code, or ours
    error_code,
    -- The API's id of the request that failed, for its support, text or NULL; Problem.request_id
    request_id,
    -- What is to be said about the outcome, text or NULL; ours
    detail
FROM pass_kind;

-- How complete the mirror is, a row per kind; key kind.
CREATE VIEW coverage AS
SELECT
    -- account, creator, video, account_video, overview or meta, text; ours
    k.kind,
    -- Start of the last complete listing: everything the API listed then is in the mirror; NULL before
    -- the first, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', k.complete_as_of / 1000000, 'unixepoch') || CASE k.complete_as_of % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', k.complete_as_of % 1000000), '0') END || 'Z' AS complete_as_of,
    -- Rows that the API lists, as far as the mirror knows, count; ours
    CASE k.kind
        WHEN 'account' THEN (SELECT count(*) FROM account) - (SELECT count(*) FROM account WHERE removed_at IS NOT NULL)
        WHEN 'creator' THEN (SELECT count(*) FROM creator) - (SELECT count(*) FROM creator WHERE removed_at IS NOT NULL)
        WHEN 'video' THEN (SELECT count(*) FROM video) - (SELECT count(*) FROM video WHERE removed_at IS NOT NULL)
        WHEN 'account_video' THEN (SELECT count(*) FROM account_video) - (SELECT count(*) FROM account_video WHERE removed_at IS NOT NULL)
        WHEN 'overview' THEN (SELECT count(*) FROM overview_observation)
        WHEN 'meta' THEN (SELECT count(api_meta) FROM instance)
    END AS rows,
    -- Rows that are gone from the API and kept here, count; ours
    CASE k.kind
        WHEN 'account' THEN (SELECT count(*) FROM account WHERE removed_at IS NOT NULL)
        WHEN 'creator' THEN (SELECT count(*) FROM creator WHERE removed_at IS NOT NULL)
        WHEN 'video' THEN (SELECT count(*) FROM video WHERE removed_at IS NOT NULL)
        WHEN 'account_video' THEN (SELECT count(*) FROM account_video WHERE removed_at IS NOT NULL)
        ELSE 0
    END AS removed,
    -- Start of the last full sync, or of the last request where the kind is one document, UTC instant or
    -- NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', k.last_full_sync_at / 1000000, 'unixepoch') || CASE k.last_full_sync_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', k.last_full_sync_at % 1000000), '0') END || 'Z' AS last_full_sync_at,
    -- Its outcome, in the words of sync_log, text or NULL; ours
    k.last_outcome
FROM kind_state AS k;

-- The outbox: every queued write and what came of it; key entry. Finished entries are kept for
-- outbox_retention.
CREATE VIEW outbox_log AS
SELECT
    -- Number of the entry, number; ours
    entry,
    -- When it was queued, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || CASE created_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', created_at % 1000000), '0') END || 'Z' AS created_at,
    -- account, creator or video, text; ours
    kind,
    -- track, set, untrack, link or unlink, text; ours
    action,
    -- What it is about: platform:identifier of what is created, else the id; NULL for a new
    -- creator, text or NULL; ours
    target,
    -- queued, waiting, held, sending, unsure, succeeded, failed or discarded, text; ours
    state,
    -- How often it was sent, count; ours
    attempts,
    -- When it is tried next: not before its own pause nor the wait that the API asked for is over; NULL
    -- as soon as something runs that sends it, and when it is not tried by itself, UTC instant or NULL;
    -- ours
    CASE WHEN state IN ('queued', 'unsure') AND max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) > created_at THEN
        strftime('%Y-%m-%dT%H:%M:%S', max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) / 1000000, 'unixepoch')
        || CASE max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) % 1000000), '0') END || 'Z'
    END AS next_attempt_at,
    -- The Idempotency-Key that it is sent with, text; ours
    idempotency_key,
    -- Status of the last answer, number or NULL; status line
    http_status,
    -- The API's code for what is wrong, text or NULL; Problem.code
    code,
    -- What is to be said about how it stands, text or NULL; Problem.detail, or ours
    detail,
    -- The API's id of the last request, text or NULL; X-Request-ID
    request_id,
    -- The resource that was created or changed, id or NULL; id of the answer
    result_id,
    -- When it came to its end, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || CASE finished_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', finished_at % 1000000), '0') END || 'Z' AS finished_at
FROM outbox;

-- Insert here to queue a write from SQL; triggers refuse what they can see is wrong. Reading shows
-- what was asked for.
CREATE VIEW outbox_requests AS
SELECT
    -- account, creator or video, text; ours
    kind,
    -- track, set, untrack, link or unlink, text; ours
    action,
    -- What it is about: an id, platform:username, or @N for the result of entry N; NULL with track,
    -- text or NULL; ours
    target,
    -- What the API documents for the request; for link and unlink an object with account_id; NULL
    -- with untrack, JSON object or NULL; AccountCreate, AccountUpdate, VideoCreate, VideoUpdate,
    -- CreatorCreate, CreatorUpdate
    CASE
        WHEN action IN ('link', 'unlink') THEN json_object('account_id', account)
        ELSE body
    END AS body
FROM outbox;

-- Messages are constants: an expression there would make the file unreadable for older SQLite.
CREATE TRIGGER outbox_requests_insert INSTEAD OF INSERT ON outbox_requests
BEGIN
    SELECT RAISE(ABORT, 'kind must be account, creator or video')
    WHERE coalesce(new.kind NOT IN ('account', 'creator', 'video'), 1);
    SELECT RAISE(ABORT, 'action must be track, set, untrack, link or unlink')
    WHERE coalesce(new.action NOT IN ('track', 'set', 'untrack', 'link', 'unlink'), 1);
    SELECT RAISE(ABORT, 'link and unlink are actions of kind creator')
    WHERE new.action IN ('link', 'unlink') AND new.kind <> 'creator';

    SELECT RAISE(ABORT, 'target must be NULL with track; what is tracked is named in body')
    WHERE new.action = 'track' AND new.target IS NOT NULL;
    SELECT RAISE(ABORT, 'target must name the resource: an id, platform:username, or @N')
    WHERE new.action <> 'track'
      AND (new.target IS NULL OR typeof(new.target) <> 'text' OR trim(new.target) = '');
    SELECT RAISE(ABORT, 'body must be NULL with untrack')
    WHERE new.action = 'untrack' AND new.body IS NOT NULL;
    SELECT RAISE(ABORT, 'body must be a JSON object')
    WHERE new.action <> 'untrack'
      AND CASE
            WHEN new.body IS NULL THEN 1
            WHEN json_valid(new.body) THEN json_type(new.body) <> 'object'
            ELSE 1
          END;

    SELECT RAISE(ABORT, 'body must have platform, instagram or tiktok')
    WHERE new.action = 'track' AND new.kind IN ('account', 'video')
      AND coalesce(json_extract(new.body, '$.platform') NOT IN ('instagram', 'tiktok'), 1);
    SELECT RAISE(ABORT, 'body must have identifier, a text: a post URL, numeric id or shortcode')
    WHERE new.action = 'track' AND new.kind = 'video'
      AND (coalesce(json_type(new.body, '$.identifier') <> 'text', 1)
           OR trim(json_extract(new.body, '$.identifier')) = '');
    SELECT RAISE(ABORT, 'body must have username, a text')
    WHERE new.action = 'track' AND new.kind = 'account'
      AND (coalesce(json_type(new.body, '$.username') <> 'text', 1)
           OR trim(json_extract(new.body, '$.username')) = '');
    SELECT RAISE(ABORT, 'body must have name, a text of 1 to 255 characters')
    WHERE (new.action = 'track' OR json_type(new.body, '$.name') IS NOT NULL)
      AND new.kind = 'creator' AND new.action IN ('track', 'set')
      AND (coalesce(json_type(new.body, '$.name') <> 'text', 1)
           OR length(json_extract(new.body, '$.name')) NOT BETWEEN 1 AND 255);
    SELECT RAISE(ABORT, 'body must have account_id, a text: an id, platform:username, or @N')
    WHERE new.action IN ('link', 'unlink')
      AND (coalesce(json_type(new.body, '$.account_id') <> 'text', 1)
           OR trim(json_extract(new.body, '$.account_id')) = '');
    SELECT RAISE(ABORT, 'body must have at least one member')
    WHERE new.action = 'set' AND NOT EXISTS (SELECT 1 FROM json_each(new.body));

    SELECT RAISE(ABORT, 'scrape_interval_hours must be a whole number of at least 1')
    WHERE json_type(new.body, '$.scrape_interval_hours') IS NOT NULL
      AND (json_type(new.body, '$.scrape_interval_hours') <> 'integer'
           OR json_extract(new.body, '$.scrape_interval_hours') < 1);
    SELECT RAISE(ABORT, 'is_active must be true or false')
    WHERE json_type(new.body, '$.is_active') NOT IN ('true', 'false');
    SELECT RAISE(ABORT, 'category must be a text or null')
    WHERE json_type(new.body, '$.category') NOT IN ('text', 'null');
    SELECT RAISE(ABORT, 'metadata must be an object of at most 20 texts')
    WHERE json_type(new.body, '$.metadata') IS NOT NULL
      AND CASE json_type(new.body, '$.metadata')
            WHEN 'object' THEN
                (SELECT count(*) > 20 OR coalesce(sum(type <> 'text'), 0) > 0
                 FROM json_each(new.body, '$.metadata'))
            ELSE 1
          END;
    SELECT RAISE(ABORT, 'body has a member that this kind and action do not know')
    WHERE EXISTS (
        SELECT 1 FROM json_each(new.body)
        WHERE key NOT IN (
            SELECT value FROM json_each(CASE
                WHEN new.action IN ('link', 'unlink') THEN '["account_id"]'
                WHEN new.kind = 'video' AND new.action = 'track' THEN
                    '["platform","identifier","metadata","is_active","scrape_interval_hours"]'
                WHEN new.kind = 'video' THEN '["metadata","is_active","scrape_interval_hours"]'
                WHEN new.kind = 'account' AND new.action = 'track' THEN
                    '["platform","username","category","metadata","is_active","scrape_interval_hours","max_recent_posts_per_account","post_lookback_days"]'
                WHEN new.kind = 'account' THEN
                    '["category","metadata","is_active","scrape_interval_hours","max_recent_posts_per_account","post_lookback_days"]'
                ELSE '["name","is_active","metadata"]'
            END)
        )
    );
    SELECT RAISE(ABORT, '@N must name an earlier entry of the outbox')
    WHERE EXISTS (
        SELECT 1
        FROM (SELECT new.target AS named
              UNION ALL SELECT json_extract(new.body, '$.account_id') WHERE new.action IN ('link', 'unlink'))
        WHERE substr(named, 1, 1) = '@'
          AND (substr(named, 2) = '' OR substr(named, 2) GLOB '*[^0-9]*'
               OR NOT EXISTS (SELECT 1 FROM outbox WHERE entry = CAST(substr(named, 2) AS INTEGER)))
    );

    INSERT INTO outbox (kind, action, target, subject, account, method, path, body, state)
    VALUES (
        new.kind,
        new.action,
        CASE
            WHEN new.action <> 'track' THEN trim(new.target)
            WHEN new.kind = 'video' THEN
                json_extract(new.body, '$.platform') || ':' || json_extract(new.body, '$.identifier')
            WHEN new.kind = 'account' THEN
                json_extract(new.body, '$.platform') || ':'
                || lower(ltrim(trim(json_extract(new.body, '$.username')), '@'))
        END,
        trim(new.target),
        CASE WHEN new.action IN ('link', 'unlink') THEN trim(json_extract(new.body, '$.account_id')) END,
        CASE new.action WHEN 'track' THEN 'POST' WHEN 'set' THEN 'PATCH' WHEN 'link' THEN 'PUT' ELSE 'DELETE' END,
        CASE WHEN new.action = 'track' THEN '/' || new.kind || 's' END,
        CASE WHEN new.action IN ('track', 'set') THEN new.body END,
        CASE
            WHEN EXISTS (
                SELECT 1
                FROM (SELECT new.target AS named
                      UNION ALL SELECT json_extract(new.body, '$.account_id') WHERE new.action IN ('link', 'unlink')) AS n
                JOIN outbox AS o ON o.entry = CAST(substr(trim(n.named), 2) AS INTEGER)
                WHERE substr(trim(n.named), 1, 1) = '@'
                  AND o.state IN ('queued', 'waiting', 'held', 'sending', 'unsure')
            ) THEN 'waiting'
            ELSE 'queued'
        END
    );
END;

-- Ready-made answers over the current state and the history. They keep to what SQLite 3.37 knows, the
-- first that reads STRICT tables, because they run in the analyst's own shell or library.

-- What a video gained from one scrape to the next; key video_id, to_at. The first scrape has
-- nothing before it and no row. Gains are plain differences: negative where a count went down, NULL
-- where either scrape has no number. Removed and paused videos keep their rows.
CREATE VIEW video_growth AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id AS video_id,
    -- The earlier scrape, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', p.at_s, 'unixepoch') || CASE p.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', p.at_ns), '0') END || 'Z' AS from_at,
    -- The later scrape, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS to_at,
    -- Time between the two, hours; ours
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 AS hours,
    -- Views more than at the earlier scrape; negative where they went down, count or NULL; ours
    s.view_count - p.view_count AS views_gained,
    -- Likes more, count or NULL; ours
    s.like_count - p.like_count AS likes_gained,
    -- Comments more, count or NULL; ours
    s.comment_count - p.comment_count AS comments_gained,
    -- Shares more, count or NULL; ours
    s.share_count - p.share_count AS shares_gained,
    -- views_gained over hours, per hour or NULL; ours
    (s.view_count - p.view_count) / (((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600) AS views_per_hour,
    -- 1 when hours is over 1.5 times the interval the video has now (24 hours where the API gives
    -- none), so that scrapes between may have been overwritten unseen, 0/1; ours
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 > 1.5 * max(coalesce(r.scrape_interval_hours, 24), 1) AS is_gap
FROM video_scrape AS s
JOIN video AS r ON r.key = s.video
JOIN video_scrape AS p
    ON p.video = s.video
    -- Looked up by primary key rather than by a window function, so that any filter reaches the
    -- history itself: one video costs its own scrapes, also when joined.
    AND (p.at_s, p.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM video_scrape AS q
        WHERE q.video = s.video AND (q.at_s, q.at_ns) < (s.at_s, s.at_ns)
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    );

-- The last scrape of each UTC day, and what was gained since the last scrape of an earlier day; key
-- video_id, date. Days without a scrape have no row, so a gain may span several days; a video's
-- first day has NULL gains. Differences are as in video_growth.
CREATE VIEW video_daily AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id AS video_id,
    -- The UTC day, midnight being its first instant, UTC date; ours
    strftime('%Y-%m-%d', s.at_s, 'unixepoch') AS date,
    -- Views at the last scrape of the day, count or NULL; GET /videos, Video.view_count
    s.view_count,
    -- Likes at the last scrape of the day, count or NULL; GET /videos, Video.like_count
    s.like_count,
    -- Comments at the last scrape of the day, count or NULL; GET /videos, Video.comment_count
    s.comment_count,
    -- Shares at the last scrape of the day, count or NULL; GET /videos, Video.share_count
    s.share_count,
    -- Plays at the last scrape of the day, which TikTok does not tell from views, count or NULL;
    -- GET /videos, Video.play_count
    s.play_count,
    -- Saves at the last scrape of the day, Instagram alone, count or NULL; GET /videos,
    -- Video.saved_count
    s.saved_count,
    -- Views more than at the last scrape of an earlier day; NULL on the first day, count or NULL;
    -- ours
    s.view_count - p.view_count AS views_gained,
    -- Likes more, count or NULL; ours
    s.like_count - p.like_count AS likes_gained,
    -- Comments more, count or NULL; ours
    s.comment_count - p.comment_count AS comments_gained,
    -- Shares more, count or NULL; ours
    s.share_count - p.share_count AS shares_gained
FROM video_scrape AS s
JOIN video AS r ON r.key = s.video
LEFT JOIN video_scrape AS p
    ON p.video = s.video
    AND (p.at_s, p.at_ns) = (
        -- The remainder is brought above zero, so that days before 1970 begin at midnight too.
        SELECT q.at_s, q.at_ns
        FROM video_scrape AS q
        WHERE q.video = s.video AND q.at_s < s.at_s - (s.at_s % 86400 + 86400) % 86400
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    )
WHERE NOT EXISTS (
    SELECT 1
    FROM video_scrape AS n
    WHERE n.video = s.video
        AND (n.at_s, n.at_ns) > (s.at_s, s.at_ns)
        AND n.at_s < s.at_s - (s.at_s % 86400 + 86400) % 86400 + 86400
);

-- What every video gained in the last 1, 7, 14, 30 and 90 days, as far as its history reaches back; key
-- video_id, days: from its last scrape before that time, or else its first one, to its last. Differences are as in
-- video_growth, and removed videos keep their rows. Ask with `WHERE days = 7`: each video then costs a
-- few look-ups, however long its history is.
CREATE VIEW video_gains AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id AS video_id,
    -- Length of the window, which ends now: 1 or 7 or 14 or 30 or 90, whole days; ours
    w.days AS days,
    -- The scrape the gains count from, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', p.at_s, 'unixepoch') || CASE p.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', p.at_ns), '0') END || 'Z' AS from_at,
    -- The latest scrape, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS to_at,
    -- Views more than at that scrape; negative where they went down, count or NULL; ours
    s.view_count - p.view_count AS views_gained,
    -- Likes more, count or NULL; ours
    s.like_count - p.like_count AS likes_gained,
    -- Comments more, count or NULL; ours
    s.comment_count - p.comment_count AS comments_gained,
    -- Shares more, count or NULL; ours
    s.share_count - p.share_count AS shares_gained,
    -- 1 when the history begins only within the window, so that gains are those since then, 0/1; ours
    p.at_s > CAST(strftime('%s', 'now') AS INTEGER) - w.days * 86400 AS is_partial
FROM video AS r
CROSS JOIN (SELECT 1 AS days UNION ALL SELECT 7 UNION ALL SELECT 14 UNION ALL SELECT 30 UNION ALL SELECT 90) AS w
JOIN video_scrape AS s
    ON s.video = r.key
    AND (s.at_s, s.at_ns) = (
        SELECT q.at_s, q.at_ns FROM video_scrape AS q WHERE q.video = r.key ORDER BY q.at_s DESC, q.at_ns DESC LIMIT 1
    )
JOIN video_scrape AS p
    ON p.video = r.key
    AND (p.at_s, p.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM video_scrape AS q
        WHERE q.video = r.key
            AND q.at_s <= max(
                CAST(strftime('%s', 'now') AS INTEGER) - w.days * 86400,
                (SELECT f.at_s FROM video_scrape AS f WHERE f.video = r.key ORDER BY f.at_s LIMIT 1)
            )
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    );

-- The current state of every video, removed ones included, with the account that posted it and that
-- account's creator where they are mirrored; key id.
CREATE VIEW video_latest AS
SELECT
    v.*,
    -- Name of the account that posted it, text or NULL; GET /accounts, Account.name
    a.name AS account_name,
    -- That account's creator, id or NULL; GET /accounts, Account.creator_id
    a.creator_id,
    -- Name of that creator, text or NULL; GET /creators, Creator.name
    coalesce(c.name, a.creator_name) AS creator_name,
    -- (likes + comments + shares) / views; NULL without views, or where one of them is NULL,
    -- fraction or NULL; ours
    (v.like_count + v.comment_count + v.share_count) * 1.0 / nullif(v.view_count, 0) AS engagement_rate
FROM videos AS v
LEFT JOIN account AS a ON a.id = v.account_id
LEFT JOIN creator AS c ON c.id = a.creator_id;

-- The sums are taken in two halves of 32 bits: SQLite's sum() fails where 64 bits do not hold the result,
-- and one absurd count in an answer must not make the view unreadable.

-- Creators that are not removed, over their accounts that are not removed, paused ones included;
-- key creator_id. Totals are those of the accounts that have a number; NULL when none has, as for a
-- creator without accounts.
CREATE VIEW creator_rollup AS
SELECT
    -- The creator, id; GET /creators, Creator.id
    c.id AS creator_id,
    -- Name, text or NULL; GET /creators, Creator.name
    c.name AS creator_name,
    -- Linked accounts that are not removed, paused ones included, count; ours
    count(a.key) AS accounts,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.follower_count
    sum(a.follower_count >> 32) * 4294967296 + sum(a.follower_count & 4294967295) AS followers,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.view_count
    sum(a.view_count >> 32) * 4294967296 + sum(a.view_count & 4294967295) AS views,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.like_count
    sum(a.like_count >> 32) * 4294967296 + sum(a.like_count & 4294967295) AS likes,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.comment_count
    sum(a.comment_count >> 32) * 4294967296 + sum(a.comment_count & 4294967295) AS comments,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.share_count
    sum(a.share_count >> 32) * 4294967296 + sum(a.share_count & 4294967295) AS shares,
    -- (likes + comments + shares) / views of the sums shown, fraction or NULL; ours
    (sum(a.like_count * 1.0) + sum(a.comment_count * 1.0) + sum(a.share_count * 1.0)) / nullif(sum(a.view_count * 1.0), 0) AS engagement_rate
FROM creator AS c
LEFT JOIN account AS a ON a.creator_id = c.id AND a.removed_at IS NULL
WHERE c.removed_at IS NULL
GROUP BY c.key;

-- How old our newest scrape of everything is that is not removed, and when the next is expected;
-- key kind, id. What was never scraped has no expectation.
CREATE VIEW freshness AS
SELECT
    -- account, video or account_video, text; ours
    'account' AS kind,
    -- Its id; of an account video platform:id, as its id alone is not unique, id; GET /accounts,
    -- /videos, /account-videos
    r.id AS id,
    -- When the API last read it from the platform, UTC instant or NULL; last_scrape_time of the
    -- resource
    r.last_scrape_time,
    -- Time between scrapes; of an account video that of its account, whole hours or NULL;
    -- scrape_interval_hours of the resource
    r.scrape_interval_hours AS scrape_interval_hours,
    -- When the next scrape is expected: an interval after the last, or 24 hours where the API gives
    -- none; NULL before the first, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(r.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    -- Time since the last scrape, hours or NULL; ours
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
    -- 1 when expected_at is past and it is still being collected: not paused, not unavailable, and
    -- an account video's account neither and not removed, 0/1; ours
    coalesce(julianday(r.last_scrape_time) + max(coalesce(r.scrape_interval_hours, 24), 1) / 24.0 < julianday('now'), 0) AND NOT (r.is_active IS 0 OR r.is_unavailable IS 1) AS is_overdue
FROM account AS r
WHERE r.removed_at IS NULL
UNION ALL
SELECT
    'video' AS kind,
    r.id AS id,
    r.last_scrape_time,
    r.scrape_interval_hours AS scrape_interval_hours,
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(r.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
    coalesce(julianday(r.last_scrape_time) + max(coalesce(r.scrape_interval_hours, 24), 1) / 24.0 < julianday('now'), 0) AND NOT (r.is_active IS 0 OR r.is_unavailable IS 1) AS is_overdue
FROM video AS r
WHERE r.removed_at IS NULL
UNION ALL
SELECT
    'account_video' AS kind,
    r.platform || ':' || r.id AS id,
    r.last_scrape_time,
    a.scrape_interval_hours AS scrape_interval_hours,
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(a.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
    coalesce(julianday(r.last_scrape_time) + max(coalesce(a.scrape_interval_hours, 24), 1) / 24.0 < julianday('now'), 0) AND NOT (r.is_unavailable IS 1 OR a.is_active IS 0 OR a.is_unavailable IS 1 OR a.removed_at IS NOT NULL) AS is_overdue
FROM account_video AS r
LEFT JOIN account AS a ON a.id = r.account_id
WHERE r.removed_at IS NULL;
