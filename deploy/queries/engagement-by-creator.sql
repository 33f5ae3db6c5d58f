-- Engagement by creator and platform
-- Totals of the accounts, grouped by linked creator and platform. engagement_percent is likes, comments
-- and shares per hundred views.
SELECT
    coalesce(c.name, a.creator_name, '(no creator)') AS creator,
    a.platform,
    count(*) AS accounts,
    sum(a.follower_count) AS followers,
    sum(a.view_count) AS views,
    sum(a.like_count) + sum(a.comment_count) + sum(a.share_count) AS engagement,
    round(
        100.0 * (sum(a.like_count) + sum(a.comment_count) + sum(a.share_count)) / nullif(sum(a.view_count), 0),
        2
    ) AS engagement_percent
FROM accounts AS a
LEFT JOIN creators AS c ON c.id = a.creator_id
WHERE a.removed_at IS NULL
GROUP BY a.creator_id, a.platform
ORDER BY engagement_percent DESC, creator, a.platform;
