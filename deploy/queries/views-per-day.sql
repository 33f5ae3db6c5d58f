-- Views per day by platform
-- Views, likes, comments and shares gained by the posts of tracked accounts on each of the last 30 UTC days.
-- The current day is incomplete. If a post was not scraped on a day, its gain counts on the day of its next
-- scrape.
SELECT
    d.date,
    a.platform,
    sum(d.posts_published) AS posts_published,
    sum(d.views_gained) AS views_gained,
    sum(d.likes_gained) AS likes_gained,
    sum(d.comments_gained) AS comments_gained,
    sum(d.shares_gained) AS shares_gained
FROM account_daily AS d
JOIN accounts AS a ON a.id = d.account_id
WHERE d.date >= date('now', '-30 days')
GROUP BY d.date, a.platform
ORDER BY d.date DESC, a.platform;
