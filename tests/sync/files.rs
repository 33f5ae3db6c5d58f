//! Permissions of the mirror's files, other users, folders without write permission, full disks.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::sandbox::{Fault, FaultKind};
use crate::support::skip::{Need, skip};
use crate::support::{BINARY, TestBed, copy_program, unlimited, until};
use creatormirror::model::Kind;
use rusqlite::{Connection, OpenFlags};

/// Ids of users without an account: the owner of the mirror, and two readers.
const OWNER: u32 = 54_321;
const ANALYST: u32 = 54_323;
const STRANGER: u32 = 54_324;
/// The group of owner and analyst.
const GROUP: u32 = 54_322;
/// Environment variable with the mirror to read, for this program run as another user.
const TO_READ: &str = "MIRROR_TO_READ";

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Copies of programs that any user may execute.
struct Programs {
    folder: tempfile::TempDir,
}

impl Programs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        set_mode(folder.path(), 0o755);
        Self { folder }
    }

    fn copy(&self, program: &Path) -> PathBuf {
        let copy = self.folder.path().join(program.file_name().unwrap());
        copy_program(program, &copy);
        copy
    }
}

#[test]
fn files_are_readable_by_owner_and_group_only() {
    for umask in ["022", "077"] {
        let bed = TestBed::frozen(unlimited());
        let database = bed.folder().join("made/on/the/way/mirror.db");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "umask $0; exec \"$@\"", umask, BINARY])
            .args(["sync", "--base-url", &bed.base_url, "--database"])
            .arg(&database)
            .env_clear()
            .env("HOME", bed.folder())
            .env("CREATORAUDIT_API_KEY", crate::support::KEY);
        bed.start(command).wait().expect(0);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(database.parent().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            // A user who can open the lock file could lock it.
            let is_lock = path.extension().is_some_and(|end| end == "lock");
            let expected = if is_lock { 0o600 } else { 0o640 };
            assert_eq!(mode(&path), expected, "{} under {umask}", path.display());
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        names.sort();
        assert_eq!(names, ["mirror.db", "mirror.db-shm", "mirror.db-wal", "mirror.db.lock"]);
        for folder in database.ancestors().skip(1).take(3) {
            assert_eq!(mode(folder), 0o750, "{} under {umask}", folder.display());
        }
    }
}

#[test]
fn unwritable_folder_exits_74() {
    for has_mirror in [false, true] {
        let bed = TestBed::frozen(unlimited());
        if has_mirror {
            bed.sync_ok(&[]);
            for entry in std::fs::read_dir(bed.folder()).unwrap() {
                set_mode(&entry.unwrap().path(), 0o444);
            }
        }
        let programs = Programs::new();
        set_mode(bed.folder(), 0o555);
        let mut command = match is_root() {
            // Permissions do not stop root.
            true => {
                let mut command = bed.command_of(&programs.copy(Path::new(BINARY)), &["sync"]);
                command.env("HOME", bed.folder()).uid(STRANGER).gid(STRANGER);
                command
            }
            false => bed.command(&["sync"]),
        };
        command.arg("--full");
        let requests = bed.log().len();
        let run = bed.start(command).wait();
        set_mode(bed.folder(), 0o755);
        run.expect(74).says("ermission denied");
        assert_eq!(bed.log().len(), requests, "no request before the database is writable");
        assert_eq!(bed.database().exists(), has_mirror);
    }
}

/// A command that may not write files beyond this many blocks of 512 bytes.
fn limited(blocks: u32, command: &Command) -> Command {
    let mut by_shell = Command::new("/bin/sh");
    by_shell
        .args(["-c", "ulimit -f $0; exec \"$@\""])
        .arg(blocks.to_string())
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    by_shell
}

#[test]
fn file_size_limit_exits_74_without_sigxfsz() {
    let bed = TestBed::frozen(unlimited());
    // Reached in the first migration, and in the first listing.
    for blocks in [100, 1_000] {
        let run = bed.start(limited(blocks, &bed.command(&["sync"]))).wait().expect(74);
        run.says("disk I/O error").says("file size limit");
    }
    bed.sync_ok(&["--full"]);
    bed.check_integrity();
    bed.compare();
    // Too small for `-shm`.
    bed.start(limited(8, &bed.command(&["status"]))).wait().expect(74).says("file size limit");
}

