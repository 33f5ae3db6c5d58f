-- Posting frequency
-- Posts of each active tracked account that were published in the last 28 days and in the 28 days before, as far
-- as they are in the mirror; the most active accounts first.
WITH published AS (
    SELECT
        account_id,
        sum(create_time >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-28 days')) AS posts,
        sum(
            create_time >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-56 days')
            AND create_time < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-28 days')
        ) AS posts_before,
        max(create_time) AS last_post
    FROM posts
    WHERE account_id IS NOT NULL
    GROUP BY account_id
)
SELECT
    a.id AS account_id,
    a.platform,
    a.username,
    a.creator_name,
    coalesce(p.posts, 0) AS posts,
    round(coalesce(p.posts, 0) / 4.0, 1) AS posts_per_week,
    coalesce(p.posts_before, 0) AS posts_before,
    p.last_post
FROM accounts AS a
LEFT JOIN published AS p ON p.account_id = a.id
WHERE a.removed_at IS NULL AND a.is_active
ORDER BY posts DESC, posts_before DESC, a.id;
