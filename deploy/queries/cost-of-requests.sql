-- Cost of requests by kind
-- What the mirror asked of the API in the last 7 days, and what it got for it. A request answered with
-- 304 found nothing changed; the kind meta carries what begins every run.
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
