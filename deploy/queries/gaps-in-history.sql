-- Gaps in the history
-- Videos whose history of the last 7 days may lack scrapes: the API shows only the newest scrape, and it may
-- have been overwritten before it was read. The counts on both sides of a gap are correct.
-- :days integer = 7  Length of the period in days
SELECT
    g.video_id,
    v.platform,
    v.account_username,
    v.scrape_interval_hours AS interval_hours,
    count(*) AS gaps,
    round(max(g.hours), 1) AS longest_hours,
    max(g.to_at) AS last_gap_ended
FROM video_growth AS g
JOIN videos AS v ON v.id = g.video_id
WHERE g.is_gap AND g.to_at_unix >= CAST(strftime('%s', 'now') AS INTEGER) - 86400 * coalesce(:days, 7)
GROUP BY g.video_id
ORDER BY gaps DESC, longest_hours DESC, g.video_id
LIMIT 100;
