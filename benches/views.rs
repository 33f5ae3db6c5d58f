//! Times typical queries of analysts on a mirror of 100,000 videos and 10,000,000 scrapes, reading every
//! row of the result.
//!
//! `cargo bench --bench views` prints the figures; with `-- --check` it fails if a goal is missed.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::store::open::IfMissing;
use creatormirror::store::{Database, StoreResult};
use tempfile::TempDir;

const ACCOUNTS: u32 = 1_000;
const VIDEOS: u32 = 100_000;
const SCRAPES_EACH: u32 = 100;
/// Number of runs of each query; the median is reported.
const ROUNDS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Name, SQL, maximum milliseconds and minimum number of rows of each query.
const QUERIES: [(&str, &str, f64, usize); 8] = [
    (
        "growth of one video",
        "SELECT * FROM video_growth WHERE video_id = (SELECT id FROM video WHERE row_id = 54321)",
        5.0,
        99,
    ),
    (
        "days of one video",
        "SELECT * FROM video_daily WHERE video_id = (SELECT id FROM video WHERE row_id = 54321)",
        5.0,
        99,
    ),
    (
        "history of one video",
        "SELECT * FROM video_history WHERE video_id = (SELECT id FROM video WHERE row_id = 54321)",
        5.0,
        100,
    ),
    (
        "top 50 of the last 7 days",
        "SELECT * FROM video_gains WHERE days = 7 ORDER BY views_gained DESC LIMIT 50",
        1_000.0,
        50,
    ),
    (
        "latest state by account_id",
        "SELECT * FROM video_latest WHERE account_id = (SELECT id FROM account WHERE row_id = 77)",
        10.0,
        100,
    ),
    (
        "latest state by account_username",
        "SELECT * FROM video_latest WHERE account_username = 'user77'",
        10.0,
        100,
    ),
    ("all overdue rows", "SELECT * FROM freshness WHERE is_overdue", 200.0, 1_000),
    ("the organization's creators", "SELECT * FROM creator_rollup", 50.0, 10),
];

fn main() -> Outcome<ExitCode> {
    let (_folder, store) = mirror()?;
    println!("\n{VIDEOS} videos, {} scrapes", VIDEOS * SCRAPES_EACH);
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

/// Creates a mirror whose videos were scraped daily for 100 days, the last time within the last 25 hours.
/// The rows are as wide as real ones.
fn mirror() -> Outcome<(TempDir, Database)> {
    let folder = tempfile::tempdir()?;
    let store = Database::open(&folder.path().join("views.db"), IfMissing::Create)?;
    let numbers = |last: u32| {
        format!(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {last})"
        )
    };
    let (accounts, videos, scrapes) =
        (numbers(ACCOUNTS), numbers(VIDEOS), numbers(VIDEOS * SCRAPES_EACH));
    let account_id = |n: &str| format!("printf('a%07x-1111-4111-8111-%012x', {n} * 7919, {n})");
    let (account_id, of_video) = (account_id("n"), account_id("(n % 1000 + 1)"));
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

             {videos}
             INSERT INTO video (row_id, id, external_id, platform, type, is_active, scrape_interval_hours,
                 metadata, added_at, first_scrape_time, last_scrape_time, description, create_time,
                 duration, is_unavailable, cover_image_url, video_url, view_count, like_count,
                 comment_count, share_count, account_id, account_username, fingerprint, as_of,
                 first_mirrored_at)
             SELECT n, printf('%08x-2222-4222-8222-%012x', n * 2654435761 % 4294967296, n), '73' || n,
                 'tiktok', 'video', 1, 24, '{{}}', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z',
                 strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-' || (n * 7919 % 90000) || ' seconds'),
                 printf('%.180c', 'd'), '2026-01-01T00:00:00Z', 12.5, 0,
                 'https://cdn.example/cover/' || printf('%.120c', 'c') || n,
                 'https://cdn.example/video/' || printf('%.120c', 'v') || n,
                 n % 1000 * 500, n % 1000 * 20, n % 100, n % 300, {of_video},
                 'user' || (n % 1000 + 1), n, 1, 1
             FROM number;

             {scrapes}
             INSERT INTO post_scrape (source, at_s, at_ns, interval_hours, view_count, like_count,
                 comment_count, share_count, play_count, saved_count, post)
             SELECT video, at_s, 0, 24, video % 1000 * 5 * round, video % 1000 * round / 5,
                 video % 100 * round / 100, video % 300 * round / 100, video % 1000 * 5 * round, NULL, video
             FROM (
                 SELECT video, round,
                     CAST(strftime('%s', 'now') AS INTEGER) - video * 7919 % 90000
                         - ({SCRAPES_EACH} - round) * 86400 AS at_s
                 FROM (SELECT (n - 1) / {SCRAPES_EACH} + 1 AS video,
                           (n - 1) % {SCRAPES_EACH} + 1 AS round FROM number)
             );"
        ))?;
        Ok(())
    })?;
    store.truncate_wal()?;
    Ok((folder, store))
}
