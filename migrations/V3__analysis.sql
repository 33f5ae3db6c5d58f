-- Ready-made answers, as views over the current state and the history. They hold no data, like
-- those of V2.
--
-- All of them keep to what SQLite 3.37 knows, the first that reads STRICT tables, because they run
-- in whatever shell or library the analyst has.

-- What a video gained from one scrape to the next. The first scrape has nothing before it and no
-- row. Gains are plain differences: negative where a count went down, NULL where either scrape has
-- no number. Removed and paused videos keep their rows.
--
-- is_gap goes by the interval the video has now, as former ones are not kept, and by the API's
-- default of 24 hours where it gives none.
--
-- The scrape before is looked up by primary key rather than by a window function, so that any filter
-- reaches the history itself: one video costs its own scrapes, also when joined.
CREATE VIEW video_growth AS
SELECT
    r.id AS video_id,
    strftime('%Y-%m-%dT%H:%M:%S', p.at_s, 'unixepoch') || CASE p.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', p.at_ns), '0') END || 'Z' AS from_at,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS to_at,
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 AS hours,
    s.view_count - p.view_count AS views_gained,
    s.like_count - p.like_count AS likes_gained,
    s.comment_count - p.comment_count AS comments_gained,
    s.share_count - p.share_count AS shares_gained,
    (s.view_count - p.view_count) / (((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600) AS views_per_hour,
    ((s.at_s - p.at_s) + (s.at_ns - p.at_ns) / 1e9) / 3600 > 1.5 * max(coalesce(r.scrape_interval_hours, 24), 1) AS is_gap
FROM video_scrape AS s
JOIN video AS r ON r.key = s.video
JOIN video_scrape AS p
    ON p.video = s.video
    AND (p.at_s, p.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM video_scrape AS q
        WHERE q.video = s.video AND (q.at_s, q.at_ns) < (s.at_s, s.at_ns)
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    );

-- The last scrape of each UTC day, midnight being the first instant of the new day, and what was
-- gained since the last scrape of an earlier day. Days without a scrape have no row, so a gain may
-- span several days; a video's first day has NULL gains. Differences are as in video_growth.
CREATE VIEW video_daily AS
SELECT
    r.id AS video_id,
    strftime('%Y-%m-%d', s.at_s, 'unixepoch') AS date,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count,
    s.view_count - p.view_count AS views_gained,
    s.like_count - p.like_count AS likes_gained,
    s.comment_count - p.comment_count AS comments_gained,
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
-- account's creator where they are mirrored. The rate is NULL without views, and where a count it
-- needs is NULL: an unknown part makes the sum unknown.
CREATE VIEW video_latest AS
SELECT
    v.*,
    a.name AS account_name,
    a.creator_id,
    coalesce(c.name, a.creator_name) AS creator_name,
    (v.like_count + v.comment_count + v.share_count) * 1.0 / nullif(v.view_count, 0) AS engagement_rate
FROM videos AS v
LEFT JOIN account AS a ON a.id = v.account_id
LEFT JOIN creator AS c ON c.id = a.creator_id;

-- Creators that are not removed, over their accounts that are not removed, paused ones included.
-- Totals are those of the accounts that have a number; NULL when none has, as for a creator without
-- accounts. The rate is that of the totals shown.
CREATE VIEW creator_rollup AS
SELECT
    c.id AS creator_id,
    c.name AS creator_name,
    count(a.key) AS accounts,
    sum(a.follower_count) AS followers,
    sum(a.view_count) AS views,
    sum(a.like_count) AS likes,
    sum(a.comment_count) AS comments,
    sum(a.share_count) AS shares,
    (sum(a.like_count) + sum(a.comment_count) + sum(a.share_count)) * 1.0 / nullif(sum(a.view_count), 0) AS engagement_rate
FROM creator AS c
LEFT JOIN account AS a ON a.creator_id = c.id AND a.removed_at IS NULL
WHERE c.removed_at IS NULL
GROUP BY c.key;

-- How old our newest scrape of everything is that is not removed, and when the next is expected: an
-- interval later, or the API's default of 24 hours where it gives none. What was never scraped has
-- no expectation. Overdue is what is past its expectation and still being collected: not paused, not
-- unavailable, and for account videos the same of their account, which has to be tracked still. The
-- id of an account video is platform:id, as its id alone is not unique.
CREATE VIEW freshness AS
SELECT
    'account' AS kind,
    r.id AS id,
    r.last_scrape_time,
    r.scrape_interval_hours AS scrape_interval_hours,
    strftime('%Y-%m-%dT%H:%M:%S', substr(r.last_scrape_time, 1, 19), '+' || max(coalesce(r.scrape_interval_hours, 24), 1) || ' hours') || substr(r.last_scrape_time, 20) AS expected_at,
    (julianday('now') - julianday(r.last_scrape_time)) * 24 AS age_hours,
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
