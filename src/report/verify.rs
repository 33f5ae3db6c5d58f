//! What comparing the mirror with the API came to, for people and for programs.

use serde_json::{Value, json};

use crate::model::shown::printable;
use crate::report::text::thousands;
use crate::sync::Report;
use crate::sync::verify_report::{Discrepancy, RowDifference, Sampling, Total, VerifyReport};

/// Longest value that is shown.
const VALUE_CHARS_MAX: usize = 60;
/// Longest value in the document.
const JSON_CHARS_MAX: usize = 2_000;

/// What is about to be done, and what it costs.
pub fn before(sampling: Sampling) -> String {
    format!(
        "comparing about {} rows, seed {}: at most {} requests, those aside that are repeated after an error",
        thousands(sampling.rows),
        sampling.seed,
        thousands(sampling.requests_max())
    )
}

/// A line per kind, one per difference, and one for the whole.
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
        parts.extend(kind.skipped.as_ref().map(|why| format!("not compared: {}", shown(why))));
        text.push_str(&format!("{:<14} {}\n", kind.kind.name(), parts.join(", ")));
    }
    for one in &verify_report.differences {
        text.push_str(&difference(one));
    }
    let (run_id, requests) = (report.run_id, thousands(report.requests()));
    text + &format!("run {run_id}: {requests} requests, seed {}\n", verify_report.sampling.seed)
}

fn total(total: Total) -> String {
    let (held, found) = (thousands(total.held), thousands(total.found));
    let suspected = match total.suspected {
        0 => String::new(),
        suspected => format!(" ({} of them suspected to be gone)", thousands(suspected)),
    };
    match (total.held == total.found, total.is_explained) {
        (true, _) => format!("{held} in all on both sides"),
        (false, true) => format!("{held} held of {found}; the newest are not read yet"),
        (false, false) => format!("{held} HELD{suspected}, BUT {found} BY THE API"),
    }
}

fn difference(one: &RowDifference) -> String {
    let why = one.stratum.map_or("in passing", |stratum| stratum.name());
    let head = format!("{} {} ({why}):", one.kind, shown(&one.id));
    match &one.what {
        Discrepancy::Missing(true) => format!("{head} the API answers 404; marked as removed\n"),
        Discrepancy::Missing(false) => {
            format!("{head} the API answers 404; a first sign of removal\n")
        }
        Discrepancy::Columns(columns) => {
            let of = |value: &Option<String>| value.as_ref().map_or("NULL".to_owned(), shown);
            let columns = columns.iter().map(|difference| {
                let (held, found) = (of(&difference.held), of(&difference.found));
                format!("{} was {held}, is {found}", difference.column)
            });
            format!("{head} {}\n", columns.collect::<Vec<_>>().join("; "))
        }
    }
}

fn shown(text: impl AsRef<str>) -> String {
    printable(text.as_ref(), VALUE_CHARS_MAX)
}

/// The same as one JSON document.
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
        "differences": verify_report.differences.iter().map(document).collect::<Vec<_>>(),
    })
}

fn document(one: &RowDifference) -> Value {
    let long = |value: &Option<String>| value.as_ref().map(|text| printable(text, JSON_CHARS_MAX));
    let (what, columns) = match &one.what {
        Discrepancy::Missing(true) => ("removed", Vec::new()),
        Discrepancy::Missing(false) => ("missing", Vec::new()),
        Discrepancy::Columns(columns) => ("repaired", columns.clone()),
    };
    let columns = columns.iter().map(|difference| {
        json!({
            "column": difference.column,
            "held": long(&difference.held),
            "api": long(&difference.found),
        })
    });
    json!({
        "kind": one.kind.name(),
        "id": one.id,
        "stratum": one.stratum.map(|stratum| stratum.name()),
        "what": what,
        "columns": columns.collect::<Vec<_>>(),
    })
}
