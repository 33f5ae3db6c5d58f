-- The views that users query. They hold no data, so they can be dropped and recreated. Every view and
-- column is documented in `src/store/schema_docs/facts.rs`.

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
    s.at_s AS scraped_at_unix,
    s.follower_count,
    s.following_count,
    s.total_post_count,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count,
    s.profile_post_count,
    s.fb_play_count,
    s.ig_play_count,
    s.fb_like_count
FROM account_scrape AS s
JOIN account AS r ON r.row_id = s.account;

CREATE VIEW video_history AS
SELECT
    r.id AS video_id,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    s.at_s AS scraped_at_unix,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count,
    s.total_views,
    s.total_plays
FROM video AS r
JOIN post_scrape AS s ON s.post = r.post AND s.source = r.row_id;

CREATE VIEW account_video_history AS
SELECT
    nullif(r.platform, '') AS platform,
    r.id AS account_video_id,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    s.at_s AS scraped_at_unix,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count
FROM account_video AS r
JOIN post_scrape AS s ON s.post = r.post AND s.source = -r.row_id;

CREATE VIEW overview_history AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', observed_at / 1000000, 'unixepoch') || CASE observed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', observed_at % 1000000), '0') END || 'Z' AS observed_at,
    period,
    total_views,
    api_engagement_rate,
    active_accounts,
    account_videos,
    tracked_videos,
    extra
FROM overview_observation;

CREATE VIEW daily_metrics AS
SELECT
    d.kind AS kind,
    s.id AS id,
    d.date AS date,
    m.views AS views,
    m.plays AS plays,
    m.likes AS likes,
    m.comments AS comments,
    m.shares AS shares,
    m.engagement AS engagement
FROM metric_day AS d
JOIN metric AS m ON m.slot = d.slot AND m.state < 2
JOIN metric_subject AS s ON s.kind = d.kind AND s.row_id = m.row_id;

CREATE VIEW sync_log AS
SELECT
    run_id,
    strftime('%Y-%m-%dT%H:%M:%S', started_at / 1000000, 'unixepoch') || CASE started_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', started_at % 1000000), '0') END || 'Z' AS started_at,
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || CASE finished_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', finished_at % 1000000), '0') END || 'Z' AS finished_at,
    trigger,
    kind,
    requests,
    not_modified,
    rows_seen,
    rows_changed,
    type_mismatches,
    snapshots_added,
    snapshots_revised,
    removed,
    outcome,
    error_code,
    request_id,
    detail
FROM kind_run;

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
    strftime('%Y-%m-%dT%H:%M:%S', k.last_full_sync_at / 1000000, 'unixepoch') || CASE k.last_full_sync_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', k.last_full_sync_at % 1000000), '0') END || 'Z' AS last_full_sync_at,
    k.last_outcome
FROM kind_state AS k;

CREATE VIEW mirror_info AS
SELECT
    i.organization_id,
    i.api_key_name,
    i.timezone,
    strftime('%Y-%m-%dT%H:%M:%S', i.first_synced_at / 1000000, 'unixepoch') || CASE i.first_synced_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', i.first_synced_at % 1000000), '0') END || 'Z' AS first_synced_at,
    strftime('%Y-%m-%dT%H:%M:%S', r.started_at / 1000000, 'unixepoch') || CASE r.started_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', r.started_at % 1000000), '0') END || 'Z' AS last_run_at,
    (SELECT max(version) FROM refinery_schema_history) AS schema_version
FROM instance AS i
LEFT JOIN run AS r ON r.run_id = (SELECT max(run_id) FROM run);

CREATE VIEW change_log AS
SELECT
    change,
    changed_at_text AS changed_at,
    kind,
    id,
    field,
    old_value,
    new_value
FROM change;

CREATE VIEW creator_accounts AS
SELECT
    c.creator_id,
    a.id AS account_id,
    strftime('%Y-%m-%dT%H:%M:%S', c.from_at / 1000000, 'unixepoch') || CASE c.from_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', c.from_at % 1000000), '0') END || 'Z' AS from_at,
    strftime('%Y-%m-%dT%H:%M:%S', c.to_at / 1000000, 'unixepoch') || CASE c.to_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', c.to_at % 1000000), '0') END || 'Z' AS to_at
FROM creator_account AS c
JOIN account AS a ON a.row_id = c.account;

CREATE VIEW usage AS
SELECT
    platform,
    sum(is_account_post) AS account_posts,
    sum(1 - is_account_post) AS tracked_posts,
    sum(is_paused) AS paused_posts,
    count(*) AS posts_total