#[test]
fn full_disk_is_named_in_the_error() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let disk = tempfile::tempdir().unwrap();
    let copy = disk.path().join("m.db");
    // No space for `-shm`, which every reader needs.
    let script = r#"mount -t tmpfs -o size=8m,mode=755 tmpfs "$1" && cp "$2" "$1/m.db" || exit 99
        : > "$1/m.db-wal"; : > "$1/m.db-shm"; cat /dev/zero > "$1/ballast" 2> /dev/null; shift 2; exec "$@""#;
    let command = bed.command_on(Path::new(BINARY), &copy, &["status"]);
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    for way in ways {
        let mut on_disk = Command::new("unshare");
        on_disk
            .args(way)
            .args(["sh", "-c", script, "sh"])
            .args([disk.path(), &bed.database()])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let run = bed.start(on_disk).wait();
        if !matches!(run.code, Some(1 | 99)) {
            run.expect(74).says("disk I/O error").says("the disk is full (0 B free)");
            return;
        }
    }
    eprintln!("SKIPPED: this user may not mount a disk");
}

/// The part of `group_member_can_read_during_a_sync` that runs as another user.
#[test]
#[ignore = "run as another user by the test below"]
fn read_as_another_user() {
    let Some(path) = std::env::var_os(TO_READ) else { return };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let address = format!("file:{}?mode=ro", path.display());
    let db = Connection::open_with_flags(address, flags).unwrap();
    let count = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let videos = count("SELECT count(*) FROM videos");
    println!("read {videos} videos and {} scrapes", count("SELECT count(*) FROM video_history"));
    db.execute("DELETE FROM video", []).unwrap_err();
}

/// The part of `group_reader_cannot_lock_out_the_daemon` that runs as another user: locks every file
/// it can open, until it is killed.
#[test]
#[ignore = "run as another user by the test below"]
fn lock_as_another_user() {
    let Some(path) = std::env::var_os(TO_READ) else { return };
    let open = |end: &str| std::fs::File::open(format!("{}{end}", path.display()));
    let held: Vec<_> = ["", "-wal", "-shm", ".lock"].into_iter().flat_map(open).collect();
    held.iter().for_each(|file| file.try_lock_shared().unwrap());
    // `eprintln!` would be captured by the test harness.
    std::io::Write::write_all(&mut std::io::stderr(), format!("holds {}\n", held.len()).as_bytes())
        .unwrap();
    std::thread::sleep(crate::support::TIMEOUT);
}

/// A user and a group that every Debian has; the group has only this user.
const DAEMON: u32 = 1;

#[test]
fn who_may_not_use_the_mirror_is_told_what_to_do() {
    if !is_root() {
        return skip(Need::Root, "only root can run programs as other users");
    }
    let programs = Programs::new();
    let binary = programs.copy(Path::new(BINARY));
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    for entry in std::fs::read_dir(bed.folder()).unwrap() {
        chown(entry.unwrap().path(), Some(DAEMON), Some(DAEMON)).unwrap();
    }
    chown(bed.folder(), Some(DAEMON), Some(DAEMON)).unwrap();
    set_mode(bed.folder(), 0o750);
    let run = |arguments: &[&str], group: u32| {
        let mut command = bed.command_of(&binary, arguments);
        command.current_dir("/").uid(ANALYST).gid(group);
        bed.start(command).wait()
    };
    for command in ["status", "report", "sync", "check"] {
        let run = run(&[command], STRANGER).expect(74).says("permission denied: `");
        run.says("members of the group `daemon` may read it").says("`sudo adduser NAME daemon`");
    }
    run(&["track", "creator", "Ada"], STRANGER).expect(74).says("permission denied: `");
    run(&["status"], DAEMON).expect(0);
    for arguments in [&["track", "creator", "Ada"][..], &["outbox", "discard", "1"], &["sync"]] {
        let run = run(arguments, DAEMON).expect(74).says("permission denied: `");
        run.says("`sudo -u daemon creatormirror");
    }
}

