-- What changed since yesterday
-- Edits of names, texts, settings and links, removals and returns that the mirror saw in the last 24 hours,
-- the latest first.
-- :hours integer = 24  Length of the period in hours
SELECT
    c.changed_at,
    c.kind,
    coalesce(a.username, k.name, v.account_username, p.account_username) AS name,
    c.id,
    c.field,
    c.old_value,
    c.new_value
FROM change_log AS c
LEFT JOIN accounts AS a ON c.kind = 'account' AND a.id = c.id
LEFT JOIN creators AS k ON c.kind = 'creator' AND k.id = c.id
LEFT JOIN videos AS v ON c.kind = 'video' AND v.id = c.id
LEFT JOIN account_videos AS p
    ON c.kind = 'account_video'
    AND p.id = substr(c.id, instr(c.id, ':') + 1)
    AND p.platform = substr(c.id, 1, instr(c.id, ':') - 1)
WHERE c.changed_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || coalesce(:hours, 24) || ' hours')
ORDER BY c.change DESC
LIMIT 1000;
