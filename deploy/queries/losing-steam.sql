-- Posts losing steam
-- Posts that gained less than half as many views per day in the last day as in the 6 days before, largest
-- loss first. Posts that were published in the last 7 days are left out.
WITH recent AS (
    SELECT post_key, views_gained * 24 / window_hours AS per_day, views_gained
    FROM post_gains
    WHERE days = 1 AND NOT is_new AND NOT is_partial AND window_hours > 0
),
week AS (
    SELECT post_key, views_gained
    FROM post_gains
    WHERE days = 7 AND NOT is_new AND NOT is_partial
)
SELECT
    r.post_key,
    p.account_username,
    substr(p.description, 1, 60) AS caption,
    p.url,
    p.view_count AS views,
    round((w.views_gained - r.views_gained) / 6.0, 1) AS views_per_day_before,
    round(r.per_day, 1) AS views_per_day_now,
    round(100 * (1 - r.per_day * 6 / (w.views_gained - r.views_gained)), 1) AS percent_lost
FROM recent AS r
JOIN week AS w ON w.post_key = r.post_key
JOIN posts AS p ON p.post_key = r.post_key
WHERE p.removed_at IS NULL
    AND w.views_gained > r.views_gained
    AND r.per_day < 0.5 * (w.views_gained - r.views_gained) / 6
ORDER BY (w.views_gained - r.views_gained) / 6.0 - r.per_day DESC, r.post_key
LIMIT 25;
