-- Days of posts, kept with their scrapes: `post_daily` reads each scrape once instead of searching the scrapes of
-- each day. Like all views those below use only features of SQLite 3.37.

-- UTC day of the next scrape of the post, days since 1970; NULL for its last.
ALTER TABLE post_scrape ADD COLUMN next_day INTEGER;
-- Gained on the day whose last scrape of the post this is; NULL if unknown, and for the other scrapes of a day.
ALTER TABLE post_scrape ADD COLUMN views_gained INTEGER;
ALTER TABLE post_scrape ADD COLUMN likes_gained INTEGER;
ALTER TABLE post_scrape ADD COLUMN comments_gained INTEGER;
ALTER TABLE post_scrape ADD COLUMN shares_gained INTEGER;
ALTER TABLE post_scrape ADD COLUMN saves_gained INTEGER;

-- What the new columns of each scrape should be, internal. A difference beyond 64 bits is the greatest integer.
CREATE VIEW post_scrape_gains AS
SELECT
    g.post,
    g.at_s,
    g.at_ns,
    g.source,
    g.next_day,
    CASE WHEN g.next_day = g.day THEN NULL WHEN g.has_before THEN CAST(g.view_count - g.before_view_count AS INTEGER) WHEN g.is_published_then THEN g.view_count END AS views_gained,
    CASE WHEN g.next_day = g.day THEN NULL WHEN g.has_before THEN CAST(g.like_count - g.before_like_count AS INTEGER) WHEN g.is_published_then THEN g.like_count END AS likes_gained,
    CASE WHEN g.next_day = g.day THEN NULL WHEN g.has_before THEN CAST(g.comment_count - g.before_comment_count AS INTEGER) WHEN g.is_published_then THEN g.comment_count END AS comments_gained,
    CASE WHEN g.next_day = g.day THEN NULL WHEN g.has_before THEN CAST(g.share_count - g.before_share_count AS INTEGER) WHEN g.is_published_then THEN g.share_count END AS shares_gained,
    CASE WHEN g.next_day = g.day THEN NULL WHEN g.has_before THEN CAST(g.saved_count - g.before_saved_count AS INTEGER) WHEN g.is_published_then THEN g.saved_count END AS saves_gained
FROM (
    SELECT
        s.post,
        s.at_s,
        s.at_ns,
        s.source,
        s.at_s / 86400 - (s.at_s % 86400 < 0) AS day,
        n.at_s / 86400 - (n.at_s % 86400 < 0) AS next_day,
        s.view_count,
        s.like_count,
        s.comment_count,
        s.share_count,
        s.saved_count,
        b.view_count AS before_view_count,
        b.like_count AS before_like_count,
        b.comment_count AS before_comment_count,
        b.share_count AS before_share_count,
        b.saved_count AS before_saved_count,
        b.post IS NOT NULL AS has_before,
        (
            SELECT q.at_s <= p.create_s + 5400 * max(coalesce(q.interval_hours, 24), 1)
            FROM post AS p
            CROSS JOIN post_scrape AS q ON q.post = p.post
            WHERE p.post = s.post
            ORDER BY q.at_s, q.at_ns, q.source DESC
            LIMIT 1
        ) AS is_published_then
    FROM post_scrape AS s
    LEFT JOIN post_scrape AS n
        ON n.post = s.post
        AND (n.at_s, n.at_ns, n.source) = (
            SELECT q.at_s, q.at_ns, q.source
            FROM post_scrape AS q
            WHERE q.post = s.post AND (q.at_s, q.at_ns, q.source) > (s.at_s, s.at_ns, s.source)
            ORDER BY q.at_s, q.at_ns, q.source
            LIMIT 1
        )
    -- The last scrape of an earlier day.
    LEFT JOIN post_scrape AS b
        ON b.post = s.post
        AND (b.at_s, b.at_ns, b.source) = (
            SELECT q.at_s, q.at_ns, q.source
            FROM post_scrape AS q
            WHERE q.post = s.post AND q.at_s < (s.at_s / 86400 - (s.at_s % 86400 < 0)) * 86400
            ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC
            LIMIT 1
        )
) AS g;

UPDATE post_scrape AS s
SET (next_day, views_gained, likes_gained, comments_gained, shares_gained, saves_gained) = (
    SELECT g.next_day, g.views_gained, g.likes_gained, g.comments_gained, g.shares_gained, g.saves_gained
    FROM post_scrape_gains AS g
    WHERE g.post = s.post AND g.at_s = s.at_s AND g.at_ns = s.at_ns AND g.source = s.source
);

-- UTC days, in days since 1970, with their dates. Views show none before 2000 or after 2049, whatever the clock says.
CREATE TABLE utc_day (
    day INTEGER PRIMARY KEY,
    date TEXT NOT NULL
) STRICT;

INSERT INTO utc_day (day, date)
WITH RECURSIVE number (n) AS (SELECT 10957 UNION ALL SELECT n + 1 FROM number WHERE n < 29219)
SELECT n, date(n * 86400, 'unixepoch') FROM number;

DROP VIEW post_daily;

