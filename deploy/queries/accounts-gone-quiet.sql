-- Accounts gone quiet
-- Active tracked accounts whose latest post is at least 14 days old, or that have no post in the mirror.
-- :days integer = 14  Least age of the latest post in days
WITH latest AS (
    SELECT account_id, max(create_time) AS last_post
    FROM posts
    WHERE account_id IS NOT NULL
    GROUP BY account_id
)
SELECT
    a.id AS account_id,
    a.platform,
    a.username,
    a.creator_name,
    a.follower_count AS followers,
    p.last_post,
    CAST(julianday('now') - julianday(p.last_post) AS INTEGER) AS days_ago
FROM accounts AS a
LEFT JOIN latest AS p ON p.account_id = a.id
WHERE a.removed_at IS NULL
    AND a.is_active
    AND (p.last_post IS NULL OR julianday('now') - julianday(p.last_post) >= coalesce(:days, 14))
ORDER BY p.last_post, a.id;
