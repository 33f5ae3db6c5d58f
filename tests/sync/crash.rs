//! Crash recovery: runs that are killed or run out of disk space at any point, and the run after.

use std::process::Command;
use std::time::Duration;

use crate::support::sandbox::{Fault, FaultKind, SandboxSettings};
use crate::support::{BINARY, TestBed, unlimited, until};
use creatormirror::model::Kind;
use creatormirror::store::GROUP_MAX;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::types::Value as Sql;

fn videos(videos: usize) -> SandboxSettings {
    SandboxSettings { videos, ..unlimited() }
}

#[test]
fn kill_during_any_request_loses_no_page() {
    let settings = || SandboxSettings { accounts: 230, account_videos: 230, ..videos(1_050) };
    // whoami, meta, two pages of accounts, one of creators, six of videos, two of account videos,
    // and the overview.
    for nth in 0..14 {
        let bed = TestBed::frozen(settings());
        let slow = FaultKind::Slow(Duration::from_secs(600));
        bed.control.fault(Fault::on("*", "/*", slow).after(nth));
        let run = bed.start_sync(&[]);
        until("the request is on its way", || bed.log().len() as u64 > nth);
        // By now the pages before it are stored, or will be read again.
        std::thread::sleep(Duration::from_millis(nth * 7));
        run.kill();
        let listed = bed.rows("SELECT kind FROM coverage WHERE complete_as_of IS NOT NULL");
        bed.sync_ok(&[]);
        bed.compare();
        bed.check_integrity();
        for kind in Kind::LISTS {
            let (requests, pages) = (bed.log_of(kind.path()).len(), bed.pages(kind));
            // Kinds listed completely before the kill are overdue by the binary's clock, and polled.
            let is_polled = listed.contains(&vec![Sql::Text(kind.name().to_owned())]);
            let most = if is_polled { 2 * pages } else { pages + GROUP_MAX + 1 };
            assert!(
                (pages..=most).contains(&requests),
                "{nth}: {requests} requests for {pages} {kind}"
            );
        }
        let runs = "SELECT group_concat(outcome) FROM (SELECT outcome FROM run ORDER BY run_id)";
        // A run is recorded after `/whoami`.
        let expected = if nth == 0 { "finished" } else { "interrupted,finished" };
        assert_eq!(bed.text(runs), expected);
    }
}

#[test]
fn kill_during_startup_does_not_block_the_next_run() {
    let bed = TestBed::frozen(videos(20));
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..24 {
        let run = bed.start_sync(&[]);
        std::thread::sleep(Duration::from_micros(random.random_range(0..60_000)));
        run.kill();
        bed.sync_ok(&[]);
        bed.compare();
        for name in ["mirror.db", "mirror.db-wal", "mirror.db-shm", "mirror.db.lock"] {
            std::fs::remove_file(bed.folder().join(name)).unwrap();
        }
    }
}

#[test]
fn full_disk_exits_74_and_recovers() {
    let bed = TestBed::frozen(videos(900));
    // No file may grow beyond this many blocks of 512 bytes.
    for blocks in ["300", "700", "1100"] {
        let mut command = Command::new("/bin/sh");
        let limited = "trap '' XFSZ; ulimit -f $0; exec \"$@\"";
        let binary = bed.command(&["sync", "--quiet"]);
        command.args(["-c", limited, blocks, BINARY]).args(binary.get_args()).env_clear();
        for (name, value) in binary.get_envs() {
            command.env(name, value.unwrap());
        }
        bed.start(command).wait().expect(74);
        bed.check_integrity();
    }
    bed.sync_ok(&[]);
    bed.compare();
}

#[test]
fn recovers_from_kills_at_random_points() {
    let bed =
        TestBed::frozen(SandboxSettings { latency: Duration::from_millis(4), ..videos(2_400) });
    let mut random = ChaCha8Rng::seed_from_u64(20_260_302);
    let mut resumed = 0;
    for round in 0..16 {
        // Every third run is a full sync, so that kills hit 304s and rewrites as well.
        let arguments: &[&str] = if round % 3 == 2 { &["--full"] } else { &[] };
        bed.control.clear_log();
        let mut run = bed.start_sync(arguments);
        let (requests, micros) = (random.random_range(0..18), random.random_range(0..9_000));
        until("enough requests were sent", || bed.log().len() >= requests || !run.is_running());
        std::thread::sleep(Duration::from_micros(micros));
        let killed = run.kill();
        assert!(matches!(killed.code, None | Some(0)), "{killed:#?}");
        let first = bed.log_of("/videos").first().cloned();
        resumed += usize::from(first.is_some_and(|entry| entry.param("cursor").is_some()));
        if round == 9 {
            let id = bed.control.ids(Kind::Video).remove(700);
            bed.control.revise(Kind::Video, &id, |counts| counts.view += 1_000);
        }
        bed.check_integrity_if_exists();
    }
    assert!(resumed > 2, "only {resumed} runs were resumed");
    bed.sync_ok(&[]);
    bed.sync_ok(&["--full"]);
    bed.compare();
    bed.check_integrity();
    let scraped = "SELECT count(*) FROM videos WHERE last_scrape_time IS NOT NULL";
    assert_eq!(bed.number("SELECT count(*) FROM video_history"), bed.number(scraped));
    assert_eq!(bed.number("SELECT count(*) FROM listing WHERE state = 'open'"), 0);
}

#[test]
fn resumes_after_a_failure_to_complete_the_listing() {
    let bed = TestBed::frozen(videos(700));
    bed.sync_ok(&["--only", "overview"]);
    let disk_fails = "CREATE TRIGGER disk_fails BEFORE UPDATE ON listing
                      WHEN new.state = 'complete' AND new.kind = 'video'
                      BEGIN SELECT RAISE(ABORT, 'the disk fails here'); END";
    bed.db_to_write().execute_batch(disk_fails).unwrap();
    bed.sync(&[]).expect(74).says("the disk fails here");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 700, "every page is stored");
    bed.db_to_write().execute_batch("DROP TRIGGER disk_fails").unwrap();
    bed.control.clear_log();
    bed.sync_ok(&[]);
    assert_eq!(bed.log_of("/videos").len(), 0, "every page was stored");
    assert_eq!(bed.last_outcome(Kind::Video), "complete");
    bed.compare();
}

impl TestBed {
    fn check_integrity_if_exists(&self) {
        if self.database().exists() {
            self.check_integrity();
        }
    }
}
