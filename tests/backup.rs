//! Backups made while other processes write: consistent, complete, a single file.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OpenFlags};
use support::sandbox::{Fault, FaultKind, RetryAfter, SandboxSettings};

use support::{BINARY, Run, TestBed, queries, unlimited, until};

/// A folder for copies, with helpers to make and inspect them.
struct Copies<'a> {
    bed: &'a TestBed,
    folder: tempfile::TempDir,
}

impl<'a> Copies<'a> {
    fn of(bed: &'a TestBed) -> Self {
        Self { bed, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&self, file: &Path, flags: &[&str]) -> Run {
        let arguments = [&["backup", file.to_str().unwrap()], flags].concat();
        self.bed.start(self.bed.command(&arguments)).wait()
    }

    /// Runs a command with a copy as its database.
    fn run_on(&self, copy: &Path, arguments: &[&str]) -> Run {
        self.bed.start(self.bed.command_on(Path::new(BINARY), copy, arguments)).wait()
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn text(path: &Path, sql: &str) -> String {
    open(path).query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

fn number(path: &Path, sql: &str) -> i64 {
    open(path).query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

#[test]
fn backups_beside_a_busy_daemon_are_consistent() {
    let bed = TestBed::frozen(SandboxSettings { videos: 600, account_videos: 400, ..unlimited() });
    bed.sync_ok(&[]);
    let copies = Copies::of(&bed);
    let daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || bed.text("SELECT runner FROM instance") == "run");
    let pair = copies.path("pair.csv");
    std::fs::write(&pair, "name\nCastor\nPollux\n").unwrap();
    let pair = pair.to_str().unwrap();
    let is_over = AtomicBool::new(false);
    let queued = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                bed.sync_ok(&["--full"]);
            }
        });
        let queuer = scope.spawn(|| {
            let mut pairs = 0;
            while !is_over.load(Ordering::Relaxed) {
                let arguments = ["track", "creator", "--from", pair];
                bed.start(bed.command(&arguments)).wait().expect(0);
                pairs += 1;
            }
            pairs
        });
        for n in 0..6 {
            let path = copies.path(&format!("{n}.db"));
            let run = copies.backup(&path, &[]).expect(0);
            let named = run.stdout.lines().next().unwrap().to_owned();
            assert_eq!(Path::new(&named), path.canonicalize().unwrap());
            assert_eq!(text(&path, "PRAGMA integrity_check"), "ok");
            assert_eq!(
                number(&path, "SELECT count(*) % 2 FROM outbox"),
                0,
                "pairs are queued atomically"
            );
            let open = "SELECT count(*) FROM outbox_log WHERE state NOT IN ('held', 'succeeded')";
            assert_eq!(number(&path, open), 0);
            // A page's list of rows and the rows' page are written in one commit.
            let strays = "SELECT count(*) FROM video AS v
                          WHERE v.page IS NOT NULL AND NOT EXISTS (
                              SELECT 1 FROM page AS p, json_each(p.members) AS m
                              WHERE p.page = v.page AND m.value = v.row_id)";
            assert_eq!(number(&path, strays), 0);
            assert_eq!(number(&path, "SELECT count(*) FROM job"), 0);
            let running = "SELECT count(*) FROM kind_run WHERE outcome = 'running'";
            assert_eq!(number(&path, running), 0);
        }
        is_over.store(true, Ordering::Relaxed);
        queuer.join().unwrap()
    });
    assert!(queued > 2, "{queued} pairs");
    daemon.terminate();
    daemon.wait().expect(0);
    let ids = (0..6)
        .map(|n| text(&copies.path(&format!("{n}.db")), "SELECT installation_id FROM instance"));
    let ids: BTreeSet<String> =
        ids.chain([bed.text("SELECT installation_id FROM instance")]).collect();
    assert_eq!(ids.len(), 7, "each copy has its own installation id");
    bed.check_integrity();
}

