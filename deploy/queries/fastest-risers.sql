-- Fastest risers this week
-- The posts that gained the most views in the last 7 days. A post published within these days gained all its
-- views (is_new); if the history of an older one begins within them, its gain counts from its first scrape
-- (is_partial).
-- :days integer = 7  Length of the period in days: 1, 7, 14, 28, 30 or 90
-- :limit integer = 25  Most rows
WITH top AS (
    SELECT post_key, views_gained
    FROM post_gains
    WHERE days = coalesce(:days, 7) AND views_gained > 0
    ORDER BY views_gained DESC, post_key
    LIMIT coalesce(:limit, 25)
)
SELECT
    t.post_key,
    p.account_username,
    substr(p.description, 1, 60) AS caption,
    p.url,
    p.view_count AS views,
    t.views_gained,
    round(t.views_gained / nullif(g.window_hours, 0), 1) AS views_per_hour,
    g.is_new,
    g.is_partial,
    g.has_wide_gap
FROM top AS t
JOIN posts AS p ON p.post_key = t.post_key
JOIN post_gains AS g ON g.post_key = t.post_key AND g.days = coalesce(:days, 7)
ORDER BY t.views_gained DESC, t.post_key;
