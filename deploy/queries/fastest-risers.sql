-- Fastest risers this week
-- The videos that gained the most views in the last 7 days. If the history of a video begins within
-- these days, is_partial is 1 and the gain counts from its first scrape.
-- :days integer = 7  Length of the period in days: 1, 7, 14, 30 or 90
-- :limit integer = 25  Most rows
SELECT
    v.id AS video_id,
    v.platform,
    v.account_username,
    substr(v.description, 1, 60) AS caption,
    v.view_count AS views,
    g.views_gained,
    round(g.views_gained / ((julianday(g.to_at) - julianday(g.from_at)) * 24), 1) AS views_per_hour,
    g.is_partial
FROM video_gains AS g
JOIN videos AS v ON v.id = g.video_id
WHERE g.days = coalesce(:days, 7)
    AND g.views_gained > 0
    AND v.removed_at IS NULL
ORDER BY g.views_gained DESC, v.id
LIMIT coalesce(:limit, 25);
