-- Views of posts, accounts and creators over time. A post is the rows of `video` and `account_video` with the
-- same post_key. Like all views they use only features of SQLite 3.37.
--
-- Definitions that several views share:
-- * A post is shown with its row of `video` and its row of `account_video`; of several of a kind, the newest.
-- * A post counts as published just before its first scrape if that came within 1.5 scrape intervals (24 hours
--   if the interval is unknown): then all its counts at that scrape were gained since publication.
-- * Engagement is likes, comments and shares, as far as they are known.
-- * Days are UTC days.

-- Posts with what is needed twice below, internal.
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
    -- From the row with the newer scrape. Without the Z, fractions of a second sort correctly.
    iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.row_id IS NULL OR v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.last_scrape_time, v.last_scrape_time) AS last_scrape_time,
    iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.row_id IS NULL OR v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.view_count, v.view_count) AS view_count,
    iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.row_id IS NULL OR v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.like_count, v.like_count) AS like_count,
    iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.row_id IS NULL OR v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.comment_count, v.comment_count) AS comment_count,
    iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.row_id IS NULL OR v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.share_count, v.share_count) AS share_count,
    iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.row_id IS NULL OR v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.play_count, v.play_count) AS play_count,
    iif(coalesce(rtrim(a.last_scrape_time, 'Z') > rtrim(v.last_scrape_time, 'Z'), v.row_id IS NULL OR v.last_scrape_time IS NULL AND a.last_scrape_time IS NOT NULL), a.saved_count, v.saved_count) AS saved_count,
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

CREATE VIEW posts AS
SELECT
    p.post_key,
    p.platform,
    p.external_id,
    p.shortcode,
    CASE
        WHEN p.platform = 'tiktok' THEN 'https://www.tiktok.com/@' || p.account_username || '/video/' || p.external_id
        WHEN p.platform = 'instagram' THEN 'https://www.instagram.com/p/' || p.shortcode || '/'
    END AS url,
    p.video_id,
    p.account_video_id,
    p.is_tracked,
    p.account_id,
    p.account_username,
    k.creator_id,
    coalesce(c.name, k.creator_name) AS creator_name,
    k.category,
    p.metadata,
    p.description,
    p.media_type,
    p.duration,
    p.create_time,
    p.first_scrape_time,
    p.last_scrape_time,
    p.view_count,
    p.like_count,
    p.comment_count,
    p.share_count,
    p.play_count,
    p.saved_count,
    CASE
        WHEN coalesce(p.like_count, p.comment_count, p.share_count) IS NOT NULL THEN
            (coalesce(p.like_count, 0) + coalesce(p.comment_count, 0) + coalesce(p.share_count, 0)) * 1.0 / nullif(p.view_count, 0)
    END AS engagement_rate,
    p.is_unavailable,
    strftime('%Y-%m-%dT%H:%M:%S', p.removed_at / 1000000, 'unixepoch') || CASE p.removed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', p.removed_at % 1000000), '0') END || 'Z' AS removed_at,
    strftime('%Y-%m-%d', p.create_local_s, 'unixepoch') AS published_date_local,
    strftime('%H', p.create_local_s, 'unixepoch') + 0 AS published_hour_local,
    (CAST(strftime('%w', p.create_local_s, 'unixepoch') AS INTEGER) + 6) % 7 + 1 AS published_weekday_local
FROM post_state AS p
LEFT JOIN account AS k ON k.id = p.account_id
LEFT JOIN creator AS c ON c.id = k.creator_id;

