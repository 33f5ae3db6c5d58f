-- The outbox: writes that wait for the API, what came of them, and the door for other programs.
--
-- outbox_log shows it, outbox_requests takes requests from SQL. What is sent is frozen with its row:
-- method, path, body and key; only an id that another entry has yet to bring, or that was named by
-- a prefix or a user name, is filled in later. Times are microseconds since 1970.

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
    -- Entries that share a lane are sent one after the other.
    lane TEXT,
    other_lane TEXT,
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
CREATE INDEX outbox_lane ON outbox (lane)
WHERE state IN ('queued', 'waiting', 'held', 'sending', 'unsure');
CREATE INDEX outbox_other_lane ON outbox (other_lane)
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

-- Looking for a user name in the mirror.
CREATE INDEX account_by_username ON account (lower(username));

-- The outbox: every queued write and what came of it; key entry. Finished entries are kept for
-- outbox_retention.
CREATE VIEW outbox_log AS
SELECT
    -- Number of the entry, number; ours
    entry,
    -- When it was queued, UTC instant; ours
    strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch') || CASE created_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', created_at % 1000000), '0') END || 'Z' AS created_at,
    -- account, creator or video, text; ours
    kind,
    -- track, set, untrack, link or unlink, text; ours
    action,
    -- What it is about: platform:identifier of what is created, else the id; NULL for a new
    -- creator, text or NULL; ours
    target,
    -- queued, waiting, held, sending, unsure, succeeded, failed or discarded, text; ours
    state,
    -- How often it was sent, count; ours
    attempts,
    -- When it is tried next: not before its own pause nor the wait that the API asked for is over; NULL
    -- as soon as something runs that sends it, and when it is not tried by itself, UTC instant or NULL;
    -- ours
    CASE WHEN state IN ('queued', 'unsure') AND max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) > created_at THEN
        strftime('%Y-%m-%dT%H:%M:%S', max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) / 1000000, 'unixepoch')
        || CASE max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', max(next_at, created_at, (SELECT coalesce(cooldown_until, 0) FROM instance)) % 1000000), '0') END || 'Z'
    END AS next_attempt_at,
    -- The Idempotency-Key that it is sent with, text; ours
    idempotency_key,
    -- Status of the last answer, number or NULL; status line
    http_status,
    -- The API's code for what is wrong, text or NULL; Problem.code
    code,
    -- What is to be said about how it stands, text or NULL; Problem.detail, or ours
    detail,
    -- The API's id of the last request, text or NULL; X-Request-ID
    request_id,
    -- The resource that was created or changed, id or NULL; id of the answer
    result_id,
    -- When it came to its end, UTC instant or NULL; ours
    strftime('%Y-%m-%dT%H:%M:%S', finished_at / 1000000, 'unixepoch') || CASE finished_at % 1000000 WHEN 0 THEN '' ELSE '.' || rtrim(printf('%06d', finished_at % 1000000), '0') END || 'Z' AS finished_at
FROM outbox;

-- Insert here to queue a write from SQL; triggers refuse what they can see is wrong. Reading shows
-- what was asked for.
CREATE VIEW outbox_requests AS
SELECT
    -- account, creator or video, text; ours
    kind,
    -- track, set, untrack, link or unlink, text; ours
    action,
    -- What it is about: an id, platform:username, or @N for the result of entry N; NULL with track,
    -- text or NULL; ours
    target,
    -- What the API documents for the request; for link and unlink an object with account_id; NULL
    -- with untrack, JSON object or NULL; AccountCreate, AccountUpdate, VideoCreate, VideoUpdate,
    -- CreatorCreate, CreatorUpdate
    CASE
        WHEN action IN ('link', 'unlink') THEN json_object('account_id', account)
        ELSE body
    END AS body
FROM outbox;

