-- Erases what a mirror keeps of accounts: the accounts, their posts of both kinds, the history, daily metrics and
-- changes of all these, creators that have no other account, and queued writes, jobs and messages that name any
-- of them. README.md, "Personal data", says when and how to run it. It reads the ids from a table of the same
-- connection, and everything is erased or nothing:
--
--     CREATE TEMP TABLE erase (id TEXT);
--     INSERT INTO erase VALUES ('the id in accounts');

BEGIN IMMEDIATE;

CREATE TEMP TABLE erased (
    kind TEXT NOT NULL,
    row_id INTEGER NOT NULL,
    -- The id in the log of changes.
    id TEXT NOT NULL,
    PRIMARY KEY (kind, row_id)
);

INSERT INTO erased
SELECT 'account', row_id, id FROM account WHERE id IN (SELECT id FROM erase);

-- The present and former names of the accounts.
CREATE TEMP TABLE erased_name AS
SELECT a.platform AS platform, lower(a.username) AS username
FROM account AS a
WHERE a.row_id IN (SELECT row_id FROM erased WHERE kind = 'account') AND a.username <> ''
UNION
SELECT a.platform, lower(j.value)
FROM change AS c, json_each(json_array(c.old_value, c.new_value)) AS j
JOIN account AS a ON a.id = c.id
WHERE c.kind = 'account' AND c.field = 'username' AND c.id IN (SELECT id FROM erase) AND j.value <> '';

INSERT INTO erased
SELECT 'video', v.row_id, v.id
FROM video AS v
WHERE v.account_id IN (SELECT id FROM erase)
   OR (v.platform, lower(v.account_username)) IN (SELECT platform, username FROM erased_name)
UNION ALL
SELECT 'account_video', v.row_id, v.platform || ':' || v.id
FROM account_video AS v
WHERE v.account_id IN (SELECT id FROM erase)
   OR (v.platform, lower(v.account_username)) IN (SELECT platform, username FROM erased_name);

INSERT INTO erased
SELECT 'creator', c.row_id, c.id
FROM creator AS c
WHERE c.id IN (
        SELECT creator_id FROM account WHERE id IN (SELECT id FROM erase)
        UNION
        SELECT creator_id FROM creator_account
        WHERE account IN (SELECT row_id FROM erased WHERE kind = 'account')
    )
  AND c.id NOT IN (
        SELECT creator_id FROM account WHERE creator_id IS NOT NULL AND id NOT IN (SELECT id FROM erase)
        UNION
        SELECT creator_id FROM creator_account
        WHERE account NOT IN (SELECT row_id FROM erased WHERE kind = 'account')
    );

-- What names them in requests and messages. The short numbers of account videos would also be found elsewhere.
CREATE TEMP TABLE erased_word AS
SELECT id AS word FROM erased WHERE kind <> 'account_video'
UNION
SELECT external_id FROM video
WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'video') AND length(external_id) >= 8
UNION
SELECT shortcode FROM video
WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'video') AND length(shortcode) >= 8
UNION
SELECT '@' || username || '/' FROM erased_name
UNION
SELECT platform || ':' || username || '"' FROM erased_name
UNION
SELECT '"username":"' || username || '"' FROM erased_name
UNION
SELECT '"username":"@' || username || '"' FROM erased_name;

-- The posts of these rows, which may have others, and the accounts whose days they count for.
CREATE TEMP TABLE erased_post AS
SELECT post, coalesce(account_id, '') AS account_id
FROM post
WHERE post IN (SELECT post FROM video WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'video'))
   OR post IN (SELECT post FROM account_video WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'account_video'));

DELETE FROM account_scrape WHERE account IN (SELECT row_id FROM erased WHERE kind = 'account');
DELETE FROM post_scrape WHERE source IN (SELECT row_id FROM erased WHERE kind = 'video');
DELETE FROM post_scrape WHERE source IN (SELECT -row_id FROM erased WHERE kind = 'account_video');
-- The next export writes every day again.
UPDATE day_version SET version = random();
DELETE FROM account_day WHERE account_id IN (SELECT id FROM erased WHERE kind = 'account');
DELETE FROM account_due WHERE account IN (SELECT row_id FROM erased WHERE kind = 'account');
DELETE FROM account_list_due WHERE account IN (SELECT row_id FROM erased WHERE kind = 'account');
DELETE FROM video_due WHERE video IN (SELECT row_id FROM erased WHERE kind = 'video');
DELETE FROM creator_account WHERE account IN (SELECT row_id FROM erased WHERE kind = 'account');
DELETE FROM reread_due WHERE (kind, id) IN (SELECT kind, id FROM erased);
DELETE FROM change WHERE (id, kind) IN (SELECT id, kind FROM erased);
DELETE FROM metric
WHERE EXISTS (
    SELECT 1 FROM metric_day AS d JOIN erased AS e ON e.kind = d.kind
    WHERE d.slot = metric.slot AND e.row_id = metric.row_id
);
DELETE FROM metric_subject WHERE (kind, row_id) IN (SELECT kind, row_id FROM erased);

