//! Result of a backfill, as text and as JSON.

use serde_json::{Value, json};

use crate::model::Outcome;
use crate::report::text::{counted, thousands};
use crate::sync::backfill::{BackfillReport, KindBackfillReport};

/// One paragraph.
pub fn text(report: &BackfillReport) -> String {
    let kinds: Vec<String> = report
        .kinds
        .iter()
        .filter(|kind| kind.counts.rows > 0)
        .map(|kind| format!("{} of {}", thousands(kind.counts.rows), kind.kind.plural()))
        .collect();
    let (rows, changed) = (report.sum(|done| done.rows), report.sum(|done| done.changed));
    let mut text = match kinds.is_empty() {
        true => format!("{}: nothing new", head(report)),
        false => format!(
            "{}: {} daily figures ({}), {} of them new or changed",
            head(report),
            thousands(rows),
            kinds.join(", "),
            thousands(changed)
        ),
    };
    let requests = counted(report.requests, "request");
    let mut part = |count: u64, what: &str| {
        if count > 0 {
            text.push_str(&format!("; {} {what}", thousands(count)));
        }
    };
    part(report.sum(|done| done.not_found), "not known to the API");
    part(report.sum(|done| done.passed_over), "skipped by the API");
    part(report.sum(|done| done.type_mismatches), "with a value that is not a number");
    part(report.unaskable, "account videos that cannot be requested");
    text.push_str(&format!("; {requests}"));
    if report.run_error.is_some() {
        text.push_str("; the next backfill continues from here");
    }
    text.push_str(".\n");
    text
}

fn head(report: &BackfillReport) -> String {
    let days = match report.days {
        Some(days) => format!("backfill of {}", counted(days, "day")),
        None => "daily metrics".to_owned(),
    };
    match (report.from, report.to) {
        (Some(from), Some(to)) if from == to => format!("{days}, {from}"),
        (Some(from), Some(to)) => format!("{days}, {from} to {to}"),
        _ => days,
    }
}

/// The result as one JSON document.
pub fn json(report: &BackfillReport, exit_code: u8) -> Value {
    json!({
        "run_id": report.run_id,
        "exit_code": exit_code,
        "outcome": report.run_error.as_ref().map_or("finished", |stop| stop.name()),
        "detail": report.run_error.as_ref().map(ToString::to_string),
        "days": report.days,
        "from": report.from,
        "to": report.to,
        "requests": report.requests,
        "rows": report.sum(|done| done.rows),
        "rows_changed": report.sum(|done| done.changed),
        "not_found": report.sum(|done| done.not_found),
        "passed_over": report.sum(|done| done.passed_over),
        "unaskable": report.unaskable,
        "kinds": report.kinds.iter().map(kind_json).collect::<Vec<_>>(),
    })
}

fn kind_json(kind: &KindBackfillReport) -> Value {
    let failed = kind.kind_outcome.as_ref();
    json!({
        "kind": kind.kind.name(),
        "outcome": failed.map_or(Outcome::Complete, |failed| failed.outcome),
        "rows": kind.counts.rows,
        "rows_changed": kind.counts.changed,
        "type_mismatches": kind.counts.type_mismatches,
        "not_found": kind.counts.not_found,
        "passed_over": kind.counts.passed_over,
        "error_code": failed.and_then(|failed| failed.error_code.as_deref()),
        "detail": failed.and_then(|failed| failed.detail.as_deref()),
        "request_id": failed.and_then(|failed| failed.request_id.as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::sync::daily_metrics::MetricsCounts;

    #[test]
    fn result_is_one_paragraph() {
        let kind = |kind, rows, not_found| KindBackfillReport {
            kind,
            counts: MetricsCounts { rows, changed: rows, not_found, ..MetricsCounts::default() },
            kind_outcome: None,
            failure: None,
        };
        let report = BackfillReport {
            run_id: 4,
            days: Some(30),
            from: "2026-10-21".parse().ok(),
            to: "2026-11-19".parse().ok(),
            requests: 1_200,
            kinds: vec![kind(Kind::Account, 360, 0), kind(Kind::Video, 54_000, 2)],
            refused_ids: 0,
            unaskable: 0,
            is_unfilled: false,
            run_error: None,
        };
        assert_eq!(
            text(&report),
            "backfill of 30 days, 2026-10-21 to 2026-11-19: 54,360 daily figures (360 of accounts, 54,000 of videos), \
             54,360 of them new or changed; 2 not known to the API; 1,200 requests.\n"
        );
        let document = json(&report, 0);
        assert_eq!((&document["from"], &document["rows"]), (&"2026-10-21".into(), &54_360.into()));
        assert_eq!(document["kinds"][1]["not_found"], 2);
    }
}
