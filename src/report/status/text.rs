//! `status` as text, fitted to the width of the terminal.

use std::time::Duration;

use crate::model::Outcome;
use crate::model::instant::from_micros as at;
use crate::model::shown::printable;
use crate::model::{Instant, Kind};
use crate::report::status::facts::{NextListing, Status};
use crate::report::table::{self, Column};
use crate::report::text::{
    TimeFormat, UNKNOWN, bytes, counted, moment, relative, short_relative, short_span, span,
    thousands,
};
use crate::report::{outbox, sync};
use crate::store::backoff::Backoff;
use crate::store::freshness::Freshness;
use crate::store::metrics::MetricsRange;
use crate::store::status::KindStatus;
use crate::store::unsupported::UnsupportedFeature;
use crate::sync::finish::unreadable_text;

/// Longest text from the API or of an error that is shown, characters.
const CHARS_MAX: usize = 500;

/// Columns of the table of kinds.
const COLUMNS: [Column; 9] = [
    Column::text("kind"),
    Column::number("rows"),
    Column::number("removed").dropped(2),
    Column::text("complete as of"),
    Column::text("last listing"),
    Column::text("newest").dropped(4),
    Column::text("median").dropped(1),
    Column::text("p95").dropped(3),
    Column::text("next listing"),
];

/// Returns the summary for a terminal of this width. Only the table of kinds depends on the width; long lines are folded
/// when they are printed.
pub fn text(status: &Status, width: Option<usize>) -> String {
    let facts = [
        ("organization", organization(status)),
        ("database", database(status)),
        ("now", running(status)),
        ("last run", last_run(status)),
        ("next due", next_due(status)),
        ("days", days(&status.snapshot.daily)),
        ("rate limit", status.rate.text(status.now)),
        ("outbox", outbox::phrase(&status.snapshot.outbox)),
        ("API", lifecycle(status)),
        ("last error", last_error(status)),
    ];
    let mut text = String::new();
    for (name, fact) in facts {
        text.push_str(&format!("{name:<14}{fact}\n"));
    }
    text.push_str(&format!("\n{}\n", table(status, width)));
    let notes = notes(status);
    if !notes.is_empty() {
        text.push_str(&format!("\n{}\n", notes.join("\n")));
    }
    text
}

fn organization(status: &Status) -> String {
    let identity = &status.snapshot.identity;
    match (&identity.organization_id, &identity.api_key_name) {
        (None, _) => "unknown until the first sync".to_owned(),
        (Some(id), None) => shown(id),
        (Some(id), Some(name)) => format!("{}, key `{}`", shown(id), shown(name)),
    }
}

fn database(status: &Status) -> String {
    let (path, sizes) = (status.database.display(), status.sizes);
    let wal = match sizes.wal {
        0 => String::new(),
        wal => format!(" and {} of write-ahead log", bytes(wal)),
    };
    let version = status.snapshot.schema_version;
    format!("{path}, {}{wal}, schema version {version}", bytes(sizes.database))
}

/// The process that holds the lock. A daemon also shows its status and its `batch_delay`, which is longer than
/// `freshness_target` while the rate limit is too low for the due rows.
fn running(status: &Status) -> String {
    match &status.snapshot.daemon {
        _ if !status.is_running => "not running".to_owned(),
        None => "running".to_owned(),
        Some((condition, batch_delay_s)) => {
            let batch_delay = Duration::from_secs(u64::try_from(*batch_delay_s).unwrap_or(0));
            let batch_delay = span(batch_delay);
            format!("daemon: {}; batches due rows for up to {batch_delay}", shown(condition))
        }
    }
}

fn last_run(status: &Status) -> String {
    let Some(run) = &status.snapshot.last_run else { return "none yet".to_owned() };
    let started = moment(at(run.started_at), status.now);
    let outcome = match run.finished_at {
        None if status.is_running => format!("running since {started}"),
        None => format!("started {started}, killed; the next run resumes it"),
        Some(finished_at) => {
            let finished = moment(at(finished_at), status.now);
            let length = at(finished_at).signed_duration_since(at(run.started_at));
            let length = span(length.to_std().unwrap_or_default());
            format!("{} {finished} after {length}", run.outcome)
        }
    };
    let requests = counted(run.requests, "request");
    let detail = run.detail.as_ref().map(|detail| format!(": {}", shown(detail)));
    let detail = detail.unwrap_or_default();
    format!("{} by {}: {outcome}, {requests}{detail}", run.run_id, run.trigger)
}

