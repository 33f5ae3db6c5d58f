//! Parquet files, read with DuckDB.

use std::path::Path;
use std::process::Command;

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use super::{MOVING, TABLES, export, held, manifest, mirror, pattern, python};

const PARTITIONED: [&str; 9] = [
    "account_history",
    "account_video_history",
    "change_log",
    "daily_metrics",
    "overview_history",
    "post_history",
    "video_daily",
    "video_growth",
    "video_history",
];

/// The column type that DuckDB should report.
fn duck_type(name: &str, values: &[&Sql]) -> &'static str {
    let json = ["extra", "metadata", "platform_data", "accounts_by_platform"];
    let reals = [
        "duration",
        "hours",
        "views_per_hour",
        "engagement_rate",
        "api_engagement_rate",
        "age_hours",
    ];
    match name {
        "date" | "published_date_local" => "DATE",
        "old_value" | "new_value" => "VARCHAR",
        "complete_as_of" => "TIMESTAMP WITH TIME ZONE",
        _ if name.ends_with("_at") || name.ends_with("_time") => "TIMESTAMP WITH TIME ZONE",
        _ if name.starts_with("is_") => "BOOLEAN",
        _ if json.contains(&name) => "VARCHAR",
        _ if reals.contains(&name) => "DOUBLE",
        _ if values.iter().any(|value| matches!(value, Sql::Integer(_))) => "BIGINT",
        _ if values.iter().any(|value| matches!(value, Sql::Text(_))) => "VARCHAR",
        // All NULL: the type is unknown.
        _ => "",
    }
}

/// The value in the JSON form that `duck.py` prints.
fn expected_json(kind: &str, value: &Sql) -> Value {
    match (kind, value) {
        (_, Sql::Null) => Value::Null,
        ("TIMESTAMP WITH TIME ZONE", Sql::Text(text)) => {
            let at: DateTime<Utc> = text.parse().unwrap();
            json!(at.timestamp_micros())
        }
        ("DATE", Sql::Text(text)) => json!(text.parse::<NaiveDate>().unwrap().to_string()),
        ("BOOLEAN", Sql::Integer(number)) => json!(*number == 1),
        ("DOUBLE", Sql::Real(number)) => json!(format!("bits {:016x}", number.to_bits())),
        ("DOUBLE", Sql::Integer(number)) => {
            json!(format!("bits {:016x}", (*number as f64).to_bits()))
        }
        ("BIGINT", Sql::Integer(number)) => json!(number),
        ("VARCHAR", Sql::Integer(number)) => json!(number.to_string()),
        (_, Sql::Text(text)) => json!(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn duckdb_reads_every_row() {
    let (bed, out) = mirror();
    export(&bed, "parquet", out.path(), &[]);
    let root = out.path().to_str().unwrap();
    let Some(answer) = python("duck.py", &[root, &TABLES.join(",")]) else { return };
    for table in TABLES {
        let (names, rows) = held(&bed, table);
        let read = &answer[table];
        let mut columns: Vec<(&str, &str)> = read["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| (column[0].as_str().unwrap(), column[1].as_str().unwrap()))
            .collect();
        if PARTITIONED.contains(&table) {
            assert_eq!(columns.pop(), Some(("month", "VARCHAR")), "{table}");
        }
        assert_eq!(columns.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names, "{table}");
        for (at, (name, kind)) in columns.iter().enumerate() {
            let values: Vec<&Sql> = rows.iter().map(|row| &row[at]).collect();
            let expected = duck_type(name, &values);
            assert!(expected.is_empty() || *kind == expected, "{table}.{name} is {kind}");
        }
        let time = names.iter().position(|name| {
            ["scraped_at", "to_at", "observed_at", "date", "changed_at"].contains(&name.as_str())
        });
        assert!(!rows.is_empty() || table == "outbox_log", "{table} is empty here");
        let expected = rows.iter().map(|row| {
            let cells = columns.iter().zip(row).map(|((name, kind), value)| {
                if MOVING.contains(name) { Value::Null } else { expected_json(kind, value) }
            });
            let mut cells: Vec<Value> = cells.collect();
            if PARTITIONED.contains(&table) {
                let Sql::Text(at) = &row[time.unwrap()] else { panic!("{row:?}") };
                cells.push(json!(at[..7]));
            }
            Value::Array(cells).to_string()
        });
        let mut expected: Vec<String> = expected.collect();
        let mut found: Vec<String> = read["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let mut row = row.clone();
                for (at, (name, _)) in columns.iter().enumerate() {
                    if MOVING.contains(name) {
                        row[at] = Value::Null;
                    }
                }
                row.to_string()
            })
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found.len(), expected.len(), "{table}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{table}");
        }
    }
}

/// The months of an exported table, from its folder names.
fn months(root: &Path, table: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(table)).unwrap();
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
    let names = entries.map(|entry| name(entry.unwrap()).replacen("month=", "", 1));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn history_is_partitioned_by_month() {
    let (bed, out) = mirror();
    export(&bed, "parquet", out.path(), &[]);
    let recorded = manifest(out.path());
    for (table, time) in [("video_history", "scraped_at"), ("video_growth", "to_at")] {
        let sql =
            format!("SELECT substr({time}, 1, 7), count(*) FROM {table} GROUP BY 1 ORDER BY 1");
        let expected: Vec<(String, i64)> = bed
            .rows(&sql)
            .into_iter()
            .map(|row| match &row[..] {
                [Sql::Text(month), Sql::Integer(rows)] => (month.clone(), *rows),
                other => panic!("{other:?}"),
            })
            .collect();
        let recorded_rows: Vec<(String, i64)> = recorded["tables"][table]["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| {
                (file["period"].as_str().unwrap().to_owned(), file["rows"].as_i64().unwrap())
            })
            .collect();
        assert!(expected.len() > 3, "{expected:?}");
        assert_eq!(recorded_rows, expected);
        let names: Vec<String> = expected.into_iter().map(|(month, _)| month).collect();
        assert_eq!(months(out.path(), table), names);
    }
}

/// The row count of the examples in deploy/README.md: one row per month and platform.
fn gained(bed: &super::TestBed) -> i64 {
    bed.number(
        "SELECT count(*) FROM (SELECT DISTINCT substr(g.to_at, 1, 7), v.platform
                               FROM video_growth AS g JOIN videos AS v ON v.id = g.video_id)",
    )
}

#[test]
fn duckdb_example_of_the_readme_runs() {
    let (bed, out) = mirror();
    export(&bed, "parquet", out.path(), &["videos", "video_growth"]);
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/README.md")).unwrap();
    let begin = readme.find("-- DuckDB").unwrap();
    let example = readme[begin..].split("```").next().unwrap();
    let root = out.path().to_str().unwrap();
    let example = example.replace("/srv/export", root).replace("2026-09", "2023-12");
    let Some(python) = super::support::tools::tool("python") else { return };
    let program = "import duckdb, sys; print(len(duckdb.sql(sys.argv[1]).fetchall()))";
    let output = Command::new(python).args(["-c", program, &example]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let count: i64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert_eq!(count, gained(&bed), "{}", pattern(out.path(), "video_growth"));
}
