//! CPU use while idle, wakeup latency, and watchdog notifications.

use std::time::{Duration, Instant};

use creatormirror::clock::Clock;
use rustix::process::Signal;

use super::harness::quiet_bed;
use super::support::{TestBed, unlimited, until};
use crate::support::sandbox::{Fault, FaultKind, RetryAfter, SandboxSettings};

/// User and system time of a process, in hundredths of a second.
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The process name is in parentheses and may contain spaces; times are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// CPU time of the threads of a process, in nanoseconds where the kernel provides it, else in ticks.
fn cpu_time(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos = threads.map(|thread| {
        let counted = std::fs::read_to_string(thread.unwrap().path().join("schedstat"));
        let counted = counted.unwrap_or_default();
        counted.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    });
    let nanos = Duration::from_nanos(nanos.sum());
    if nanos.is_zero() { Duration::from_millis(cpu_ticks(process) * 10) } else { nanos }
}

/// Fills the mirror up to 100,000 videos on pages of 200, the first of which exists already. All are
/// due within the next days, none within the next hour.
fn fill_up(bed: &TestBed) {
    let db = bed.db_to_write();
    let columns: Vec<String> = {
        let mut statement = db.prepare("SELECT name FROM pragma_table_info('video')").unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names
            .map(Result::unwrap)
            .filter(|name: &String| !["row_id", "id", "page"].contains(&name.as_str()))
            .collect()
    };
    let columns = columns.join(", ");
    db.execute_batch(&format!(
        "BEGIN;
         CREATE TEMP TABLE number AS
         WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 99800)
         SELECT n FROM number;
         INSERT INTO page (page, kind, url, cursor, decoder, as_of)
         SELECT 10000 + n, 'video', '/videos?cursor=' || n, n, 1, 1 FROM number WHERE n <= 499;
         INSERT INTO video (id, page, {columns})
         SELECT printf('%08x-0000-4000-8000-%012x', n, n), 10000 + (n + 199) / 200, {columns}
         FROM number CROSS JOIN (SELECT {columns} FROM video ORDER BY row_id LIMIT 1);
         UPDATE page SET members = held.row_ids
         FROM (SELECT page, json_group_array(row_id) AS row_ids FROM video GROUP BY page) AS held
         WHERE held.page = page.page AND page.page > 10000;
         INSERT OR REPLACE INTO video_due (video, due_at)
         SELECT row_id, unixepoch() + 3600 + row_id * 7919 % 172800 FROM video;
         COMMIT;"
    ))
    .unwrap();
}

#[test]
fn idles_cheaply_with_100_000_videos_and_wakes_for_a_write() {
    let bed = quiet_bed(SandboxSettings { videos: 200, ..unlimited() });
    bed.idle_daemon().stop();
    fill_up(&bed);
    assert_eq!(bed.number("SELECT count(*) FROM video_due"), 100_000);
    bed.control.clear_log();
    let daemon = bed.idle_daemon();
    // Background work of the start is over by then.
    std::thread::sleep(Duration::from_millis(500));
    let (before, begun) = (cpu_time(daemon.process.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(10));
    let spent = cpu_time(daemon.process.id()) - before;
    let part = spent.as_secs_f64() / begun.elapsed().as_secs_f64();
    println!("{:.3} % of a core", part * 100.0);
    assert!(part < 0.005, "{:.2} % of a core", part * 100.0);
    let requests: Vec<String> = bed.log().iter().map(|entry| entry.path.clone()).collect();
    assert_eq!(requests, ["/whoami"]);

    let queued = Clock::System.boot().elapsed;
    let sql = "INSERT INTO outbox_requests (kind, action, body) VALUES ('creator', 'track', ?1)";
    bed.db_to_write().execute(sql, [r#"{"name":"New Creator"}"#]).unwrap();
    until("the write is sent", || bed.log().iter().any(|entry| entry.method == "POST"));
    let sent = bed.log().iter().find(|entry| entry.method == "POST").unwrap().received;
    let waited = sent.saturating_sub(queued);
    println!("sent after {waited:?}");
    // One second, plus slack for a busy machine.
    assert!(waited < Duration::from_millis(1_500), "{waited:?}");
    daemon.stop();
}

#[test]
fn watchdog_notifications_stop_with_the_process() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    let seen = daemon.notify.times("WATCHDOG=1").len();
    daemon.notify.wait_for_more("WATCHDOG=1", seen + 3);
    daemon.process.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(300));
    let seen = daemon.notify.times("WATCHDOG=1").len();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(daemon.notify.times("WATCHDOG=1").len(), seen);
    daemon.process.signal(Signal::CONT);
    daemon.notify.wait_for_more("WATCHDOG=1", seen);
    daemon.stop();
}

#[test]
fn waiting_for_retry_after_counts_as_progress() {
    let bed = quiet_bed(unlimited());
    let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(20) };
    bed.control.fault(Fault::on("GET", "/videos", refuse));
    let daemon = bed.start_daemon();
    until("the request is rate limited", || !bed.log_of("/videos").is_empty());
    let seen = daemon.notify.times("WATCHDOG=1").len();
    daemon.notify.wait_for_more("WATCHDOG=1", seen + 3);
    assert_eq!(bed.log_of("/videos").len(), 1);
    daemon.stop();
}
