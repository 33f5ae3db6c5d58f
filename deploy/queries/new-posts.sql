-- New posts this week, and how they start
-- Posts that tracked accounts published in the last 7 days: views at the last scrape within a day of
-- publication, and their ratio to the average of the account's new posts.
WITH started AS (
    SELECT
        p.platform,
        p.id,
        p.account_username,
        p.description,
        p.create_time,
        p.view_count,
        (
            SELECT h.view_count
            FROM account_video_history AS h
            WHERE h.account_video_id = p.id AND h.platform = p.platform
                AND julianday(h.scraped_at) <= julianday(p.create_time) + 1
            ORDER BY h.scraped_at DESC
            LIMIT 1
        ) AS first_day_views
    FROM account_videos AS p
    WHERE p.create_time >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')
        AND p.removed_at IS NULL
)
SELECT
    platform,
    id,
    account_username,
    substr(description, 1, 60) AS caption,
    create_time AS posted_at,
    first_day_views,
    round(first_day_views / avg(first_day_views) OVER (PARTITION BY platform, account_username), 2) AS times_the_usual,
    view_count AS views
FROM started
ORDER BY first_day_views DESC, platform, id
LIMIT 100;
