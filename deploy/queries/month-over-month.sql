-- Month over month by creator
-- What the posts of each creator's accounts gained in each calendar month (UTC), and the change from the
-- month before. Accounts count for the creator they were linked to on each day. The present month is
-- incomplete.
WITH month AS (
    SELECT
        creator_id,
        substr(date, 1, 7) AS month,
        sum(posts_published) AS posts_published,
        sum(views_gained) AS views_gained,
        sum(followers_gained) AS followers_gained
    FROM creator_daily
    GROUP BY creator_id, substr(date, 1, 7)
)
SELECT
    coalesce(c.name, m.creator_id) AS creator,
    m.month,
    m.posts_published,
    m.views_gained,
    m.followers_gained,
    round(
        100.0 * (m.views_gained - lag(m.views_gained) OVER w) / nullif(lag(m.views_gained) OVER w, 0), 1
    ) AS views_change_percent
FROM month AS m
LEFT JOIN creators AS c ON c.id = m.creator_id
WINDOW w AS (PARTITION BY m.creator_id ORDER BY m.month)
ORDER BY creator, m.month DESC;
