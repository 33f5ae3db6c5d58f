//! A full disk and a busy database: writing pauses, and goes on where it was.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use creatormirror::model::Kind;

use super::stage::{Daemon, still};
use super::support::{Bed, calm, skip, until};
use crate::support::sandbox::{Accident, Fault};

/// Size of the disk that fills up.
const DISK: &str = "size=24m";
const NAME: &str = "somebody new";

/// How to give a command a mount of its own here: as root, or in a user namespace.
fn unshare() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    ways.into_iter().find(|way| {
        let tried = Command::new("unshare")
            .args(*way)
            .args(["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", "/mnt"])
            .output();
        tried.is_ok_and(|output| output.status.success())
    })
}

/// A daemon whose database is on a small disk of its own, under the usual name, and where that disk is
/// seen from here for as long as the daemon lives.
fn on_a_small_disk(bed: &Bed, way: &[&str]) -> (Daemon, PathBuf) {
    let mount = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", mount, "sh", DISK]).arg(bed.folder());
    let daemon = bed.start_daemon_by(wrapped(command, bed.command(&["run"])));
    let inside = bed.folder().strip_prefix("/").unwrap();
    let seen_at = Path::new(&format!("/proc/{}/root", daemon.process.id())).join(inside);
    daemon.news.wait_for("STATUS=idle until");
    (daemon, seen_at)
}

/// Runs a command where that daemon runs.
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

/// A command by way of another, which finds its programs.
fn wrapped(mut by: Command, command: Command) -> Command {
    by.arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    by
}

/// Takes up what is left of the disk.
fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = std::fs::File::create(&path).unwrap();
    for block in [65_536, 4_096] {
        while file.write_all(&vec![b'x'; block]).is_ok() {}
    }
    path
}

/// The entry was done, once.
#[track_caller]
fn is_done_once(bed: &Bed) {
    assert_eq!(bed.text("SELECT state FROM outbox_log"), "succeeded");
    let rows = bed.control.rows(Kind::Creator);
    assert_eq!(rows.iter().filter(|row| row["name"] == NAME).count(), 1);
}

#[test]
fn a_full_disk_pauses_it_and_loses_nothing_of_the_outbox() {
    let test = "a_full_disk_pauses_it_and_loses_nothing_of_the_outbox";
    let Some(way) = unshare() else { return skip(test, "no mount can be made here") };
    let bed = still(calm());
    let (daemon, disk) = on_a_small_disk(&bed, way);
    // While the answer to a write is on its way, the disk fills up.
    bed.control.fault(Fault::on("POST", "/creators", Accident::Slow(Duration::from_secs(1))));
    beside(&daemon, way, bed.command(&["track", "creator", NAME]));
    until("it is sent", || bed.log().iter().any(|entry| entry.method == "POST"));
    let ballast = fill(&disk);
    daemon
        .news
        .wait_for_status("cannot write the database: database error: database or disk is full");
    until("it is logged", || daemon.process.stderr().contains("cannot write the database"));
    // It waits in peace: the API is not asked for what could not be kept.
    let asked = bed.log().len();
    std::thread::sleep(Duration::from_secs(2));
    assert!(bed.log().len() <= asked + 1, "{:#?}", bed.log());

    std::fs::remove_file(ballast).unwrap();
    daemon.news.wait_for_status("idle until");
    until("the entry is settled", || {
        copy(&disk, &bed);
        bed.text("SELECT state FROM outbox_log") == "succeeded"
    });
    is_done_once(&bed);
    bed.compare();
    bed.is_sound();
    daemon.stop();
}

/// Takes a copy of the database, to look at.
fn copy(disk: &Path, bed: &Bed) {
    let _ = std::fs::remove_file(bed.folder().join("mirror.db-shm"));
    for name in ["mirror.db", "mirror.db-wal"] {
        std::fs::copy(disk.join(name), bed.folder().join(name)).unwrap();
    }
}

#[test]
fn a_database_that_another_process_holds_pauses_it_and_loses_nothing_of_the_outbox() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    bed.start(bed.command(&["track", "creator", NAME])).wait().expect(0);
    let holder = bed.db_to_write();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Longer than a statement waits.
    daemon.news.wait_for_status("cannot write the database: database error: database is locked");
    assert!(bed.control.rows(Kind::Creator).iter().all(|row| row["name"] != NAME));
    holder.execute_batch("ROLLBACK").unwrap();
    daemon.news.wait_for_status("idle until");
    is_done_once(&bed);
    bed.sync_well(&["--full"]);
    bed.compare();
    daemon.stop();
}

/// A daemon that has nothing to do, and what it does when this happens to its files.
fn ended_by(bed: &Bed, happens: impl FnOnce(&Path)) {
    let copy = bed.folder().join("copy.db");
    let daemon = bed.idle_daemon();
    bed.start(bed.command(&["backup", copy.to_str().unwrap()])).wait().expect(0);
    happens(&copy);
    daemon.process.wait().expect(74).says("mirror.db` was deleted or replaced while it was in use");
}

#[test]
fn a_database_that_is_deleted_under_it_ends_it() {
    for names in
        [&["mirror.db"][..], &["mirror.db-wal"], &["mirror.db", "mirror.db-wal", "mirror.db-shm"]]
    {
        let bed = still(calm());
        ended_by(&bed, |_| {
            for name in names {
                std::fs::remove_file(bed.folder().join(name)).unwrap();
            }
        });
        bed.sync_well(&["--full"]);
        bed.compare();
        bed.is_sound();
    }
}

#[test]
fn a_database_that_is_replaced_under_it_ends_it_and_the_new_file_is_left_alone() {
    for way in ["moved", "copied"] {
        let bed = still(calm());
        let mut expected = Vec::new();
        ended_by(&bed, |copy| {
            expected = std::fs::read(copy).unwrap();
            let done = match way {
                "moved" => std::fs::rename(copy, bed.database()),
                _ => std::fs::copy(copy, bed.database()).map(|_| ()),
            };
            done.unwrap();
        });
        assert!(std::fs::read(bed.database()).unwrap() == expected, "{way}");
        // Its log is still there, and is not the new file's.
        bed.sync(&[]).expect(74).says("creatormirror restore");
        let kept = bed.folder().join("kept.db");
        std::fs::rename(bed.database(), &kept).unwrap();
        bed.start(bed.command(&["restore", kept.to_str().unwrap()])).wait().expect(0);
        bed.sync_well(&["--full"]);
        bed.compare();
        bed.is_sound();
    }
}
