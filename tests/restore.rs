//! Copies put in place of the database: manually beside an old write-ahead log, which is refused, and
//! with `restore`, which accepts copies of any origin.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use creatormirror::model::Kind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use support::sandbox::{Fault, FaultKind, RetryAfter};
use support::{BINARY, Run, TestBed, queries, unlimited, until};

/// Tables that differ between a restored copy and the original.
const ITS_OWN: [&str; 4] = ["instance", "job", "run", "kind_run"];

/// A folder for copies.
struct Copies(tempfile::TempDir);

impl Copies {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn run(bed: &TestBed, arguments: &[&str]) -> Run {
    bed.start(bed.command(arguments)).wait()
}

fn backup(bed: &TestBed, copy: &Path) {
    run(bed, &["backup", copy.to_str().unwrap(), "--force"]).expect(0);
}

fn restore(bed: &TestBed, copy: &Path) -> Run {
    run(bed, &["restore", copy.to_str().unwrap()])
}

fn sibling(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The rows of all tables except those in `ITS_OWN`.
fn content(everything: BTreeMap<String, Vec<Vec<rusqlite::types::Value>>>) -> String {
    let shared = everything.into_iter().filter(|(table, _)| !ITS_OWN.contains(&table.as_str()));
    format!("{:?}", shared.collect::<Vec<_>>())
}

/// Kills a full sync in the middle, so that the write-ahead log holds rows.
fn crash(bed: &TestBed, database: &Path) {
    let id = bed.control.ids(Kind::Account).remove(0);
    let name = format!("seen by the run that crashed, after {}", bed.log().len());
    bed.control.set_member(Kind::Account, &id, "name", &json!(&name));
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/videos", slow));
    bed.control.clear_log();
    let run = bed.start(bed.command_on(Path::new(BINARY), database, &["sync", "--full"]));
    let is_written = || {
        let db = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let sql = "SELECT count(*) FROM account WHERE name = ?1";
        db.query_row(sql, [&name], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    until("the sync has started", || !bed.log_of("/videos").is_empty() && is_written());
    run.kill();
    bed.control.clear_faults();
    assert!(std::fs::metadata(sibling(database, "-wal")).unwrap().len() > 0);
}

#[test]
fn refuses_a_backup_copied_over_a_crashed_mirror() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    backup(&bed, &copy);
    crash(&bed, &bed.database());
    std::fs::copy(&copy, bed.database()).unwrap();
    let files = || ["", "-wal"].map(|end| std::fs::read(sibling(&bed.database(), end)).unwrap());
    let before = files();
    let other = copies.path("other.db");
    for arguments in [
        &["sync"][..],
        &["run"],
        &["track", "creator", "Ada"],
        &["status"],
        &["backup", other.to_str().unwrap()],
    ] {
        let run = run(&bed, arguments).expect(74);
        run.says("belongs to another database").says("creatormirror restore");
        assert_eq!(files(), before, "{arguments:?}");
    }
    let done = restore(&bed, &copy).expect(0);
    assert!(done.stdout.contains("mirror.db.replaced"), "{done:#?}");
    // The write-ahead log's database file no longer exists.
    assert!(!bed.folder().join("mirror.db.replaced-wal").exists());
    assert_eq!(bed.text("PRAGMA integrity_check"), "ok");
    bed.sync_ok(&["--full"]);
    bed.compare();
    bed.check_integrity();
}

#[test]
fn refuses_a_used_copy_moved_over_a_crashed_mirror() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    backup(&bed, &copy);
    // A used copy is in WAL mode and has its own installation id.
    bed.start(bed.command_on(Path::new(BINARY), &copy, &["sync", "--full"])).wait().expect(0);
    crash(&bed, &bed.database());
    let old = bed.folder().join("old.db");
    std::fs::rename(bed.database(), &old).unwrap();
    std::fs::copy(&copy, bed.database()).unwrap();
    bed.sync(&[]).expect(74).says("belongs to another database");
    std::fs::rename(&old, bed.database()).unwrap();
    bed.sync_ok(&["--full"]);
    bed.compare();
    bed.check_integrity();
}

#[test]
fn own_wal_opens_after_a_crash() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    backup(&bed, &copy);
    let mut random = ChaCha8Rng::seed_from_u64(21);
    for place in ["fresh", "copied over a closed one", "restored"] {
        for first in [&["sync", "--full"][..], &["run"], &["track", "creator", "Ada"]] {
            match place {
                "fresh" => {
                    for name in names(bed.folder()) {
                        std::fs::remove_file(bed.folder().join(name)).unwrap();
                    }
                    std::fs::copy(&copy, bed.database()).unwrap();
                }
                // The lock file still names the previous database.
                "copied over a closed one" => {
                    bed.sync_ok(&[]);
                    std::fs::copy(&copy, bed.database()).unwrap();
                }
                _ => _ = restore(&bed, &copy).expect(0),
            }
            for n in 0..6 {
                let run = bed.start(bed.command(first));
                std::thread::sleep(Duration::from_micros(random.random_range(0..150_000)));
                run.kill();
                if n % 2 == 1 {
                    continue;
                }
                bed.sync_ok(&[]);
            }
            crash(&bed, &bed.database());
            bed.sync_ok(&["--full"]);
            bed.check_integrity();
        }
    }
    bed.compare();
}

#[test]
fn wal_written_by_another_program_opens() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    // Another program neither closes the database nor uses our lock file.
    let db = bed.db_to_write();
    db.execute("UPDATE instance SET condition = 'theirs'", []).unwrap();
    std::mem::forget(db);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn snapshot_of_database_and_log_opens_with_all_rows() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    crash(&bed, &bed.database());
    bed.control.add_creator("New Creator");
    let daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || bed.text("SELECT runner FROM instance") == "run");
    bed.start(bed.command(&["sync", "--full"])).wait().expect(0);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    let expected = {
        // While nothing is written all files are as of one instant.
        let holder = bed.db_to_write();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        for end in ["", "-wal"] {
            std::fs::copy(sibling(&bed.database(), end), sibling(&copy, end)).unwrap();
        }
        content(bed.everything())
    };
    daemon.terminate();
    daemon.wait().expect(0);
    assert!(std::fs::metadata(sibling(&copy, "-wal")).unwrap().len() > 0);
    let opened = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    assert_eq!(content(queries::everything(&opened)), expected);
    drop(opened);
    restore(&bed, &copy).expect(0);
    assert_eq!(content(bed.everything()), expected);
    bed.sync_ok(&["--full"]);
    bed.compare();
    bed.check_integrity();
}

