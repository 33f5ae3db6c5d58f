//! Times typical queries of analysts, reading every row of the result, on a mirror of 100,000 videos and as many account
//! videos of 2,000 accounts, with 15,000,000 scrapes. Every fifth post is in both lists.
//!
//! `cargo bench --bench views` prints the figures; with `-- --check` it fails if a goal is missed.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::store::open::IfMissing;
use creatormirror::store::{Database, StoreResult, runs};
use tempfile::TempDir;

const ACCOUNTS: u32 = 2_000;
/// Videos, and account videos.
const ROWS: u32 = 100_000;
const SCRAPES_EACH: u32 = 75;
/// Number of runs of each query; the median is reported.
const ROUNDS: usize = 3;

const MIGRATION: &str = include_str!("../migrations/V4__post_days.sql");

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Name, SQL, maximum milliseconds and minimum number of rows of each query.
const QUERIES: [(&str, &str, f64, usize); 19] = [
    (
        "growth of a video",
        "SELECT * FROM video_growth WHERE video_id = (SELECT id FROM video WHERE row_id = 54321)",
        5.0,
        74,
    ),
    (
        "days of a video",
        "SELECT * FROM video_daily WHERE video_id = (SELECT id FROM video WHERE row_id = 54321)",
        5.0,
        75,
    ),
    (
        "history of a video",
        "SELECT * FROM video_history WHERE video_id = (SELECT id FROM video WHERE row_id = 54321)",
        5.0,
        75,
    ),
    (
        "top 50 videos by views gained in 7 days",
        "SELECT * FROM video_gains WHERE days = 7 ORDER BY views_gained DESC LIMIT 50",
        1_000.0,
        50,
    ),
    (
        "latest state by account_id",
        "SELECT * FROM video_latest WHERE account_id = (SELECT id FROM account WHERE row_id = 77)",
        10.0,
        50,
    ),
    (
        "latest state by account_username",
        "SELECT * FROM video_latest WHERE account_username = 'user77'",
        100.0,
        50,
    ),
    ("all overdue rows", "SELECT * FROM freshness WHERE is_overdue", 400.0, 1_000),
    ("the organization's creators", "SELECT * FROM creator_rollup", 50.0, 10),
    (
        "posts of an account",
        "SELECT * FROM posts WHERE account_id = (SELECT id FROM account WHERE row_id = 77)",
        10.0,
        90,
    ),
    ("all posts", "SELECT * FROM posts", 2_000.0, 180_000),
    (
        "top 50 posts by views gained in 7 days",
        "SELECT * FROM post_gains WHERE days = 7 ORDER BY views_gained DESC LIMIT 50",
        1_000.0,
        50,
    ),
    (
        "days of a post",
        "SELECT * FROM post_daily WHERE post_key = (SELECT post_key FROM post WHERE post = 54321)",
        5.0,
        75,
    ),
    (
        "28 days of all posts, their sum",
        "SELECT count(*), sum(views_gained) FROM post_daily WHERE date > date('now', '-28 days')",
        5_000.0,
        1,
    ),
    // Half of it is the time to read 5,000,000 rows of 14 values.
    (
        "28 days of all posts, every row",
        "SELECT * FROM post_daily WHERE date > date('now', '-28 days')",
        8_000.0,
        5_000_000,
    ),
    (
        "28 days of all accounts",
        "SELECT * FROM account_daily WHERE date > date('now', '-28 days')",
        1_000.0,
        56_000,
    ),
    (
        "28 days of all creators",
        "SELECT * FROM creator_daily WHERE date > date('now', '-28 days')",
        1_000.0,
        280,
    ),
    ("weeks of all accounts", "SELECT * FROM account_weekly", 5_000.0, 20_000),
    (
        "posts of an account at some ages",
        "SELECT m.* FROM posts AS p JOIN post_age_metrics AS m ON m.post_key = p.post_key
         WHERE p.account_id = (SELECT id FROM account WHERE row_id = 77)",
        50.0,
        90,
    ),
    (
        "changes since yesterday",
        "SELECT * FROM change_log WHERE changed_at > date('now', '-1 day')",
        10.0,
        100,
    ),
];