CREATE VIEW post_daily AS
SELECT
    p.post_key,
    d.date,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count,
    CASE WHEN s.at_s < d.day * 86400 THEN s.view_count - s.view_count ELSE s.views_gained END AS views_gained,
    CASE WHEN s.at_s < d.day * 86400 THEN s.like_count - s.like_count ELSE s.likes_gained END AS likes_gained,
    CASE WHEN s.at_s < d.day * 86400 THEN s.comment_count - s.comment_count ELSE s.comments_gained END AS comments_gained,
    CASE WHEN s.at_s < d.day * 86400 THEN s.share_count - s.share_count ELSE s.shares_gained END AS shares_gained,
    CASE WHEN s.at_s < d.day * 86400 THEN s.saved_count - s.saved_count ELSE s.saves_gained END AS saves_gained,
    s.at_s < d.day * 86400 AS is_carried
-- Post by post in the order of their numbers, in which their scrapes are in the file. Without a column that is not in
-- the index on post_key, SQLite would read that index instead of the table, and the scrapes in random order.
FROM post AS p
CROSS JOIN post_scrape AS s ON s.post = p.post AND p.views_7d IS p.views_7d
-- The days until the next scrape, from the first day with a scrape to today.
CROSS JOIN utc_day AS d
    -- No day is before 1970, so that the division may round towards 0.
    ON d.day >= CASE WHEN s.at_s < (SELECT first_scrape_s FROM instance) THEN (SELECT first_scrape_s FROM instance) ELSE s.at_s END / 86400
    AND d.day < CASE
        WHEN s.next_day <= (SELECT max(first_scrape_s, CAST(strftime('%s', 'now') AS INTEGER)) / 86400 FROM instance) THEN s.next_day
        ELSE (SELECT max(first_scrape_s, CAST(strftime('%s', 'now') AS INTEGER)) / 86400 + 1 FROM instance)
    END;

-- As before, but faster.
DROP VIEW post_state;
CREATE VIEW post_state AS
SELECT
    p.post_key,
    coalesce(v.platform, nullif(a.platform, '')) AS platform,
    coalesce(v.external_id, a.external_id) AS external_id,
    coalesce(v.shortcode, a.shortcode) AS shortcode,
    v.id AS video_id,
    a.id AS account_video_id,
    v.row_id IS NOT NULL AND v.removed_at IS NULL AS is_tracked,
    p.account_id,
    coalesce(v.account_username, a.account_username) AS account_username,
    v.metadata,
    coalesce(v.description, a.description) AS description,
    coalesce(v.media_type, a.media_type) AS media_type,
    coalesce(v.duration, a.duration) AS duration,
    coalesce(v.create_time, a.create_time) AS create_time,
    p.create_s + (
        SELECT z.offset_s FROM zone_offset AS z WHERE z.from_s <= p.create_s ORDER BY z.from_s DESC LIMIT 1
    ) AS create_local_s,
    iif(rtrim(a.first_scrape_time, 'Z') < rtrim(v.first_scrape_time, 'Z'),
        a.first_scrape_time, coalesce(v.first_scrape_time, a.first_scrape_time)) AS first_scrape_time,
    -- From the row with the newer scrape, which most posts need not compare as they have one row. Without the Z, fractions of a second sort correctly.
    CASE WHEN a.row_id IS NULL THEN v.last_scrape_time WHEN v.row_id IS NULL THEN a.last_scrape_time ELSE iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.last_scrape_time, v.last_scrape_time) END AS last_scrape_time,
    CASE WHEN a.row_id IS NULL THEN v.view_count WHEN v.row_id IS NULL THEN a.view_count ELSE iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.view_count, v.view_count) END AS view_count,
    CASE WHEN a.row_id IS NULL THEN v.like_count WHEN v.row_id IS NULL THEN a.like_count ELSE iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.like_count, v.like_count) END AS like_count,
    CASE WHEN a.row_id IS NULL THEN v.comment_count WHEN v.row_id IS NULL THEN a.comment_count ELSE iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.comment_count, v.comment_count) END AS comment_count,
    CASE WHEN a.row_id IS NULL THEN v.share_count WHEN v.row_id IS NULL THEN a.share_count ELSE iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.share_count, v.share_count) END AS share_count,
    CASE WHEN a.row_id IS NULL THEN v.play_count WHEN v.row_id IS NULL THEN a.play_count ELSE iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.play_count, v.play_count) END AS play_count,
    CASE WHEN a.row_id IS NULL THEN v.saved_count WHEN v.row_id IS NULL THEN a.saved_count ELSE iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.saved_count, v.saved_count) END AS saved_count,
    -- A removed row is no longer refreshed: a present one has precedence.
    CASE
        WHEN a.row_id IS NULL THEN v.is_unavailable
        WHEN v.row_id IS NULL THEN a.is_unavailable
        WHEN v.removed_at IS NOT NULL AND a.removed_at IS NULL THEN a.is_unavailable
        WHEN a.removed_at IS NOT NULL AND v.removed_at IS NULL THEN v.is_unavailable
        ELSE max(coalesce(v.is_unavailable, a.is_unavailable), coalesce(a.is_unavailable, v.is_unavailable))
    END AS is_unavailable,
    -- Removed once no row of the post is present.
    CASE
        WHEN v.row_id IS NULL THEN a.removed_at
        WHEN a.row_id IS NULL THEN v.removed_at
        ELSE max(v.removed_at, a.removed_at)
    END AS removed_at
FROM post AS p
LEFT JOIN video AS v ON v.row_id = p.video
LEFT JOIN account_video AS a ON a.row_id = p.account_video;
