-- What has disappeared
-- Accounts and posts that the API no longer lists or the platform no longer shows, with their last
-- counts. Their history stays in the mirror.
SELECT 'account' AS kind, id, platform, username AS account, removed_at, is_unavailable, last_scrape_time, view_count AS last_views
FROM accounts
WHERE removed_at IS NOT NULL OR is_unavailable
UNION ALL
SELECT 'video', id, platform, account_username, removed_at, is_unavailable, last_scrape_time, view_count
FROM videos
WHERE removed_at IS NOT NULL OR is_unavailable
UNION ALL
SELECT 'account_video', id, platform, account_username, removed_at, is_unavailable, last_scrape_time, view_count
FROM account_videos
WHERE removed_at IS NOT NULL OR is_unavailable
ORDER BY removed_at DESC, kind, id
LIMIT 100;
