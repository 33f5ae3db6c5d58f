-- Follower growth by account
-- Followers now and at the last scrape before a week ago. For an account mirrored for less than a week,
-- the comparison is with its first scrape.
WITH week_ago AS (
    SELECT
        account_id,
        coalesce(
            max(scraped_at) FILTER (WHERE scraped_at <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')),
            min(scraped_at)
        ) AS scraped_at
    FROM account_history
    WHERE follower_count IS NOT NULL
    GROUP BY account_id
)
SELECT
    a.id AS account_id,
    a.platform,
    a.username,
    a.creator_name,
    h.scraped_at AS since,
    h.follower_count AS followers_before,
    a.follower_count AS followers,
    a.follower_count - h.follower_count AS gained,
    round(100.0 * (a.follower_count - h.follower_count) / nullif(h.follower_count, 0), 2) AS percent
FROM week_ago AS w
JOIN account_history AS h ON h.account_id = w.account_id AND h.scraped_at = w.scraped_at
JOIN accounts AS a ON a.id = w.account_id
WHERE a.removed_at IS NULL
ORDER BY gained DESC, a.id;
