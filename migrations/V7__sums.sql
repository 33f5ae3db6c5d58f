-- SQLite's sum() fails where 64 bits do not hold it, and a single absurd count in an answer must not
-- make the whole view unreadable. Summed in halves, what they do not hold is a floating-point number.

DROP VIEW creator_rollup;

-- Creators that are not removed, over their accounts that are not removed, paused ones included;
-- key creator_id. Totals are those of the accounts that have a number; NULL when none has, as for a
-- creator without accounts.
CREATE VIEW creator_rollup AS
SELECT
    -- The creator, id; GET /creators, Creator.id
    c.id AS creator_id,
    -- Name, text or NULL; GET /creators, Creator.name
    c.name AS creator_name,
    -- Linked accounts that are not removed, paused ones included, count; ours
    count(a.key) AS accounts,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.follower_count
    sum(a.follower_count >> 32) * 4294967296 + sum(a.follower_count & 4294967295) AS followers,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.view_count
    sum(a.view_count >> 32) * 4294967296 + sum(a.view_count & 4294967295) AS views,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.like_count
    sum(a.like_count >> 32) * 4294967296 + sum(a.like_count & 4294967295) AS likes,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.comment_count
    sum(a.comment_count >> 32) * 4294967296 + sum(a.comment_count & 4294967295) AS comments,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.share_count
    sum(a.share_count >> 32) * 4294967296 + sum(a.share_count & 4294967295) AS shares,
    -- (likes + comments + shares) / views of the sums shown, fraction or NULL; ours
    (sum(a.like_count * 1.0) + sum(a.comment_count * 1.0) + sum(a.share_count * 1.0)) / nullif(sum(a.view_count * 1.0), 0) AS engagement_rate
FROM creator AS c
LEFT JOIN account AS a ON a.creator_id = c.id AND a.removed_at IS NULL
WHERE c.removed_at IS NULL
GROUP BY c.key;
