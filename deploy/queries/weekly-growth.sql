-- Weekly growth by account
-- Followers, posts and engagement of each account in the last 8 weeks, from Monday to Sunday in UTC. The
-- present week is incomplete.
-- :weeks integer = 8  Number of weeks
SELECT
    w.week,
    a.platform,
    a.username,
    w.follower_count AS followers,
    w.followers_gained,
    round(w.followers_gained_pct, 2) AS followers_gained_percent,
    w.posts_published,
    w.views_gained,
    round(w.engagement_rate, 4) AS engagement_rate
FROM account_weekly AS w
JOIN accounts AS a ON a.id = w.account_id
WHERE w.week > date('now', '-' || (7 * coalesce(:weeks, 8)) || ' days') AND a.removed_at IS NULL
ORDER BY w.week DESC, w.views_gained DESC, w.account_id;
