//! Result of an export, as text and as JSON.

use serde_json::{Value, json};

use crate::export::{ExportReport, ExportRequest, ExportedTable};
use crate::model::instant;
use crate::report::text::{bytes, counted, thousands};

/// One line per table, and one for the export.
pub fn text(report: &ExportReport, out: &str) -> String {
    let mut text: String = report.tables.iter().map(line).collect();
    let tables = thousands(report.tables.len() as u64);
    let at = instant::text(report.at);
    text.push_str(&format!("{tables} tables and views as of {at} are in {out}\n"));
    text
}

fn line(table: &ExportedTable) -> String {
    let mut parts = vec![
        counted(table.rows, "row"),
        bytes(table.bytes),
        format!("{} written", counted(table.written as u64, "file")),
    ];
    for (count, what) in [(table.kept, "unchanged"), (table.removed, "removed")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{:<22} {}\n", table.name, parts.join(", "))
}

/// The result as one JSON document.
pub fn json(report: &ExportReport, request: &ExportRequest, out: &str) -> Value {
    let table = |table: &ExportedTable| {
        json!({
            "name": table.name,
            "rows": table.rows,
            "bytes": table.bytes,
            "files_written": table.written,
            "files_unchanged": table.kept,
            "files_removed": table.removed,
        })
    };
    json!({
        "snapshot_at": instant::text(report.at),
        "format": request.format.name(),
        "since": request.since,
        "out": out,
        "tables": report.tables.iter().map(table).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_counts_written_and_unchanged_files() {
        let mut table = ExportedTable {
            name: "video_history".to_owned(),
            rows: 12_345,
            written: 1,
            kept: 11,
            removed: 0,
            bytes: 2_000,
        };
        assert_eq!(
            line(&table),
            "video_history          12,345 rows, 2.0 kB, 1 file written, 11 unchanged\n"
        );
        table.kept = 0;
        assert!(line(&table).ends_with("1 file written\n"));
    }
}
