//! Result of a run, as text and as JSON.

use chrono::SubsecRound;
use serde_json::{Value, json};

use crate::model::{BackoffScope, Kind, Outcome, instant};
use crate::report::backfill;
use crate::report::text::{counted, thousands};
use crate::store::backoff::Backoff;
use crate::sync::{KindReport, Report};

/// One line per kind, and one for the run.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let is_shown = |kind: &&KindReport| {
        let (of, counts) = (&kind.kind_run, kind.kind_run.counts);
        // An empty list is an answer too; a poll of no row is not.
        let is_listed = of.outcome == Outcome::Complete && Kind::LISTS.contains(&of.kind);
        counts.page.rows_seen > 0 || counts.removed > 0 || is_listed || !kind.is_good()
    };
    for kind in report.kinds.iter().filter(is_shown) {
        let (kind_run, page) = (&kind.kind_run, &kind.kind_run.counts.page);
        let mut parts = vec![
            counted(page.rows_seen, "row"),
            format!("{} changed", thousands(page.rows_changed)),
        ];
        let mut part = |count: i64, text: String| parts.extend((count > 0).then_some(text));
        let scrapes = |count| counted(count, "scrape");
        let (added, revised) = (page.snapshots_added, page.snapshots_revised);
        part(added, format!("{} added", scrapes(added)));
        part(revised, format!("{} revised", scrapes(revised)));
        let (removed, mismatches) = (kind_run.counts.removed, page.type_mismatches);
        part(removed, format!("{} removed", thousands(removed)));
        part(mismatches, format!("{} with a type mismatch", thousands(mismatches)));
        let unchanged = kind_run.counts.not_modified;
        part(unchanged, format!("{} unchanged", counted(unchanged, "page")));
        let (kind, outcome) = (kind_run.kind, kind_run.outcome);
        text.push_str(&format!("{kind:<14} {outcome:<16} {}\n", parts.join(", ")));
    }
    for paused in &report.paused {
        text.push_str(&format!("{:<14} {:<16} {}\n", paused.kind.name(), "paused", pause(paused)));
    }
    let pushed = report.pushed;
    if pushed.is_any() {
        let (succeeded, failed) = (thousands(pushed.succeeded), thousands(pushed.failed));
        let left = thousands(pushed.left);
        text.push_str(&format!(
            "{:<14} {succeeded} succeeded, {failed} failed, {left} to be retried\n",
            "outbox"
        ));
    }
    if let Some(daily) = &report.daily {
        text.push_str(&backfill::text(daily));
    }
    if report.run_id > 0 {
        let requests = counted(report.requests(), "request");
        text.push_str(&format!("run {}: {requests}\n", report.run_id));
    }
    text
}

/// Describes a backoff: what is paused, until when, why, and the command that tries it now.
pub fn pause(paused: &Backoff) -> String {
    let (work, command) = match paused.scope {
        BackoffScope::Listing => ("listing", "sync --full"),
        BackoffScope::Poll => ("polling", "sync --full"),
        BackoffScope::Days => ("daily metrics", "backfill"),
    };
    let failures = match paused.failures {
        1 => "1 failure".to_owned(),
        failures => format!("{failures} failures in a row"),
    };
    let until = instant::text(instant::from_micros(paused.retry_at).trunc_subsecs(0));
    format!("{work} paused until {until} after {failures}; `{command}` tries now")
}

/// A backoff as JSON.
pub fn pause_json(paused: &Backoff) -> Value {
    json!({
        "kind": paused.kind.name(),
        "scope": paused.scope.name(),
        "failures": paused.failures,
        "retry_at": instant::text(instant::from_micros(paused.retry_at)),
    })
}

/// The result as one JSON document.
pub fn json(report: &Report, exit_code: u8) -> Value {
    json!({
        "run_id": report.run_id,
        "exit_code": exit_code,
        "outcome": report.run_error.as_ref().map_or("finished", |stop| stop.name()),
        "detail": report.run_error.as_ref().map(ToString::to_string),
        "requests": report.requests(),
        "outbox": report.pushed,
        "kinds": report.kinds.iter().map(|kind| &kind.kind_run).collect::<Vec<_>>(),
        "paused": report.paused.iter().map(pause_json).collect::<Vec<_>>(),
        "daily_metrics": report.daily.as_ref().map(|daily| backfill::json(daily, exit_code)),
    })
}