#[test]
fn restores_copies_of_any_origin() {
    for origin in ["backup", "cp", "cp with its log", "vacuum into", "sqlite backup"] {
        let bed = TestBed::frozen(unlimited());
        bed.sync_ok(&[]);
        if origin == "cp with its log" {
            crash(&bed, &bed.database());
        }
        let expected = content(bed.everything());
        let copies = Copies::new();
        let copy = copies.path("copy.db");
        match origin {
            "backup" => backup(&bed, &copy),
            "vacuum into" => {
                let sql = format!("VACUUM INTO '{}'", copy.display());
                bed.db_to_write().execute_batch(&sql).unwrap();
            }
            "sqlite backup" => bed.db().backup("main", &copy, None::<fn(_)>).unwrap(),
            _ => {
                std::fs::copy(bed.database(), &copy).unwrap();
                let log = sibling(&bed.database(), "-wal");
                std::fs::copy(log, sibling(&copy, "-wal")).unwrap();
            }
        }
        let before = names(copies.0.path());
        // Changes after the copy was made, and a leftover write-ahead log.
        bed.control.add_creator("New Creator");
        bed.sync_ok(&["--full"]);
        crash(&bed, &bed.database());
        let replaced = content(bed.everything());
        restore(&bed, &copy).expect(0);
        assert_eq!(content(bed.everything()), expected, "{origin}");
        assert_eq!(
            names(copies.0.path()),
            before,
            "{origin}: no files are created beside the copy"
        );
        let mode = std::fs::metadata(bed.database()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640, "{origin}");
        // The replaced file is complete, with its write-ahead log.
        let kept = Connection::open(bed.folder().join("mirror.db.replaced")).unwrap();
        assert_eq!(content(queries::everything(&kept)), replaced, "{origin}");
        drop(kept);
        bed.sync_ok(&["--full"]);
        bed.compare();
        bed.check_integrity();
    }
}

