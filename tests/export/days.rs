//! The current month is exported by day, on a clock of the test.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use creatormirror::clock::Clock;
use creatormirror::export::{self, ExportRequest, Folder, Format};
use creatormirror::store::Database;

use super::support::{TestBed, unlimited};
use super::{files, manifest, mirror, python};

/// Exports some tables as Parquet at this instant.
fn export_at(bed: &TestBed, root: &Path, at: &str, tables: &[&str]) {
    let store = Database::open_to_read(&bed.database()).unwrap();
    let request = ExportRequest {
        format: Format::Parquet,
        tables: tables.iter().map(|table| (*table).to_owned()).collect(),
        since: None,
    };
    let folder = Folder::open(root).unwrap();
    let clock = Clock::manual(at.parse().unwrap());
    export::run(&store, &clock, &request, &folder, &mut |_, _| {}).unwrap();
}

/// The Parquet files of a table, with their inodes.
fn parquet_files(root: &Path, table: &str) -> BTreeMap<String, u64> {
    let names = files(root).into_keys().filter(|name| name.starts_with(&format!("{table}/")));
    names.map(|name| (name.clone(), std::fs::metadata(root.join(name)).unwrap().ino())).collect()
}

fn changed(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    let is_new = |name: &&String| before.get(*name) != after.get(*name);
    after.keys().filter(is_new).cloned().collect()
}

fn rows(root: &Path, table: &str) -> i64 {
    manifest(root)["tables"][table]["rows"].as_i64().unwrap()
}

#[test]
fn only_the_day_of_a_new_scrape_is_written() {
    let (bed, out) = mirror();
    let root = out.path();
    let tables = ["video_history", "video_growth", "video_daily", "post_history"];
    export_at(&bed, root, "2024-03-26T12:00:00Z", &tables);
    let before = parquet_files(root, "video_history");
    assert!(before.contains_key("video_history/month=2024-02/part-0.parquet"));
    assert!(before.contains_key("video_history/month=2024-03/2024-03-01.parquet"));
    assert!(!before.contains_key("video_history/month=2024-03/part-0.parquet"));
    let all: BTreeMap<_, _> = tables.iter().flat_map(|table| parquet_files(root, table)).collect();
    bed.db_to_write()
        .execute_batch(
            "INSERT INTO post_scrape (post, source, at_s, at_ns, view_count)
             SELECT post, row_id, unixepoch('2024-03-26 11:00'), 0, 5 FROM video WHERE row_id = 2",
        )
        .unwrap();
    export_at(&bed, root, "2024-03-26T13:00:00Z", &tables);
    let now: BTreeMap<_, _> = tables.iter().flat_map(|table| parquet_files(root, table)).collect();
    let day = |table: &str| format!("{table}/month=2024-03/2024-03-26.parquet");
    let expected =
        ["post_history", "video_daily", "video_growth", "video_history"].map(day).to_vec();
    assert_eq!(changed(&all, &now), expected);
    for table in tables {
        assert_eq!(rows(root, table), bed.number(&format!("SELECT count(*) FROM {table}")));
    }
}

#[test]
fn files_of_days_become_one_when_the_month_ends() {
    let (bed, out) = mirror();
    let root = out.path();
    export_at(&bed, root, "2024-03-20T12:00:00Z", &["video_history"]);
    let before = parquet_files(root, "video_history");
    export_at(&bed, root, "2024-04-01T00:10:00Z", &["video_history"]);
    let after = parquet_files(root, "video_history");
    let march = "video_history/month=2024-03/part-0.parquet";
    assert_eq!(changed(&before, &after), [march]);
    assert!(!after.keys().any(|name| name.contains("2024-03-")), "{after:?}");
    assert_eq!(rows(root, "video_history"), bed.number("SELECT count(*) FROM video_history"));
    // The clock is set back: the month is open again.
    export_at(&bed, root, "2024-03-31T23:50:00Z", &["video_history"]);
    assert_eq!(parquet_files(root, "video_history").into_keys().collect::<Vec<_>>(), {
        before.keys().cloned().collect::<Vec<_>>()
    });
    assert_eq!(rows(root, "video_history"), bed.number("SELECT count(*) FROM video_history"));
}

