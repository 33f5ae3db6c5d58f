-- The views that users query. They hold no data: dropping and making them again loses nothing.
--
-- The comment before a view and those before its columns are the documentation: `schema` prints them,
-- and `src/store/dictionary.rs` reads them. A column's is `what it is, unit; where the API says it`,
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
    engagement_rate,
    -- Accounts tracked and not paused, count or NULL; GET /overview,
    -- Overview.current.active_accounts
    active_accounts,
    -- Posts found in the feeds of accounts, count or NULL; GET /overview,
    -- Overview.current.account_videos
    account_videos,
    -- Individually tracked videos, count or NULL; GET /overview, Overview.current.tracked_videos
    tracked_videos
FROM overview_observation;

-- What every pass did, a row per pass and kind that had a turn; key pass, kind. Kept for
-- log_retention.
CREATE VIEW sync_log AS
SELECT
    -- Number of the pass, in order of time, number; ours
    pass,
    -- When the kind's turn began, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000, 'unixepoch') || CASE started_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', started_at % 1000000), '0') END || 'Z' AS started_at,
    -- When it ended; NULL while it runs, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || CASE finished_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', finished_at % 1000000), '0') END || 'Z' AS finished_at,
    -- Why the kind had a turn: first, sweep, due, resume, unfinished, full or accept_removals,
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
    rows_odd,
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
    -- Start of the last complete walk: everything the API listed then is in the mirror; NULL before
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
    -- Start of the last walk, whatever came of it, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', k.last_walk_at / 1000000, 'unixepoch') || CASE k.last_walk_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', k.last_walk_at % 1000000), '0') END || 'Z' AS last_walk_at,
    -- What came of it, in the words of sync_log, text or NULL; ours
    k.last_outcome
FROM kind_state AS k;
