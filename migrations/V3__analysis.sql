-- Ready-made answers, as views over the current state and the history. They hold no data, like
-- those of V2.
--
-- All of them keep to what SQLite 3.37 knows, the first that reads STRICT tables, because they run
-- in whatever shell or library the analyst has.

-- What a video gained from one scrape to the next; key video_id, to_at. The first scrape has
-- nothing before it and no row. Gains are plain differences: negative where a count went down, NULL
-- where either scrape has no number. Removed and paused videos keep their rows.
CREATE VIEW video_growth AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id AS video_id,
    -- The earlier scrape, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', p.at_s, 'unixepoch') || CASE p.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', p.at_ns), '0') END || 'Z' AS from_at,
    -- The later scrape, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS to_at,
    -- Time between the two, hours; ours
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 AS hours,
    -- Views more than at the earlier scrape; negative where they went down, count or NULL; ours
    s.view_count - p.view_count AS views_gained,
    -- Likes more, count or NULL; ours
    s.like_count - p.like_count AS likes_gained,
    -- Comments more, count or NULL; ours
    s.comment_count - p.comment_count AS comments_gained,
    -- Shares more, count or NULL; ours
    s.share_count - p.share_count AS shares_gained,
    -- views_gained over hours, per hour or NULL; ours
    (s.view_count - p.view_count) / (((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600) AS views_per_hour,
    -- 1 when hours is over 1.5 times the interval the video has now (24 hours where the API gives
    -- none), so that scrapes between may have been overwritten unseen, 0/1; ours
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 > 1.5 * max(coalesce(r.scrape_interval_hours, 24), 1) AS is_gap
FROM video_scrape AS s
JOIN video AS r ON r.key = s.video
JOIN video_scrape AS p
    ON p.video = s.video
    -- Looked up by primary key rather than by a window function, so that any filter reaches the
    -- history itself: one video costs its own scrapes, also when joined.
    AND (p.at_s, p.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM video_scrape AS q
        WHERE q.video = s.video AND (q.at_s, q.at_ns) < (s.at_s, s.at_ns)
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    );

-- The last scrape of each UTC day, and what was gained since the last scrape of an earlier day; key
-- video_id, date. Days without a scrape have no row, so a gain may span several days; a video's
-- first day has NULL gains. Differences are as in video_growth.
CREATE VIEW video_daily AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id AS video_id,
    -- The UTC day, midnight being its first instant, UTC date; ours
    strftime('%Y-%m-%d', s.at_s, 'unixepoch') AS date,
    -- Views at the last scrape of the day, count or NULL; GET /videos, Video.view_count
    s.view_count,
    -- Likes at the last scrape of the day, count or NULL; GET /videos, Video.like_count
    s.like_count,
    -- Comments at the last scrape of the day, count or NULL; GET /videos, Video.comment_count
    s.comment_count,
    -- Shares at the last scrape of the day, count or NULL; GET /videos, Video.share_count
    s.share_count,
    -- Plays at the last scrape of the day, which TikTok does not tell from views, count or NULL;
    -- GET /videos, Video.play_count
    s.play_count,
    -- Saves at the last scrape of the day, Instagram alone, count or NULL; GET /videos,
    -- Video.saved_count
    s.saved_count,
    -- Views more than at the last scrape of an earlier day; NULL on the first day, count or NULL;
    -- ours
    s.view_count - p.view_count AS views_gained,
    -- Likes more, count or NULL; ours
    s.like_count - p.like_count AS likes_gained,
    -- Comments more, count or NULL; ours
    s.comment_count - p.comment_count AS comments_gained,
    -- Shares more, count or NULL; ours
    s.share_count - p.share_count AS shares_gained
FROM video_scrape AS s
JOIN video AS r ON r.key = s.video
LEFT JOIN video_scrape AS p
    ON p.video = s.video
    AND (p.at_s, p.at_ns) = (
        -- The remainder is brought above zero, so that days before 1970 begin at midnight too.
        SELECT q.at_s, q.at_ns
        FROM video_scrape AS q
        WHERE q.video = s.video AND q.at_s < s.at_s - (s.at_s % 86400 + 86400) % 86400
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    )
WHERE NOT EXISTS (
    SELECT 1
    FROM video_scrape AS n
    WHERE n.video = s.video
        AND (n.at_s, n.at_ns) > (s.at_s, s.at_ns)
        AND n.at_s < s.at_s - (s.at_s % 86400 + 86400) % 86400 + 86400
);

-- The current state of every video, removed ones included, with the account that posted it and that
-- account's creator where they are mirrored; key id.
CREATE VIEW video_latest AS
SELECT
    v.*,
    -- Name of the account that posted it, text or NULL; GET /accounts, Account.name
    a.name AS account_name,
    -- That account's creator, id or NULL; GET /accounts, Account.creator_id
    a.creator_id,
    -- Name of that creator, text or NULL; GET /creators, Creator.name
    coalesce(c.name, a.creator_name) AS creator_name,
    -- (likes + comments + shares) / views; NULL without views, or where one of them is NULL,
    -- fraction or NULL; ours
    (v.like_count + v.comment_count + v.share_count) * 1.0 / nullif(v.view_count, 0) AS engagement_rate
FROM videos AS v
LEFT JOIN account AS a ON a.id = v.account_id
LEFT JOIN creator AS c ON c.id = a.creator_id;

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
    sum(a.follower_count) AS followers,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.view_count
    sum(a.view_count) AS views,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.like_count
    sum(a.like_count) AS likes,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.comment_count
    sum(a.comment_count) AS comments,
    -- Sum over these accounts, count or NULL; GET /accounts, Account.share_count
    sum(a.share_count) AS shares,
    -- (likes + comments + shares) / views of the sums shown, fraction or NULL; ours
    (sum(a.like_count) + sum(a.comment_count) + sum(a.share_count)) * 1.0 / nullif(sum(a.view_count), 0) AS engagement_rate
FROM creator AS c
LEFT JOIN account AS a ON a.creator_id = c.id AND a.removed_at IS NULL
WHERE c.removed_at IS NULL
GROUP BY c.key;

-- How old our newest scrape of everything is that is not removed, and when the next is expected;
-- key kind, id. What was never scraped has no expectation.
CREATE VIEW freshness AS
SELECT
    -- account, video or account_video, text; ours
    'account' AS kind,
    -- Its id; of an account video platform:id, as its id alone is not unique, id; GET /accounts,
    -- /videos, /account-videos
    r.id AS id,
    -- When the API last read it from the platform, UTC instant or NULL; last_scrape_time of the
    -- resource
    r.last_scrape_time,
    -- Time between scrapes; of an account video that of its account, whole hours or NULL;
    -- scrape_interval_hours of the resource
    r.scrape_interval_hours AS scrape_interval_hours,
    -- When the next scrape is expected: an interval after the last, or 24 hours where the API gives
    -- none; NULL before the first, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(r.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    -- Time since the last scrape, hours or NULL; ours
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
    -- 1 when expected_at is past and it is still being collected: not paused, not unavailable, and
    -- an account video's account neither and not removed, 0/1; ours
    coalesce(julianday(r.last_scrape_time) + max(coalesce(r.scrape_interval_hours, 24), 1) / 24.0 < julianday('now'), 0) AND NOT (r.is_active IS 0 OR r.is_unavailable IS 1) AS is_overdue
FROM account AS r
WHERE r.removed_at IS NULL
UNION ALL
SELECT
    'video' AS kind,
    r.id AS id,
    r.last_scrape_time,
    r.scrape_interval_hours AS scrape_interval_hours,
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(r.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
    coalesce(julianday(r.last_scrape_time) + max(coalesce(r.scrape_interval_hours, 24), 1) / 24.0 < julianday('now'), 0) AND NOT (r.is_active IS 0 OR r.is_unavailable IS 1) AS is_overdue
FROM video AS r
WHERE r.removed_at IS NULL
UNION ALL
SELECT
    'account_video' AS kind,
    r.platform || ':' || r.id AS id,
    r.last_scrape_time,
    a.scrape_interval_hours AS scrape_interval_hours,
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(a.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
    coalesce(julianday(r.last_scrape_time) + max(coalesce(a.scrape_interval_hours, 24), 1) / 24.0 < julianday('now'), 0) AND NOT (r.is_unavailable IS 1 OR a.is_active IS 0 OR a.is_unavailable IS 1 OR a.removed_at IS NOT NULL) AS is_overdue
FROM account_video AS r
LEFT JOIN account AS a ON a.id = r.account_id
WHERE r.removed_at IS NULL;