DELETE FROM outbox
WHERE EXISTS (
    SELECT 1 FROM erased_word
    WHERE instr(
        lower(
            coalesce(target, '') || '" ' || coalesce(subject, '') || '" ' || coalesce(account, '') || '" '
            || coalesce(path, '') || '" ' || coalesce(CASE WHEN json_valid(body) THEN json(body) ELSE body END, '')
            || ' ' || coalesce(detail, '') || ' ' || coalesce(result_id, '')
        ),
        lower(word)
    ) > 0
);
DELETE FROM job
WHERE EXISTS (SELECT 1 FROM erased_word WHERE instr(request || ' ' || coalesce(answer, ''), word) > 0);
UPDATE run SET detail = NULL WHERE EXISTS (SELECT 1 FROM erased_word WHERE instr(detail, word) > 0);
UPDATE kind_run SET detail = NULL WHERE EXISTS (SELECT 1 FROM erased_word WHERE instr(detail, word) > 0);
DELETE FROM unsupported_feature WHERE EXISTS (SELECT 1 FROM erased_word WHERE instr(detail, word) > 0);

-- Without its ETag a page is read in full the next time.
UPDATE page
SET etag = NULL,
    members = (
        SELECT json_group_array(j.value) FROM json_each(page.members) AS j
        WHERE (page.kind, j.value) NOT IN (SELECT kind, row_id FROM erased)
    )
WHERE EXISTS (
    SELECT 1 FROM json_each(page.members) AS j
    WHERE (page.kind, j.value) IN (SELECT kind, row_id FROM erased)
);
DELETE FROM account WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'account');
DELETE FROM creator WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'creator');
DELETE FROM video WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'video');
DELETE FROM account_video WHERE row_id IN (SELECT row_id FROM erased WHERE kind = 'account_video');
DELETE FROM post WHERE post NOT IN (SELECT post FROM video UNION ALL SELECT post FROM account_video);
UPDATE post
SET video = (SELECT max(row_id) FROM video WHERE video.post = post.post),
    account_video = (SELECT max(row_id) FROM account_video WHERE account_video.post = post.post),
    account_id = coalesce(
        (SELECT account_id FROM video WHERE video.post = post.post ORDER BY row_id DESC LIMIT 1),
        (SELECT account_id FROM account_video WHERE account_video.post = post.post ORDER BY row_id DESC LIMIT 1)
    ),
    views_7d = (SELECT views FROM post_age WHERE post_age.post = post.post AND post_age.hours = 168)
WHERE post IN (SELECT post FROM erased_post);
UPDATE post_scrape AS s
SET (next_day, views_gained, likes_gained, comments_gained, shares_gained, saves_gained) = (
    SELECT g.next_day, g.views_gained, g.likes_gained, g.comments_gained, g.shares_gained, g.saves_gained
    FROM post_scrape_gains AS g
    WHERE g.post = s.post AND g.at_s = s.at_s AND g.at_ns = s.at_ns AND g.source = s.source
)
WHERE post IN (SELECT post FROM erased_post);
-- The sums over the posts of the accounts that these posts had or have, in which a post gains at most 1e12 a day.
INSERT INTO erased_post SELECT post, coalesce(account_id, '') FROM post WHERE post IN (SELECT post FROM erased_post);
DELETE FROM account_day WHERE account_id IN (SELECT account_id FROM erased_post);
INSERT INTO account_day (account_id, day, views, likes, comments, shares)
SELECT coalesce(p.account_id, ''), s.at_s / 86400 - (s.at_s % 86400 < 0),
    sum(max(min(coalesce(s.views_gained, 0), 1000000000000), -1000000000000)),
    sum(max(min(coalesce(s.likes_gained, 0), 1000000000000), -1000000000000)),
    sum(max(min(coalesce(s.comments_gained, 0), 1000000000000), -1000000000000)),
    sum(max(min(coalesce(s.shares_gained, 0), 1000000000000), -1000000000000))
FROM post AS p
JOIN post_scrape AS s ON s.post = p.post
WHERE coalesce(p.account_id, '') IN (SELECT account_id FROM erased_post)
GROUP BY coalesce(p.account_id, ''), s.at_s / 86400 - (s.at_s % 86400 < 0);
DELETE FROM page WHERE EXISTS (SELECT 1 FROM erased_word WHERE instr(url, word) > 0);

COMMIT;

SELECT kind, count(*) AS erased FROM erased GROUP BY kind;

-- Deleted rows stay in unused parts of the file and of the write-ahead log until both are rewritten.
VACUUM;
PRAGMA wal_checkpoint(TRUNCATE);
