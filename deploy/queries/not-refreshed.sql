-- What the API has not refreshed
-- Accounts and posts whose next scrape is overdue, the longest overdue first. Paused and unavailable
-- ones are left out.
SELECT
    f.kind,
    f.id,
    coalesce(a.username, v.account_username, p.account_username) AS account,
    f.last_scrape_time,
    f.scrape_interval_hours AS interval_hours,
    round(f.age_hours, 1) AS age_hours,
    round((julianday('now') - julianday(f.expected_at)) * 24, 1) AS hours_late
FROM freshness AS f
LEFT JOIN accounts AS a ON f.kind = 'account' AND a.id = f.id
LEFT JOIN videos AS v ON f.kind = 'video' AND v.id = f.id
LEFT JOIN account_videos AS p
    ON f.kind = 'account_video'
    AND p.id = substr(f.id, instr(f.id, ':') + 1)
    AND p.platform = substr(f.id, 1, instr(f.id, ':') - 1)
WHERE f.is_overdue
ORDER BY hours_late DESC, f.kind, f.id
LIMIT 100;