FROM (
    SELECT nullif(r.platform, '') AS platform, 1 AS is_account_post, a.is_active IS 0 AS is_paused
    FROM account_video AS r
    LEFT JOIN account AS a ON a.id = r.account_id
    WHERE r.removed_at IS NULL
    UNION ALL
    SELECT nullif(r.platform, '') AS platform, 0 AS is_account_post, r.is_active IS 0 AS is_paused
    FROM video AS r
    WHERE r.removed_at IS NULL
)
GROUP BY platform;

CREATE VIEW outbox_log AS
SELECT
    entry,
    strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || CASE created_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', created_at % 1000000), '0') END || 'Z' AS created_at,
    kind,
    action,
    target,
    state,
    attempts,
    CASE WHEN state IN ('queued', 'unsure') AND max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) > created_at THEN
        strftime('%Y-%m-%dT%H:%M:%S', max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) / 1000000, 'unixepoch')
        || CASE max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) % 1000000), '0') END || 'Z'
    END AS next_attempt_at,
    idempotency_key,
    http_status,
    code,
    detail,
    request_id,
    result_id,
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || CASE finished_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', finished_at % 1000000), '0') END || 'Z' AS finished_at
FROM outbox;

CREATE VIEW outbox_requests AS
SELECT
    kind,
    action,
    target,
    CASE
        WHEN action IN ('link', 'unlink') THEN json_object('account_id', account)
        ELSE body
    END AS body
FROM outbox;

-- Messages are constants: an expression in RAISE would make the file unreadable for older SQLite.
CREATE TRIGGER outbox_requests_insert INSTEAD OF INSERT ON outbox_requests
BEGIN
    SELECT RAISE(ABORT, 'kind must be account, creator or video')
    WHERE coalesce(new.kind NOT IN ('account', 'creator', 'video'), 1);
    SELECT RAISE(ABORT, 'action must be track, set, untrack, link or unlink')
    WHERE coalesce(new.action NOT IN ('track', 'set', 'untrack', 'link', 'unlink'), 1);
    SELECT RAISE(ABORT, 'link and unlink are actions of kind creator')
    WHERE new.action IN ('link', 'unlink') AND new.kind <> 'creator';

    SELECT RAISE(ABORT, 'target must be NULL with track; body names the resource')
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
    SELECT RAISE(ABORT, 'body must have identifier, a string: a post URL, numeric id or shortcode')
    WHERE new.action = 'track' AND new.kind = 'video'
      AND (coalesce(json_type(new.body, '$.identifier') <> 'text', 1)
           OR trim(json_extract(new.body, '$.identifier')) = '');
    SELECT RAISE(ABORT, 'body must have username, a string')
    WHERE new.action = 'track' AND new.kind = 'account'
      AND (coalesce(json_type(new.body, '$.username') <> 'text', 1)
           OR trim(json_extract(new.body, '$.username')) = '');
    SELECT RAISE(ABORT, 'body must have name, a string of 1 to 255 characters')
    WHERE (new.action = 'track' OR json_type(new.body, '$.name') IS NOT NULL)
      AND new.kind = 'creator' AND new.action IN ('track', 'set')
      AND (coalesce(json_type(new.body, '$.name') <> 'text', 1)
           OR length(json_extract(new.body, '$.name')) NOT BETWEEN 1 AND 255);
    SELECT RAISE(ABORT, 'body must have account_id, a string: an id, platform:username, or @N')
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
    SELECT RAISE(ABORT, 'category must be a string or null')
    WHERE json_type(new.body, '$.category') NOT IN ('text', 'null');
    SELECT RAISE(ABORT, 'metadata must be an object of at most 20 strings')
    WHERE json_type(new.body, '$.metadata') IS NOT NULL
      AND CASE json_type(new.body, '$.metadata')
            WHEN 'object' THEN
                (SELECT count(*) > 20 OR coalesce(sum(type <> 'text'), 0) > 0
                 FROM json_each(new.body, '$.metadata'))
            ELSE 1
          END;
    SELECT RAISE(ABORT, 'body has a member that is not valid for this kind and action')
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

-- Views for analysis over the current state and the history. They use only features of SQLite 3.37, the
-- first version that reads STRICT tables, because they run in the analyst's shell or library.

