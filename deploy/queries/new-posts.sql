-- New posts this week, and how they start
-- Posts published in the last 7 days: views 24 hours after publication, interpolated between scrapes, and
-- their ratio to the average of the account's other posts of the last 90 days at that age.
WITH started AS (
    SELECT p.post_key, p.account_id, p.account_username, p.description, p.url, p.create_time, p.view_count, m.views_24h
    FROM posts AS p
    JOIN post_age_metrics AS m ON m.post_key = p.post_key
    WHERE p.create_time >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-90 days') AND p.removed_at IS NULL
),
usual AS (
    SELECT account_id, sum(views_24h) AS views, count(views_24h) AS posts
    FROM started
    GROUP BY account_id
)
SELECT
    s.post_key,
    s.account_username,
    substr(s.description, 1, 60) AS caption,
    s.url,
    s.create_time AS posted_at,
    s.views_24h,
    round(s.views_24h * (u.posts - 1.0) / nullif(u.views - s.views_24h, 0), 2) AS times_the_usual,
    s.view_count AS views
FROM started AS s
LEFT JOIN usual AS u ON u.account_id = s.account_id
WHERE s.create_time >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')
ORDER BY s.create_time DESC, s.post_key
LIMIT 100;
