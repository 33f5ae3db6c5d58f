-- Best posting hour
-- Views of the posts of the last 90 days by the hour (UTC) in which they were published, relative to the
-- average of their account, so that large accounts do not dominate: 1.2 means 20 % above average. Posts
-- younger than 2 days are excluded. A post that is tracked twice counts once.
WITH posts AS (
    SELECT platform, coalesce(external_id, id) AS post, account_username, create_time, view_count
    FROM account_videos
    WHERE removed_at IS NULL
    UNION ALL
    SELECT platform, coalesce(external_id, id), account_username, create_time, view_count
    FROM videos
    WHERE removed_at IS NULL
),
per_post AS (
    SELECT
        platform,
        account_username,
        -- For another time zone, such as UTC+2: strftime('%H', max(create_time), '+2 hours').
        strftime('%H', max(create_time)) AS hour,
        max(view_count) AS views
    FROM posts
    WHERE create_time BETWEEN strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-90 days')
                          AND strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')
        AND view_count IS NOT NULL
    GROUP BY platform, post
),
measured AS (
    SELECT hour, views, avg(views) OVER (PARTITION BY platform, account_username) AS usual
    FROM per_post
)
SELECT
    hour AS hour_utc,
    count(*) AS posts,
    round(avg(views)) AS average_views,
    round(avg(views / nullif(usual, 0)), 2) AS times_the_usual
FROM measured
GROUP BY hour
ORDER BY times_the_usual DESC, hour;