#[test]
fn backup_is_one_group_readable_file_that_works_as_a_mirror() {
    for umask in ["000", "077"] {
        let bed = TestBed::frozen(unlimited());
        bed.sync_ok(&[]);
        // The original is rate limited for long, and a daemon has left its state in it.
        let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(2_000) };
        bed.control.fault(Fault::on("GET", "/overview", refuse));
        bed.sync(&["--full", "--max-wait", "1s"]).expect(75);
        let sql = "UPDATE instance SET runner = 'run', condition = 'idle', batch_delay_s = 300;
                   INSERT INTO job (request, created_at) VALUES ('{}', 0);";
        bed.db_to_write().execute_batch(sql).unwrap();
        let copies = Copies::of(&bed);
        let copy = copies.path("copy.db");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "umask $0; exec \"$@\"", umask, BINARY, "backup"]).arg(&copy);
        command.arg("--database").arg(bed.database()).env_clear().env("HOME", copies.folder.path());
        let run = bed.start(command).wait().expect(0);
        assert!(!run.stdout.contains("held"), "{run:#?}");
        assert_eq!(copies.names(), BTreeSet::from(["copy.db".to_owned()]));
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(text(&copy, "PRAGMA journal_mode"), "delete");
        let mut expected = bed.everything();
        let found = queries::everything(&open(&copy));
        for (table, rows) in &found {
            if !["instance", "job", "run", "kind_run"].contains(&table.as_str()) {
                assert_eq!(Some(rows), expected.remove(table).as_ref(), "{table}");
            }
        }
        let traces =
            "SELECT rate_limiter || ifnull(runner, '') || ifnull(condition, '') || ifnull(batch_delay_s, '')
                      FROM instance";
        assert_eq!(text(&copy, traces), "{}");
        let status = copies.run_on(&copy, &["status"]).expect(0);
        assert!(status.stdout.contains("rate limit    open"), "{status:#?}");

        bed.control.clear_faults();
        copies.run_on(&copy, &["sync", "--full", "--max-wait", "1s"]).expect(0);
        assert_eq!(text(&copy, "PRAGMA journal_mode"), "wal");
        let names = ["copy.db", "copy.db-shm", "copy.db-wal", "copy.db.lock"];
        assert_eq!(copies.names(), names.map(str::to_owned).into());
        assert_eq!(text(&copy, "PRAGMA integrity_check"), "ok");
    }
}

#[test]
fn killed_backup_leaves_no_partial_copy_in_place() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    // Enough rows to make copying take a while.
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600000)
               INSERT INTO post_scrape (source, at_s, at_ns, view_count) SELECT -i, i, 0, i * 77777 FROM n";
    bed.db_to_write().execute_batch(sql).unwrap();
    let copies = Copies::of(&bed);
    let (copy, partial) = (copies.path("copy.db"), copies.path("copy.db.partial"));
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let (mut killed, mut whole) = (0, 0);
    for _ in 0..40 {
        let mut run = bed.start(bed.command(&["backup", copy.to_str().unwrap(), "--force"]));
        until("the backup is copying", || partial.exists() || !run.is_running());
        std::thread::sleep(Duration::from_micros(random.random_range(0..60_000)));
        run.kill();
        killed += usize::from(partial.exists());
        if copy.exists() {
            whole += 1;
            assert_eq!(text(&copy, "PRAGMA quick_check"), "ok");
            assert_eq!(number(&copy, "SELECT count(*) FROM post_scrape WHERE post = 0"), 600_000);
            std::fs::remove_file(&copy).unwrap();
        }
    }
    assert!(killed > 3, "{killed} killed in the middle, {whole} whole");
    copies.backup(&copy, &[]).expect(0);
    assert_eq!(copies.names(), BTreeSet::from(["copy.db".to_owned()]));
    assert_eq!(text(&copy, "PRAGMA integrity_check"), "ok");

    // SIGTERM removes the partial copy.
    let other = copies.path("other.db");
    let run = bed.start(bed.command(&["backup", other.to_str().unwrap()]));
    until("the backup is copying", || copies.path("other.db.partial").exists());
    run.terminate();
    let run = run.wait();
    match run.code {
        Some(0) => assert!(other.exists()),
        _ => assert!(run.says("interrupted").code == Some(1) && !other.exists()),
    }
    assert!(!copies.path("other.db.partial").exists());
}

