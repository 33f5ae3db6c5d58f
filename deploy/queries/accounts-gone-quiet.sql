-- Accounts gone quiet
-- Active tracked accounts whose latest post is at least 14 days old, or that have no post in the mirror.
-- :days integer = 14  Least age of the latest post in days
SELECT
    a.id AS account_id,
    a.platform,
    a.username,
    a.creator_name,
    a.follower_count AS followers,
    max(p.create_time) AS last_post,
    CAST(julianday('now') - julianday(max(p.create_time)) AS INTEGER) AS days_ago
FROM accounts AS a
LEFT JOIN posts AS p ON p.account_id = a.id
WHERE a.removed_at IS NULL AND a.is_active
GROUP BY a.id
HAVING last_post IS NULL OR days_ago >= coalesce(:days, 14)
ORDER BY last_post, a.id;