-- Messages are constants: an expression there would make the file unreadable for older SQLite.
CREATE TRIGGER outbox_requests_insert INSTEAD OF INSERT ON outbox_requests
BEGIN
    SELECT RAISE(ABORT, 'kind must be account, creator or video')
    WHERE coalesce(new.kind NOT IN ('account', 'creator', 'video'), 1);
    SELECT RAISE(ABORT, 'action must be track, set, untrack, link or unlink')
    WHERE coalesce(new.action NOT IN ('track', 'set', 'untrack', 'link', 'unlink'), 1);
    SELECT RAISE(ABORT, 'link and unlink are actions of kind creator')
    WHERE new.action IN ('link', 'unlink') AND new.kind <> 'creator';

    SELECT RAISE(ABORT, 'target must be NULL with track; what is tracked is named in body')
    WHERE new.action = 'track' AND new.target IS NOT NULL;
    SELECT RAISE(ABORT, 'target must name the resource: an id, platform:username, or @N')
    WHERE new.action <> 'track'
      AND (new.target IS NULL OR typeof(new.target) <> 'text' OR trim(new.target) = '');
    SELECT RAISE(ABORT, 'body must be NULL with untrack')
    WHERE new.action = 'untrack' AND new.body IS NOT NULL;
    SELECT RAISE(ABORT, 'body must be a JSON object')
    WHERE new.action <> 'untrack'
      AND CASE
            WHEN new.body IS NULL THEN 1
            WHEN json_valid(new.body) THEN json_type(new.body) <> 'object'
            ELSE 1
          END;

    SELECT RAISE(ABORT, 'body must have platform, instagram or tiktok')
    WHERE new.action = 'track' AND new.kind IN ('account', 'video')
      AND coalesce(json_extract(new.body, '$.platform') NOT IN ('instagram', 'tiktok'), 1);
    SELECT RAISE(ABORT, 'body must have identifier, a text: a post URL, numeric id or shortcode')
    WHERE new.action = 'track' AND new.kind = 'video'
      AND (coalesce(json_type(new.body, '$.identifier') <> 'text', 1)
           OR trim(json_extract(new.body, '$.identifier')) = '');
    SELECT RAISE(ABORT, 'body must have username, a text')
    WHERE new.action = 'track' AND new.kind = 'account'
      AND (coalesce(json_type(new.body, '$.username') <> 'text', 1)
           OR trim(json_extract(new.body, '$.username')) = '');
    SELECT RAISE(ABORT, 'body must have name, a text of 1 to 255 characters')
    WHERE (new.action = 'track' OR json_type(new.body, '$.name') IS NOT NULL)
      AND new.kind = 'creator' AND new.action IN ('track', 'set')
      AND (coalesce(json_type(new.body, '$.name') <> 'text', 1)
           OR length(json_extract(new.body, '$.name')) NOT BETWEEN 1 AND 255);
    SELECT RAISE(ABORT, 'body must have account_id, a text: an id, platform:username, or @N')
    WHERE new.action IN ('link', 'unlink')
      AND (coalesce(json_type(new.body, '$.account_id') <> 'text', 1)
           OR trim(json_extract(new.body, '$.account_id')) = '');
    SELECT RAISE(ABORT, 'body must have at least one member')
    WHERE new.action = 'set' AND NOT EXISTS (SELECT 1 FROM json_each(new.body));

    SELECT RAISE(ABORT, 'scrape_interval_hours must be a whole number of at least 1')
    WHERE json_type(new.body, '$.scrape_interval_hours') IS NOT NULL
      AND (json_type(new.body, '$.scrape_interval_hours') <> 'integer'
           OR json_extract(new.body, '$.scrape_interval_hours') < 1);
    SELECT RAISE(ABORT, 'is_active must be true or false')
    WHERE json_type(new.body, '$.is_active') NOT IN ('true', 'false');
    SELECT RAISE(ABORT, 'category must be a text or null')
    WHERE json_type(new.body, '$.category') NOT IN ('text', 'null');
    SELECT RAISE(ABORT, 'metadata must be an object of at most 20 texts')
    WHERE json_type(new.body, '$.metadata') IS NOT NULL
      AND CASE json_type(new.body, '$.metadata')
            WHEN 'object' THEN
                (SELECT count(*) > 20 OR coalesce(sum(type <> 'text'), 0) > 0
                 FROM json_each(new.body, '$.metadata'))
            ELSE 1
          END;
    SELECT RAISE(ABORT, 'body has a member that this kind and action do not know')
    WHERE EXISTS (
        SELECT 1 FROM json_each(new.body)
        WHERE key NOT IN (
            SELECT value FROM json_each(CASE
                WHEN new.action IN ('link', 'unlink') THEN '["account_id"]'
                WHEN new.kind = 'video' AND new.action = 'track' THEN
                    '["platform","identifier","metadata","is_active","scrape_interval_hours"]'
                WHEN new.kind = 'video' THEN '["metadata","is_active","scrape_interval_hours"]'
                WHEN new.kind = 'account' AND new.action = 'track' THEN
                    '["platform","username","category","metadata","is_active","scrape_interval_hours","max_recent_posts_per_account","post_lookback_days"]'
                WHEN new.kind = 'account' THEN
                    '["category","metadata","is_active","scrape_interval_hours","max_recent_posts_per_account","post_lookback_days"]'
                ELSE '["name","is_active","metadata"]'
            END)
        )
    );
    SELECT RAISE(ABORT, '@N must name an earlier entry of the outbox')
    WHERE EXISTS (
        SELECT 1
        FROM (SELECT new.target AS named
              UNION ALL SELECT json_extract(new.body, '$.account_id') WHERE new.action IN ('link', 'unlink'))
        WHERE substr(named, 1, 1) = '@'
          AND (substr(named, 2) = '' OR substr(named, 2) GLOB '*[^0-9]*'
               OR NOT EXISTS (SELECT 1 FROM outbox WHERE entry = CAST(substr(named, 2) AS INTEGER)))
    );

    INSERT INTO outbox (kind, action, target, subject, account, method, path, body, state)
    VALUES (
        new.kind,
        new.action,
        CASE
            WHEN new.action <> 'track' THEN trim(new.target)
            WHEN new.kind = 'video' THEN
                json_extract(new.body, '$.platform') || ':' || json_extract(new.body, '$.identifier')
            WHEN new.kind = 'account' THEN
                json_extract(new.body, '$.platform') || ':'
                || lower(ltrim(trim(json_extract(new.body, '$.username')), '@'))
        END,
        trim(new.target),
        CASE WHEN new.action IN ('link', 'unlink') THEN trim(json_extract(new.body, '$.account_id')) END,
        CASE new.action WHEN 'track' THEN 'POST' WHEN 'set' THEN 'PATCH' WHEN 'link' THEN 'PUT' ELSE 'DELETE' END,
        CASE WHEN new.action = 'track' THEN '/' || new.kind || 's' END,
        CASE WHEN new.action IN ('track', 'set') THEN new.body END,
        CASE
            WHEN EXISTS (
                SELECT 1
                FROM (SELECT new.target AS named
                      UNION ALL SELECT json_extract(new.body, '$.account_id') WHERE new.action IN ('link', 'unlink')) AS n
                JOIN outbox AS o ON o.entry = CAST(substr(trim(n.named), 2) AS INTEGER)
                WHERE substr(trim(n.named), 1, 1) = '@'
                  AND o.state IN ('queued', 'waiting', 'held', 'sending', 'unsure')
            ) THEN 'waiting'
            ELSE 'queued'
        END
    );
END;
