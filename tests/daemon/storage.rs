//! A full disk and a locked database: writing pauses, and resumes where it stopped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use creatormirror::model::Kind;

use super::harness::{Daemon, quiet_bed};
use super::support::skip::{Need, skip};
use super::support::{TestBed, unlimited, until};
use crate::support::sandbox::{Fault, FaultKind, SandboxSettings};

/// Size of the small disk.
const DISK: &str = "size=24m";
const NAME: &str = "New Creator";
/// Size at which the write-ahead log is checkpointed, and to which it shrinks after it.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// The `unshare` arguments that permit mounts here: as root, or in a user namespace.
pub(super) fn unshare() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    ways.into_iter().find(|way| {
        let tried = Command::new("unshare")
            .args(*way)
            .args(["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", "/mnt"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    })
}

/// Starts a daemon with a small tmpfs over the database's folder. Returns the path of that tmpfs as
/// seen from outside its mount namespace, valid while the daemon runs.
fn start_on_small_disk(bed: &TestBed, way: &[&str]) -> (Daemon, PathBuf) {
    let mount = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", mount, "sh", DISK]).arg(bed.folder());
    let daemon = bed.start_daemon_with(wrapped(command, bed.command(&["run"])));
    let inside = bed.folder().strip_prefix("/").unwrap();
    let seen_at = Path::new(&format!("/proc/{}/root", daemon.process.id())).join(inside);
    daemon.notify.wait_for("STATUS=idle until");
    (daemon, seen_at)
}

/// Runs a command in the daemon's mount namespace.
fn beside(daemon: &Daemon, way: &[&str], command: Command) {
    let process = daemon.process.id().to_string();
    let mut enter = Command::new("nsenter");
    enter.args(["--target", &process, "--mount"]);
    if way.contains(&"--user") {
        enter.args(["--user", "--preserve-credentials"]);
    }
    let output = wrapped(enter, command).output().unwrap();
    assert!(output.status.success(), "{output:#?}");
}

/// Runs `command` by way of `by`, keeping PATH.
pub(super) fn wrapped(mut by: Command, command: Command) -> Command {
    by.arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    by
}

/// Fills the rest of the disk.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = std::fs::File::create(&path).unwrap();
    for block in [65_536, 4_096] {
        while file.write_all(&vec![b'x'; block]).is_ok() {}
    }
    path
}

/// Asserts that the queued creator was created exactly once.
#[track_caller]
fn expect_created_once(bed: &TestBed) {
    assert_eq!(bed.text("SELECT state FROM outbox_log"), "succeeded");
    let rows = bed.control.rows(Kind::Creator);
    assert_eq!(rows.iter().filter(|row| row["name"] == NAME).count(), 1);
}

#[test]
fn full_disk_pauses_writing_and_keeps_the_outbox() {
    let Some(way) = unshare() else { return skip(Need::Mount, "mounting is not permitted") };
    let bed = quiet_bed(unlimited());
    let (daemon, disk) = start_on_small_disk(&bed, way);
    // The disk fills up while the answer to a write is in flight.
    bed.control.fault(Fault::on("POST", "/creators", FaultKind::Slow(Duration::from_secs(1))));
    beside(&daemon, way, bed.command(&["track", "creator", NAME]));
    until("the write is sent", || bed.log().iter().any(|entry| entry.method == "POST"));
    let ballast = fill(&disk);
    daemon
        .notify
        .wait_for_status("cannot write the database: database error: database or disk is full");
    until("the failure is logged", || {
        daemon.process.stderr().contains("cannot write the database")
    });
    // No requests are sent whose answers could not be stored.
    let requests = bed.log().len();
    std::thread::sleep(Duration::from_secs(2));
    assert!(bed.log().len() <= requests + 1, "{:#?}", bed.log());

    std::fs::remove_file(ballast).unwrap();
    daemon.notify.wait_for_status("idle until");
    until("the entry is finished", || {
        copy(&disk, &bed);
        bed.text("SELECT state FROM outbox_log") == "succeeded"
    });
    expect_created_once(&bed);
    bed.compare();
    bed.check_integrity();
    daemon.stop();
}

/// Copies the database out of the small disk to inspect it.
fn copy(disk: &Path, bed: &TestBed) {
    let _ = std::fs::remove_file(bed.folder().join("mirror.db-shm"));
    for name in ["mirror.db", "mirror.db-wal"] {
        std::fs::copy(disk.join(name), bed.folder().join(name)).unwrap();
    }
}

