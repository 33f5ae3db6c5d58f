-- Cost of requests by kind
-- Requests sent to the API in the last 7 days and what they returned, by kind. A 304 answer means that
-- nothing had changed. The requests at the start of every run count as kind meta.
SELECT
    kind,
    sum(requests) AS requests,
    sum(not_modified) AS not_modified,
    round(100.0 * sum(not_modified) / nullif(sum(requests), 0), 1) AS percent_not_modified,
    sum(rows_changed) AS rows_changed,
    sum(snapshots_added) AS scrapes_added,
    round(1.0 * sum(snapshots_added) / nullif(sum(requests), 0), 1) AS scrapes_per_request
FROM sync_log
WHERE started_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-7 days')
GROUP BY kind
ORDER BY requests DESC, kind;
