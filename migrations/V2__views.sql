-- The views that users query. They hold no data: dropping and making them again loses nothing.

CREATE VIEW accounts AS
SELECT
    r.id,
    r.platform,
    r.username,
    r.type,
    r.name,
    r.description,
    r.profile_pic_url,
    r.profile_pic_url_original,
    r.is_verified,
    r.is_active,
    r.is_unavailable,
    r.link_in_bio,
    r.creator_id,
    r.creator_name,
    r.category,
    r.metadata,
    r.added_at,
    r.first_scrape_time,
    r.last_scrape_time,
    r.scrape_interval_hours,
    r.follower_count,
    r.following_count,
    r.profile_post_count,
    r.total_post_count,
    r.view_count,
    r.like_count,
    r.comment_count,
    r.share_count,
    r.play_count,
    r.saved_count,
    r.fb_play_count,
    r.ig_play_count,
    r.fb_like_count,
    r.max_recent_posts_per_account,
    r.post_lookback_days,
    r.effective_max_recent_posts_per_account,
    r.effective_post_lookback_days,
    r.extra,
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM account AS r
LEFT JOIN page AS p ON p.page = r.page;

CREATE VIEW creators AS
SELECT
    r.id,
    r.name,
    r.type,
    r.is_active,
    r.metadata,
    r.accounts_total,
    r.accounts_by_platform,
    r.total_followers,
    r.extra,
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM creator AS r
LEFT JOIN page AS p ON p.page = r.page;

CREATE VIEW videos AS
SELECT
    r.id,
    r.external_id,
    r.platform,
    r.type,
    r.shortcode,
    r.is_active,
    r.scrape_interval_hours,
    r.metadata,
    r.added_at,
    r.updated_at,
    r.first_scrape_time,
    r.last_scrape_time,
    r.description,
    r.create_time,
    r.media_type,
    r.duration,
    r.is_unavailable,
    r.cover_image_url,
    r.cover_image_url_original,
    r.video_url,
    r.video_url_original,
    r.view_count,
    r.like_count,
    r.comment_count,
    r.share_count,
    r.play_count,
    r.saved_count,
    r.total_views,
    r.total_plays,
    r.account_id,
    r.account_username,
    r.platform_account_id,
    r.platform_data,
    r.extra,
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM video AS r
LEFT JOIN page AS p ON p.page = r.page;

CREATE VIEW account_videos AS
SELECT
    -- Rows without one are kept under the empty text.
    nullif(r.platform, '') AS platform,
    r.id,
    r.external_id,
    r.type,
    r.shortcode,
    r.account_id,
    r.account_username,
    r.description,
    r.create_time,
    r.media_type,
    r.duration,
    r.is_unavailable,
    r.first_scrape_time,
    r.last_scrape_time,
    r.cover_image_url,
    r.video_url,
    r.view_count,
    r.like_count,
    r.comment_count,
    r.share_count,
    r.play_count,
    r.saved_count,
    r.extra,
    strftime('%Y-%m-%dT%H:%M:%S', r.first_mirrored_at / 1000000, 'unixepoch') || CASE r.first_mirrored_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.first_mirrored_at % 1000000), '0') END || 'Z' AS first_mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', max(r.as_of, coalesce(p.as_of, 0)) / 1000000, 'unixepoch') || CASE max(r.as_of, coalesce(p.as_of, 0)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(r.as_of, coalesce(p.as_of, 0)) % 1000000), '0') END || 'Z' AS mirrored_at,
    strftime('%Y-%m-%dT%H:%M:%S', r.removed_at / 1000000, 'unixepoch') || CASE r.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.removed_at % 1000000), '0') END || 'Z' AS removed_at
FROM account_video AS r
LEFT JOIN page AS p ON p.page = r.page;

CREATE VIEW account_history AS
SELECT
    r.id AS account_id,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    s.follower_count,
    s.following_count,
    s.total_post_count,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count
FROM account_scrape AS s
JOIN account AS r ON r.key = s.account;

CREATE VIEW video_history AS
SELECT
    r.id AS video_id,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count
FROM video_scrape AS s
JOIN video AS r ON r.key = s.video;

CREATE VIEW account_video_history AS
SELECT
    nullif(r.platform, '') AS platform,
    r.id AS account_video_id,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count
FROM account_video_scrape AS s
JOIN account_video AS r ON r.key = s.account_video;

CREATE VIEW overview_history AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', observed_at / 1000000, 'unixepoch') || CASE observed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', observed_at % 1000000), '0') END || 'Z' AS observed_at,
    period,
    total_views,
    engagement_rate,
    active_accounts,
    account_videos,
    tracked_videos
FROM overview_observation;

CREATE VIEW sync_log AS
SELECT
    pass,
    strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000, 'unixepoch') || CASE started_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', started_at % 1000000), '0') END || 'Z' AS started_at,
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || CASE finished_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', finished_at % 1000000), '0') END || 'Z' AS finished_at,
    trigger,
    kind,
    requests,
    not_modified,
    rows_seen,
    rows_changed,
    rows_odd,
    snapshots_added,
    snapshots_revised,
    removed,
    outcome,
    error_code,
    request_id,
    detail
FROM pass_kind;

CREATE VIEW coverage AS
SELECT
    k.kind,
    strftime('%Y-%m-%dT%H:%M:%S', k.complete_as_of / 1000000, 'unixepoch') || CASE k.complete_as_of % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', k.complete_as_of % 1000000), '0') END || 'Z' AS complete_as_of,
    CASE k.kind
        WHEN 'account' THEN (SELECT count(*) FROM account) - (SELECT count(*) FROM account WHERE removed_at IS NOT NULL)
        WHEN 'creator' THEN (SELECT count(*) FROM creator) - (SELECT count(*) FROM creator WHERE removed_at IS NOT NULL)
        WHEN 'video' THEN (SELECT count(*) FROM video) - (SELECT count(*) FROM video WHERE removed_at IS NOT NULL)
        WHEN 'account_video' THEN (SELECT count(*) FROM account_video) - (SELECT count(*) FROM account_video WHERE removed_at IS NOT NULL)
        WHEN 'overview' THEN (SELECT count(*) FROM overview_observation)
        WHEN 'meta' THEN (SELECT count(api_meta) FROM instance)
    END AS rows,
    CASE k.kind
        WHEN 'account' THEN (SELECT count(*) FROM account WHERE removed_at IS NOT NULL)
        WHEN 'creator' THEN (SELECT count(*) FROM creator WHERE removed_at IS NOT NULL)
        WHEN 'video' THEN (SELECT count(*) FROM video WHERE removed_at IS NOT NULL)
        WHEN 'account_video' THEN (SELECT count(*) FROM account_video WHERE removed_at IS NOT NULL)
        ELSE 0
    END AS removed,
    strftime('%Y-%m-%dT%H:%M:%S', k.last_walk_at / 1000000, 'unixepoch') || CASE k.last_walk_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', k.last_walk_at % 1000000), '0') END || 'Z' AS last_walk_at,
    k.last_outcome
FROM kind_state AS k;
