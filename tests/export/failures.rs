//! Kills, full disks, concurrent writers, wrong names, and foreign files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::support::{BINARY, until};
use super::{export, files, manifest, mirror};

#[test]
fn unknown_table_exits_2_without_files() {
    let (bed, out) = mirror();
    let place = out.path().join("new");
    let out = place.to_str().unwrap();
    for name in ["nonsense", "outbox_requests", "post_scrape", "sqlite_schema"] {
        let arguments = ["export", "--format", "csv", "--out", out, name];
        let run = bed.start(bed.command(&arguments)).wait().expect(2);
        run.says(&format!("`{name}`")).says("video_history");
    }
    for wrong in [["--since", "yesterday"], ["--format", "xlsx"]] {
        let arguments = [&["export", "--out", out, "--format", "csv"], &wrong[..]].concat();
        bed.start(bed.command(&arguments)).wait().expect(2);
    }
    assert!(!place.exists());
}

#[test]
fn dash_writes_to_stdout() {
    let (bed, out) = mirror();
    let run = |arguments: &[&str]| {
        let mut command = bed.command(&[&["export", "--out", "-"], arguments].concat());
        command.current_dir(out.path());
        bed.start(command).wait()
    };
    for format in ["csv", "jsonl"] {
        export(&bed, format, &out.path().join(format), &["accounts", "video_history"]);
        for table in ["accounts", "video_history"] {
            let written = out.path().join(format!("{format}/{table}.{format}"));
            let stdout = run(&["--format", format, table]).expect(0).stdout;
            assert_eq!(stdout, std::fs::read_to_string(written).unwrap(), "{format}");
        }
    }
    let for_excel = run(&["--format", "csv", "--excel", "accounts"]).expect(0).stdout;
    assert!(for_excel.starts_with("\u{feff}id,"), "{for_excel}");
    let all = run(&["--format", "csv", "video_history"]).stdout;
    let since = run(&["--format", "csv", "--since", "2024-02", "video_history"]).expect(0).stdout;
    assert!(since.len() > 100 && since.len() < all.len());
    for (arguments, why) in [
        (&["--format", "csv"][..], "name one table"),
        (&["--format", "csv", "accounts", "videos"], "name one table"),
        (&["--format", "parquet", "videos"], "Parquet"),
        (&["--format", "csv", "--json", "videos"], "--json"),
        (&["--format", "csv", "nonsense"], "`nonsense`"),
    ] {
        assert_eq!(run(arguments).expect(2).says(why).stdout, "", "{arguments:?}");
    }
    assert!(!out.path().join("-").exists());
}

#[test]
fn closed_stdout_is_not_an_error() {
    let (bed, _out) = mirror();
    let mut command = bed.command(&["export", "--out", "-", "--format", "csv", "video_history"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
}

#[test]
fn accepts_a_folder_name_that_is_not_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let (bed, out) = mirror();
    let folder = out.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    let mut command = bed.command(&["export", "--format", "csv", "accounts"]);
    command.arg("--out").arg(&folder);
    bed.start(command).wait().expect(0);
    assert!(folder.join("accounts.csv").exists());
}

#[test]
fn missing_database_exits_78() {
    let (bed, out) = mirror();
    let place = out.path().join("new");
    let mut command = bed.command(&["export", "--format", "csv", "--out", place.to_str().unwrap()]);
    command.args(["--quiet"]);
    std::fs::remove_file(bed.database()).unwrap();
    bed.start(command).wait().expect(78).says("no database at");
    assert!(!place.exists());
}

#[test]
fn needs_neither_key_nor_network() {
    let (mut bed, out) = mirror();
    bed.stop_server();
    let place = out.path().to_str().unwrap();
    let mut command = bed.command(&["export", "--format", "csv", "--out", place]);
    command.env_remove("CREATORAUDIT_API_KEY");
    bed.start(command).wait().expect(0);
}

#[test]
fn leaves_foreign_files_alone() {
    let (bed, out) = mirror();
    let root = out.path();
    let run = |format: &str| {
        let out = root.to_str().unwrap();
        bed.start(bed.command(&["export", "--format", format, "--out", out])).wait()
    };
    std::fs::write(root.join("accounts.csv"), "mine").unwrap();
    run("csv").expect(2).says("accounts.csv` already exists");
    let left = files(root);
    assert_eq!(left.keys().collect::<Vec<_>>(), ["accounts.csv"]);
    assert_eq!(left["accounts.csv"], b"mine");
    std::fs::remove_file(root.join("accounts.csv")).unwrap();
    // Files with other names are kept.
    std::fs::write(root.join("notes.txt"), "mine").unwrap();
    run("csv").expect(0);
    run("jsonl").expect(2).says("holds an export to csv");
    std::fs::write(root.join("manifest.json"), "{}").unwrap();
    run("csv").expect(2).says("manifest.json");
    assert_eq!(std::fs::read(root.join("notes.txt")).unwrap(), b"mine");
    let file = root.join("notes.txt").to_str().unwrap().to_owned();
    let to_file = bed.command(&["export", "--format", "csv", "--out", &file]);
    bed.start(to_file).wait().expect(2).says("notes.txt` already exists");
}

#[test]
fn second_export_to_the_folder_exits_75() {
    let (bed, out) = mirror();
    let lock = std::fs::File::open(out.path()).unwrap();
    lock.lock().unwrap();
    let place = out.path().to_str().unwrap();
    let command = || bed.command(&["export", "--format", "csv", "--out", place]);
    bed.start(command()).wait().expect(75).says("another export");
    drop(lock);
    bed.start(command()).wait().expect(0);
}

/// The files of an export, without the staging folder.
fn exported(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(root);
    found.retain(|name, _| !name.starts_with(".creatormirror-export/"));
    found
}

#[test]
fn killed_export_leaves_whole_files_and_the_next_completes_it() {
    let (bed, out) = mirror();
    let root = out.path();
    export(&bed, "parquet", root, &[]);
    let mut random = ChaCha8Rng::seed_from_u64(20_261_121);
    let mut cut_short = 0;
    for round in 0..8 {
        let sql = format!("UPDATE post_scrape SET like_count = {round} WHERE source % 7 = 1");
        bed.db_to_write().execute_batch(&sql).unwrap();
        let before = exported(root);
        let place = root.to_str().unwrap();
        let mut run = bed.start(bed.command(&["export", "--format", "parquet", "--out", place]));
        until("the export has started", || {
            root.join(".creatormirror-export").exists() || !run.is_running()
        });
        // Early kills hit the writing, later ones perhaps not.
        let micros = round * 60_000 + random.random_range(0..60_000);
        std::thread::sleep(Duration::from_micros(micros));
        let killed = run.kill();
        assert!(matches!(killed.code, None | Some(0)), "{killed:#?}");
        let after = exported(root);
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        for (name, bytes) in after.iter().filter(|(name, _)| name.ends_with(".parquet")) {
            assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "partial file: {name}");
        }
        if killed.code.is_none() && manifest(root).get("pending").is_none() {
            cut_short += 1;
            assert!(after == before, "files were put in place before all were written");
        }
    }
    assert!(cut_short > 0, "no run was killed while it was writing");
    export(&bed, "parquet", root, &[]);
    assert!(!root.join(".creatormirror-export").exists());
    let fresh = tempfile::tempdir().unwrap();
    export(&bed, "parquet", fresh.path(), &[]);
    let months = |root| manifest(root)["tables"]["video_history"]["periods"].clone();
    assert_eq!(months(root), months(fresh.path()));
}

