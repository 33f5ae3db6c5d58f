-- Engagement by creator and platform
-- Posts, grouped by the creator of their account and platform. engagement_rate is likes, comments and shares,
-- as far as known, per view, over the posts with views and at least one of these counts.
SELECT
    coalesce(creator_name, '(no creator)') AS creator,
    platform,
    count(*) AS posts,
    sum(view_count) AS views,
    sum(engagement_rate * view_count) AS engagement,
    round(sum(engagement_rate * view_count) / nullif(sum(CASE WHEN engagement_rate IS NOT NULL THEN view_count END), 0), 4) AS engagement_rate
FROM posts
WHERE removed_at IS NULL
GROUP BY creator_id, platform
ORDER BY engagement_rate DESC, creator, platform;
