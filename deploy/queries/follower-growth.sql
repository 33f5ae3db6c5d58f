-- Follower growth by account
-- Followers now and at the end of the day a week ago. For an account mirrored for less than a week, the
-- comparison is with its first day.
WITH before AS (
    SELECT account_id, min(date) AS since
    FROM account_daily
    WHERE date >= date('now', '-7 days')
    GROUP BY account_id
)
SELECT
    a.id AS account_id,
    a.platform,
    a.username,
    a.creator_name,
    b.since,
    d.follower_count AS followers_before,
    a.follower_count AS followers,
    a.follower_count - d.follower_count AS gained,
    round(100.0 * (a.follower_count - d.follower_count) / nullif(d.follower_count, 0), 2) AS percent
FROM before AS b
JOIN account_daily AS d ON d.account_id = b.account_id AND d.date = b.since
JOIN accounts AS a ON a.id = b.account_id
WHERE a.removed_at IS NULL AND d.follower_count IS NOT NULL
ORDER BY gained DESC, a.id;