CREATE VIEW video_growth AS
SELECT
    r.id AS video_id,
    strftime('%Y-%m-%dT%H:%M:%S', p.at_s, 'unixepoch') || CASE p.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', p.at_ns), '0') END || 'Z' AS from_at,
    p.at_s AS from_at_unix,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS to_at,
    s.at_s AS to_at_unix,
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 AS hours,
    s.view_count - p.view_count AS views_gained,
    s.like_count - p.like_count AS likes_gained,
    s.comment_count - p.comment_count AS comments_gained,
    s.share_count - p.share_count AS shares_gained,
    (s.view_count - p.view_count) / (((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600) AS views_per_hour,
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 > 1.5 * max(coalesce(s.interval_hours, 24), coalesce(p.interval_hours, 24), 1)
        -- A pause is not a gap.
        AND NOT EXISTS (
            SELECT 1
            FROM change AS c
            WHERE c.id = r.id AND c.kind = 'video' AND c.field = 'is_active' AND c.new_value = 0
                AND c.changed_at BETWEEN p.at_s * 1000000 AND s.at_s * 1000000
        ) AS is_gap
FROM video AS r
JOIN post_scrape AS s ON s.post = r.post AND s.source = r.row_id
JOIN post_scrape AS p
    ON p.post = s.post
    AND p.source = s.source
    -- A look-up by primary key instead of a window function, so that SQLite applies any filter to the
    -- history table: a query for one video reads only its scrapes, also in a join.
    AND (p.at_s, p.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM post_scrape AS q
        WHERE q.post = s.post AND q.source = s.source AND (q.at_s, q.at_ns) < (s.at_s, s.at_ns)
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    );

CREATE VIEW video_daily AS
SELECT
    r.id AS video_id,
    strftime('%Y-%m-%d', s.at_s, 'unixepoch') AS date,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count,
    s.view_count - p.view_count AS views_gained,
    s.like_count - p.like_count AS likes_gained,
    s.comment_count - p.comment_count AS comments_gained,
    s.share_count - p.share_count AS shares_gained
FROM video AS r
JOIN post_scrape AS s ON s.post = r.post AND s.source = r.row_id
LEFT JOIN post_scrape AS p
    ON p.post = s.post
    AND p.source = s.source
    AND (p.at_s, p.at_ns) = (
        -- The remainder is made positive, so that days before 1970 also begin at midnight.
        SELECT q.at_s, q.at_ns
        FROM post_scrape AS q
        WHERE q.post = s.post AND q.source = s.source AND q.at_s < s.at_s - (s.at_s % 86400 + 86400) % 86400
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    )
WHERE NOT EXISTS (
    SELECT 1
    FROM post_scrape AS n
    WHERE n.post = s.post
        AND n.source = s.source
        AND (n.at_s, n.at_ns) > (s.at_s, s.at_ns)
        AND n.at_s < s.at_s - (s.at_s % 86400 + 86400) % 86400 + 86400
);

CREATE VIEW video_latest AS
SELECT
    v.*,
    a.name AS account_name,
    a.creator_id,
    coalesce(c.name, a.creator_name) AS creator_name,
    CASE
        WHEN coalesce(v.like_count, v.comment_count, v.share_count) IS NOT NULL THEN
            (coalesce(v.like_count, 0) + coalesce(v.comment_count, 0) + coalesce(v.share_count, 0)) * 1.0 / nullif(v.view_count, 0)
    END AS engagement_rate
FROM videos AS v
LEFT JOIN account AS a ON a.id = v.account_id
LEFT JOIN creator AS c ON c.id = a.creator_id;

-- The sums are computed in two halves of 32 bits, because SQLite's sum() fails if the result exceeds 64
-- bits, and one absurd count in an answer must not make the view fail.

CREATE VIEW creator_rollup AS
SELECT
    c.id AS creator_id,
    c.name AS creator_name,
    count(a.row_id) AS accounts,
    sum(a.follower_count >> 32) * 4294967296 + sum(a.follower_count & 4294967295) AS followers,
    sum(a.view_count >> 32) * 4294967296 + sum(a.view_count & 4294967295) AS views,
    sum(a.like_count >> 32) * 4294967296 + sum(a.like_count & 4294967295) AS likes,
    sum(a.comment_count >> 32) * 4294967296 + sum(a.comment_count & 4294967295) AS comments,
    sum(a.share_count >> 32) * 4294967296 + sum(a.share_count & 4294967295) AS shares,
    (sum(a.like_count * 1.0) + sum(a.comment_count * 1.0) + sum(a.share_count * 1.0)) / nullif(sum(a.view_count * 1.0), 0) AS engagement_rate
FROM creator AS c
LEFT JOIN account AS a ON a.creator_id = c.id AND a.removed_at IS NULL
WHERE c.removed_at IS NULL
GROUP BY c.row_id;

CREATE VIEW freshness AS
SELECT
    'account' AS kind,
    r.id AS id,
    r.last_scrape_time,
    r.scrape_interval_hours AS scrape_interval_hours,
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(r.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
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
