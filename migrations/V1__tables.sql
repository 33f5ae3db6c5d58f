-- The tables of a mirror: its identity, the pages of the lists, the current state and history of every
-- resource, the log of runs, the outbox, and the daily metrics.
--
-- Tables have singular names and are internal; users query the views of V2__views.sql. Times that the
-- mirror records (columns as_of, ..._at) are microseconds since 1970; scrape times are Unix seconds and
-- nanoseconds; times in API resources are text.

PRAGMA application_id = 1131564402; -- 'CrMr'

-- One row: the identity of this mirror and the state that all requests share.
CREATE TABLE instance (
    instance INTEGER PRIMARY KEY CHECK (instance = 1),
    -- Seeds the minutes of full syncs, so that installations spread their requests.
    installation_id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    -- The organization this database is bound to, from GET /whoami; NULL before the first answer.
    organization_id TEXT,
    api_key_name TEXT,
    -- State of the rate limiter as JSON; valid across runs, clock changes and reboots.
    rate_limiter TEXT NOT NULL DEFAULT '{}',
    -- End of the wait that the API asked for, microseconds; also applies if the JSON cannot be read.
    cooldown_until INTEGER,
    -- Start of the latest request. Starts always increase, even if the clock goes back.
    last_stamp INTEGER NOT NULL DEFAULT 0,
    -- GET /meta as received, and the time.
    api_meta TEXT,
    api_meta_at INTEGER,
    -- The command that holds the instance lock. If it is 'run' (the daemon), `sync` submits a job.
    runner TEXT,
    -- For `status`: how long the daemon lets due rows wait for each other, seconds, and its condition.
    batch_delay_s INTEGER,
    condition TEXT,
    -- The setting `timezone` of the last run, and what `zone_offset` was computed for.
    timezone TEXT NOT NULL DEFAULT 'UTC',
    zone_offset_basis TEXT,
    -- Start of the first run that ended without an error of the whole run.
    first_synced_at INTEGER,
    -- Time of the earliest scrape in history, Unix seconds: the views per day begin there.
    first_scrape_s INTEGER
) STRICT;

INSERT INTO instance (instance) VALUES (1);

-- Offsets from UTC in the time zone of the setting `timezone`. Each is valid from an instant, Unix seconds,
-- to the next; local time is UTC plus the offset. The first row is valid for all instants before the second.
CREATE TABLE zone_offset (
    from_s INTEGER PRIMARY KEY,
    offset_s INTEGER NOT NULL
) STRICT;

-- UTC, and the first second that SQLite's date functions know.
INSERT INTO zone_offset (from_s, offset_s) VALUES (-62167219200, 0);

-- Endpoints and parameters that the server does not support.
CREATE TABLE unsupported_feature (
    feature TEXT PRIMARY KEY,
    status INTEGER,
    code TEXT,
    detail TEXT,
    request_id TEXT,
    refused_at INTEGER NOT NULL,
    retry_at INTEGER NOT NULL
) STRICT;

-- A listing: reading a list from its first to its last page. At most one is open per kind.
CREATE TABLE listing (
    listing INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    -- The query parameters of every page request, without the cursor.
    query TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'incomplete', 'abandoned')),
    started_at INTEGER NOT NULL,
    last_page_at INTEGER NOT NULL,
    finished_at INTEGER,
    -- Cursor of the next page; NULL for the first page.
    next_cursor TEXT,
    pages INTEGER NOT NULL DEFAULT 0,
    -- Distinct resources seen, including undecodable ones.
    rows_seen INTEGER NOT NULL DEFAULT 0,
    rows_dropped INTEGER NOT NULL DEFAULT 0,
    total_count INTEGER,
    -- 1 while absence from this listing counts as evidence of removal.
    is_evidence INTEGER NOT NULL DEFAULT 1,
    -- 1 if stored ETags must not be used, because the last attempt was incomplete.
    is_clean INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX listing_open ON listing (kind) WHERE state = 'open';

