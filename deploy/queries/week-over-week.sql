-- Week over week by platform and creator
-- What the tracked accounts gained, and what their posts gained, on the last 7 complete UTC days and on the 7
-- days before, which are NULL while the mirror is younger. An account counts for the creator it was linked to
-- on each day.
WITH day AS (
    SELECT
        'platform' AS grouped_by,
        coalesce(a.platform, '(unknown)') AS id,
        coalesce(a.platform, '(unknown)') AS name,
        d.date,
        d.views_gained,
        d.followers_gained,
        d.posts_published
    FROM account_daily AS d
    JOIN accounts AS a ON a.id = d.account_id
    WHERE d.date BETWEEN date('now', '-14 days') AND date('now', '-1 day')
    UNION ALL
    SELECT
        'creator',
        d.creator_id,
        coalesce(c.name, d.creator_id),
        d.date,
        d.views_gained,
        d.followers_gained,
        d.posts_published
    FROM creator_daily AS d
    LEFT JOIN creators AS c ON c.id = d.creator_id
    WHERE d.date BETWEEN date('now', '-14 days') AND date('now', '-1 day')
),
week AS (
    SELECT
        grouped_by,
        id,
        name,
        date < date('now', '-7 days') AS is_before,
        sum(views_gained) AS views_gained,
        CAST(sum(followers_gained * 1.0) AS INTEGER) AS followers_gained,
        sum(posts_published) AS posts_published
    FROM day
    GROUP BY grouped_by, id, date < date('now', '-7 days')
)
SELECT
    w.grouped_by,
    w.name,
    w.views_gained,
    b.views_gained AS views_gained_before,
    round(100.0 * (w.views_gained - b.views_gained) / nullif(b.views_gained, 0), 1) AS views_change_percent,
    w.followers_gained,
    b.followers_gained AS followers_gained_before,
    w.posts_published,
    b.posts_published AS posts_published_before
FROM week AS w
LEFT JOIN week AS b
    ON b.grouped_by = w.grouped_by
    AND b.id = w.id
    AND b.is_before
    AND (SELECT date(first_synced_at) FROM mirror_info) < date('now', '-14 days')
WHERE NOT w.is_before
ORDER BY w.grouped_by DESC, w.views_gained DESC, w.id;