#[test]
fn rewrites_files_listed_as_pending() {
    let (bed, out) = mirror();
    let root = out.path();
    export(&bed, "parquet", root, &[]);
    // As if a run had been killed after it replaced a file.
    let (stale, orphan) = (
        "video_history/month=2024-01/part-0.parquet",
        "video_history/month=2031-01/part-0.parquet",
    );
    let good = std::fs::read(root.join(stale)).unwrap();
    let mut damaged = good.clone();
    damaged[10] ^= 0xff;
    std::fs::write(root.join(stale), &damaged).unwrap();
    std::fs::create_dir(root.join(orphan).parent().unwrap()).unwrap();
    std::fs::write(root.join(orphan), "x").unwrap();
    let mut left = manifest(root);
    left["pending"] = serde_json::json!([stale, orphan]);
    std::fs::write(root.join("manifest.json"), left.to_string()).unwrap();
    // An export without that table leaves its files pending.
    export(&bed, "parquet", root, &["accounts"]);
    assert_eq!(manifest(root)["pending"], serde_json::json!([stale]));
    assert!(!root.join(orphan).exists());
    export(&bed, "parquet", root, &[]);
    assert!(manifest(root).get("pending").is_none());
    assert_ne!(std::fs::read(root.join(stale)).unwrap(), damaged);
}

#[test]
fn full_disk_exits_74_and_keeps_the_previous_export() {
    let (bed, out) = mirror();
    let root = out.path();
    export(&bed, "csv", root, &[]);
    let before = files(root);
    bed.db_to_write().execute_batch("UPDATE post_scrape SET like_count = 7").unwrap();
    // The largest file size, in blocks of 512 bytes.
    for blocks in ["100", "400"] {
        let limited = "trap '' XFSZ; ulimit -f $0; exec \"$@\"";
        let binary =
            bed.command(&["export", "--format", "csv", "--quiet", "--out", root.to_str().unwrap()]);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", limited, blocks, BINARY]).args(binary.get_args()).env_clear();
        for (name, value) in binary.get_envs() {
            command.env(name, value.unwrap());
        }
        bed.start(command).wait().expect(74).says("cannot write");
        assert!(files(root) == before, "the export changed");
    }
    export(&bed, "csv", root, &[]);
    assert!(files(root) != before);
}

#[test]
fn concurrent_writer_is_not_blocked_and_snapshot_is_consistent() {
    let (bed, out) = mirror();
    let is_over = AtomicBool::new(false);
    let mut written = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut written = 0;
            while !is_over.load(Ordering::Relaxed) {
                // Snapshots must show both rows or neither.
                let sql = format!(
                    "BEGIN IMMEDIATE;
                     INSERT INTO account_scrape (account, at_s, at_ns) VALUES (1, {0}, 0);
                     INSERT INTO post_scrape (post, source, at_s, at_ns)
                     SELECT post, row_id, {0}, 0 FROM video WHERE row_id = 1;
                     COMMIT",
                    1_900_000_000 + written
                );
                bed.db_to_write().execute_batch(&sql).unwrap();
                written += 1;
            }
            written
        });
        for round in 0..3 {
            let place = out.path().join(round.to_string());
            export(&bed, "csv", &place, &[]);
            let count = |table: &str| {
                let text = std::fs::read_to_string(place.join(format!("{table}.csv"))).unwrap();
                text.lines().filter(|line| line.contains(",2030-")).count()
            };
            assert_eq!(count("account_history"), count("video_history"));
        }
        is_over.store(true, Ordering::Relaxed);
        written = writer.join().unwrap();
    });
    assert!(written > 3, "the writer was blocked by the readers");
}