#[test]
fn restores_a_missing_database_and_removes_old_wal_files() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    backup(&bed, &copy);
    crash(&bed, &bed.database());
    std::fs::remove_file(bed.database()).unwrap();
    let done = restore(&bed, &copy).expect(0);
    assert!(!done.stdout.contains("replaced"), "{done:#?}");
    let expected = ["mirror.db", "mirror.db.lock"].map(str::to_owned);
    assert_eq!(names(bed.folder()), expected.into());
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn refuses_unsuitable_copies_and_keeps_the_database() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let good = copies.path("good.db");
    backup(&bed, &good);
    let changed = |name: &str, sql: &str| {
        let path = copies.path(name);
        std::fs::copy(&good, &path).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    };
    let theirs = changed("theirs.db", "UPDATE instance SET organization_id = 'theirs'");
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
                 VALUES (999, 'later', '2030-01-01T00:00:00Z', '0')";
    let newer = changed("newer.db", newer);
    let foreign = copies.path("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let (empty, text) = (copies.path("empty.db"), copies.path("text.db"));
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&text, "a shopping list. ".repeat(100)).unwrap();
    let damaged = copies.path("damaged.db");
    damage(&good, &damaged);

    let viewless = changed("viewless.db", "DROP VIEW accounts");
    let fake = "DROP VIEW videos; CREATE VIEW videos AS SELECT 1 AS id";
    let fake = changed("fake.db", fake);
    let evil = "CREATE TRIGGER evil AFTER INSERT ON outbox BEGIN DELETE FROM account; END";
    let evil = changed("evil.db", evil);
    let nameless = changed("nameless.db", "DELETE FROM instance");
    let tableless = changed("tableless.db", "DROP TABLE instance");

    let before = (std::fs::read(bed.database()).unwrap(), names(bed.folder()));
    let cases: [(&Path, i32, &str); 13] = [
        (&viewless, 74, "view `accounts` is missing"),
        (&fake, 74, "view `videos` differs from its migration"),
        (&evil, 74, "trigger `evil` on table `outbox` belongs to no migration"),
        (&nameless, 74, "table `instance` is empty"),
        (&tableless, 74, "table `instance` is missing"),
        (&theirs, 74, "mirrors organization `theirs`"),
        (&newer, 78, "999"),
        (&foreign, 74, "is not a creatormirror database"),
        (&empty, 74, "is not a creatormirror database"),
        (&text, 74, "is not a creatormirror database"),
        (&damaged, 74, "damaged"),
        (&copies.path("missing.db"), 74, "missing.db"),
        (&bed.database(), 2, "is part of the database itself"),
    ];
    for (copy, code, words) in cases {
        restore(&bed, copy).expect(code).says(words);
        let after = (std::fs::read(bed.database()).unwrap(), names(bed.folder()));
        assert!(after == before, "{} changed the database", copy.display());
    }

    // Refuse beside a daemon on the database, and beside one on the copy.
    for at_work in [bed.database(), good.clone()] {
        let daemon = bed.start(bed.command_on(Path::new(BINARY), &at_work, &["run"]));
        until("the daemon runs", || {
            let db =
                Connection::open_with_flags(&at_work, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
            let runner = db.query_row("SELECT runner FROM instance", [], |row| row.get(0));
            runner.is_ok_and(|runner: Option<String>| runner.as_deref() == Some("run"))
        });
        restore(&bed, &good).expect(75).says("another creatormirror is working on");
        daemon.terminate();
        daemon.wait().expect(0);
    }
    restore(&bed, &changed("own.db", "CREATE VIEW own AS SELECT 1; CREATE TABLE mine (x)"))
        .expect(0);
    restore(&bed, &good).expect(0);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

/// Copies a database and overwrites one of its pages.
fn damage(good: &Path, damaged: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = Connection::open_with_flags(good, flags).unwrap();
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    let root = number("SELECT rootpage FROM sqlite_schema WHERE name = 'creator'");
    let page_bytes = number("PRAGMA page_size");
    let mut bytes = std::fs::read(good).unwrap();
    bytes[(root - 1) * page_bytes..][..page_bytes].fill(0xAA);
    std::fs::write(damaged, bytes).unwrap();
}

#[test]
fn backup_of_a_damaged_file_fails_and_keeps_the_earlier_one() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    backup(&bed, &copy);
    let before = std::fs::read(&copy).unwrap();
    // Move everything from the write-ahead log to the database file.
    bed.db_to_write().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    damage(&bed.database(), &bed.database());
    run(&bed, &["backup", copy.to_str().unwrap(), "--force"]).expect(74).says("damaged");
    assert_eq!(std::fs::read(&copy).unwrap(), before);
    assert_eq!(names(copies.0.path()), BTreeSet::from(["copy.db".to_owned()]));
    // A damaged database can be replaced.
    restore(&bed, &copy).expect(0);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn restore_holds_the_outbox_and_keeps_the_cooldown() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    run(&bed, &["track", "creator", "Ada"]).expect(0);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    for end in ["", "-wal"] {
        std::fs::copy(sibling(&bed.database(), end), sibling(&copy, end)).unwrap();
    }
    bed.sync_ok(&[]);
    let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(2_000) };
    bed.control.fault(Fault::on("GET", "/overview", refuse));
    bed.sync(&["--full", "--max-wait", "1s"]).expect(75);
    bed.control.clear_faults();

    let done = restore(&bed, &copy).expect(0);
    assert!(done.stdout.contains("1 unfinished outbox entries are held"), "{done:#?}");
    assert_eq!(bed.text("SELECT state FROM outbox_log"), "held");
    bed.control.clear_log();
    bed.sync(&["--full", "--max-wait", "1s"]).expect(75);
    assert!(bed.log().is_empty(), "{:#?}", bed.log());
    let rows = bed.control.rows(Kind::Creator);
    assert_eq!(rows.iter().filter(|row| row["name"] == "Ada").count(), 1);
}

