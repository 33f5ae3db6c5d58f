//! Finds 1,000 due videos among 1,000,000 and among 100,000. Videos that are not due must cost nothing.
//!
//! `cargo bench --bench due` prints the figures; with `-- --check` it fails if a goal is missed.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::model::Kind;
use creatormirror::store::open::IfMissing;
use creatormirror::store::{Database, StoreResult, due};
use criterion::Criterion;
use tempfile::TempDir;

const MANY: u32 = 1_000_000;
const FEWER: u32 = 100_000;
const DUE: u32 = 1_000;
/// The current time of the benchmark, Unix seconds.
const NOW_S: i64 = 1_790_000_000;

const MILLISECONDS_MAX: f64 = 5.0;
/// Maximum ratio of the search times, with ten times the videos: the index is deeper, and the rows found
/// are on ten times as many pages of the file, each of which must be read.
const RATIO_MAX: f64 = 2.5;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    let (_many_folder, many) = mirror(MANY)?;
    let (_fewer_folder, fewer) = mirror(FEWER)?;
    let among_many = find(&many, "1,000 due of 1,000,000")?;
    let among_fewer = find(&fewer, "1,000 due of 100,000")?;
    let milliseconds = among_many.as_secs_f64() * 1_000.0;
    let ratio = among_many.as_secs_f64() / among_fewer.as_secs_f64();
    let mut is_met = true;
    for (what, value, most) in [
        ("milliseconds among a million", milliseconds, MILLISECONDS_MAX),
        ("times as long as among a hundred thousand", ratio, RATIO_MAX),
    ] {
        is_met &= value <= most;
        let word = if value <= most { "ok    " } else { "MISSED" };
        println!("{word} {value:.2} {what}, at most {most}");
    }
    let is_checked = std::env::args().any(|argument| argument == "--check");
    Ok(if is_checked && !is_met { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the minimum time of a search that finds all [`DUE`] videos. The minimum, because other load on
/// the machine only adds time.
fn find(store: &Database, name: &str) -> Outcome<Duration> {
    let mut samples = Vec::new();
    Criterion::default().bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                let begun = Clock::System.boot().elapsed;
                let found = search(store).unwrap_or_default();
                samples.push(Clock::System.boot().elapsed - begun);
                assert_eq!(found, usize::try_from(DUE).unwrap_or_default());
                took += samples.last().copied().unwrap_or_default();
            }
            took
        });
    });
    samples.into_iter().min().ok_or_else(|| "no measurement".into())
}

fn search(store: &Database) -> StoreResult<usize> {
    Ok(store.read(|c| due::find(c, Kind::Video, NOW_S, 10_000))?.len())
}

/// Creates a mirror of this many videos on pages of 200, of which [`DUE`] are due, evenly distributed. The
/// rows are narrower than real ones but exceed SQLite's page cache, so each row found is read from the
/// file.
fn mirror(videos: u32) -> Outcome<(TempDir, Database)> {
    let folder = tempfile::tempdir()?;
    let store = Database::open(&folder.path().join("due.db"), IfMissing::Create)?;
    let every = videos / DUE;
    let numbers = |last: u32| {
        format!(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {last})"
        )
    };
    let (pages, videos) = (numbers(videos / 200), numbers(videos));
    store.write(|tx| {
        tx.execute_batch(&format!(
            "{pages}
             INSERT INTO page (page, kind, url, decoder, as_of)
             SELECT n, 'video', '/videos?cursor=' || n, 1, 1 FROM number;

             {videos}
             INSERT INTO video (row_id, id, platform, is_active, scrape_interval_hours, added_at,
                 last_scrape_time, description, fingerprint, page, as_of, first_mirrored_at)
             SELECT n, printf('%08x-%08x', n * 2654435761 % 4294967296, n), 'tiktok', 1, 24,
                 '2026-01-01T00:00:00Z', '2026-11-01T00:00:00Z', printf('%.120c', 'd'), n,
                 (n + 199) / 200, 1, 1
             FROM number;

             {videos}
             INSERT INTO video_due (video, due_at)
             SELECT n, {NOW_S} + iif(n % {every} = 0, -1, 1) * (1 + n * 7919 % 86400) FROM number;"
        ))?;
        Ok(())
    })?;
    store.truncate_wal()?;
    Ok((folder, store))
}