-- A page of a list, as last received. A 304 to its ETag confirms the rows that refer to this page.
CREATE TABLE page (
    page INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    -- Path and query string, cursor included.
    url TEXT NOT NULL UNIQUE,
    -- NULL after a row of the page was changed by another answer or dropped: the page must be read in full.
    etag TEXT,
    decoder INTEGER NOT NULL,
    cursor TEXT,
    next_cursor TEXT,
    total_count INTEGER,
    -- Start of the request that last read or confirmed the page.
    as_of INTEGER NOT NULL,
    -- The listing that last read this page; NULL if it was created by a poll with a stored cursor.
    listing INTEGER,
    -- JSON array of the row ids of the rows on the page.
    members TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE INDEX page_by_kind ON page (kind, listing);

-- A tracked profile, GET /accounts; view accounts.
CREATE TABLE account (
    row_id INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    platform TEXT,
    username TEXT,
    type TEXT,
    name TEXT,
    description TEXT,
    profile_pic_url TEXT,
    profile_pic_url_original TEXT,
    is_verified INTEGER,
    is_active INTEGER,
    is_unavailable INTEGER,
    link_in_bio TEXT,
    creator_id TEXT,
    creator_name TEXT,
    category TEXT,
    metadata TEXT,
    added_at TEXT,
    first_scrape_time TEXT,
    last_scrape_time TEXT,
    scrape_interval_hours INTEGER,
    follower_count INTEGER,
    following_count INTEGER,
    profile_post_count INTEGER,
    total_post_count INTEGER,
    view_count INTEGER,
    like_count INTEGER,
    comment_count INTEGER,
    share_count INTEGER,
    play_count INTEGER,
    saved_count INTEGER,
    fb_play_count INTEGER,
    ig_play_count INTEGER,
    fb_like_count INTEGER,
    max_recent_posts_per_account INTEGER,
    post_lookback_days INTEGER,
    effective_max_recent_posts_per_account INTEGER,
    effective_post_lookback_days INTEGER,
    extra TEXT,
    -- 1 while its last_scrape_time cannot be parsed: its scrapes are not added to history.
    scrape_unreadable INTEGER NOT NULL DEFAULT 0,
    -- Hash of the content, to detect changes.
    fingerprint INTEGER NOT NULL,
    -- The page that the row was last read from; NULL if it came from another request or left its page.
    page INTEGER,
    -- Start of the request that returned this row; a later page.as_of confirms it.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First confirmation of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX account_by_id ON account (id);
CREATE INDEX account_by_username ON account (lower(username));
CREATE INDEX account_unreadable ON account (id) WHERE scrape_unreadable = 1 AND removed_at IS NULL;
CREATE INDEX account_loose ON account (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX account_removed ON account (removed_at) WHERE removed_at IS NOT NULL;

-- A group of accounts made by API clients, GET /creators; view creators.
CREATE TABLE creator (
    row_id INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    name TEXT,
    type TEXT,
    is_active INTEGER,
    metadata TEXT,
    accounts_total INTEGER,
    accounts_by_platform TEXT,
    total_followers INTEGER,
    extra TEXT,
    -- Hash of the content, to detect changes.
    fingerprint INTEGER NOT NULL,
    -- The page that the row was last read from; NULL if it came from another request or left its page.
    page INTEGER,
    -- Start of the request that returned this row; a later page.as_of confirms it.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First confirmation of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX creator_by_id ON creator (id);
CREATE INDEX creator_loose ON creator (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX creator_removed ON creator (removed_at) WHERE removed_at IS NOT NULL;

-- An individually tracked post, GET /videos; view videos.
CREATE TABLE video (
    row_id INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    external_id TEXT,
    platform TEXT,
    type TEXT,
    shortcode TEXT,
    is_active INTEGER,
    scrape_interval_hours INTEGER,
    metadata TEXT,
    added_at TEXT,
    updated_at TEXT,
    first_scrape_time TEXT,
    last_scrape_time TEXT,
    description TEXT,
    create_time TEXT,
    media_type TEXT,
    duration REAL,
    is_unavailable INTEGER,
    cover_image_url TEXT,
    cover_image_url_original TEXT,
    video_url TEXT,
    video_url_original TEXT,
    view_count INTEGER,
    like_count INTEGER,
    comment_count INTEGER,
    share_count INTEGER,
    play_count INTEGER,
    saved_count INTEGER,
    total_views INTEGER,
    total_plays INTEGER,
    account_id TEXT,
    account_username TEXT,
    platform_account_id TEXT,
    platform_data TEXT,
    extra TEXT,
    -- 1 while its last_scrape_time cannot be parsed: its scrapes are not added to history.
    scrape_unreadable INTEGER NOT NULL DEFAULT 0,
    post INTEGER NOT NULL DEFAULT 0,
    -- Hash of the content, to detect changes.
    fingerprint INTEGER NOT NULL,
    -- The page that the row was last read from; NULL if it came from another request or left its page.
    page INTEGER,
    -- Start of the request that returned this row; a later page.as_of confirms it.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First confirmation of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX video_by_id ON video (id);
CREATE INDEX video_by_account ON video (account_id);
CREATE INDEX video_by_post ON video (post);
CREATE INDEX video_unreadable ON video (id) WHERE scrape_unreadable = 1 AND removed_at IS NULL;
CREATE INDEX video_loose ON video (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX video_removed ON video (removed_at) WHERE removed_at IS NOT NULL;

-- A post found in the feed of a tracked account, GET /account-videos; view account_videos.
CREATE TABLE account_video (
    row_id INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    -- Empty if the API gave none.
    platform TEXT NOT NULL,
    external_id TEXT,
    type TEXT,
    shortcode TEXT,
    account_id TEXT,
    account_username TEXT,
    description TEXT,
    create_time TEXT,
    media_type TEXT,
    duration REAL,
    is_unavailable INTEGER,
    first_scrape_time TEXT,
    last_scrape_time TEXT,
    cover_image_url TEXT,
    video_url TEXT,
    view_count INTEGER,
    like_count INTEGER,
    comment_count INTEGER,
    share_count INTEGER,
    play_count INTEGER,
    saved_count INTEGER,
    extra TEXT,
    -- 1 while its last_scrape_time cannot be parsed: its scrapes are not added to history.
    scrape_unreadable INTEGER NOT NULL DEFAULT 0,
    post INTEGER NOT NULL DEFAULT 0,
    -- Hash of the content, to detect changes.
    fingerprint INTEGER NOT NULL,
    -- The page that the row was last read from; NULL if it came from another request or left its page.
    page INTEGER,
    -- Start of the request that returned this row; a later page.as_of confirms it.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First confirmation of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX account_video_by_id ON account_video (id, platform);
CREATE INDEX account_video_by_account ON account_video (account_id);
CREATE INDEX account_video_by_post ON account_video (post);
CREATE INDEX account_video_unreadable ON account_video (id) WHERE scrape_unreadable = 1 AND removed_at IS NULL;
CREATE INDEX account_video_loose ON account_video (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX account_video_removed ON account_video (removed_at) WHERE removed_at IS NOT NULL;

-- A post: the rows of `video` and `account_video` with the same key.
CREATE TABLE post (
    post INTEGER PRIMARY KEY,
    -- platform:external_id; for a row without external_id platform:v:id or platform:av:id.
    post_key TEXT NOT NULL,
    -- Its newest row of each kind.
    video INTEGER,
    account_video INTEGER,
    -- The account that posted it and when, Unix seconds, from these rows, the video first.
    account_id TEXT,
    create_s INTEGER,
    -- Its views at the age of 7 days, as post_age has them: the median of an account is taken over all its posts.
    views_7d INTEGER
) STRICT;

CREATE UNIQUE INDEX post_by_key ON post (post_key);
CREATE INDEX post_by_account ON post (account_id, create_s);

-- History: one row per resource and scrape. WITHOUT ROWID clusters the scrapes of one resource in order
-- of time, so no additional index is needed.
CREATE TABLE account_scrape (
    account INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    follower_count INTEGER,
    following_count INTEGER,
    total_post_count INTEGER,
    view_count INTEGER,
    like_count INTEGER,
    comment_count INTEGER,
    share_count INTEGER,
    play_count INTEGER,
    saved_count INTEGER,
    profile_post_count INTEGER,
    fb_play_count INTEGER,
    ig_play_count INTEGER,
    fb_like_count INTEGER,
    PRIMARY KEY (account, at_s, at_ns)
) STRICT, WITHOUT ROWID;

-- The scrapes of a post, whether they came with its rows of `video` or of `account_video`.
CREATE TABLE post_scrape (
    post INTEGER NOT NULL DEFAULT 0,
    at_s INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    -- The row that came with this scrape: row_id of a video, or minus the row_id of an account video.
    source INTEGER NOT NULL,
    -- scrape_interval_hours of the video or of the account when the scrape was first seen.
    interval_hours INTEGER,
    view_count INTEGER,
    like_count INTEGER,
    comment_count INTEGER,
    share_count INTEGER,
    play_count INTEGER,
    saved_count INTEGER,
    total_views INTEGER,
    total_plays INTEGER,
    PRIMARY KEY (post, at_s, at_ns, source)
) STRICT, WITHOUT ROWID;

-- Versions of the UTC days of history, random numbers: replaced when rows of that day change.
CREATE TABLE day_version (
    -- A kind: its scrapes; pair: video scrapes whose former scrape changed; post: scrapes whose post changed;
    -- metric: daily metrics.
    topic TEXT NOT NULL,
    -- Days since 1970-01-01.
    day INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT (random()),
    PRIMARY KEY (topic, day)
) STRICT, WITHOUT ROWID;

-- What the posts of an account gained on a UTC day: the sums of post_daily, as far as gains are known. No row: nothing.
CREATE TABLE account_day (
    -- Empty for the posts whose account is not tracked.
    account_id TEXT NOT NULL,
    -- Days since 1970-01-01.
    day INTEGER NOT NULL,
    views INTEGER NOT NULL,
    likes INTEGER NOT NULL,
    comments INTEGER NOT NULL,
    shares INTEGER NOT NULL,
    PRIMARY KEY (account_id, day)
) STRICT, WITHOUT ROWID;

-- Every edit that the mirror saw of what is not a count; view change_log.
CREATE TABLE change (
    change INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Start of the request whose answer showed the edit; for a removal, when the row was found removed.
    changed_at INTEGER NOT NULL,
    -- The same instant as text, for queries.
    changed_at_text TEXT NOT NULL AS (
        strftime('%Y-%m-%dT%H:%M:%S', changed_at / 1000000, 'unixepoch') || CASE changed_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', changed_at % 1000000), '0') END || 'Z'
    ) VIRTUAL,
    kind TEXT NOT NULL,
    -- The resource's id; platform:id for account videos, whose ids are unique per platform only.
    id TEXT NOT NULL,
    field TEXT NOT NULL,
    old_value ANY,
    new_value ANY
) STRICT;

CREATE INDEX change_by_time ON change (changed_at_text);
CREATE INDEX change_by_id ON change (id, kind);

-- Which creator an account belonged to, and when; view creator_accounts. Intervals of an account do not
-- overlap; they end when the account is linked to another creator or to none, or is removed.
CREATE TABLE creator_account (
    -- The `row_id` of the account.
    account INTEGER NOT NULL,
    from_at INTEGER NOT NULL,
    -- NULL while the account belongs to the creator.
    to_at INTEGER,
    creator_id TEXT NOT NULL,
    PRIMARY KEY (account, from_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX creator_account_by_creator ON creator_account (creator_id);

-- When the next scrape of an account or video is expected. Paused, unavailable and removed ones have no
-- row.
CREATE TABLE account_due (
    account INTEGER PRIMARY KEY,
    -- Unix seconds.
    due_at INTEGER NOT NULL,
    -- Seconds between the last two polls without a new scrape; 0 after a new scrape.
    gap_s INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX account_due_by_time ON account_due (due_at);

CREATE TABLE video_due (
    video INTEGER PRIMARY KEY,
    due_at INTEGER NOT NULL,
    gap_s INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX video_due_by_time ON video_due (due_at);

-- Accounts that were scraped and whose account videos have not been read since then.
CREATE TABLE account_list_due (
    account INTEGER PRIMARY KEY,
    -- Due until a request that starts after this instant has read the list.
    since INTEGER NOT NULL
) STRICT;

-- GET /overview, one row for each change of any figure.
CREATE TABLE overview_observation (
    period TEXT NOT NULL,
    observed_at INTEGER NOT NULL,
    total_views INTEGER,
    api_engagement_rate REAL,
    active_accounts INTEGER,
    account_videos INTEGER,
    tracked_videos INTEGER,
    extra TEXT,
    PRIMARY KEY (period, observed_at)
) STRICT, WITHOUT ROWID;

-- ETags of single documents, such as /overview.
CREATE TABLE document (
    url TEXT PRIMARY KEY,
    etag TEXT,
    decoder INTEGER NOT NULL,
    as_of INTEGER NOT NULL
) STRICT;

-- Synchronization state of each kind.
CREATE TABLE kind_state (
    kind TEXT PRIMARY KEY,
    -- Start of the last complete listing, or of the last successful request for a single document.
    complete_as_of INTEGER,
    -- Start of the last full listing or document request, whatever its outcome.
    last_full_sync_at INTEGER,
    last_outcome TEXT,
    -- The next time of the full-sync schedule after this instant makes a full sync due.
    full_sync_due_after INTEGER,
    -- Number of rows whose removal is held back by max_removals.
    held_removals INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO kind_state (kind)
VALUES ('account'), ('creator'), ('video'), ('account_video'), ('overview'), ('meta');

-- Backoff after failures. No row: the last attempt succeeded.
CREATE TABLE backoff (
    kind TEXT NOT NULL,
    -- The whole list or document, its due rows, or its daily metrics.
    scope TEXT NOT NULL CHECK (scope IN ('listing', 'poll', 'days')),
    -- Consecutive failures.
    failures INTEGER NOT NULL,
    retry_at INTEGER NOT NULL,
    -- The run that failed last.
    run_id INTEGER NOT NULL,
    PRIMARY KEY (kind, scope)
) STRICT, WITHOUT ROWID;

-- Jobs that other processes submit to the daemon, with their results.
CREATE TABLE job (
    job INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The requested work, as JSON.
    request TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done')),
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    exit_code INTEGER,
    -- What the submitting process prints: JSON, text, and lines for stderr.
    answer TEXT,
    -- Progress, one sentence for the submitting process.
    progress TEXT
) STRICT;

CREATE INDEX job_open ON job (job) WHERE state <> 'done';

-- A run of `sync` or of the daemon.
CREATE TABLE run (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT,
    trigger TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT NOT NULL DEFAULT 'running',
    detail TEXT
) STRICT;

CREATE INDEX run_running ON run (run_id) WHERE outcome = 'running';

-- One kind's share of a run. The counters are updated in the transactions that do the work.
CREATE TABLE kind_run (
    run_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    trigger TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    requests INTEGER NOT NULL DEFAULT 0,
    not_modified INTEGER NOT NULL DEFAULT 0,
    rows_seen INTEGER NOT NULL DEFAULT 0,
    rows_changed INTEGER NOT NULL DEFAULT 0,
    type_mismatches INTEGER NOT NULL DEFAULT 0,
    rows_dropped INTEGER NOT NULL DEFAULT 0,
    snapshots_added INTEGER NOT NULL DEFAULT 0,
    snapshots_revised INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT 'running',
    error_code TEXT,
    detail TEXT,
    request_id TEXT,
    PRIMARY KEY (run_id, kind)
) STRICT, WITHOUT ROWID;

-- Queued writes and their outcomes; the view `outbox_log` shows them, an INSERT into `outbox_requests`
-- queues one. The request (method, path, body, key) is frozen when queued. Only an id that another entry
-- has yet to return, or that was given as a prefix or user name, is filled in later.
CREATE TABLE outbox (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL
        DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000),
    kind TEXT NOT NULL CHECK (kind IN ('account', 'creator', 'video')),
    action TEXT NOT NULL CHECK (action IN ('track', 'set', 'untrack', 'link', 'unlink')),
    -- platform:identifier of the resource to create, else its id; NULL for a new creator.
    target TEXT,
    -- The id of the resource; before it is known, the name given by the user; @N is the result of entry N.
    subject TEXT,
    -- The account of a link, in the same form.
    account TEXT,
    method TEXT NOT NULL,
    -- NULL until all ids in it are known.
    path TEXT,
    body TEXT,
    -- Entries with a common serial_key are sent in order.
    serial_key TEXT,
    other_serial_key TEXT,
    -- 1 after the checks that SQL cannot make; path and serial keys are then final.
    is_checked INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT NOT NULL DEFAULT (
        lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2)))
        || '-4' || substr(lower(hex(randomblob(2))), 2)
        || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2)
        || '-' || lower(hex(randomblob(6)))
    ),
    -- JSON array of earlier idempotency keys of this entry.
    former_keys TEXT NOT NULL DEFAULT '[]',
    -- When the idempotency key was first sent, and the number of its 500 or 502 answers.
    key_used_at INTEGER,
    key_errors INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (
        state IN ('queued', 'waiting', 'held', 'sending', 'unsure', 'succeeded', 'failed', 'discarded')
    ),
    -- Attempts, and those of them that count towards the maximum.
    attempts INTEGER NOT NULL DEFAULT 0,
    fails INTEGER NOT NULL DEFAULT 0,
    -- Look-ups since the last attempt that did not find the result.
    looks INTEGER NOT NULL DEFAULT 0,
    -- 1 if the outcome of any attempt is unknown.
    is_doubtful INTEGER NOT NULL DEFAULT 0,
    -- Not tried again before this time.
    next_at INTEGER NOT NULL DEFAULT 0,
    first_sent_at INTEGER,
    sent_at INTEGER,
    -- Row id of the newest creator that was known before the first attempt.
    known_creator INTEGER,
    http_status INTEGER,
    code TEXT,
    detail TEXT,
    -- JSON array of {field, message}.
    fields TEXT,
    hint TEXT,
    request_id TEXT,
    result_id TEXT,
    finished_at INTEGER
) STRICT;

CREATE INDEX outbox_open ON outbox (entry)
WHERE state IN ('queued', 'waiting', 'held', 'sending', 'unsure');
CREATE INDEX outbox_serial_key ON outbox (serial_key)
WHERE state IN ('queued', 'waiting', 'held', 'sending', 'unsure');
CREATE INDEX outbox_other_serial_key ON outbox (other_serial_key)
WHERE state IN ('queued', 'waiting', 'held', 'sending', 'unsure');
CREATE INDEX outbox_by_state ON outbox (state, entry);
CREATE INDEX outbox_by_end ON outbox (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX outbox_by_result ON outbox (result_id) WHERE result_id IS NOT NULL;
CREATE INDEX outbox_subject ON outbox (subject) WHERE substr(subject, 1, 1) = '@';
CREATE INDEX outbox_account ON outbox (account) WHERE substr(account, 1, 1) = '@';

-- Resources that a write changed but whose new state its answer did not show: to be read again by id.
CREATE TABLE reread_due (
    kind TEXT NOT NULL CHECK (kind IN ('account', 'creator', 'video')),
    id TEXT NOT NULL,
    -- When the write was recorded; a request that starts later shows its effect.
    since INTEGER NOT NULL,
    -- Not tried before this time; number of failed attempts.
    next_at INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Daily metrics: what the API counts for each account, video and account video per UTC day. The table
-- `metric` is clustered by kind and day, because answers come per day; a query for one resource goes
-- through the short table of days. Days are numbered from 1970-01-01.

-- State of the daily metrics of each kind.
CREATE TABLE metric_kind (
    kind TEXT PRIMARY KEY,
    -- The first day after the backfilled ones: from here on, days are requested as they end. NULL until
    -- the first backfill has finished.
    grows_from INTEGER,
    -- Maximum number of ids per request, if the server accepts fewer than documented, and until when
    -- this is assumed, microseconds.
    ids_max INTEGER,
    ids_max_until INTEGER
) STRICT;

INSERT INTO metric_kind (kind) VALUES ('account'), ('video'), ('account_video');

-- The days requested, per kind.
CREATE TABLE metric_day (
    slot INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,
    -- The same day as text, YYYY-MM-DD.
    date TEXT NOT NULL,
    -- When all resources known by then had been requested; when that was completed after the figures had
    -- settled, in a second round or in the first. Microseconds.
    asked_at INTEGER,
    settled_at INTEGER
) STRICT;

CREATE UNIQUE INDEX metric_day_by_day ON metric_day (kind, day);
CREATE UNIQUE INDEX metric_day_by_date ON metric_day (kind, date);

-- The ids of the requested resources, as daily_metrics shows them, so that one join serves all kinds.
CREATE TABLE metric_subject (
    kind TEXT NOT NULL,
    -- The `row_id` in the table of the kind.
    row_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, row_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX metric_subject_by_id ON metric_subject (id);

-- One row per day and resource in the answers. State 0: the figures may still change and are requested
-- once more after they have settled; 1: final; 2: the API does not know the resource, and this day is not
-- requested again.
CREATE TABLE metric (
    slot INTEGER NOT NULL,
    row_id INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    views INTEGER,
    plays INTEGER,
    likes INTEGER,
    comments INTEGER,
    shares INTEGER,
    engagement INTEGER,
    PRIMARY KEY (slot, row_id)
) STRICT, WITHOUT ROWID;