#[test]
fn first_write_into_a_restored_mirror_is_queued_once() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    backup(&bed, &copy);
    restore(&bed, &copy).expect(0);
    for command in [&["track", "creator", "Ada"][..], &["set", "creator", "@1", "--paused"]] {
        run(&bed, command).expect(0);
    }
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 2);
    // A copy that is used where it is.
    run(&bed, &["--database", copy.to_str().unwrap(), "track", "creator", "Ada"]).expect(0);
}

#[test]
fn killed_restore_loses_neither_file() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::new();
    let copy = copies.path("copy.db");
    backup(&bed, &copy);
    crash(&bed, &bed.database());
    let count = "SELECT count(*) FROM account WHERE name LIKE 'seen by the run that crashed%'";
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (mut old, mut new) = (0, 0);
    for _ in 0..30 {
        let run = bed.start(bed.command(&["restore", copy.to_str().unwrap()]));
        std::thread::sleep(Duration::from_micros(random.random_range(0..80_000)));
        run.kill();
        // Either database opens, or the error names the remedy.
        let status = bed.start(bed.command(&["status"])).wait();
        match status.code {
            Some(0) if bed.number(count) == 1 => old += 1,
            Some(0) => new += 1,
            _ => _ = status.expect(74).says("creatormirror restore"),
        }
    }
    restore(&bed, &copy).expect(0);
    // A replaced file with the rows of its write-ahead log still exists.
    let kept = names(bed.folder()).into_iter().filter(|name| {
        name.contains(".replaced") && !name.ends_with("-wal") && !name.ends_with("-shm")
    });
    let kept: Vec<PathBuf> = kept.map(|name| bed.folder().join(name)).collect();
    let has_all = |path: &PathBuf| {
        let db = Connection::open(path).unwrap();
        db.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    assert!(kept.iter().any(has_all), "{old} times the old one, {new} times the new: {kept:#?}");
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn hard_link_does_not_bypass_the_lock() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let other = bed.folder().join("other.db");
    std::fs::hard_link(bed.database(), &other).unwrap();
    let run_on_other =
        |arguments: &[&str]| bed.start(bed.command_on(Path::new(BINARY), &other, arguments)).wait();
    let daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || bed.text("SELECT runner FROM instance") == "run");
    for arguments in [&["sync"][..], &["run"], &["track", "creator", "Ada"], &["verify"]] {
        run_on_other(arguments).expect(75).says("another creatormirror is working on");
    }
    // Deleting the lock file does not help either.
    std::fs::remove_file(bed.folder().join("mirror.db.lock")).unwrap();
    run(&bed, &["run"]).expect(75).says("another creatormirror is working on");
    daemon.terminate();
    daemon.wait().expect(0);
    // Without another writer the hard link can be used.
    run_on_other(&["sync", "--full"]).expect(0);
    bed.sync_ok(&["--full"]);
    bed.compare();
    bed.check_integrity();
}

#[test]
fn bind_mount_does_not_bypass_the_lock() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let container = tempfile::tempdir().unwrap();
    let inside = container.path().join("inside.db");
    std::fs::write(&inside, "").unwrap();
    let daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || bed.text("SELECT runner FROM instance") == "run");
    let mounted = |arguments: &[&str]| {
        let command = bed.command_on(Path::new(BINARY), &inside, arguments);
        let mut by = Command::new("unshare");
        by.args(["--mount", "sh", "-c", r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#, "sh"])
            .args([&bed.database(), &inside])
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        by
    };
    let tried = mounted(&["schema"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return support::skip::skip(support::skip::Need::Mount, "mounting is not permitted");
    }
    for arguments in [&["sync"][..], &["track", "creator", "Ada"]] {
        bed.start(mounted(arguments)).wait().expect(75).says("is working on");
    }
    daemon.terminate();
    daemon.wait().expect(0);
    bed.compare();
    bed.check_integrity();
}
