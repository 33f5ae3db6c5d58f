-- What has disappeared
-- Accounts and posts that the API no longer lists (removed) or the platform no longer shows (unavailable),
-- the latest first, with their last counts. Their history stays in the mirror.
SELECT *
FROM (
    SELECT 'account' AS kind, id, platform, username AS account, removed_at, is_unavailable, last_scrape_time, view_count AS last_views
    FROM accounts
    WHERE removed_at IS NOT NULL OR is_unavailable
    UNION ALL
    SELECT 'post', post_key, platform, account_username, removed_at, is_unavailable, last_scrape_time, view_count
    FROM posts
    WHERE removed_at IS NOT NULL OR is_unavailable
)
ORDER BY coalesce(removed_at, last_scrape_time) DESC, kind, id;
