//! Disk space of a scrape in history: writes a million scrapes as sync runs do, and measures the bytes of
//! their table, indexes included.
//!
//! `cargo bench --bench history` prints the figures; with `-- --check` it fails if the goal is missed.

use std::error::Error;
use std::process::ExitCode;

use bytestring::ByteString;
use creatormirror::clock::Clock;
use creatormirror::model::{Instant, Kind, Row, Value, columns};
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use creatormirror::store::rows::{RowWriter, Source};

const VIDEOS: u64 = 50_000;
const ROUNDS: u64 = 20;
const PAGE_ROWS: u64 = 200;
const DAY_S: i64 = 86_400;
/// Maximum bytes per scrape.
const BYTES_MAX: f64 = 66.0;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Precision of the scrape times; a fraction needs additional bytes.
#[derive(Clone, Copy)]
enum Precision {
    Seconds,
    Microseconds,
}

/// Order of the pages within a round.
#[derive(Clone, Copy)]
enum PageOrder {
    Listed,
    Scattered,
}

fn main() -> Outcome<ExitCode> {
    println!("\n{} scrapes of {VIDEOS} videos in {ROUNDS} rounds", VIDEOS * ROUNDS);
    let mut is_met = true;
    for (name, precision, order) in [
        ("whole seconds, pages in list order", Precision::Seconds, PageOrder::Listed),
        ("microseconds, pages in list order", Precision::Microseconds, PageOrder::Listed),
        ("microseconds, pages in random order", Precision::Microseconds, PageOrder::Scattered),
    ] {
        let begun = Clock::System.boot().elapsed;
        let bytes = bytes_per_scrape(precision, order)?;
        let seconds = (Clock::System.boot().elapsed - begun).as_secs_f64();
        is_met &= bytes <= BYTES_MAX;
        println!("{name:<34} {bytes:>6.1} bytes per scrape ({seconds:.1} s)");
    }
    let word = if is_met { "ok    " } else { "MISSED" };
    println!("{word} at most {BYTES_MAX} bytes");
    let is_checked = std::env::args().any(|argument| argument == "--check");
    Ok(if is_checked && !is_met { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn bytes_per_scrape(precision: Precision, order: PageOrder) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let store = Database::open(&folder.path().join("history.db"), IfMissing::Create)?;
    let pages = VIDEOS / PAGE_ROWS;
    for round in 0..ROUNDS {
        for step in 0..pages {
            let page = match order {
                // The first round creates the videos, in list order.
                PageOrder::Scattered if round > 0 => mix(step, round) % pages,
                _ => step,
            };
            write_page(&store, page, round * pages + step, precision)?;
        }
    }
    store.truncate_wal()?;
    Ok(store.read(|c| {
        let sql = "SELECT sum(pgsize) * 1.0 / (SELECT count(*) FROM post_scrape)
                   FROM dbstat WHERE name = 'post_scrape'";
        Ok(c.query_row(sql, [], |row| row.get(0))?)
    })?)
}

/// Writes a page of videos, each with a new scrape.
fn write_page(store: &Database, page: u64, stamp: u64, precision: Precision) -> Outcome<()> {
    let source = Source { page: None, as_of: i64::try_from(stamp)? };
    let rows = (page * PAGE_ROWS..(page + 1) * PAGE_ROWS)
        .map(|n| video(n, stamp / (VIDEOS / PAGE_ROWS), precision))
        .collect::<Vec<_>>();
    store.write(|tx| {
        let mut writer = RowWriter::new(tx, Kind::Video)?;
        for row in &rows {
            writer.write(row, source)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn video(n: u64, round: u64, precision: Precision) -> Row {
    let hour = mix(n, 0) % 86_400;
    let nanos = match precision {
        Precision::Seconds => 0,
        Precision::Microseconds => mix(n, round) % 1_000_000 * 1_000,
    };
    // A few videos have many views, most have few; all grow daily.
    let views = (mix(n, 1) % 2_000 * (mix(n, 2) % 2_000) * (round + 4) / 4).cast_signed();
    let at = Instant {
        seconds: 1_780_000_000 + round.cast_signed() * DAY_S + hour.cast_signed(),
        nanos: u32::try_from(nanos).unwrap_or(0),
    };
    let count = |name: &str| match name {
        "view_count" | "play_count" => Value::Integer(views),
        "like_count" => Value::Integer(views / 11),
        "comment_count" => Value::Integer(views / 900),
        "share_count" => Value::Integer(views / 400),
        _ => Value::Null,
    };
    let values: Vec<Value<'_>> =
        columns::columns(Kind::Video).iter().map(|column| count(column.name)).collect();
    let mut row = Row::new(ByteString::new(), &format!("{:016x}", mix(n, 3)), &values);
    row.fingerprint = mix(n, round).cast_signed();
    row.scraped_at = Some(at);
    row
}

/// Deterministic pseudo-random number from two numbers (SplitMix64).
fn mix(n: u64, salt: u64) -> u64 {
    let mut x = n.wrapping_add((salt + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