fn next_due(status: &Status) -> String {
    let (overdue, listings) = status.due_now();
    let mut parts = Vec::new();
    if overdue > 0 {
        parts.push(counted(overdue, "video"));
    }
    parts.extend(listings.iter().map(|kind| format!("listing of {}", kind.plural())));
    if !parts.is_empty() {
        return format!("now: {}", parts.join(", "));
    }
    let schedule = &status.snapshot.schedule;
    let videos = counted(schedule.scheduled, "scheduled video");
    match status.next_due() {
        None => "nothing".to_owned(),
        Some((due, None)) => format!("{}: the first of {videos}", moment(due, status.now)),
        Some((due, Some(kind))) => {
            let first = schedule.next_due_at.map(|seconds| at(seconds.saturating_mul(1_000_000)));
            let then = first
                .map(|first| format!("; then the first of {videos} {}", moment(first, status.now)));
            let then = then.unwrap_or_default();
            format!("{}: listing of {}{then}", moment(due, status.now), kind.plural())
        }
    }
}

/// The range of the daily metrics, and whether they are updated.
fn days(reaches: &[MetricsRange]) -> String {
    if reaches.is_empty() {
        return "no daily metrics; `creatormirror backfill --days N` requests them".to_owned();
    }
    let range = |reach: &MetricsRange| {
        let (kind, from, to) = (reach.kind.plural(), &reach.from, &reach.to);
        let unfinished = if reach.is_growing { "" } else { " (backfill not finished)" };
        format!("{kind} {from} to {to}{unfinished}")
    };
    reaches.iter().map(range).collect::<Vec<_>>().join("; ")
}

fn lifecycle(status: &Status) -> String {
    let Some((lifecycle, as_of)) = &status.snapshot.lifecycle else {
        return "unknown until the first sync".to_owned();
    };
    let as_of = moment(at(*as_of), status.now);
    match lifecycle.notice() {
        Some(notice) => format!("NOTICE: {}, as of {as_of}", shown(&notice)),
        None => format!("supported, as of {as_of}"),
    }
}

fn last_error(status: &Status) -> String {
    let Some(error) = &status.snapshot.last_error else { return "none".to_owned() };
    let time = moment(at(error.at), status.now);
    let kind = error.kind.as_ref().map(|kind| format!(", {kind}")).unwrap_or_default();
    let message = shown(error.detail.as_ref().unwrap_or(&error.code));
    let request = match &error.request_id {
        Some(id) if !message.contains(id) => format!(" (request id {})", shown(id)),
        _ => String::new(),
    };
    format!("{time} in run {}{kind}: {message}{request}", error.run_id)
}

fn table(status: &Status, width: Option<usize>) -> String {
    let rows = |row: &dyn Fn(&KindStatus) -> Vec<String>| {
        status.snapshot.kinds.iter().map(row).collect::<Vec<_>>()
    };
    let full = rows(&|kind| row(status, kind, moment, relative, span));
    let full = table::format(&COLUMNS, full, None);
    if table::fits(&full, width) {
        return full;
    }
    let short = rows(&|kind| row(status, kind, short_relative, short_relative, short_span));
    table::format(&COLUMNS, short, width)
}

