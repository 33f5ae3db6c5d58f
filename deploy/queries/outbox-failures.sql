-- Outbox failures
-- Queued writes that failed in the last 30 days, that are held or of unknown outcome, or that have been
-- waiting for over an hour. After fixing the cause, retry one with `creatormirror outbox retry N`.
SELECT
    entry,
    created_at,
    kind,
    action,
    target,
    state,
    attempts,
    http_status,
    code,
    detail,
    request_id
FROM outbox_log
WHERE (state = 'failed' AND finished_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-30 days'))
    OR state IN ('held', 'unsure')
    OR (state IN ('queued', 'waiting', 'sending') AND created_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 hour'))
ORDER BY entry DESC;
