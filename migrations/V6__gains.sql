-- For questions over all videos at once, which the views of V3 answer only by reading all of the
-- history.

-- `video_latest` by account is asked all the time.
CREATE INDEX video_by_account ON video (account_id);
CREATE INDEX video_by_username ON video (account_username);

-- What every video gained in the last 1, 7, 14, 30 and 90 days, as far as its history reaches back; key
-- video_id, days: from its last scrape before that time, or else its first one, to its last. Differences are as in
-- video_growth, and removed videos keep their rows. Ask with `WHERE days = 7`: each video then costs a
-- few look-ups, however long its history is.
CREATE VIEW video_gains AS
SELECT
    -- The video, id; GET /videos, Video.id
    r.id AS video_id,
    -- Length of the window, which ends now: 1 or 7 or 14 or 30 or 90, whole days; ours
    w.days AS days,
    -- The scrape the gains count from, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', p.at_s, 'unixepoch') || CASE p.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', p.at_ns), '0') END || 'Z' AS from_at,
    -- The latest scrape, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', s.at_s, 'unixepoch') || CASE s.at_ns WHEN 0 THEN '' ELSE '.' || rtrim(printf('%09d', s.at_ns), '0') END || 'Z' AS to_at,
    -- Views more than at that scrape; negative where they went down, count or NULL; ours
    s.view_count - p.view_count AS views_gained,
    -- Likes more, count or NULL; ours
    s.like_count - p.like_count AS likes_gained,
    -- Comments more, count or NULL; ours
    s.comment_count - p.comment_count AS comments_gained,
    -- Shares more, count or NULL; ours
    s.share_count - p.share_count AS shares_gained,
    -- 1 when the history begins only within the window, so that gains are those since then, 0/1; ours
    p.at_s > CAST(strftime('%s', 'now') AS INTEGER) - w.days * 86400 AS is_partial
FROM video AS r
CROSS JOIN (SELECT 1 AS days UNION ALL SELECT 7 UNION ALL SELECT 14 UNION ALL SELECT 30 UNION ALL SELECT 90) AS w
JOIN video_scrape AS s
    ON s.video = r.key
    AND (s.at_s, s.at_ns) = (
        SELECT q.at_s, q.at_ns FROM video_scrape AS q WHERE q.video = r.key ORDER BY q.at_s DESC, q.at_ns DESC LIMIT 1
    )
JOIN video_scrape AS p
    ON p.video = r.key
    AND (p.at_s, p.at_ns) = (
        SELECT q.at_s, q.at_ns
        FROM video_scrape AS q
        WHERE q.video = r.key
            AND q.at_s <= max(
                CAST(strftime('%s', 'now') AS INTEGER) - w.days * 86400,
                (SELECT f.at_s FROM video_scrape AS f WHERE f.video = r.key ORDER BY f.at_s LIMIT 1)
            )
        ORDER BY q.at_s DESC, q.at_ns DESC
        LIMIT 1
    );