CREATE VIEW post_hashtags AS
-- Everything that ends a hashtag becomes a blank, in steps, as SQLite's parser limits the depth of calls. Then the
-- text becomes a JSON array of its parts at #; json_quote escapes what JSON requires.
WITH caption AS (
    SELECT post_key, replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(description, char(9), ' '), char(10), ' '), char(11), ' '), char(12), ' '), char(13), ' '), char(160), ' '), char(12288), ' '), char(65039), ' '), '!', ' '), '"', ' '), '$', ' '), '%', ' '), '&', ' '), '''', ' '), '(', ' '), ')', ' ') AS text
    FROM post_state
    WHERE description LIKE '%#%'
), shorter AS (
    SELECT post_key, replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(text, '*', ' '), '+', ' '), ',', ' '), '-', ' '), '.', ' '), '/', ' '), ':', ' '), ';', ' '), '<', ' '), '=', ' '), '>', ' '), '?', ' '), '@', ' '), '[', ' '), '\', ' '), ']', ' ') AS text
    FROM caption
), words AS (
    SELECT post_key, replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(text, '^', ' '), '`', ' '), '{', ' '), '|', ' '), '}', ' '), '~', ' '), '…', ' '), '“', ' '), '”', ' '), '‘', ' '), '’', ' '), '、', ' '), '。', ' '), '，', ' '), '！', ' '), '？', ' '), '：', ' ') AS text
    FROM shorter
)
SELECT DISTINCT
    w.post_key,
    lower(substr(part.value, 1, instr(part.value || ' ', ' ') - 1)) AS hashtag
FROM words AS w
JOIN json_each('[' || replace(json_quote(w.text), '#', '","') || ']') AS part
WHERE part.key > 0 AND substr(part.value, 1, instr(part.value || ' ', ' ') - 1) GLOB '*[^0-9]*';

CREATE VIEW post_history AS
SELECT
    p.post_key,
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS scraped_at,
    s.at_s AS scraped_at_unix,
    s.view_count,
    s.like_count,
    s.comment_count,
    s.share_count,
    s.play_count,
    s.saved_count
FROM post AS p
JOIN post_scrape AS s ON s.post = p.post
-- A scrape that came with two rows counts once, that of the video first.
WHERE NOT EXISTS (
    SELECT 1
    FROM post_scrape AS o
    WHERE o.post = s.post AND o.at_s = s.at_s AND o.at_ns = s.at_ns AND o.source > s.source
);

CREATE VIEW post_gains AS
SELECT
    g.post_key,
    g.days,
    CASE
        WHEN g.is_new THEN strftime('%Y-%m-%dT%H:%M:%SZ', g.create_s, 'unixepoch')
        WHEN g.is_partial THEN strftime('%Y-%m-%dT%H:%M:%S', g.first_s, 'unixepoch') || CASE g.first_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', g.first_ns), '0') END || 'Z'
        ELSE strftime('%Y-%m-%dT%H:%M:%SZ', g.from_s, 'unixepoch')
    END AS from_at,
    CASE WHEN g.is_new THEN g.create_s WHEN g.is_partial THEN g.first_s ELSE g.from_s END AS from_at_unix,
    strftime('%Y-%m-%dT%H:%M:%S', g.to_s, 'unixepoch') || CASE g.to_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', g.to_ns), '0') END || 'Z' AS to_at,
    g.to_s AS to_at_unix,
    (g.to_s + g.to_ns / 1e9 - CASE
        WHEN g.is_new THEN g.create_s
        WHEN g.is_partial THEN g.first_s + g.first_ns / 1e9
        ELSE g.from_s
    END) / 3600 AS window_hours,
    g.to_view_count - CASE WHEN g.is_new THEN 0 ELSE CAST(round(g.first_view_count - (g.first_view_count - g.before_view_count) * g.share) AS INTEGER) END AS views_gained,
    g.to_like_count - CASE WHEN g.is_new THEN 0 ELSE CAST(round(g.first_like_count - (g.first_like_count - g.before_like_count) * g.share) AS INTEGER) END AS likes_gained,
    g.to_comment_count - CASE WHEN g.is_new THEN 0 ELSE CAST(round(g.first_comment_count - (g.first_comment_count - g.before_comment_count) * g.share) AS INTEGER) END AS comments_gained,
    g.to_share_count - CASE WHEN g.is_new THEN 0 ELSE CAST(round(g.first_share_count - (g.first_share_count - g.before_share_count) * g.share) AS INTEGER) END AS shares_gained,
    g.to_saved_count - CASE WHEN g.is_new THEN 0 ELSE CAST(round(g.first_saved_count - (g.first_saved_count - g.before_saved_count) * g.share) AS INTEGER) END AS saves_gained,
    g.is_new,
    g.is_partial,
    NOT g.is_new AND g.gap_s > 5400 * g.gap_interval_hours AS has_wide_gap
FROM (
    SELECT
        p.post_key,
        w.days,
        w.from_s,
        p.create_s,
        n.at_s AS to_s,
        n.at_ns AS to_ns,
        f.at_s AS first_s,
        f.at_ns AS first_ns,
        n.view_count AS to_view_count,
        f.view_count AS first_view_count,
        CASE WHEN b.post IS NULL THEN f.view_count ELSE b.view_count END AS before_view_count,
        n.like_count AS to_like_count,
        f.like_count AS first_like_count,
        CASE WHEN b.post IS NULL THEN f.like_count ELSE b.like_count END AS before_like_count,
        n.comment_count AS to_comment_count,
        f.comment_count AS first_comment_count,
        CASE WHEN b.post IS NULL THEN f.comment_count ELSE b.comment_count END AS before_comment_count,
        n.share_count AS to_share_count,
        f.share_count AS first_share_count,
        CASE WHEN b.post IS NULL THEN f.share_count ELSE b.share_count END AS before_share_count,
        n.saved_count AS to_saved_count,
        f.saved_count AS first_saved_count,
        CASE WHEN b.post IS NULL THEN f.saved_count ELSE b.saved_count END AS before_saved_count,
        -- The part of the time between the scrapes around the start of the window that lies in the window.
        coalesce((f.at_s - w.from_s + f.at_ns / 1e9) / (f.at_s - b.at_s + (f.at_ns - b.at_ns) / 1e9), 0) AS share,
        coalesce(f.at_s - b.at_s + (f.at_ns - b.at_ns) / 1e9, 0) AS gap_s,
        max(coalesce(f.interval_hours, 24), coalesce(b.interval_hours, 24), 1) AS gap_interval_hours,
        coalesce(p.create_s BETWEEN w.from_s AND n.at_s, 0) AS is_new,
        b.post IS NULL AND NOT coalesce(p.create_s BETWEEN w.from_s AND n.at_s, 0) AS is_partial
    FROM post AS p
    CROSS JOIN (
        SELECT days, CAST(strftime('%s', 'now') AS INTEGER) - days * 86400 AS from_s
        FROM (SELECT 1 AS days UNION ALL SELECT 7 UNION ALL SELECT 14 UNION ALL SELECT 28 UNION ALL SELECT 30 UNION ALL SELECT 90)
    ) AS w
    CROSS JOIN post_scrape AS n
        ON n.post = p.post
        AND (n.at_s, n.at_ns, n.source) = (
            SELECT q.at_s, q.at_ns, q.source
            FROM post_scrape AS q
            WHERE q.post = p.post
            ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC
            LIMIT 1
        )
    -- The scrapes around the start of the window.
    CROSS JOIN post_scrape AS f
        ON f.post = p.post
        AND (f.at_s, f.at_ns, f.source) = (
            SELECT q.at_s, q.at_ns, q.source
            FROM post_scrape AS q
            WHERE q.post = p.post AND (q.at_s, q.at_ns) > (w.from_s, 0)
            ORDER BY q.at_s, q.at_ns, q.source DESC
            LIMIT 1
        )
    LEFT JOIN post_scrape AS b
        ON b.post = p.post
        AND (b.at_s, b.at_ns, b.source) = (
            SELECT q.at_s, q.at_ns, q.source
            FROM post_scrape AS q
            WHERE q.post = p.post AND (q.at_s, q.at_ns) <= (w.from_s, 0)
            ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC
            LIMIT 1
        )
) AS g;

CREATE VIEW video_gains AS
SELECT
    v.id AS video_id,
    g.days,
    g.from_at,
    g.from_at_unix,
    g.to_at,
    g.to_at_unix,
    g.window_hours,
    g.views_gained,
    g.likes_gained,
    g.comments_gained,
    g.shares_gained,
    g.saves_gained,
    g.is_new,
    g.is_partial,
    g.has_wide_gap
FROM video AS v
JOIN post AS p ON p.post = v.post AND p.video = v.row_id
JOIN post_gains AS g ON g.post_key = p.post_key;

CREATE VIEW post_daily AS
WITH RECURSIVE day (n, date) AS (
    SELECT first_scrape_s / 86400 - (first_scrape_s % 86400 < 0), date(first_scrape_s, 'unixepoch')
    FROM instance
    WHERE first_scrape_s IS NOT NULL
    UNION ALL
    SELECT n + 1, date((n + 1) * 86400, 'unixepoch') FROM day WHERE (n + 1) * 86400 <= CAST(strftime('%s', 'now') AS INTEGER)
)
SELECT
    g.post_key,
    g.date,
    g.view_count,
    g.like_count,
    g.comment_count,
    g.share_count,
    g.play_count,
    g.saved_count,
    CASE WHEN g.has_before THEN g.view_count - g.before_view_count WHEN g.is_published_then THEN g.view_count END AS views_gained,
    CASE WHEN g.has_before THEN g.like_count - g.before_like_count WHEN g.is_published_then THEN g.like_count END AS likes_gained,
    CASE WHEN g.has_before THEN g.comment_count - g.before_comment_count WHEN g.is_published_then THEN g.comment_count END AS comments_gained,
    CASE WHEN g.has_before THEN g.share_count - g.before_share_count WHEN g.is_published_then THEN g.share_count END AS shares_gained,
    CASE WHEN g.has_before THEN g.saved_count - g.before_saved_count WHEN g.is_published_then THEN g.saved_count END AS saves_gained,
    g.is_carried
FROM (
    SELECT
        p.post_key,
        d.date,
        s.view_count,
        s.like_count,
        s.comment_count,
        s.share_count,
        s.play_count,
        s.saved_count,
        b.view_count AS before_view_count,
        b.like_count AS before_like_count,
        b.comment_count AS before_comment_count,
        b.share_count AS before_share_count,
        b.saved_count AS before_saved_count,
        b.post IS NOT NULL AS has_before,
        (
            SELECT q.at_s <= p.create_s + 5400 * max(coalesce(q.interval_hours, 24), 1)
            FROM post_scrape AS q
            WHERE q.post = p.post
            ORDER BY q.at_s, q.at_ns, q.source DESC
            LIMIT 1
        ) AS is_published_then,
        s.at_s < d.n * 86400 AS is_carried
    -- Post by post: the scrapes of a post are on the same few pages.
    FROM post AS p
    CROSS JOIN day AS d
    CROSS JOIN post_scrape AS s
        ON s.post = p.post
        AND (s.at_s, s.at_ns, s.source) = (
            SELECT q.at_s, q.at_ns, q.source
            FROM post_scrape AS q
            WHERE q.post = p.post AND q.at_s < (d.n + 1) * 86400
            ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC
            LIMIT 1
        )
    LEFT JOIN post_scrape AS b
        ON b.post = p.post
        AND (b.at_s, b.at_ns, b.source) = (
            SELECT q.at_s, q.at_ns, q.source
            FROM post_scrape AS q
            WHERE q.post = p.post AND q.at_s < d.n * 86400
            ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC
            LIMIT 1
        )
) AS g;

-- Days of accounts, internal: `account_daily` with numbers for the day and the account.
CREATE VIEW account_row_day AS
WITH RECURSIVE day (n) AS (
    SELECT first_scrape_s / 86400 - (first_scrape_s % 86400 < 0) FROM instance WHERE first_scrape_s IS NOT NULL
    UNION ALL
    SELECT n + 1 FROM day WHERE (n + 1) * 86400 <= CAST(strftime('%s', 'now') AS INTEGER)
)
SELECT
    a.row_id AS account,
    a.id AS account_id,
    d.n AS day,
    s.follower_count,
    s.follower_count - b.follower_count AS followers_gained,
    (
        SELECT count(*)
        FROM post AS p
        WHERE p.account_id = a.id AND p.create_s >= d.n * 86400 AND p.create_s < (d.n + 1) * 86400
    ) AS posts_published,
    coalesce(g.views, 0) AS views_gained,
    coalesce(g.likes, 0) AS likes_gained,
    coalesce(g.comments, 0) AS comments_gained,
    coalesce(g.shares, 0) AS shares_gained,
    s.at_s < d.n * 86400 AS is_carried
FROM day AS d
CROSS JOIN account AS a
CROSS JOIN account_scrape AS s
    ON s.account = a.row_id
    AND (s.at_s, s.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM account_scrape AS q
        WHERE q.account = a.row_id AND q.at_s < (d.n + 1) * 86400
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    )
LEFT JOIN account_scrape AS b
    ON b.account = a.row_id
    AND (b.at_s, b.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM account_scrape AS q
        WHERE q.account = a.row_id AND q.at_s < d.n * 86400
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    )
LEFT JOIN account_day AS g ON g.account_id = a.id AND g.day = d.n;

CREATE VIEW account_daily AS
SELECT
    account_id,
    date(day * 86400, 'unixepoch') AS date,
    follower_count,
    followers_gained,
    posts_published,
    views_gained,
    likes_gained,
    comments_gained,
    shares_gained,
    is_carried
FROM account_row_day;

CREATE VIEW creator_daily AS
SELECT
    l.creator_id,
    date(d.day * 86400, 'unixepoch') AS date,
    sum(d.follower_count >> 32) * 4294967296 + sum(d.follower_count & 4294967295) AS followers,
    sum(d.followers_gained >> 32) * 4294967296 + sum(d.followers_gained & 4294967295) AS followers_gained,
    sum(d.posts_published) AS posts_published,
    sum(d.views_gained >> 32) * 4294967296 + sum(d.views_gained & 4294967295) AS views_gained,
    sum(d.likes_gained >> 32) * 4294967296 + sum(d.likes_gained & 4294967295) AS likes_gained,
    sum(d.comments_gained >> 32) * 4294967296 + sum(d.comments_gained & 4294967295) AS comments_gained,
    sum(d.shares_gained >> 32) * 4294967296 + sum(d.shares_gained & 4294967295) AS shares_gained
FROM account_row_day AS d
JOIN account AS a ON a.row_id = d.account
-- The link at the end of the day. The first link of an account that was linked when first seen has no beginning.
JOIN creator_account AS l
    ON l.account = d.account
    AND (l.from_at < (d.day + 1) * 86400000000 OR l.from_at <= a.first_mirrored_at)
    AND (l.to_at IS NULL OR l.to_at >= (d.day + 1) * 86400000000)
GROUP BY l.creator_id, d.day;

CREATE VIEW account_weekly AS
SELECT
    w.account_id,
    date(w.monday * 86400, 'unixepoch') AS week,
    (
        SELECT s.follower_count
        FROM account_scrape AS s
        WHERE s.account = w.account AND s.at_s < (w.monday + 7) * 86400
        ORDER BY s.at_s DESC, s.at_ns DESC
        LIMIT 1
    ) AS follower_count,
    w.followers_gained,
    100.0 * w.followers_gained / nullif(
        (
            SELECT s.follower_count
            FROM account_scrape AS s
            WHERE s.account = w.account AND s.at_s < w.monday * 86400
            ORDER BY s.at_s DESC, s.at_ns DESC
            LIMIT 1
        ),
        0
    ) AS followers_gained_pct,
    w.posts_published,
    w.views_gained,
    w.engagement_gained * 1.0 / nullif(w.views_gained, 0) AS engagement_rate,
    w.engagement_gained * 1.0 / nullif(
        (
            SELECT s.follower_count
            FROM account_scrape AS s
            WHERE s.account = w.account AND s.at_s < (w.monday + 7) * 86400
            ORDER BY s.at_s DESC, s.at_ns DESC
            LIMIT 1
        ),
        0
    ) AS engagement_per_follower
FROM (
    SELECT
        account,
        account_id,
        -- Day 0 was a Thursday. The remainder is made positive for days before 1970.
        day - ((day + 3) % 7 + 7) % 7 AS monday,
        sum(followers_gained >> 32) * 4294967296 + sum(followers_gained & 4294967295) AS followers_gained,
        sum(posts_published) AS posts_published,
        sum(views_gained) AS views_gained,
        sum(likes_gained * 1.0) + sum(comments_gained * 1.0) + sum(shares_gained * 1.0) AS engagement_gained
    FROM account_row_day
    GROUP BY account, account_id, day - ((day + 3) % 7 + 7) % 7
) AS w;

-- Counts of posts at some ages, interpolated, internal. No row before that age.
CREATE VIEW post_age AS
SELECT
    g.post,
    g.post_key,
    g.account_id,
    h.hours,
    CASE
        WHEN f.at_s = g.create_s + h.hours * 3600 AND f.at_ns = 0 THEN f.view_count
        WHEN b.post IS NOT NULL THEN
            CAST(round(f.view_count - (f.view_count - (b.view_count)) * (f.at_s - g.create_s - h.hours * 3600 + f.at_ns / 1e9) / (f.at_s - b.at_s + (f.at_ns - b.at_ns) / 1e9)) AS INTEGER)
        WHEN f.at_s <= g.create_s + 5400 * max(coalesce(f.interval_hours, 24), 1) THEN
            CAST(round((f.view_count) * h.hours * 3600.0 / (f.at_s - g.create_s + f.at_ns / 1e9)) AS INTEGER)
    END AS views,
    CASE
        WHEN f.at_s = g.create_s + h.hours * 3600 AND f.at_ns = 0 THEN CASE WHEN coalesce(f.like_count, f.comment_count, f.share_count) IS NOT NULL THEN coalesce(f.like_count, 0) + coalesce(f.comment_count, 0) + coalesce(f.share_count, 0) END
        WHEN b.post IS NOT NULL THEN
            CAST(round(CASE WHEN coalesce(f.like_count, f.comment_count, f.share_count) IS NOT NULL THEN coalesce(f.like_count, 0) + coalesce(f.comment_count, 0) + coalesce(f.share_count, 0) END - (CASE WHEN coalesce(f.like_count, f.comment_count, f.share_count) IS NOT NULL THEN coalesce(f.like_count, 0) + coalesce(f.comment_count, 0) + coalesce(f.share_count, 0) END - (CASE WHEN coalesce(b.like_count, b.comment_count, b.share_count) IS NOT NULL THEN coalesce(b.like_count, 0) + coalesce(b.comment_count, 0) + coalesce(b.share_count, 0) END)) * (f.at_s - g.create_s - h.hours * 3600 + f.at_ns / 1e9) / (f.at_s - b.at_s + (f.at_ns - b.at_ns) / 1e9)) AS INTEGER)
        WHEN f.at_s <= g.create_s + 5400 * max(coalesce(f.interval_hours, 24), 1) THEN
            CAST(round((CASE WHEN coalesce(f.like_count, f.comment_count, f.share_count) IS NOT NULL THEN coalesce(f.like_count, 0) + coalesce(f.comment_count, 0) + coalesce(f.share_count, 0) END) * h.hours * 3600.0 / (f.at_s - g.create_s + f.at_ns / 1e9)) AS INTEGER)
    END AS engagements
FROM post AS g
CROSS JOIN (SELECT 24 AS hours UNION ALL SELECT 72 UNION ALL SELECT 168 UNION ALL SELECT 672) AS h
CROSS JOIN post_scrape AS f
    ON f.post = g.post
    AND (f.at_s, f.at_ns, f.source) = (
        SELECT q.at_s, q.at_ns, q.source
        FROM post_scrape AS q
        WHERE q.post = g.post AND (q.at_s, q.at_ns) >= (g.create_s + h.hours * 3600, 0)
        ORDER BY q.at_s, q.at_ns, q.source DESC
        LIMIT 1
    )
LEFT JOIN post_scrape AS b
    ON b.post = g.post
    AND (b.at_s, b.at_ns, b.source) = (
        SELECT q.at_s, q.at_ns, q.source
        FROM post_scrape AS q
        WHERE q.post = g.post AND (q.at_s, q.at_ns) < (g.create_s + h.hours * 3600, 0)
        ORDER BY q.at_s DESC, q.at_ns DESC, q.source DESC
        LIMIT 1
    );

CREATE VIEW post_age_metrics AS
SELECT
    m.post_key,
    m.views_24h,
    m.views_72h,
    m.views_7d,
    m.views_28d,
    m.engagements_24h,
    m.engagements_7d,
    m.account_median_views_7d,
    m.views_7d / nullif(m.account_median_views_7d, 0) AS times_median
FROM (
    SELECT
        p.post_key,
        (SELECT views FROM post_age AS g WHERE g.post = p.post AND g.hours = 24) AS views_24h,
        (SELECT views FROM post_age AS g WHERE g.post = p.post AND g.hours = 72) AS views_72h,
        p.views_7d,
        (SELECT views FROM post_age AS g WHERE g.post = p.post AND g.hours = 672) AS views_28d,
        (SELECT engagements FROM post_age AS g WHERE g.post = p.post AND g.hours = 24) AS engagements_24h,
        (SELECT engagements FROM post_age AS g WHERE g.post = p.post AND g.hours = 168) AS engagements_7d,
        -- The two in the middle, or twice the one. Arrays are faster than window functions, and this is computed per row.
        (
            SELECT json_extract(views, '$[' || ((n - 1) / 2) || ']') / 2.0 + json_extract(views, '$[' || (n / 2) || ']') / 2.0
            FROM (
                SELECT json_group_array(views_7d) AS views, count(*) AS n
                FROM (
                    SELECT q.views_7d
                    FROM post AS q
                    WHERE q.account_id = p.account_id AND q.views_7d IS NOT NULL
                    ORDER BY q.views_7d
                )
            )
        ) AS account_median_views_7d
    FROM post AS p
) AS m;
