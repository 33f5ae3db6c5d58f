//! `status` at a dashboard.

use std::time::Duration;

use crate::model::Outcome;
use crate::model::instant::from_micros as at;
use crate::model::shown::printable;
use crate::model::{Instant, Kind};
use crate::report::status::facts::{NextListing, Status};
use crate::report::text::{self, bytes, moment, relative, span, thousands};
use crate::report::{outbox, sync};
use crate::store::backoff::Backoff;
use crate::store::freshness::Freshness;
use crate::store::metrics::MetricsRange;
use crate::store::status::KindStatus;
use crate::store::unsupported::UnsupportedFeature;
use crate::sync::finish::unreadable_text;

/// Longest text of the API's or of an error that is shown.
const CHARS_MAX: usize = 500;

/// The lines.
pub fn text(status: &Status) -> String {
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
    text.push('\n');
    text.push_str(&table(status));
    text.push('\n');
    let notes = notes(status);
    if !notes.is_empty() {
        text.push_str(&format!("\n{}\n", notes.join("\n")));
    }
    text
}

fn organization(status: &Status) -> String {
    let identity = &status.snapshot.identity;
    match (&identity.organization_id, &identity.api_key_name) {
        (None, _) => "not known yet; the first sync finds out".to_owned(),
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

/// Who works on the mirror. A daemon also says how it is doing, and how long it lets what is due wait
/// for more: longer than `freshness_target` while the rate limit does not carry the demand.
fn running(status: &Status) -> String {
    match &status.snapshot.daemon {
        _ if !status.is_running => "not running".to_owned(),
        None => "running".to_owned(),
        Some((condition, batch_delay_s)) => {
            let batch_delay = Duration::from_secs(u64::try_from(*batch_delay_s).unwrap_or(0));
            format!("daemon: {}; dues wait up to {} for more", shown(condition), span(batch_delay))
        }
    }
}

fn last_run(status: &Status) -> String {
    let Some(run_id) = &status.snapshot.last_run else { return "none yet".to_owned() };
    let began = moment(at(run_id.started_at), status.now);
    let came = match run_id.finished_at {
        None if status.is_running => format!("running since {began}"),
        None => format!("began {began} and was killed; the next one goes on from there"),
        Some(finished_at) => {
            let finished = moment(at(finished_at), status.now);
            let length = at(finished_at).signed_duration_since(at(run_id.started_at));
            let length = span(length.to_std().unwrap_or_default());
            format!("{} {finished} after {length}", run_id.outcome)
        }
    };
    let requests = thousands(run_id.requests);
    let detail = run_id.detail.as_ref().map(|detail| format!(": {}", shown(detail)));
    let detail = detail.unwrap_or_default();
    format!("{} by {}: {came}, {requests} requests{detail}", run_id.run_id, run_id.trigger)
}

fn next_due(status: &Status) -> String {
    let (overdue, listings) = status.due_now();
    let mut parts = Vec::new();
    if overdue > 0 {
        parts.push(format!("{} videos", thousands(overdue)));
    }
    parts.extend(listings.iter().map(|kind| format!("listing of {}", kind.plural())));
    if !parts.is_empty() {
        return format!("now: {}", parts.join(", "));
    }
    let schedule = &status.snapshot.schedule;
    let videos = format!("{} videos on schedule", thousands(schedule.scheduled));
    match status.next_due() {
        None => "nothing".to_owned(),
        Some((due, None)) => format!("{}: the first of {videos}", moment(due, status.now)),
        Some((due, Some(kind))) => {
            let then = match schedule
                .next_due_at
                .map(|seconds| at(seconds.saturating_mul(1_000_000)))
            {
                Some(first) => format!("; then {videos}, the first {}", moment(first, status.now)),
                None => String::new(),
            };
            format!("{}: listing of {}{then}", moment(due, status.now), kind.plural())
        }
    }
}

/// How far the daily metrics reach back, and whether they go on.
fn days(reaches: &[MetricsRange]) -> String {
    if reaches.is_empty() {
        return "no daily metrics; `creatormirror backfill --days N` asks for them".to_owned();
    }
    let of = |reach: &MetricsRange| {
        let (kind, from, to) = (reach.kind.plural(), &reach.from, &reach.to);
        let goes_on = if reach.is_growing { "" } else { " (the backfill is not finished)" };
        format!("{kind} {from} to {to}{goes_on}")
    };
    reaches.iter().map(of).collect::<Vec<_>>().join("; ")
}

fn lifecycle(status: &Status) -> String {
    let Some((lifecycle, as_of)) = &status.snapshot.lifecycle else {
        return "not asked yet".to_owned();
    };
    let as_of = moment(at(*as_of), status.now);
    match lifecycle.notice() {
        Some(notice) => format!("NOTICE: {}, as of {as_of}", shown(&notice)),
        None => format!("supported, as of {as_of}"),
    }
}

fn last_error(status: &Status) -> String {
    let Some(error) = &status.snapshot.last_error else { return "none".to_owned() };
    let when = moment(at(error.at), status.now);
    let kind = error.kind.as_ref().map(|kind| format!(", {kind}")).unwrap_or_default();
    let story = shown(error.detail.as_ref().unwrap_or(&error.code));
    let request = match &error.request_id {
        Some(id) if !story.contains(id) => format!(" (request id {})", shown(id)),
        _ => String::new(),
    };
    format!("{when} in run {}{kind}: {story}{request}", error.run_id)
}

fn table(status: &Status) -> String {
    let header = [
        "kind",
        "rows",
        "removed",
        "complete as of",
        "last listing",
        "newest",
        "median",
        "p95",
        "next listing",
    ];
    let rows = status.snapshot.kinds.iter().map(|kind| row(status, kind));
    text::table(&header, &[1, 2], rows)
}

fn row(status: &Status, kind: &KindStatus) -> Vec<String> {
    let next = match status.listings.get(&kind.kind) {
        None | Some(NextListing::Never) => "never".to_owned(),
        Some(NextListing::Now) => "due".to_owned(),
        Some(NextListing::At(at)) => relative(*at, status.now),
    };
    let freshness = kind.freshness.as_ref();
    let age = |at: fn(&Freshness) -> Option<Instant>| {
        let Some(freshness) = freshness else { return String::new() };
        let Some(at) = at(freshness).and_then(Instant::to_utc) else { return "-".to_owned() };
        let age = span(status.now.signed_duration_since(at).to_std().unwrap_or_default());
        // What is estimated is marked.
        if freshness.is_sample { format!("~{age}") } else { age }
    };
    vec![
        kind.kind.plural().to_owned(),
        thousands(kind.rows),
        thousands(kind.removed),
        kind.state.complete_as_of.map_or("never".to_owned(), |as_of| moment(at(as_of), status.now)),
        kind.state.last_outcome.map_or("none", Outcome::name).to_owned(),
        age(|freshness| freshness.newest),
        age(|freshness| freshness.median),
        age(|freshness| freshness.p95),
        next,
    ]
}

/// What needs a sentence.
fn notes(status: &Status) -> Vec<String> {
    let mut notes = outbox::dead_letters(&status.snapshot.outbox);
    for kind in &status.snapshot.kinds {
        let name = kind.kind.plural();
        if let Some(listing) = &kind.open_listing {
            let touched = moment(at(listing.last_page_at), status.now);
            let (pages, rows) = (thousands(listing.pages), thousands(listing.rows_seen));
            let state = if status.is_running { "under way" } else { "interrupted" };
            notes.push(format!(
                "{name}: a listing is {state}, {pages} pages and {rows} rows so far, last {touched}"
            ));
        }
        if kind.state.held_removals > 0 {
            notes.push(format!(
                "{name}: {} removals are held back; if they are right, run `creatormirror sync --accept-removals`",
                thousands(kind.state.held_removals)
            ));
        }
        let unreadable = kind.unreadable_scrapes.as_ref();
        notes.extend(
            unreadable.map(|found| format!("{name}: {}", unreadable_text(kind.kind, found))),
        );
        notes.extend(not_scraped(kind.kind, kind.freshness.as_ref()));
    }
    let pause = |one: &Backoff| format!("{}: {}", one.kind.plural(), sync::pause(one));
    notes.extend(status.snapshot.paused.iter().map(pause));
    notes.extend(status.snapshot.unsupported.iter().map(|refusal| refused(status, refusal)));
    notes
}

fn not_scraped(kind: Kind, freshness: Option<&Freshness>) -> Option<String> {
    let freshness = freshness.filter(|freshness| freshness.never_scraped > 0)?;
    let of = match freshness.is_sample {
        true => format!("of the {} looked at", thousands(freshness.rows)),
        false => format!("of {}", thousands(freshness.rows)),
    };
    let count = thousands(freshness.never_scraped);
    Some(format!("{}: {count} {of} have not been scraped yet", kind.plural()))
}

fn refused(status: &Status, refusal: &UnsupportedFeature) -> String {
    let again = moment(at(refusal.retry_at), status.now);
    format!("not supported by the server: {}; tried again {again}", refusal_text(refusal))
}

/// What the server refused, and how.
pub fn refusal_text(refusal: &UnsupportedFeature) -> String {
    let mut parts = Vec::new();
    let status = refusal.status.map(|status| status.to_string());
    let code = refusal.code.as_ref().map(shown);
    match (status, code) {
        (Some(status), Some(code)) => parts.push(format!("{status} {code}")),
        (Some(one), None) | (None, Some(one)) => parts.push(one),
        (None, None) => parts.extend(refusal.detail.as_deref().map(shown)),
    }
    parts.extend(refusal.request_id.as_ref().map(|id| format!("request id {}", shown(id))));
    match parts.is_empty() {
        true => refusal.feature.clone(),
        false => format!("{} ({})", refusal.feature, parts.join(", ")),
    }
}

fn shown(text: impl AsRef<str>) -> String {
    printable(text.as_ref(), CHARS_MAX)
}
