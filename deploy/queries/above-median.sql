-- Posts above five times the median of their account
-- Posts of the last 90 days whose views 7 days after publication were at least five times the median of their
-- account's posts of these days.
-- :times real = 5  Least ratio to the median
WITH measured AS MATERIALIZED (
    SELECT p.post_key, p.account_id, p.account_username, p.description, p.url, p.create_time, m.views_7d
    FROM posts AS p
    JOIN post_age_metrics AS m ON m.post_key = p.post_key
    WHERE p.create_time >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-90 days')
        AND p.account_id IS NOT NULL
),
placed AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY account_id ORDER BY views_7d) AS place,
        count(*) OVER (PARTITION BY account_id) AS places
    FROM measured
    WHERE views_7d IS NOT NULL
),
median AS (
    SELECT account_id, avg(views_7d) AS views_7d
    FROM placed
    WHERE place IN ((places + 1) / 2, (places + 2) / 2)
    GROUP BY account_id
)
SELECT
    p.post_key,
    p.account_username,
    substr(p.description, 1, 60) AS caption,
    p.url,
    p.create_time AS posted_at,
    p.views_7d,
    m.views_7d AS median_views_7d,
    round(p.views_7d / nullif(m.views_7d, 0), 1) AS times_median
FROM placed AS p
JOIN median AS m ON m.account_id = p.account_id
WHERE p.views_7d >= coalesce(:times, 5) * m.views_7d AND m.views_7d > 0
ORDER BY p.views_7d / m.views_7d DESC, p.post_key
LIMIT 100;