/// A row of the table, with these formats for instants in the past, instants in the future, and ages.
fn row(
    status: &Status,
    kind: &KindStatus,
    past: TimeFormat,
    future: TimeFormat,
    span: fn(Duration) -> String,
) -> Vec<String> {
    let next = match status.listings.get(&kind.kind) {
        None | Some(NextListing::Never) => "never".to_owned(),
        Some(NextListing::Now) => "due".to_owned(),
        Some(NextListing::At(at)) => future(*at, status.now),
    };
    let age = |at: fn(&Freshness) -> Option<Instant>| {
        let Some(freshness) = &kind.freshness else { return String::new() };
        let Some(at) = at(freshness).and_then(Instant::to_utc) else { return UNKNOWN.to_owned() };
        let age = span(status.now.signed_duration_since(at).to_std().unwrap_or_default());
        // An age estimated from a sample.
        if freshness.is_sample { format!("~{age}") } else { age }
    };
    let is_listed = kind.rows > 0 || kind.state.last_outcome.is_some();
    let count = |rows| if is_listed { thousands(rows) } else { UNKNOWN.to_owned() };
    vec![
        kind.kind.plural().to_owned(),
        count(kind.rows),
        count(kind.removed),
        kind.state.complete_as_of.map_or("never".to_owned(), |as_of| past(at(as_of), status.now)),
        kind.state.last_outcome.map_or("none", Outcome::name).to_owned(),
        age(|freshness| freshness.newest),
        age(|freshness| freshness.median),
        age(|freshness| freshness.p95),
        next,
    ]
}

/// Conditions that need attention, a sentence each.
fn notes(status: &Status) -> Vec<String> {
    let mut notes = outbox::dead_letters(&status.snapshot.outbox);
    for kind in &status.snapshot.kinds {
        let name = kind.kind.plural();
        if let Some(listing) = &kind.open_listing {
            let last_page = moment(at(listing.last_page_at), status.now);
            let (pages, rows) = (counted(listing.pages, "page"), counted(listing.rows_seen, "row"));
            let state = if status.is_running { "in progress" } else { "interrupted" };
            notes.push(format!(
                "{name}: listing {state}, {pages} and {rows} so far, last page {last_page}"
            ));
        }
        if kind.state.held_removals > 0 {
            notes.push(format!(
                "{name}: {} removals held back; if they are correct, run `creatormirror sync --accept-removals`",
                thousands(kind.state.held_removals)
            ));
        }
        let unreadable = kind.unreadable_scrapes.as_ref();
        notes.extend(
            unreadable.map(|found| format!("{name}: {}", unreadable_text(kind.kind, found))),
        );
        notes.extend(not_scraped(kind.kind, kind.freshness.as_ref()));
    }
    let pause = |backoff: &Backoff| format!("{}: {}", backoff.kind.plural(), sync::pause(backoff));
    notes.extend(status.snapshot.paused.iter().map(pause));
    notes.extend(status.snapshot.unsupported.iter().map(|feature| {
        let retry_at = moment(at(feature.retry_at), status.now);
        format!("not supported by the server: {}; next try {retry_at}", unsupported_text(feature))
    }));
    notes
}

fn not_scraped(kind: Kind, freshness: Option<&Freshness>) -> Option<String> {
    let freshness = freshness.filter(|freshness| freshness.never_scraped > 0)?;
    let sample = if freshness.is_sample { "a sample of " } else { "" };
    let (count, rows) = (thousands(freshness.never_scraped), thousands(freshness.rows));
    Some(format!("{}: {count} of {sample}{rows} not scraped yet", kind.plural()))
}

/// Describes an unsupported feature and the server's refusal.
pub fn unsupported_text(unsupported: &UnsupportedFeature) -> String {
    let status = unsupported.status.map(|status| status.to_string());
    let answer = match (status, unsupported.code.as_ref().map(shown)) {
        (Some(status), Some(code)) => Some(format!("{status} {code}")),
        (None, None) => unsupported.detail.as_deref().map(shown),
        (status, code) => status.or(code),
    };
    let request_id = unsupported.request_id.as_ref().map(|id| format!("request id {}", shown(id)));
    let parts: Vec<String> = answer.into_iter().chain(request_id).collect();
    match parts.is_empty() {
        true => unsupported.feature.clone(),
        false => format!("{} ({})", unsupported.feature, parts.join(", ")),
    }
}

fn shown(text: impl AsRef<str>) -> String {
    printable(text.as_ref(), CHARS_MAX)
}