fn main() -> Outcome<ExitCode> {
    let (_folder, store) = mirror()?;
    println!("\n{ROWS} videos and {ROWS} account videos, {} scrapes", 2 * ROWS * SCRAPES_EACH);
    let mut is_met = true;
    for (name, sql, most, least_rows) in QUERIES {
        let (took, rows) = measure(&store, sql)?;
        let milliseconds = took.as_secs_f64() * 1_000.0;
        let is_good = milliseconds <= most && rows >= least_rows;
        is_met &= is_good;
        let word = if is_good { "ok    " } else { "MISSED" };
        println!("{word} {milliseconds:>8.2} ms for {rows} rows, at most {most}: {name}");
    }
    let is_checked = std::env::args().any(|argument| argument == "--check");
    Ok(if is_checked && !is_met { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the median time of a query, with all values read, and its number of rows.
fn measure(store: &Database, sql: &str) -> Outcome<(Duration, usize)> {
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..ROUNDS {
        let begun = Clock::System.boot().elapsed;
        rows = store.read(|c| count(c, sql))?;
        times.push(Clock::System.boot().elapsed - begun);
    }
    times.sort_unstable();
    Ok((times[ROUNDS / 2], rows))
}

fn count(c: &rusqlite::Connection, sql: &str) -> StoreResult<usize> {
    let mut statement = c.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            std::hint::black_box(row.get_ref(column)?);
        }
        count += 1;
    }
    Ok(count)
}

/// Creates a mirror whose rows were scraped daily for 75 days, the last time within the last 25 hours. The rows are
/// as wide as real ones.
fn mirror() -> Outcome<(TempDir, Database)> {
    let folder = tempfile::tempdir()?;
    let store = Database::open(&folder.path().join("views.db"), IfMissing::Create)?;
    let numbers = |last: u32| {
        format!(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {last})"
        )
    };
    let (accounts, rows, scrapes) = (numbers(ACCOUNTS), numbers(ROWS), numbers(SCRAPES_EACH));
    let account_id = |n: &str| format!("printf('a%07x-1111-4111-8111-%012x', {n} * 7919, {n})");
    let (account_id, owner) = (account_id("n"), account_id(&format!("(n % {ACCOUNTS} + 1)")));
    // What both kinds of posts have.
    let shared = format!(
        "'tiktok', '2026-01-01T00:00:00Z',
         strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || (n * 7919 % 90000) || ' seconds'),
         printf('%.180c', 'd'), strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || (n % 200) || ' days'), 12.5, 0,
         'https://cdn.example/cover/' || printf('%.120c', 'c') || n,
         'https://cdn.example/video/' || printf('%.120c', 'v') || n,
         n % 1000 * 500, n % 1000 * 20, n % 100, n % 300, {owner}, 'user' || (n % {ACCOUNTS} + 1), n, 1, 1"
    );
    let columns = "platform, first_scrape_time, last_scrape_time, description, create_time, duration, is_unavailable,
         cover_image_url, video_url, view_count, like_count, comment_count, share_count, account_id, account_username,
         fingerprint, as_of, first_mirrored_at";
    // The statement of the migration that computes what the posts gained.
    let (_, gains) = MIGRATION.split_once("\nUPDATE ").ok_or("no UPDATE in the migration")?;
    let gains = format!("UPDATE {}", gains.split(';').next().unwrap_or_default());
    store.write(|tx| {
        tx.execute_batch(&format!(
            "INSERT INTO creator (row_id, id, name, fingerprint, as_of, first_mirrored_at)
             SELECT value, 'c' || value, 'Creator ' || value, value, 1, 1 FROM json_each('[1,2,3,4,5,6,7,8,9,10]');

             {accounts}
             INSERT INTO account (row_id, id, platform, username, name, is_active, creator_id,
                 scrape_interval_hours, last_scrape_time, follower_count, view_count, like_count,
                 comment_count, share_count, fingerprint, as_of, first_mirrored_at)
             SELECT n, {account_id}, 'tiktok', 'user' || n, 'Name ' || n, 1, 'c' || (n % 10 + 1), 24,
                 strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || (n * 37 % 1700) || ' minutes'),
                 n * 100, n * 100000, n * 5000, n * 50, n * 70, n, 1, 1
             FROM number;
             INSERT INTO creator_account (account, from_at, creator_id) SELECT row_id, 1, creator_id FROM account;

             {rows}
             INSERT INTO video (row_id, post, id, external_id, is_active, scrape_interval_hours, metadata, added_at, {columns})
             SELECT n, n, printf('%08x-2222-4222-8222-%012x', n * 2654435761 % 4294967296, n), '73' || n, 1, 24, '{{}}',
                 '2026-01-01T00:00:00Z', {shared}
             FROM number;
             -- Every fifth is a video, too.
             {rows}
             INSERT INTO account_video (row_id, post, id, external_id, {columns})
             SELECT n, iif(n % 5, {ROWS} + n, n), n * 13, iif(n % 5, '74', '73') || n, {shared}
             FROM number;
             INSERT INTO post (post, post_key, video, account_video, account_id, create_s, views_7d)
             SELECT r.post, 'tiktok:' || coalesce(v.external_id, a.external_id), v.row_id, a.row_id,
                 coalesce(v.account_id, a.account_id),
                 CAST(strftime('%s', coalesce(v.create_time, a.create_time)) AS INTEGER), r.post % 1000
             FROM (SELECT post FROM video UNION SELECT post FROM account_video) AS r
             LEFT JOIN video AS v ON v.post = r.post
             LEFT JOIN account_video AS a ON a.post = r.post;

             {scrapes}
             INSERT INTO account_scrape (account, at_s, at_ns, follower_count)
             SELECT a.row_id, CAST(strftime('%s', 'now') AS INTEGER) - a.row_id * 37 % 90000 - (n - 1) * 86400, 0,
                 a.row_id * 100 - n
             FROM account AS a, number;
             {scrapes}
             INSERT INTO post_scrape (post, source, at_s, at_ns, interval_hours, view_count, like_count,
                 comment_count, share_count, play_count)
             SELECT r.post, r.source,
                 CAST(strftime('%s', 'now') AS INTEGER) - r.source * 7919 % 90000 - ({SCRAPES_EACH} - n) * 86400, 0, 24,
                 r.post % 1000 * 5 * n, r.post % 1000 * n / 5, r.post % 100 * n / 100, r.post % 300 * n / 100,
                 r.post % 1000 * 5 * n
             FROM (
                 SELECT post, row_id AS source FROM video
                 UNION ALL SELECT post, -row_id FROM account_video
                 ORDER BY post
             ) AS r, number;
             {gains};
             UPDATE instance SET first_scrape_s = (SELECT min(at_s) FROM post_scrape);
             {scrapes}
             INSERT INTO account_day (account_id, day, views, likes, comments, shares)
             SELECT a.id, CAST(strftime('%s', 'now') AS INTEGER) / 86400 - n + 1, n * 100, n * 10, n, n
             FROM account AS a, number;
             {rows}
             INSERT INTO change (changed_at, kind, id, field, old_value, new_value)
             SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000 - n * 700000000, 'video', 'v' || n, 'description', 'a', 'b'
             FROM number;"
        ))?;
        // The end of a run that leaves posts creates the indexes by account.
        let run = runs::begin(tx, "command", 1)?;
        runs::end(tx, run, "finished", None, 2)?;
        tx.execute_batch("PRAGMA analysis_limit = 1000; PRAGMA optimize = 0x10002;")?;
        Ok(())
    })?;
    store.truncate_wal()?;
    Ok((folder, store))
}
