-- Most engaging posts
-- Videos by likes, comments and shares per hundred views. Only videos with at least 1,000 views, because
-- a few reactions dominate the rate of smaller ones.
SELECT
    id AS video_id,
    platform,
    account_username,
    creator_name,
    substr(description, 1, 60) AS caption,
    view_count AS views,
    like_count + comment_count + share_count AS engagement,
    round(100 * engagement_rate, 2) AS engagement_percent
FROM video_latest
WHERE removed_at IS NULL AND view_count >= 1000 AND engagement_rate IS NOT NULL
ORDER BY engagement_rate DESC, id
LIMIT 25;