#[test]
fn locked_database_pauses_writing_and_keeps_the_outbox() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    bed.start(bed.command(&["track", "creator", NAME])).wait().expect(0);
    let holder = bed.db_to_write();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Longer than the busy timeout of a statement.
    daemon.notify.wait_for_status("cannot write the database: database error: database is locked");
    assert!(bed.control.rows(Kind::Creator).iter().all(|row| row["name"] != NAME));
    holder.execute_batch("ROLLBACK").unwrap();
    daemon.notify.wait_for_status("idle until");
    expect_created_once(&bed);
    bed.sync_ok(&["--full"]);
    bed.compare();
    daemon.stop();
}

#[test]
fn reader_holds_up_checkpoints_and_nothing_else() {
    let bed = quiet_bed(SandboxSettings { account_videos: 10_000, ..unlimited() });
    let log_bytes = || std::fs::metadata(bed.folder().join("mirror.db-wal")).unwrap().len();
    bed.sync_ok(&["--only", "accounts"]);
    // Litestream keeps such a transaction open.
    let reader = bed.db();
    reader.execute_batch("BEGIN; SELECT count(*) FROM creators").unwrap();
    let daemon = bed.idle_daemon();
    assert!(log_bytes() > LOG_BYTES_MAX, "{}", log_bytes());
    bed.start(bed.command(&["track", "creator", NAME])).wait().expect(0);
    until("the creator is sent", || bed.text("SELECT state FROM outbox_log") == "succeeded");
    bed.sync_ok(&["--full", "--only", "creators"]);
    let seen: i64 =
        reader.query_row("SELECT count(*) FROM creators", [], |row| row.get(0)).unwrap();
    assert_eq!(seen, 0);
    let before = log_bytes();
    reader.execute_batch("COMMIT").unwrap();
    // The first write that finds the log in the database begins it anew.
    until("the log has shrunk", || {
        bed.sync_ok(&["--full", "--only", "creators"]);
        log_bytes() <= LOG_BYTES_MAX
    });
    assert!(before > LOG_BYTES_MAX, "{before}");
    expect_created_once(&bed);
    daemon.stop();
    bed.check_integrity();
}

/// Starts an idle daemon, calls `happens` on its folder, and expects exit code 74.
fn expect_exit_74_after(bed: &TestBed, happens: impl FnOnce(&Path)) {
    let copy = bed.folder().join("copy.db");
    let daemon = bed.idle_daemon();
    bed.start(bed.command(&["backup", copy.to_str().unwrap()])).wait().expect(0);
    happens(&copy);
    daemon.process.wait().expect(74).says("mirror.db` was deleted or replaced while it was in use");
}

#[test]
fn deleted_database_exits_74() {
    for names in
        [&["mirror.db"][..], &["mirror.db-wal"], &["mirror.db", "mirror.db-wal", "mirror.db-shm"]]
    {
        let bed = quiet_bed(unlimited());
        expect_exit_74_after(&bed, |_| {
            for name in names {
                std::fs::remove_file(bed.folder().join(name)).unwrap();
            }
        });
        bed.sync_ok(&["--full"]);
        bed.compare();
        bed.check_integrity();
    }
}

#[test]
fn replaced_database_exits_74_and_is_not_modified() {
    for way in ["moved", "copied"] {
        let bed = quiet_bed(unlimited());
        let mut expected = Vec::new();
        expect_exit_74_after(&bed, |copy| {
            expected = std::fs::read(copy).unwrap();
            let done = match way {
                "moved" => std::fs::rename(copy, bed.database()),
                _ => std::fs::copy(copy, bed.database()).map(|_| ()),
            };
            done.unwrap();
        });
        assert!(std::fs::read(bed.database()).unwrap() == expected, "{way}");
        // The old write-ahead log is left, and does not belong to the new file.
        bed.sync(&[]).expect(74).says("creatormirror restore");
        let kept = bed.folder().join("kept.db");
        std::fs::rename(bed.database(), &kept).unwrap();
        bed.start(bed.command(&["restore", kept.to_str().unwrap()])).wait().expect(0);
        bed.sync_ok(&["--full"]);
        bed.compare();
        bed.check_integrity();
    }
}
