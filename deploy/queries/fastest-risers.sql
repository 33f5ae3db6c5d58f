-- Fastest risers this week
-- The videos that gained the most views between scrapes of the last 7 days. A video that is new gained
-- what came after its first scrape. has_gap says that scrapes between may not have been seen; the gain
-- is right all the same.
SELECT
    v.id AS video_id,
    v.platform,
    v.account_username,
    substr(v.description, 1, 60) AS caption,
    v.view_count AS views,
    sum(g.views_gained) AS views_gained,
    round(sum(g.views_gained) / sum(g.hours), 1) AS views_per_hour,
    max(g.is_gap) AS has_gap
FROM video_growth AS g
JOIN videos AS v ON v.id = g.video_id
WHERE g.to_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')
    AND v.removed_at IS NULL
GROUP BY v.id
HAVING sum(g.views_gained) > 0
ORDER BY views_gained DESC, v.id
LIMIT 25;