#[test]
fn removes_a_partial_backup_but_no_foreign_file() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::of(&bed);
    let (copy, partial) = (copies.path("copy.db"), copies.path("copy.db.partial"));
    let bytes = std::fs::read(bed.database()).unwrap();
    for unfinished in [&bytes[..50_000], &[0; 4_096]] {
        std::fs::write(&partial, unfinished).unwrap();
        let run = copies.backup(&copy, &["--force"]);
        run.expect(0).says("removing the unfinished copy of a killed backup");
        assert_eq!(copies.names(), BTreeSet::from(["copy.db".to_owned()]));
        assert_eq!(text(&copy, "PRAGMA integrity_check"), "ok");
    }
    std::fs::write(&partial, "foreign notes").unwrap();
    copies.backup(&copy, &["--force"]).expect(74).says("copy.db.partial` already exists");
    assert_eq!(std::fs::read_to_string(&partial).unwrap(), "foreign notes");
}

#[test]
fn refuses_to_overwrite_files_in_use_or_without_force() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::of(&bed);
    let taken = copies.path("taken.db");
    std::fs::write(&taken, "foreign").unwrap();
    copies.backup(&taken, &[]).expect(74).says("already exists").says("--force");
    let in_missing_folder = copies.path("missing/copy.db");
    let run = copies.backup(&in_missing_folder, &[]).expect(74);
    run.says(&format!("hint: create the folder `{}` first", copies.path("missing").display()));
    assert_eq!(std::fs::read(&taken).unwrap(), b"foreign");
    copies.backup(&taken, &["--force"]).expect(0);
    assert_eq!(text(&taken, "PRAGMA integrity_check"), "ok");
    copies.backup(copies.folder.path(), &["--force"]).expect(74);

    let (hard, soft) = (copies.path("hard.db"), copies.path("soft.db"));
    // Hard links fail if the folders are on two file systems.
    let has_hard = std::fs::hard_link(bed.database(), &hard).is_ok();
    std::os::unix::fs::symlink(bed.database(), &soft).unwrap();
    let mut itself = vec![bed.database(), soft];
    itself.extend(has_hard.then_some(hard));
    itself
        .extend(["-wal", "-shm", ".lock"].map(|end| bed.folder().join(format!("mirror.db{end}"))));
    for path in itself {
        copies.backup(&path, &["--force"]).expect(2).says("is part of the database");
    }

    let used = copies.path("used.db");
    copies.backup(&used, &[]).expect(0);
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/creators", slow));
    bed.control.clear_log();
    let arguments = ["sync", "--full"];
    let sync = bed.start(bed.command_on(Path::new(BINARY), &used, &arguments));
    until("the sync has started", || !bed.log_of("/creators").is_empty());
    copies.backup(&used, &["--force"]).expect(74).says("in use");
    sync.kill();
    // The copy's write-ahead log holds its last commits.
    copies.backup(&used, &["--force"]).expect(74).says("write-ahead log");
    std::fs::remove_file(&used).unwrap();
    copies.backup(&used, &[]).expect(74).says("write-ahead log");
    bed.check_integrity();
}

#[test]
fn exits_74_when_unwritable_and_78_without_a_database() {
    let bed = TestBed::frozen(unlimited());
    let copies = Copies::of(&bed);
    let copy = copies.path("copy.db");
    copies.backup(&copy, &[]).expect(78).says("no database at");
    bed.sync_ok(&[]);
    copies.backup(&copies.path("no/such/folder/copy.db"), &[]).expect(74).says("copy.db.partial");
    copies.backup(&bed.database().join("copy.db"), &[]).expect(74);
    // Simulate a full disk: the shell limits the size of files.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh", BINARY, "backup"])
        .arg(&copy);
    command.arg("--database").arg(bed.database()).env_clear().env("HOME", "/nonexistent");
    bed.start(command).wait().expect(74).says("was not created");
    assert_eq!(copies.names(), BTreeSet::new());
}

#[test]
fn backup_and_restore_answer_with_one_json_document() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let copies = Copies::of(&bed);
    let copy = copies.path("copy.db");
    for flags in [&["--json"][..], &["--json", "--force", "--quiet"]] {
        let document = copies.backup(&copy, flags).expect(0).json();
        assert_eq!(document["path"], copy.to_str().unwrap());
        assert_eq!(document["bytes"], std::fs::metadata(&copy).unwrap().len());
        assert_eq!(document["held"], 0);
    }
    let arguments = ["restore", copy.to_str().unwrap(), "--json"];
    let document = bed.start(bed.command(&arguments)).wait().expect(0).json();
    assert_eq!(document["path"], bed.database().canonicalize().unwrap().to_str().unwrap());
    assert!(Path::new(document["replaced"].as_str().unwrap()).exists(), "{document}");
}
