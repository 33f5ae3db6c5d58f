-- Posts losing steam
-- Videos that gained less than half as many views per hour in the last 2 days as in the 5 days before,
-- largest loss first. Videos without a scrape in one of the two periods are left out.
SELECT
    v.id AS video_id,
    v.platform,
    v.account_username,
    substr(v.description, 1, 60) AS caption,
    v.view_count AS views,
    round(before_gained / before_hours, 1) AS views_per_hour_before,
    round(recent_gained / recent_hours, 1) AS views_per_hour_now,
    round(100 * (1 - (recent_gained / recent_hours) / (before_gained / before_hours)), 1) AS percent_lost
FROM (
    SELECT
        video_id,
        sum(views_gained) FILTER (WHERE to_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')) AS recent_gained,
        sum(hours) FILTER (WHERE to_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')) AS recent_hours,
        sum(views_gained) FILTER (WHERE to_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')) AS before_gained,
        sum(hours) FILTER (WHERE to_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days')) AS before_hours
    FROM video_growth
    WHERE to_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')
        AND views_gained IS NOT NULL
    GROUP BY video_id
) AS g
JOIN videos AS v ON v.id = g.video_id
WHERE v.removed_at IS NULL
    AND before_gained > 0
    AND recent_gained / recent_hours < 0.5 * before_gained / before_hours
ORDER BY before_gained / before_hours - recent_gained / recent_hours DESC, v.id
LIMIT 25;
