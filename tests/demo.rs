//! `demo` of the real binary: no settings, one simulated week.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use creatormirror::clock::Clock;
use rusqlite::{Connection, OpenFlags};

const KEY: &str = "sandbox-key";

/// The binary with only a temporary folder in its environment, and settings that would make any other
/// command fail.
fn demo(temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creatormirror"));
    command
        .arg("demo")
        .env_clear()
        .env("TMPDIR", temporary)
        .env("HOME", "/nonexistent")
        .env("CREATORMIRROR_RATE_SHARE", "nonsense")
        .env("CREATORMIRROR_API_KEY", "refused")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

struct Mirror(Connection);

impl Mirror {
    fn open(path: &Path) -> Self {
        Self(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap())
    }

    fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn instant(&self, sql: &str) -> DateTime<Utc> {
        let text: String = self.0.query_row(sql, [], |row| row.get(0)).unwrap();
        DateTime::parse_from_rfc3339(&text).unwrap().to_utc()
    }

    fn rows(&self, sql: &str) -> usize {
        let mut statement = self.0.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut count = 0;
        while rows.next().unwrap().is_some() {
            count += 1;
        }
        count
    }
}

/// The trailing numbers of the report line that begins with `name`.
fn numbers_of(report: &str, name: &str) -> Vec<i64> {
    let line = report.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
    let words = line.split_whitespace().rev();
    let mut numbers: Vec<_> = words.map_while(|word| word.replace(',', "").parse().ok()).collect();
    numbers.reverse();
    numbers
}

#[test]
fn mirrors_and_reports_a_week() {
    let temporary = tempfile::tempdir().unwrap();
    let began = Clock::System.now();
    let kept = temporary.path().join("kept.db");
    let (code, report, log) = run(demo(temporary.path()).arg("--database").arg(&kept));
    let ended = Clock::System.now();
    assert_eq!(code, Some(0), "{log}");

    let path = report.lines().find(|line| line.starts_with('/')).map(PathBuf::from).unwrap();
    assert_eq!(path, kept.canonicalize().unwrap());
    let mirror = Mirror::open(&path);

    // The week ends when the program does, and begins seven days before its start. `sync_log` has no
    // row of a last run without requests.
    let last = "strftime('%Y-%m-%dT%H:%M:%S', max(finished_at) / 1000000, 'unixepoch')
                || printf('.%06dZ', max(finished_at) % 1000000)";
    let last = mirror.instant(&format!("SELECT {last} FROM run"));
    assert!(last >= began && last <= ended, "{began} {last} {ended}");
    let first = mirror.instant("SELECT min(started_at) FROM sync_log");
    assert!((first - began + TimeDelta::days(7)).abs() < TimeDelta::seconds(10), "{first}");

    // No scrape is missing, by the sandbox's own data and by the intervals between stored scrapes.
    for kind in ["accounts ", "videos ", "account videos "] {
        let freshness = report.split("Freshness").nth(1).unwrap();
        let [.., mirrored, _, missed] = numbers_of(freshness, kind)[..] else { panic!("{report}") };
        assert!(mirrored > 0, "{kind}: {report}");
        assert_eq!(missed, 0, "{kind}: {report}");
    }
    assert_eq!(mirror.number("SELECT count(*) FROM video_growth WHERE is_gap"), 0);
    let collected = "is_active = 1 AND is_unavailable = 0 AND scrape_interval_hours <= 24
                     AND added_at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-8 days')";
    assert!(mirror.number(&format!("SELECT count(*) FROM videos WHERE {collected}")) > 100);
    let short = format!(
        "SELECT count(*) FROM videos AS v WHERE {collected}
         AND (SELECT count(*) FROM video_history AS h WHERE h.video_id = v.id) < 168 / scrape_interval_hours"
    );
    assert_eq!(mirror.number(&short), 0);
    assert!(mirror.number("SELECT count(DISTINCT date) FROM video_daily") >= 8);

    // The report's total equals the log's, and is below one request per video and hour.
    let spent = mirror.number("SELECT sum(requests) FROM sync_log");
    assert_eq!(numbers_of(&report, "total")[0], spent);
    assert!(spent < mirror.number("SELECT 168 * count(*) FROM videos"));

    check_tracked_video(&report, &mirror);
    for line in ["day simulated day=1 days=7", "day simulated day=7 days=7"] {
        assert!(log.contains(line), "{log}");
    }
    check_queries(&report, &mirror);
    check_key_is_not_printed(&report, &log, path.parent().unwrap());
}

/// One video went through the outbox, was scraped seconds later, and is in the report.
fn check_tracked_video(report: &str, mirror: &Mirror) {
    let tracked = "FROM outbox_log AS o JOIN videos AS v ON v.id = o.result_id
                   WHERE o.state = 'succeeded' AND o.action = 'track' AND o.attempts = 1";
    assert_eq!(mirror.number(&format!("SELECT count(*) {tracked}")), 1);
    let queued = mirror.instant(&format!("SELECT o.created_at {tracked}"));
    let ended = mirror.instant(&format!("SELECT o.finished_at {tracked}"));
    let scraped = mirror.instant(&format!("SELECT v.first_scrape_time {tracked}"));
    assert!(
        queued <= ended && ended <= scraped + TimeDelta::seconds(1),
        "{queued} {ended} {scraped}"
    );
    assert!(scraped - queued < TimeDelta::minutes(1), "{queued} {scraped}");
    let scrapes = format!(
        "SELECT count(*) FROM video_history WHERE video_id = (SELECT o.result_id {tracked})"
    );
    assert!(mirror.number(&scrapes) >= 8, "an hourly video in nine hours");
    let views = "SELECT view_count FROM video_history
                 WHERE video_id = (SELECT result_id FROM outbox_log) ORDER BY scraped_at LIMIT 1";
    let section = report.split("Tracked through the outbox\n\n").nth(1).unwrap();
    let lines: Vec<&str> = section.lines().take(2).collect();
    assert!(
        lines[0].starts_with("1 succeeded: track video tiktok:7311234567890123456, "),
        "{section}"
    );
    let line = lines[1].replace(',', "");
    assert!(line.starts_with("first scrape "), "{section}");
    assert!(line.contains(&format!(" s later: {} views; ", mirror.number(views))), "{section}");
}

fn check_queries(report: &str, mirror: &Mirror) {
    let lines: Vec<&str> = report.lines().filter(|line| line.starts_with("sqlite3 ")).collect();
    assert_eq!(lines.len(), 2, "{report}");
    let python = report.lines().find(|line| line.starts_with("python3 -c ")).unwrap();
    for line in lines {
        let sql = line.split('"').nth(1).unwrap();
        assert!(mirror.rows(sql) >= 5, "{sql}");
        // As printed, with `sqlite3` and with Python, whichever is installed.
        for pasted in [line.to_owned(), line.replacen("sqlite3", python, 1)] {
            let output = Command::new("sh").args(["-c", &pasted]).output().unwrap();
            if output.status.code() == Some(127) {
                continue;
            }
            let rows = String::from_utf8(output.stdout).unwrap();
            assert_eq!(rows.lines().count(), mirror.rows(sql), "{pasted}\n{:?}", output.stderr);
        }
    }
}

fn check_key_is_not_printed(report: &str, log: &str, folder: &Path) {
    assert!(!report.contains(KEY) && !log.contains(KEY));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|found| found == KEY.as_bytes()), "{path:?}");
    }
}

#[test]
fn refuses_an_existing_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mirror.db");
    std::fs::write(&file, "a foreign mirror").unwrap();
    for taken in [&file, &folder.path().to_owned()] {
        let (code, report, log) = run(demo(folder.path()).arg("--database").arg(taken));
        assert_eq!((code, report.as_str()), (Some(74), ""), "{log}");
        assert!(log.contains("already exists; it was not changed"), "{log}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"a foreign mirror");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn interrupt_leaves_no_files() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = demo(temporary.path()).arg("--log-level=debug").spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(!line.contains("creatormirror: "), "{line}");
    let process = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.ends_with("creatormirror: demo interrupted\n"), "{rest}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
    assert!(!rest.contains(KEY));
}
