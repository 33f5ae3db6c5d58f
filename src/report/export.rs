//! What an export came to, for people and for programs.

use serde_json::{Value, json};

use crate::export::{Exported, Outcome, Request};
use crate::model::instant;
use crate::report::text::{bytes, thousands};

/// One line per table, and one for the whole.
pub fn text(outcome: &Outcome, out: &str) -> String {
    let mut text: String = outcome.tables.iter().map(line).collect();
    let tables = thousands(outcome.tables.len() as u64);
    let at = instant::text(outcome.at);
    text.push_str(&format!("{tables} tables and views as of {at} are in {out}\n"));
    text
}

fn line(table: &Exported) -> String {
    let mut parts = vec![
        format!("{} rows", thousands(table.rows)),
        bytes(table.bytes),
        format!("{} {} written", table.written, if table.written == 1 { "file" } else { "files" }),
    ];
    for (count, what) in [(table.kept, "unchanged"), (table.removed, "removed")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!("{:<22} {}\n", table.name, parts.join(", "))
}

/// The same as one JSON document.
pub fn json(outcome: &Outcome, request: &Request, out: &str) -> Value {
    let table = |table: &Exported| {
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
        "snapshot_at": instant::text(outcome.at),
        "format": request.format.name(),
        "since": request.since,
        "out": out,
        "tables": outcome.tables.iter().map(table).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_spared() {
        let mut table = Exported {
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
