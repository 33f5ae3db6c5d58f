-- The mirror of one organization: who it belongs to, what the API said page by page, the current
-- state of every resource, its history, the log of every run, the outbox, and the daily metrics.
--
-- Names in the singular are tables and are ours; what users query are the views in the plural and
-- the ..._history and ..._log views. Our own times are microseconds since 1970 (columns as_of,
-- ..._at); scrape times are Unix seconds and nanoseconds; times of the API's resources are text.

PRAGMA application_id = 1131564402; -- 'CrMr'

-- One row: the identity of this mirror and what all requests share.
CREATE TABLE instance (
    instance INTEGER PRIMARY KEY CHECK (instance = 1),
    -- Seeds the minutes of full syncs, so that many installations do not strike together.
    installation_id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    -- The organization this database is bound to, GET /whoami; NULL until the first answer.
    organization_id TEXT,
    api_key_name TEXT,
    -- The rate limiter and budget as JSON; outlives runs, steps of the clock and reboots.
    rate_limiter TEXT NOT NULL DEFAULT '{}',
    -- Until when the API asked not to be sent anything, microseconds: holds where the JSON cannot be read.
    cooldown_until INTEGER,
    -- The latest start of a request. Starts never go back, even when the clock does.
    last_stamp INTEGER NOT NULL DEFAULT 0,
    -- GET /meta as received, and when.
    api_meta TEXT,
    api_meta_at INTEGER,
    -- What holds the lock: 'run' while a daemon does, so that a `sync` knows to hand over its job.
    runner TEXT,
    -- How long the daemon lets dues wait for each other, seconds, and how it is doing, for `status`.
    batch_delay_s INTEGER,
    condition TEXT
) STRICT;

INSERT INTO instance (instance) VALUES (1);

-- What the server was found not to support: an endpoint, or a parameter of one.
CREATE TABLE unsupported_feature (
    feature TEXT PRIMARY KEY,
    status INTEGER,
    code TEXT,
    detail TEXT,
    request_id TEXT,
    refused_at INTEGER NOT NULL,
    retry_at INTEGER NOT NULL
) STRICT;

-- A listing over a list from its first page to its last. At most one is open per kind.
CREATE TABLE listing (
    listing INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    -- The parameters every page of this listing is asked with, cursor aside.
    query TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'incomplete', 'abandoned')),
    started_at INTEGER NOT NULL,
    last_page_at INTEGER NOT NULL,
    finished_at INTEGER,
    -- Opens the next page; NULL stands for the first page.
    next_cursor TEXT,
    pages INTEGER NOT NULL DEFAULT 0,
    -- Rows seen, each resource once, undecodable ones included.
    rows_seen INTEGER NOT NULL DEFAULT 0,
    rows_dropped INTEGER NOT NULL DEFAULT 0,
    total_count INTEGER,
    -- 1 while absence from this listing would say something about removal.
    is_evidence INTEGER NOT NULL DEFAULT 1,
    -- 1 when stored ETags are not to be used, because the last attempt ended short.
    is_clean INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX listing_open ON listing (kind) WHERE state = 'open';

