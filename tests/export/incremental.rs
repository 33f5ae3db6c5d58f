//! Repeated exports to the same folder rewrite only what changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{export, files, manifest, mirror};

/// The rows of a Parquet file as text, sorted.
fn rows(path: &Path) -> Vec<String> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    let mut rows: Vec<String> = rows.map(|row| row.unwrap().to_string()).collect();
    rows.sort();
    rows
}

/// The files partitioned by month, with their inodes.
fn by_month(root: &Path) -> BTreeMap<String, u64> {
    let names = files(root).into_keys().filter(|name| name.contains("/month="));
    names.map(|name| (name.clone(), std::fs::metadata(root.join(name)).unwrap().ino())).collect()
}

/// The files whose inode differs.
fn changed(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let all: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    all.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

#[test]
fn writes_only_changed_months() {
    let (bed, out) = mirror();
    let root = out.path();
    export(&bed, "parquet", root, &[]);
    let mut before = by_month(root);
    let run = export(&bed, "parquet", root, &[]);
    assert_eq!(changed(&before, &by_month(root)), Vec::<String>::new(), "{run:#?}");
    let month = |table: &str, month: &str| format!("{table}/month={month}/part-0.parquet");
    for (sql, expected) in [
        // A revised count: the number of rows stays the same.
        (
            "UPDATE post_scrape SET view_count = view_count + 1
             WHERE source = 5 AND at_s = (SELECT max(at_s) FROM post_scrape
                                         WHERE source = 5 AND at_s < unixepoch('2024-01-15'))",
            vec![
                month("post_history", "2024-01"),
                month("video_daily", "2024-01"),
                month("video_growth", "2024-01"),
                month("video_history", "2024-01"),
            ],
        ),
        // The last scrape of a month is also the base of the next month's growth.
        (
            "UPDATE post_scrape SET view_count = 77
             WHERE source = 5 AND at_s = (SELECT max(at_s) FROM post_scrape
                                         WHERE source = 5 AND at_s < unixepoch('2024-02-01'))",
            vec![
                month("post_history", "2024-01"),
                month("video_daily", "2024-01"),
                month("video_daily", "2024-02"),
                month("video_growth", "2024-01"),
                month("video_growth", "2024-02"),
                month("video_history", "2024-01"),
            ],
        ),
        (
            "DELETE FROM account_scrape WHERE at_s < unixepoch('2024-02-01')",
            vec![month("account_history", "2024-01")],
        ),
        (
            "UPDATE metric SET views = views + 1
             WHERE row_id = 3 AND slot = (SELECT slot FROM metric_day WHERE date = '2024-02-01')",
            vec![month("daily_metrics", "2024-02")],
        ),
        ("UPDATE video SET description = 'new', view_count = 1", vec![]),
    ] {
        bed.db_to_write().execute_batch(sql).unwrap();
        export(&bed, "parquet", root, &[]);
        let after = by_month(root);
        assert_eq!(changed(&before, &after), expected, "{sql}");
        before = after;
    }
    assert!(!root.join("account_history/month=2024-01").exists(), "empty folder left");
}

#[test]
fn incremental_export_equals_a_full_one() {
    let (bed, out) = mirror();
    let mut random = ChaCha8Rng::seed_from_u64(20_261_120);
    let grows = "daily_metrics,video_history,video_daily,video_growth,account_video_history,overview_history,post_history";
    for round in 0..5 {
        let db = bed.db_to_write();
        for _ in 0..random.random_range(1..4) {
            let video = random.random_range(1..60);
            let day = random.random_range(0..100) * 86_400 + 1_702_425_600;
            let number = random.random_range(0..1_000);
            let sql = match random.random_range(0..6) {
                0 => format!(
                    "UPDATE post_scrape SET view_count = {number} WHERE source = {video} AND at_s > {day}"
                ),
                1 => format!(
                    "UPDATE video SET scrape_interval_hours = {} WHERE row_id = {video}",
                    number % 48 + 1
                ),
                2 => format!(
                    "INSERT OR IGNORE INTO post_scrape (post, source, at_s, at_ns, view_count)
                     SELECT post, row_id, {day}, {number}, {number} FROM video WHERE row_id = {video}"
                ),
                3 => format!("DELETE FROM post_scrape WHERE source = {video} AND at_s < {day}"),
                4 => format!(
                    "UPDATE post_scrape SET like_count = {number} WHERE source = -{video}"
                ),
                _ => format!(
                    "INSERT OR IGNORE INTO overview_observation (period, observed_at, total_views) VALUES ('7d', {day}000000, {number})"
                ),
            };
            db.execute_batch(&sql).unwrap();
        }
        if round == 3 {
            export(&bed, "parquet", out.path(), &["video_history", "video_daily"]);
            continue;
        }
        export(&bed, "parquet", out.path(), &["--table", grows]);
        let fresh = tempfile::tempdir().unwrap();
        export(&bed, "parquet", fresh.path(), &["--table", grows]);
        let names: Vec<String> = files(fresh.path()).into_keys().collect();
        assert_eq!(files(out.path()).into_keys().collect::<Vec<_>>(), names);
        for name in names.iter().filter(|name| name.ends_with(".parquet")) {
            let is_same = rows(&out.path().join(name)) == rows(&fresh.path().join(name));
            assert!(is_same, "{name} differs");
        }
        let months = |root: &Path, table: &str| manifest(root)["tables"][table]["periods"].clone();
        for table in ["video_history", "video_growth", "post_history", "overview_history"] {
            assert_eq!(months(out.path(), table), months(fresh.path(), table));
        }
    }
}

#[test]
fn since_leaves_earlier_months_alone() {
    let (bed, out) = mirror();
    let root = out.path();
    export(&bed, "parquet", root, &["--since", "2024-02-01", "video_history"]);
    let names: Vec<String> = by_month(root).into_keys().collect();
    let month = |month: &str| format!("video_history/month={month}/part-0.parquet");
    assert_eq!(names, [month("2024-02"), month("2024-03")]);
    export(&bed, "parquet", root, &["video_history"]);
    let before = by_month(root);
    let months = "SELECT count(DISTINCT substr(scraped_at, 1, 7)) FROM video_history";
    let months = bed.number(months) as usize;
    assert!(before.len() == months && months > 3, "{before:?}");
    bed.db_to_write().execute_batch("UPDATE post_scrape SET view_count = 3").unwrap();
    export(&bed, "parquet", root, &["--since", "2024-03", "video_history"]);
    assert_eq!(changed(&before, &by_month(root)), [month("2024-03")]);
    // Months before `--since` are exported by the next full export.
    export(&bed, "parquet", root, &["video_history"]);
    assert_eq!(changed(&before, &by_month(root)).len(), months);
}

#[test]
fn rewrites_missing_and_truncated_files() {
    let (bed, out) = mirror();
    let root = out.path();
    export(&bed, "parquet", root, &[]);
    let whole = files(root);
    let (lost, cut) = (
        root.join("video_history/month=2024-01/part-0.parquet"),
        root.join("video_daily/month=2024-02/part-0.parquet"),
    );
    let expected = (rows(&lost), rows(&cut));
    std::fs::remove_file(&lost).unwrap();
    std::fs::write(&cut, "cut").unwrap();
    export(&bed, "parquet", root, &[]);
    assert_eq!(files(root).len(), whole.len());
    assert_eq!((rows(&lost), rows(&cut)), expected);
}
