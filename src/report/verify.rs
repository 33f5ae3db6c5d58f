//! Result of `verify`, as text and as JSON.

use serde_json::{Value, json};

use crate::model::shown::printable;
use crate::report::text::{counted, thousands};
use crate::sync::Report;
use crate::sync::verify_report::{Discrepancy, RowDifference, Total, VerifyReport};

/// Longest value in the text, characters.
const VALUE_CHARS_MAX: usize = 60;
/// Longest value in the JSON document, characters.
const JSON_CHARS_MAX: usize = 2_000;

/// A line per kind, one per difference, and one for the run.
pub fn text(verify_report: &VerifyReport, report: &Report) -> String {
    let mut text = String::new();
    for kind in &verify_report.kinds {
        let read = thousands(i128::from(kind.read));
        let mut parts = vec![format!("{read} compared")];
        for (count, what) in [
            (kind.equal, "equal"),
            (kind.later, "with a later scrape"),
            (kind.drifted, "DIFFER, repaired"),
            (kind.missing, "GONE from the API"),
        ] {
            if count > 0 {
                parts.push(format!("{} {what}", thousands(i128::from(count))));
            }
        }
        parts.extend(kind.total.map(total));
        let skipped = kind.skipped.as_ref();
        parts.extend(skipped.map(|reason| format!("not compared: {}", shown(reason))));
        text.push_str(&format!("{:<14} {}\n", kind.kind.name(), parts.join(", ")));
    }
    text.extend(verify_report.differences.iter().map(difference));
    let (run_id, requests) = (report.run_id, counted(report.requests(), "request"));
    text + &format!("run {run_id}: {requests}, seed {}\n", verify_report.sampling.seed)
}

fn total(total: Total) -> String {
    let (held, found) = (thousands(total.held), thousands(total.found));
    let suspected = match total.suspected {
        0 => String::new(),
        suspected => format!(" ({} of them suspected to be removed)", thousands(suspected)),
    };
    match (total.held == total.found, total.is_explained) {
        (true, _) => format!("total {held} in both"),
        (false, true) => format!("total {held} of {found}; the newest are not read yet"),
        (false, false) => format!("TOTAL {held}{suspected}, BUT {found} IN THE API"),
    }
}

fn difference(difference: &RowDifference) -> String {
    let stratum = difference.stratum.map_or("not sampled", |stratum| stratum.name());
    let head = format!("{} {} ({stratum}):", difference.kind, shown(&difference.id));
    match &difference.what {
        Discrepancy::Missing(true) => format!("{head} the API answers 404; marked as removed\n"),
        Discrepancy::Missing(false) => {
            format!("{head} the API answers 404; removed if the next check confirms it\n")
        }
        Discrepancy::Columns(columns) => {
            let text = |value: &Option<String>| value.as_ref().map_or("NULL".to_owned(), shown);
            let columns = columns.iter().map(|column| {
                format!("{} was {}, is {}", column.column, text(&column.held), text(&column.found))
            });
            format!("{head} {}\n", columns.collect::<Vec<_>>().join("; "))
        }
    }
}

fn shown(text: impl AsRef<str>) -> String {
    printable(text.as_ref(), VALUE_CHARS_MAX)
}

/// The result as one JSON document.
pub fn json(verify_report: &VerifyReport, report: &Report, exit_code: u8) -> Value {
    let kinds = verify_report.kinds.iter().map(|kind| {
        json!({
            "kind": kind.kind.name(),
            "compared": kind.read,
            "equal": kind.equal,
            "later_scrape": kind.later,
            "drifted": kind.drifted,
            "missing": kind.missing,
            "skipped": kind.skipped,
            "total": kind.total.map(|total| json!({
                "held": total.held,
                "suspected": total.suspected,
                "api": total.found,
                "is_explained": total.is_explained,
            })),
        })
    });
    json!({
        "exit_code": exit_code,
        "outcome": report.run_error.as_ref().map_or("finished", |stop| stop.name()),
        "error": report.run_error.as_ref().map(ToString::to_string),
        "run_id": report.run_id,
        "requests": report.requests(),
        "requests_max": verify_report.sampling.requests_max(),
        "sample": verify_report.sampling.rows,
        "seed": verify_report.sampling.seed,
        "is_equal": !verify_report.differ(),
        "kinds": kinds.collect::<Vec<_>>(),
        "differences": verify_report.differences.iter().map(difference_json).collect::<Vec<_>>(),
    })
}

fn difference_json(difference: &RowDifference) -> Value {
    let bounded =
        |value: &Option<String>| value.as_ref().map(|text| printable(text, JSON_CHARS_MAX));
    let (what, columns) = match &difference.what {
        Discrepancy::Missing(true) => ("removed", Vec::new()),
        Discrepancy::Missing(false) => ("missing", Vec::new()),
        Discrepancy::Columns(columns) => ("repaired", columns.clone()),
    };
    let columns = columns.iter().map(|column| {
        json!({
            "column": column.column,
            "held": bounded(&column.held),
            "api": bounded(&column.found),
        })
    });
    json!({
        "kind": difference.kind.name(),
        "id": difference.id,
        "stratum": difference.stratum.map(|stratum| stratum.name()),
        "what": what,
        "columns": columns.collect::<Vec<_>>(),
    })
}