-- A page of a list as last answered. A 304 to its ETag confirms the rows whose page it is.
CREATE TABLE page (
    page INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    -- Path and query string, cursor included.
    url TEXT NOT NULL UNIQUE,
    -- NULL when a row was changed from elsewhere or dropped: the page must then be read in full.
    etag TEXT,
    decoder INTEGER NOT NULL,
    cursor TEXT,
    next_cursor TEXT,
    total_count INTEGER,
    -- Start of the request that last read or confirmed it.
    as_of INTEGER NOT NULL,
    -- The listing that last passed here; NULL when a poll by kept cursor made it.
    listing INTEGER,
    -- JSON array of the keys of the rows on it.
    members TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE INDEX page_by_kind ON page (kind, listing);

-- A tracked profile, GET /accounts. Shown by the view accounts.
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
    -- 1 while it comes with a last_scrape_time that cannot be read: no scrape of it enters history.
    scrape_unreadable INTEGER NOT NULL DEFAULT 0,
    -- Hash of the content; equal means unchanged.
    fingerprint INTEGER NOT NULL,
    -- The page that was its last source; NULL when it came from elsewhere or left its page.
    page INTEGER,
    -- Start of the request whose answer gave this row; its page's may be later.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First signs of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX account_by_id ON account (id);
CREATE INDEX account_by_username ON account (lower(username));
CREATE INDEX account_unreadable ON account (id) WHERE scrape_unreadable = 1 AND removed_at IS NULL;
CREATE INDEX account_loose ON account (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX account_removed ON account (removed_at) WHERE removed_at IS NOT NULL;

-- A client-made group of accounts, GET /creators. Shown by the view creators.
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
    -- Hash of the content; equal means unchanged.
    fingerprint INTEGER NOT NULL,
    -- The page that was its last source; NULL when it came from elsewhere or left its page.
    page INTEGER,
    -- Start of the request whose answer gave this row; its page's may be later.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First signs of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX creator_by_id ON creator (id);
CREATE INDEX creator_loose ON creator (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX creator_removed ON creator (removed_at) WHERE removed_at IS NOT NULL;

-- An individually tracked post, GET /videos. Shown by the view videos.
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
    -- 1 while it comes with a last_scrape_time that cannot be read: no scrape of it enters history.
    scrape_unreadable INTEGER NOT NULL DEFAULT 0,
    -- Hash of the content; equal means unchanged.
    fingerprint INTEGER NOT NULL,
    -- The page that was its last source; NULL when it came from elsewhere or left its page.
    page INTEGER,
    -- Start of the request whose answer gave this row; its page's may be later.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First signs of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX video_by_id ON video (id);
CREATE INDEX video_by_account ON video (account_id);
CREATE INDEX video_by_username ON video (account_username);
CREATE INDEX video_unreadable ON video (id) WHERE scrape_unreadable = 1 AND removed_at IS NULL;
CREATE INDEX video_loose ON video (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX video_removed ON video (removed_at) WHERE removed_at IS NOT NULL;

-- A post found in the feed of a tracked account, GET /account-videos. Shown by the view account_videos.
CREATE TABLE account_video (
    row_id INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    -- Empty where the API gave none.
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
    -- 1 while it comes with a last_scrape_time that cannot be read: no scrape of it enters history.
    scrape_unreadable INTEGER NOT NULL DEFAULT 0,
    -- Hash of the content; equal means unchanged.
    fingerprint INTEGER NOT NULL,
    -- The page that was its last source; NULL when it came from elsewhere or left its page.
    page INTEGER,
    -- Start of the request whose answer gave this row; its page's may be later.
    as_of INTEGER NOT NULL,
    first_mirrored_at INTEGER NOT NULL,
    removed_at INTEGER,
    -- First signs of removal: absent from this complete listing; answered 404 at this time.
    absent_listing INTEGER,
    not_found_at INTEGER
) STRICT;
CREATE UNIQUE INDEX account_video_by_id ON account_video (id, platform);
CREATE INDEX account_video_by_account ON account_video (account_id);
CREATE INDEX account_video_unreadable ON account_video (id) WHERE scrape_unreadable = 1 AND removed_at IS NULL;
CREATE INDEX account_video_loose ON account_video (row_id) WHERE page IS NULL AND removed_at IS NULL;
CREATE INDEX account_video_removed ON account_video (removed_at) WHERE removed_at IS NOT NULL;

-- History: one row per resource and scrape. Clustered by resource, so that one resource's scrapes
-- lie together in order of time, without an index beside the table.
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
    PRIMARY KEY (account, at_s, at_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE video_scrape (
    video INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    view_count INTEGER,
    like_count INTEGER,
    comment_count INTEGER,
    share_count INTEGER,
    play_count INTEGER,
    saved_count INTEGER,
    PRIMARY KEY (video, at_s, at_ns)
) STRICT, WITHOUT ROWID;

CREATE TABLE account_video_scrape (
    account_video INTEGER NOT NULL,
    at_s INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    view_count INTEGER,
    like_count INTEGER,
    comment_count INTEGER,
    share_count INTEGER,
    play_count INTEGER,
    saved_count INTEGER,
    PRIMARY KEY (account_video, at_s, at_ns)
) STRICT, WITHOUT ROWID;

-- When an account or a video is expected to change next. What is paused, unavailable or removed has no
-- row.
CREATE TABLE account_due (
    account INTEGER PRIMARY KEY,
    -- Unix seconds.
    due_at INTEGER NOT NULL,
    -- Seconds between the last two fruitless polls; 0 after a scrape was seen.
    gap_s INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX account_due_by_time ON account_due (due_at);

CREATE TABLE video_due (
    video INTEGER PRIMARY KEY,
    due_at INTEGER NOT NULL,
    gap_s INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX video_due_by_time ON video_due (due_at);

-- Accounts that were scraped and whose account videos have not been read since. A stamp says since
-- when.
CREATE TABLE account_list_due (
    account INTEGER PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT;

-- GET /overview, one row whenever a figure has changed.
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

-- Validators of single documents, such as /overview.
CREATE TABLE document (
    url TEXT PRIMARY KEY,
    etag TEXT,
    decoder INTEGER NOT NULL,
    as_of INTEGER NOT NULL
) STRICT;

-- Where each kind stands.
CREATE TABLE kind_state (
    kind TEXT PRIMARY KEY,
    -- Start of the last complete listing, or of the last good answer of a single document.
    complete_as_of INTEGER,
    -- Start of the last full listing or document request, whatever its outcome.
    last_full_sync_at INTEGER,
    last_outcome TEXT,
    -- A time of the kind's full-sync schedule after this one makes a full sync due.
    full_sync_due_after INTEGER,
    -- Rows whose removal the ceiling holds back.
    held_removals INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO kind_state (kind)
VALUES ('account'), ('creator'), ('video'), ('account_video'), ('overview'), ('meta');

-- What failed and is left alone for a while. No row: it went well last.
CREATE TABLE backoff (
    kind TEXT NOT NULL,
    -- The whole list or document, what is due of it, or its daily metrics.
    scope TEXT NOT NULL CHECK (scope IN ('listing', 'poll', 'days')),
    -- Failures in a row.
    failures INTEGER NOT NULL,
    retry_at INTEGER NOT NULL,
    -- The run that failed last.
    run_id INTEGER NOT NULL,
    PRIMARY KEY (kind, scope)
) STRICT, WITHOUT ROWID;

-- What another process asks the daemon to do, and what came of it.
CREATE TABLE job (
    job INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What is wanted, as JSON.
    request TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done')),
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    exit_code INTEGER,
    -- What the asking process prints: JSON, text, and lines for stderr.
    answer TEXT,
    -- How far it is, a sentence for the process that asked.
    progress TEXT
) STRICT;

CREATE INDEX job_open ON job (job) WHERE state <> 'done';

-- A run over whatever was due, by `sync` or by the daemon.
CREATE TABLE run (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT,
    trigger TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT NOT NULL DEFAULT 'running',
    detail TEXT
) STRICT;

CREATE INDEX run_running ON run (run_id) WHERE outcome = 'running';

-- What a run did for one kind, counted up in the transactions that did it.
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

-- Queued writes and their outcomes; `outbox_log` shows them and `outbox_requests` queues them from SQL.
-- What is sent is frozen when it is queued (method, path, body, key). Only an id that another entry has
-- yet to return, or that was given as a prefix or a user name, is filled in later.
CREATE TABLE outbox (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL
        DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000),
    kind TEXT NOT NULL CHECK (kind IN ('account', 'creator', 'video')),
    action TEXT NOT NULL CHECK (action IN ('track', 'set', 'untrack', 'link', 'unlink')),
    -- What it is about: platform:identifier of what is created, else the id; NULL for a new creator.
    target TEXT,
    -- The id of the resource, as it was named until it is known; @N stands for the result of entry N.
    subject TEXT,
    -- The account of a link, likewise.
    account TEXT,
    method TEXT NOT NULL,
    -- NULL until the ids in it are known.
    path TEXT,
    body TEXT,
    -- Entries that share a serial_key are sent one after the other.
    serial_key TEXT,
    other_serial_key TEXT,
    -- 1 once what SQL cannot check was checked, and path and lanes are final.
    is_checked INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT NOT NULL DEFAULT (
        lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2)))
        || '-4' || substr(lower(hex(randomblob(2))), 2)
        || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(lower(hex(randomblob(2))), 2)
        || '-' || lower(hex(randomblob(6)))
    ),
    -- JSON array of the keys before it.
    former_keys TEXT NOT NULL DEFAULT '[]',
    -- When the key was first sent, and how often it was answered with 500 or 502.
    key_used_at INTEGER,
    key_errors INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued' CHECK (
        state IN ('queued', 'waiting', 'held', 'sending', 'unsure', 'succeeded', 'failed', 'discarded')
    ),
    -- Sends, and those of them that count against the bound.
    attempts INTEGER NOT NULL DEFAULT 0,
    fails INTEGER NOT NULL DEFAULT 0,
    -- Times it was looked for in vain since the last send.
    looks INTEGER NOT NULL DEFAULT 0,
    -- 1 when the outcome of any send is not known.
    is_doubtful INTEGER NOT NULL DEFAULT 0,
    -- Nothing is done about it before this.
    next_at INTEGER NOT NULL DEFAULT 0,
    first_sent_at INTEGER,
    sent_at INTEGER,
    -- The last creator that was known before the first send.
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
CREATE INDEX outbox_other_lane ON outbox (other_serial_key)
WHERE state IN ('queued', 'waiting', 'held', 'sending', 'unsure');
CREATE INDEX outbox_by_state ON outbox (state, entry);
CREATE INDEX outbox_by_end ON outbox (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX outbox_by_result ON outbox (result_id) WHERE result_id IS NOT NULL;
CREATE INDEX outbox_subject ON outbox (subject) WHERE substr(subject, 1, 1) = '@';
CREATE INDEX outbox_account ON outbox (account) WHERE substr(account, 1, 1) = '@';

-- What a write has touched without its answer showing it: read again by id once the write is recorded.
CREATE TABLE reread_due (
    kind TEXT NOT NULL CHECK (kind IN ('account', 'creator', 'video')),
    id TEXT NOT NULL,
    -- When the write was recorded, a stamp: a request that begins later shows what it did.
    since INTEGER NOT NULL,
    -- Not tried before this, and how often it was tried in vain.
    next_at INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Daily metrics: what the API counts for each account, video and account video on each UTC day. The
-- table `metric` is clustered by kind and day, because answers come by the day; the days of one resource
-- are found through the short list of days. Days are counted from 1970-01-01.

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
    -- The `row_id` in the table of the kind.
    row_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (kind, row_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX metric_subject_by_id ON metric_subject (id);

-- One row per day and resource that was answered for. State 0: the figures may settle yet, and are
-- asked for once more when they have; 1: they are final; 2: the API does not know the resource, and
-- is not asked about that day again.
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
