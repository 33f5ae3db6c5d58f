//! `export` of the real binary: files match the database row by row, as read by other programs;
//! repeated, interrupted and failing exports.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

#[path = "export/bucket.rs"]
mod bucket;
#[path = "export/days.rs"]
mod days;
#[path = "export/failures.rs"]
mod failures;
#[path = "export/formats.rs"]
mod formats;
#[path = "export/incremental.rs"]
mod incremental;
#[path = "export/readers.rs"]
mod readers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::types::Value as Sql;
use serde_json::Value;
use support::{Run, TestBed, unlimited};
use tempfile::TempDir;

/// Tables that are exported if none is named.
const TABLES: [&str; 24] = [
    "account_history",
    "account_video_history",
    "account_videos",
    "accounts",
    "change_log",
    "coverage",
    "creator_accounts",
    "creator_rollup",
    "creators",
    "daily_metrics",
    "freshness",
    "mirror_info",
    "outbox_log",
    "overview_history",
    "post_hashtags",
    "post_history",
    "posts",
    "sync_log",
    "usage",
    "video_daily",
    "video_growth",
    "video_history",
    "video_latest",
    "videos",
];

/// Columns whose value depends on the time of the query.
const MOVING: [&str; 2] = ["age_hours", "is_overdue"];

/// Triggers that do what the program does when it writes scrapes and metrics, for the SQL of these tests. They upsert,
/// because `OR` clauses of that SQL would apply here.
fn version_triggers() -> String {
    let set = "ON CONFLICT DO UPDATE SET version = excluded.version;";
    let mut sql = String::new();
    for (event, row) in [("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")] {
        sql.push_str(&format!(
            "CREATE TRIGGER post_version_{event} AFTER {event} ON post_scrape BEGIN
                 INSERT INTO day_version (topic, day)
                 VALUES (iif({row}.source > 0, 'video', 'account_video'), {row}.at_s / 86400) {set}
                 INSERT INTO day_version (topic, day)
                 SELECT 'pair', at_s / 86400 FROM post_scrape
                 WHERE post = {row}.post AND source = {row}.source AND source > 0
                     AND (at_s, at_ns) > ({row}.at_s, {row}.at_ns)
                 ORDER BY at_s, at_ns LIMIT 1 {set}
             END;"
        ));
    }
    for (event, row) in [("INSERT", "new"), ("DELETE", "old")] {
        sql.push_str(&format!(
            "CREATE TRIGGER account_version_{event} AFTER {event} ON account_scrape BEGIN
                 INSERT INTO day_version (topic, day) VALUES ('account', {row}.at_s / 86400) {set}
             END;"
        ));
    }
    for event in ["INSERT", "UPDATE"] {
        sql.push_str(&format!(
            "CREATE TRIGGER metric_version_{event} AFTER {event} ON metric BEGIN
                 INSERT INTO day_version (topic, day)
                 SELECT 'metric', day FROM metric_day WHERE slot = new.slot {set}
             END;"
        ));
    }
    sql
}

/// A mirror with some months of history: one scrape of each video a day, with NULLs, fractions of a
/// second, decreasing counts, and a few unusual texts.
fn mirror() -> (TestBed, TempDir) {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&["--full"]);
    let db = bed.db_to_write();
    db.execute_batch(&version_triggers()).unwrap();
    db.execute_batch(
        "WITH RECURSIVE day(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM day WHERE n < 99)
         INSERT OR IGNORE INTO post_scrape (post, source, at_s, at_ns, view_count, like_count, saved_count)
         SELECT post, row_id, 1702425600 + n * 86400 + row_id * 977, (n % 3) * 123456789,
                CASE n % 11 WHEN 7 THEN NULL ELSE row_id * 1000 + n * n END, 500 - n, NULL
         FROM video, day;
         INSERT OR IGNORE INTO account_scrape (account, at_s, at_ns, follower_count)
         SELECT row_id, 1702425600 + 40 * 86400, 5000, 9007199254740993 FROM account;
         INSERT INTO metric_subject (kind, row_id, id) SELECT 'video', row_id, id FROM video;
         WITH RECURSIVE day(n) AS (SELECT 19750 UNION ALL SELECT n + 1 FROM day WHERE n < 19760)
         INSERT INTO metric_day (kind, day, date)
         SELECT 'video', n, strftime('%Y-%m-%d', n * 86400, 'unixepoch') FROM day;
         INSERT INTO metric (slot, row_id, state, views, likes, engagement)
         SELECT slot, row_id, row_id % 3, row_id * 10 + slot, NULL, row_id FROM metric_day, video;
         INSERT INTO change (changed_at, kind, id, field, old_value, new_value)
         SELECT 1706745600000000 + row_id * 3600000000, 'video', id, 'is_active', row_id % 2, 1 - row_id % 2 FROM video
         WHERE row_id > 40;
         INSERT INTO change (changed_at, kind, id, field, old_value, new_value)
         SELECT 1706745600000000 + row_id * 3600000001, 'video', id, 'description', NULL, '#one' FROM video
         WHERE row_id < 9;
         UPDATE video SET description = 'one #tag \"two\", three' || char(13, 10) || 'four; ''five''' WHERE row_id = 1;
         UPDATE video SET description = '' WHERE row_id = 2;
         UPDATE video SET extra = '{\"n\": 1e400,' || char(10) || ' \"t\": \"a\\nb\"}' WHERE row_id = 3;",
    )
    .unwrap();
    (bed, tempfile::tempdir().unwrap())
}

/// Runs an export to a folder and expects exit code 0.
#[track_caller]
fn export(bed: &TestBed, format: &str, out: &Path, more: &[&str]) -> Run {
    let out = out.to_str().unwrap();
    let arguments = [&["export", "--format", format, "--out", out], more].concat();
    bed.start(bed.command(&arguments)).wait().expect(0)
}

/// The columns and rows of a table in the database.
fn held(bed: &TestBed, table: &str) -> (Vec<String>, Vec<Vec<Sql>>) {
    let db = bed.db();
    let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| (0..names.len()).map(|n| row.get(n)).collect());
    let rows = rows.unwrap().map(Result::unwrap).collect();
    (names, rows)
}

/// The files below a folder: relative path to content.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Reads the manifest of an export.
fn manifest(root: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(root.join("manifest.json")).unwrap()).unwrap()
}

/// Runs a script of `tests/export` with the Python in `target/tools`; `None` if it is not installed.
fn python(script: &str, arguments: &[&str]) -> Option<Value> {
    let python = support::tools::tool("python")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export").join(script);
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The glob pattern of an exported table's files.
fn pattern(root: &Path, table: &str) -> String {
    let folder: PathBuf = root.join(table);
    format!("{}/**/*.parquet", folder.display())
}