#[test]
fn files_that_root_creates_belong_to_the_owner_of_the_folder() {
    if !is_root() {
        return skip(Need::Root, "only root can give files to others");
    }
    let bed = TestBed::frozen(unlimited());
    chown(bed.folder(), Some(OWNER), Some(GROUP)).unwrap();
    bed.sync_ok(&[]);
    bed.start(bed.command(&["track", "creator", "Ada"])).wait().expect(0);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(bed.folder()).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (OWNER, GROUP), "{entry:?}");
        names.push(entry.file_name());
    }
    assert_eq!(names.len(), 4, "{names:?}");
    // The service can go on with them.
    let programs = Programs::new();
    let mut command = bed.command_of(&programs.copy(Path::new(BINARY)), &["sync"]);
    command.current_dir("/").uid(OWNER).gid(GROUP);
    bed.start(command).wait().expect(0);
}

#[test]
fn group_reader_cannot_lock_out_the_daemon() {
    if !is_root() {
        skip(Need::Root, "only root can run programs as other users");
        return;
    }
    let programs = Programs::new();
    let reader = programs.copy(&std::env::current_exe().unwrap());
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    for name in ["mirror.db", "mirror.db-wal", "mirror.db-shm", "mirror.db.lock"] {
        chown(bed.folder().join(name), None, Some(GROUP)).unwrap();
    }
    set_mode(bed.folder(), 0o755);
    let mut command = Command::new(&reader);
    command
        .args(["files::lock_as_another_user", "--exact", "--include-ignored", "--nocapture"])
        .env_clear()
        .env(TO_READ, bed.database())
        .current_dir("/")
        .uid(ANALYST)
        .gid(GROUP);
    let holder = bed.start(command);
    until("the files are locked", || holder.stderr().contains("holds 3"));
    bed.sync_ok(&["--full"]);
    let daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || bed.text("SELECT runner FROM instance") == "run");
    daemon.terminate();
    daemon.wait().expect(0);
    holder.kill();
}

#[test]
fn group_member_can_read_during_a_sync() {
    if !is_root() {
        skip(Need::Root, "only root can run programs as other users");
        return;
    }
    let programs = Programs::new();
    let (binary, reader) =
        (programs.copy(Path::new(BINARY)), programs.copy(&std::env::current_exe().unwrap()));
    let bed = TestBed::frozen(unlimited());
    chown(bed.folder(), Some(OWNER), Some(GROUP)).unwrap();
    set_mode(bed.folder(), 0o750);
    let sync = |arguments: &[&str]| {
        let mut command = bed.command_of(&binary, arguments);
        command.env("HOME", bed.folder()).uid(OWNER).gid(GROUP);
        bed.start(command)
    };
    let read = |user: u32, group: u32| {
        let mut command = Command::new(&reader);
        command
            .args(["files::read_as_another_user", "--exact", "--include-ignored", "--nocapture"])
            .env_clear()
            .env(TO_READ, bed.database())
            .current_dir("/")
            .uid(user)
            .gid(group);
        bed.start(command).wait()
    };
    let status = || {
        let mut command = bed.command_of(&binary, &["status", "--json"]);
        command.env("HOME", "/").env_remove("CREATORAUDIT_API_KEY").uid(ANALYST).gid(GROUP);
        bed.start(command).wait()
    };
    sync(&["sync"]).wait().expect(0);
    assert_eq!(std::fs::metadata(bed.database()).unwrap().uid(), OWNER);
    let all =
        format!("read 60 videos and {} scrapes", bed.number("SELECT count(*) FROM video_history"));
    let sees_all = || {
        let run = read(ANALYST, GROUP).expect(0);
        assert!(run.stdout.contains(&all), "{run:#?}");
        status().expect(0);
    };
    sees_all();

    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", Kind::AccountVideo.path(), slow));
    let running = sync(&["sync", "--full"]);
    until("the sync waits for a page", || bed.log_of("/account-videos").len() == 2);
    sees_all();
    running.terminate();
    running.wait().expect(1);
    sees_all();

    assert_ne!(read(STRANGER, STRANGER).code, Some(0), "other users can read the mirror");
    sync(&["sync"]).wait().expect(0);
    bed.compare();
}
