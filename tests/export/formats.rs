//! CSV and JSON Lines, cell by cell.

use std::collections::BTreeMap;

use rusqlite::types::Value as Sql;
use serde_json::value::RawValue;

use super::{MOVING, TABLES, export, held, manifest, mirror};

#[test]
fn csv_matches_the_database() {
    let (bed, out) = mirror();
    export(&bed, "csv", out.path(), &[]);
    for table in TABLES {
        let (names, rows) = held(&bed, table);
        let path = out.path().join(format!("{table}.csv"));
        let mut reader = csv::Reader::from_path(&path).unwrap();
        assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), names, "{table}");
        let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(read.len(), rows.len(), "{table}");
        for (read, row) in read.iter().zip(&rows) {
            for ((name, read), value) in names.iter().zip(read).zip(row) {
                let is_same = match value {
                    _ if MOVING.contains(&name.as_str()) => true,
                    Sql::Null => read.is_empty(),
                    Sql::Integer(number) => read == number.to_string(),
                    Sql::Real(number) => read.parse() == Ok(*number),
                    Sql::Text(text) => read == text,
                    Sql::Blob(_) => false,
                };
                assert!(is_same, "{table}.{name}: {read:?} is not {value:?}");
            }
        }
    }
    // NULL and empty text differ for readers that distinguish them.
    let text = std::fs::read_to_string(out.path().join("videos.csv")).unwrap();
    assert!(text.contains(",\"\","), "no empty text");
    assert!(text.contains(",,"), "no NULL");
    assert!(!text.replace("\r\n", "").contains('\r'), "a line ends without CRLF");
}

/// Spreadsheets ran formulas in captions, rounded ids of 19 digits, and read instants as text.
#[test]
fn excel_csv_escapes_formulas_and_keeps_long_ids() {
    let (bed, out) = mirror();
    bed.db_to_write()
        .execute_batch(
            "UPDATE video SET description = '=WEBSERVICE(\"http://x/\")' WHERE row_id = 5;
             UPDATE account_video SET id = 7300000000000000000 + row_id WHERE row_id < 9",
        )
        .unwrap();
    export(&bed, "csv", out.path(), &["--excel"]);
    let read = |table: &str| {
        let text = std::fs::read_to_string(out.path().join(format!("{table}.csv"))).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap().to_owned();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let column = |name: &str| {
            let at = names.iter().position(|one| one == name).unwrap();
            records.iter().map(|record| record[at].to_owned()).collect::<Vec<_>>()
        };
        ["id", "last_scrape_time", "description"].map(column)
    };
    let [_, instants, descriptions] = read("videos");
    assert!(descriptions.iter().any(|text| text == "'=WEBSERVICE(\"http://x/\")"));
    assert!(descriptions.iter().all(|text| !text.starts_with(['=', '+', '-', '@'])));
    let instants: Vec<&String> = instants.iter().filter(|text| !text.is_empty()).collect();
    assert!(!instants.is_empty());
    for text in instants {
        assert!(chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").is_ok(), "{text}");
    }
    let [ids, ..] = read("account_videos");
    let held = bed.rows("SELECT id FROM account_videos");
    let text = |row: Vec<Sql>| match row.into_iter().next() {
        Some(Sql::Text(id)) => id,
        other => panic!("{other:?} is not an id"),
    };
    let held: Vec<String> = held.into_iter().map(text).collect();
    assert!(held.iter().any(|id| id.len() > 15 && id.bytes().all(|byte| byte.is_ascii_digit())));
    for (read, held) in ids.iter().zip(&held) {
        let is_number = held.bytes().all(|byte| byte.is_ascii_digit());
        let expected = if is_number { format!("=\"{held}\"") } else { held.clone() };
        assert_eq!(*read, expected);
    }
    // The two CSV dialects do not mix in a folder, and other formats have no dialects.
    for (format, more) in [("csv", &[][..]), ("parquet", &["--excel"])] {
        let place = out.path().to_str().unwrap();
        let arguments = [&["export", "--format", format, "--out", place], more].concat();
        bed.start(bed.command(&arguments)).wait().expect(2).says("excel");
    }
}

#[test]
fn json_lines_match_the_database() {
    let (bed, out) = mirror();
    export(&bed, "jsonl", out.path(), &[]);
    for table in TABLES {
        let (names, rows) = held(&bed, table);
        let text = std::fs::read_to_string(out.path().join(format!("{table}.jsonl"))).unwrap();
        let read: Vec<&str> = text.lines().collect();
        assert_eq!(read.len(), rows.len(), "{table}");
        for (line, row) in read.iter().zip(&rows) {
            let read: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            assert_eq!(read.len(), names.len(), "{table}");
            for (name, value) in names.iter().zip(row) {
                if !MOVING.contains(&name.as_str()) {
                    let read = read[name].get();
                    assert!(is_json_of(read, name, value), "{table}.{name}: {read}, not {value:?}");
                }
            }
        }
    }
    let text = std::fs::read_to_string(out.path().join("videos.jsonl")).unwrap();
    assert!(text.contains(r#""extra":{"n": 1e400,  "t": "a\nb"}"#), "a number was changed");
}

/// Whether `read` is this value in JSON Lines.
fn is_json_of(read: &str, name: &str, value: &Sql) -> bool {
    let is_json = ["extra", "metadata", "platform_data", "accounts_by_platform"].contains(&name);
    match value {
        Sql::Null => read == "null",
        Sql::Integer(number) if ["old_value", "new_value"].contains(&name) => {
            read == format!("\"{number}\"")
        }
        Sql::Integer(number) if name.starts_with("is_") => read == (*number == 1).to_string(),
        Sql::Integer(number) => read == number.to_string(),
        Sql::Real(number) => read.parse() == Ok(*number),
        Sql::Text(text) if is_json => read == text.replace('\n', " "),
        Sql::Text(text) => serde_json::from_str::<String>(read).unwrap() == *text,
        Sql::Blob(_) => false,
    }
}

#[test]
fn exports_only_named_tables_since_a_date() {
    let (bed, out) = mirror();
    let since = ["accounts", "--table", "video_history,video_daily", "--since", "2024-02-20"];
    let run = export(&bed, "csv", out.path(), &since);
    assert!(run.stdout.contains("3 tables and views as of"), "{run:#?}");
    let names: Vec<String> = super::files(out.path()).into_keys().collect();
    assert_eq!(names, ["accounts.csv", "manifest.json", "video_daily.csv", "video_history.csv"]);
    let rows = bed.number("SELECT count(*) FROM video_history WHERE scraped_at >= '2024-02'");
    assert!(rows > 0 && rows < bed.number("SELECT count(*) FROM video_history"));
    let recorded = &manifest(out.path())["tables"];
    assert_eq!(recorded["video_history"]["rows"], rows);
    assert_eq!(recorded["video_history"]["since"], "2024-02");
    assert_eq!(recorded["accounts"]["rows"], bed.number("SELECT count(*) FROM accounts"));
    let mut reader = csv::Reader::from_path(out.path().join("video_history.csv")).unwrap();
    assert_eq!(reader.records().count() as i64, rows);
}

#[test]
fn json_prints_a_document_and_quiet_nothing() {
    let (bed, out) = mirror();
    let run = export(&bed, "jsonl", out.path(), &["accounts", "--json"]);
    let document = run.json();
    assert_eq!(document["tables"][0]["name"], "accounts");
    assert_eq!(document["snapshot_at"], manifest(out.path())["snapshot_at"]);
    let quiet = export(&bed, "jsonl", out.path(), &["accounts", "--quiet"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}
