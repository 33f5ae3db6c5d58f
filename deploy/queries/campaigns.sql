-- Campaigns
-- Tracked posts by the value of a metadata key, `campaign` unless another is given; posts whose video lacks
-- it count under the value of their account.
-- :key text = 'campaign'  The metadata key
SELECT
    coalesce(
        json_extract(p.metadata, '$."' || coalesce(:key, 'campaign') || '"'),
        json_extract(a.metadata, '$."' || coalesce(:key, 'campaign') || '"'),
        '(none)'
    ) AS campaign,
    count(*) AS posts,
    count(DISTINCT p.account_username) AS accounts,
    sum(p.view_count) AS views,
    sum(p.engagement_rate * p.view_count) AS engagement,
    round(
        sum(p.engagement_rate * p.view_count)
            / nullif(sum(CASE WHEN p.engagement_rate IS NOT NULL THEN p.view_count END), 0),
        4
    ) AS engagement_rate
FROM posts AS p
LEFT JOIN accounts AS a ON a.id = p.account_id
WHERE p.removed_at IS NULL
GROUP BY 1
ORDER BY views DESC, campaign;
