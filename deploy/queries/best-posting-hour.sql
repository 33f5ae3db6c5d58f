-- Best posting hour
-- Views of the posts of the last 90 days by the hour in which they were published, in the time zone of the
-- setting `timezone`, relative to the average of their account, so that large accounts do not dominate: 1.2
-- means 20 % above average. Posts younger than 2 days are excluded.
WITH measured AS (
    SELECT
        published_hour_local AS hour_local,
        view_count AS views,
        avg(view_count) OVER (PARTITION BY platform, account_username) AS usual
    FROM posts
    WHERE create_time BETWEEN strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-90 days')
                          AND strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')
        AND view_count IS NOT NULL
        AND removed_at IS NULL
)
SELECT
    hour_local,
    count(*) AS posts,
    round(avg(views)) AS average_views,
    round(avg(views / nullif(usual, 0)), 2) AS times_the_usual
FROM measured
GROUP BY hour_local
ORDER BY times_the_usual DESC, hour_local;
