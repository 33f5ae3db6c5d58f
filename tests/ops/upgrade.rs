//! Databases that released versions wrote: each later version upgrades them and keeps what they hold.
//!
//! To add one, build the release and run the ignored test with its path in `RELEASED`:
//! `RELEASED=target/release/creatormirror cargo test --test ops -- --ignored write_the_database_of_a_release`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::model::Kind;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rusqlite::types::Value as Sql;

use crate::support::sandbox::SandboxSettings;
use crate::support::{TestBed, frozen_at, unlimited};

/// What an upgrade must keep, in columns that every version has.
const KEPT: [&str; 6] = [
    "SELECT account_id, scraped_at, follower_count, view_count FROM account_history",
    "SELECT video_id, scraped_at, view_count, like_count, saved_count FROM video_history",
    "SELECT platform, account_video_id, scraped_at, view_count, like_count FROM account_video_history",
    "SELECT kind, id, date, views, likes, comments, shares FROM daily_metrics",
    "SELECT change, changed_at, kind, id, field, old_value, new_value FROM change_log",
    "SELECT entry, created_at, kind, action, target, idempotency_key FROM outbox_log",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The organization of the fixtures.
fn bed() -> TestBed {
    let settings =
        SandboxSettings { accounts: 4, creators: 2, videos: 12, account_videos: 12, ..unlimited() };
    let mut bed = TestBed::new(settings, Clock::manual(frozen_at()));
    bed.set("CREATORMIRROR_RECONCILE_AFTER", "1s");
    bed
}

/// The ids of two accounts, the same in each such bed.
fn accounts(bed: &TestBed) -> [String; 2] {
    let mut ids = bed.control.ids(Kind::Account);
    ids.sort();
    ids.truncate(2);
    ids.try_into().unwrap()
}

fn kept(bed: &TestBed) -> Vec<Vec<Vec<Sql>>> {
    KEPT.iter().map(|sql| bed.rows(sql)).collect()
}

#[test]
fn databases_of_releases_are_upgraded_and_keep_what_they_hold() {
    let files = folder().read_dir().unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "gz")).collect();
    assert!(!files.is_empty());
    for file in files {
        let bed = bed();
        bed.clock.advance(Duration::from_secs(4 * 86_400));
        let mut database = File::create_new(bed.database()).unwrap();
        std::io::copy(&mut GzDecoder::new(File::open(&file).unwrap()), &mut database).unwrap();
        let before = kept(&bed);
        assert!(before.iter().all(|rows| !rows.is_empty()), "{}: {before:?}", file.display());

        // Commands that only read either can, or say what to do.
        for command in [
            &["status"][..],
            &["report", "--out", "-"],
            &["export", "--format", "csv", "--out", "-", "videos"],
        ] {
            let run = bed.start(bed.command(command)).wait();
            let says_what_to_do = run.stderr.contains("run `creatormirror sync`");
            assert!(run.code == Some(0) || says_what_to_do, "{command:?}: {run:?}");
        }
        bed.sync_ok(&["--full"]);
        bed.compare();
        bed.check_integrity();
        for (before, after) in before.into_iter().zip(kept(&bed)) {
            for row in before {
                assert!(after.contains(&row), "{}: {row:?} is lost", file.display());
            }
        }
        // The write that was queued is sent, the others keep their outcome.
        let states = "SELECT state FROM outbox_log ORDER BY entry";
        let states: Vec<_> = bed.rows(states).into_iter().flatten().collect();
        assert_eq!(states, ["succeeded", "failed", "succeeded"].map(|s| Sql::Text(s.into())));
        // It fails, because the sandbox's clock is years behind.
        let check = bed.start(bed.command(&["check"])).wait();
        assert!(check.stdout.contains("objects match"), "{check:?}");
    }
}

#[test]
#[ignore = "writes the database of a release"]
fn write_the_database_of_a_release() {
    let program = PathBuf::from(std::env::var("RELEASED").unwrap());
    let program = program.canonicalize().unwrap();
    let bed = bed();
    let [first, second] = accounts(&bed);
    let run = |arguments: &[&str]| bed.start(bed.command_of(&program, arguments)).wait();
    run(&["sync"]).expect(0);
    bed.clock.advance(Duration::from_secs(2 * 86_400));
    run(&["set", "account", &first, "--category", "before the upgrade"]).expect(0);
    run(&["set", "account", "0197a1b2-0000-7000-8000-000000000000", "--category", "x"]).expect(0);
    run(&["sync", "--full"]).expect(1);
    run(&["backfill", "--days", "3"]).expect(0);
    run(&["set", "account", &second, "--category", "queued"]).expect(0);
    // Not `backup`, in whose copies queued writes are held.
    let other = tempfile::tempdir().unwrap();
    let copy = other.path().join("copy.db");
    bed.db().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();

    let version = run(&["--version"]).stdout;
    let version = version.split_whitespace().nth(1).unwrap();
    let target = File::create(folder().join(format!("mirror-{version}.db.gz"))).unwrap();
    let mut target = GzEncoder::new(target, Compression::best());
    std::io::copy(&mut File::open(copy).unwrap(), &mut target).unwrap();
    target.finish().unwrap();
}
