-- Most engaging posts
-- Posts by likes, comments and shares, as far as known, per view. Only posts with at least 1,000 views,
-- because a few reactions dominate the rate of smaller ones.
-- :least_views integer = 1000  Least views of a post
SELECT
    post_key,
    account_username,
    creator_name,
    substr(description, 1, 60) AS caption,
    url,
    view_count AS views,
    round(engagement_rate * view_count) AS engagement,
    round(engagement_rate, 4) AS engagement_rate
FROM posts
WHERE removed_at IS NULL AND view_count >= coalesce(:least_views, 1000) AND engagement_rate IS NOT NULL
ORDER BY posts.engagement_rate DESC, post_key
LIMIT 25;
