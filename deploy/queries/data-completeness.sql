-- Data completeness per day
-- Tracked accounts on each of the last 30 UTC days: how many had begun, and how many of them were scraped on
-- that day. A low share means that figures of that day are carried over from the day before.
SELECT
    date,
    count(*) AS accounts,
    sum(NOT is_carried) AS scraped,
    round(1.0 * sum(NOT is_carried) / count(*), 3) AS share_scraped
FROM account_daily
WHERE date >= date('now', '-30 days')
GROUP BY date
ORDER BY date DESC;
