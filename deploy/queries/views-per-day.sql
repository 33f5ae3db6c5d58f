-- Views per day by platform
-- Views, likes, comments and shares gained by all videos on each of the last 30 UTC days. The current
-- day is incomplete. If a video was not scraped on a day, its gain counts on the day of its next scrape.
SELECT
    d.date,
    v.platform,
    count(*) AS videos_scraped,
    sum(d.views_gained) AS views_gained,
    sum(d.likes_gained) AS likes_gained,
    sum(d.comments_gained) AS comments_gained,
    sum(d.shares_gained) AS shares_gained
FROM video_daily AS d
JOIN videos AS v ON v.id = d.video_id
WHERE d.date >= date('now', '-30 days')
GROUP BY d.date, v.platform
ORDER BY d.date DESC, v.platform;
