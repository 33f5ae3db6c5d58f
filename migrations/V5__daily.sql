-- Daily metrics: what the API counts for each account, video and account video on each UTC day, by its
-- batch endpoints. Asked for by `backfill`, from before this mirror existed, and day by day after that.
--
-- The view daily_metrics shows them. The table under it is clustered by kind and day, so that answers,
-- which come by the day, are written side by side however many days there are; the days of one
-- resource are found by way of the short list of days. Days are counted from 1970-01-01.

-- Where each kind stands as a whole.
CREATE TABLE metric_kind (
    kind TEXT PRIMARY KEY,
    -- The first day that no backfill was for: from here on days are asked for as they end. NULL before
    -- the first backfill was done.
    grows_from INTEGER,
    -- How many ids one request may have, where the server has said or shown less than is documented,
    -- and until when that is believed, microseconds.
    ids_max INTEGER,
    ids_max_until INTEGER
) STRICT;

INSERT INTO metric_kind (kind) VALUES ('account'), ('video'), ('account_video');

-- The days that were asked for, by kind.
CREATE TABLE metric_day (
    slot INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,
    -- The same as text, YYYY-MM-DD.
    date TEXT NOT NULL,
    -- When everything known by then had been asked for; and when that was once more, or at once, after
    -- the figures had had their time to settle. Microseconds.
    asked_at INTEGER,
    settled_at INTEGER
) STRICT;

CREATE UNIQUE INDEX metric_day_by_day ON metric_day (kind, day);
CREATE UNIQUE INDEX metric_day_by_date ON metric_day (kind, date);

-- The ids of what was asked for, as daily_metrics shows them, so that one join finds all kinds.
CREATE TABLE metric_subject (
    kind TEXT NOT NULL,
    -- The key in the table of the kind.
    key INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX metric_subject_by_id ON metric_subject (id);

-- One row per day and resource that was answered for. State 0: the figures may settle yet, and are
-- asked for once more when they have; 1: they are final; 2: the API does not know the resource, and
-- is not asked about that day again.
CREATE TABLE metric (
    slot INTEGER NOT NULL,
    key INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    views INTEGER,
    plays INTEGER,
    likes INTEGER,
    comments INTEGER,
    shares INTEGER,
    engagement INTEGER,
    PRIMARY KEY (slot, key)
) STRICT, WITHOUT ROWID;

-- What was counted on each UTC day, one row per resource and day that the API answered for. A day that
-- was not asked for, or that the API knows nothing of, has no row; a zero is a zero of the API's.
CREATE VIEW daily_metrics AS
SELECT
    -- What is counted: account or video or account_video, text; ours
    d.kind AS kind,
    -- The id in accounts or videos; platform:id for account_video, whose ids are unique by platform
    -- alone, id; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, data
    s.id AS id,
    -- The day the counts are of, UTC date; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, start_date and end_date
    d.date AS date,
    -- Views on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, views
    m.views AS views,
    -- Plays on that day; on TikTok the same as views, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, plays
    m.plays AS plays,
    -- Likes on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, likes
    m.likes AS likes,
    -- Comments on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, comments
    m.comments AS comments,
    -- Shares on that day, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, shares
    m.shares AS shares,
    -- Likes, comments and shares of that day together, count or NULL; POST /accounts/metrics, /videos/metrics, /account-videos/metrics, engagement
    m.engagement AS engagement
FROM metric_day AS d
JOIN metric AS m ON m.slot = d.slot AND m.state < 2
JOIN metric_subject AS s ON s.kind = d.kind AND s.key = m.key;

-- How far a job is that takes the daemon long, a sentence for whoever handed it over.
ALTER TABLE job ADD COLUMN progress TEXT;