#[test]
fn changes_that_retention_deletes_stay_exported() {
    let (bed, out) = mirror();
    let root = out.path();
    let db = bed.db_to_write();
    db.execute_batch(
        "DELETE FROM change;
         WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 39)
         INSERT INTO change (changed_at, kind, id, field, new_value)
         SELECT (unixepoch('2024-02-10') + n * 86400) * 1000000, 'account', 'x', 'name', n FROM n",
    )
    .unwrap();
    export_at(&bed, root, "2024-03-20T12:00:00Z", &["change_log"]);
    assert_eq!(rows(root, "change_log"), 40);
    let before = parquet_files(root, "change_log");
    // All of February and some days of March; then the month ends.
    db.execute_batch(
        "DELETE FROM change WHERE changed_at < unixepoch('2024-03-10') * 1000000;
         INSERT INTO change (changed_at, kind, id, field) VALUES (unixepoch('2024-04-01') * 1000000, 'account', 'x', 'name')",
    )
    .unwrap();
    export_at(&bed, root, "2024-04-02T12:00:00Z", &["change_log"]);
    let after = parquet_files(root, "change_log");
    assert_eq!(changed(&before, &after), ["change_log/month=2024-04/2024-04-01.parquet"]);
    assert_eq!((rows(root, "change_log"), after.len()), (41, before.len() + 1));
    // Also when nothing is left.
    db.execute_batch("DELETE FROM change").unwrap();
    export_at(&bed, root, "2024-04-03T12:00:00Z", &["change_log"]);
    assert_eq!(parquet_files(root, "change_log"), after);
}

/// Before the first sync; afterwards the files without rows are gone.
#[test]
fn tables_without_rows_have_a_file_with_their_columns() {
    let bed = TestBed::frozen(unlimited());
    bed.start(bed.command(&["track", "account", "instagram", "ada.bakes"])).wait().expect(0);
    let out = tempfile::tempdir().unwrap();
    let root = out.path();
    export_at(&bed, root, "2024-03-20T12:00:00Z", &[]);
    let names: Vec<String> =
        manifest(root)["tables"].as_object().unwrap().keys().cloned().collect();
    for table in &names {
        assert_eq!(parquet_files(root, table).len(), 1, "{table}");
    }
    let history = "video_history/month=2024-03/part-0.parquet";
    assert!(parquet_files(root, "video_history").contains_key(history));
    if let Some(duck) = python("duck.py", &[root.to_str().unwrap(), &names.join(",")]) {
        for table in &names {
            let columns = manifest(root)["tables"][table]["columns"].as_array().unwrap().len();
            assert!(duck[table]["columns"].as_array().unwrap().len() >= columns, "{table}");
        }
    }
    bed.sync_ok(&[]);
    export_at(&bed, root, "2024-03-20T13:00:00Z", &[]);
    assert!(!parquet_files(root, "video_history").contains_key(history));
    assert_eq!(rows(root, "video_history"), bed.number("SELECT count(*) FROM video_history"));
}

/// DuckDB took JSON columns for its JSON type, polars for binary.
#[test]
fn engines_read_days_and_months_as_one_table() {
    let (bed, out) = mirror();
    let root = out.path();
    let tables = ["video_history", "videos", "change_log", "account_daily"];
    export_at(&bed, root, "2024-03-20T12:00:00Z", &tables);
    let names = tables.join(",");
    let Some(duck) = python("duck.py", &[root.to_str().unwrap(), &names]) else { return };
    let Some(polars) = python("polars_sums.py", &[root.to_str().unwrap(), &names]) else { return };
    for table in tables {
        let held = bed.number(&format!("SELECT count(*) FROM {table}"));
        assert!(held > 3, "{table}");
        assert_eq!(duck[table]["rows"].as_array().unwrap().len() as i64, held, "{table}");
        assert_eq!(polars[table]["rows"], held, "{table}");
        for (column, sum) in polars[table]["sums"].as_object().unwrap() {
            let held = bed.number(&format!("SELECT coalesce(sum({column}), 0) FROM {table}"));
            assert_eq!(*sum, held, "{table}.{column}");
        }
        for (column, texts) in polars[table]["texts"].as_object().unwrap() {
            assert_eq!(polars[table]["types"][column], "String", "{table}.{column}");
            let sql =
                format!("SELECT CAST({column} AS TEXT) FROM {table} WHERE {column} IS NOT NULL");
            let mut held: Vec<String> = bed
                .db()
                .prepare(&sql)
                .unwrap()
                .query_map([], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            held.sort();
            assert_eq!(*texts, serde_json::json!(held), "{table}.{column}");
        }
    }
}
