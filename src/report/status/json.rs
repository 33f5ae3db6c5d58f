//! `status --json`: one document with stable keys. Instants are text as in the views.

use serde_json::{Value, json as value};

use crate::model::{Instant, instant};
use crate::report::status::facts::{NextListing, Status};
use crate::report::{outbox, sync};
use crate::store::freshness::Freshness;
use crate::store::status::{KindStatus, LastRun};
use crate::store::unsupported::UnsupportedFeature;

/// Returns the document.
pub fn json(status: &Status) -> Value {
    let snapshot = &status.snapshot;
    let kinds: Vec<Value> = snapshot.kinds.iter().map(|kind| kind_json(status, kind)).collect();
    let due_at = |seconds: Option<i64>| seconds.map(|s| Instant { seconds: s, nanos: 0 }.to_text());
    value!({
        "now": instant::text(status.now),
        "organization_id": snapshot.identity.organization_id,
        "api_key_name": snapshot.identity.api_key_name,
        "database": {
            "path": status.database.display().to_string(),
            "bytes": status.sizes.database,
            "wal_bytes": status.sizes.wal,
            "schema_version": snapshot.schema_version,
        },
        "is_running": status.is_running,
        "daemon": snapshot.daemon.as_ref().filter(|_| status.is_running).map(|(condition, batch_delay_s)| {
            value!({ "condition": condition, "batch_delay_seconds": batch_delay_s })
        }),
        "last_run": snapshot.last_run.as_ref().map(|run| run_json(status, run)),
        "next_due_at": status.next_due().map(|(at, _)| instant::text(at)),
        "videos_due": {
            "scheduled": snapshot.schedule.scheduled,
            "overdue": snapshot.schedule.overdue,
            "next_due_at": due_at(snapshot.schedule.next_due_at),
        },
        "kinds": kinds,
        "daily_metrics": snapshot.daily.iter().map(|reach| value!({
            "kind": reach.kind.name(),
            "from": reach.from,
            "to": reach.to,
            "days": reach.days,
            "is_growing": reach.is_growing,
        })).collect::<Vec<_>>(),
        "rate_limit": status.rate.json(status.now),
        "paused": snapshot.paused.iter().map(sync::pause_json).collect::<Vec<_>>(),
        "outbox": outbox::counts(&snapshot.outbox),
        "unsupported": snapshot.unsupported.iter().map(unsupported_json).collect::<Vec<_>>(),
        "last_error": snapshot.last_error.as_ref().map(|error| value!({
            "run_id": error.run_id,
            "at": micros(Some(error.at)),
            "kind": error.kind,
            "code": error.code,
            "detail": error.detail,
            "request_id": error.request_id,
        })),
        "api": snapshot.lifecycle.as_ref().map(|(lifecycle, as_of)| value!({
            "status": lifecycle.status,
            "deprecation": lifecycle.deprecation,
            "sunset": lifecycle.sunset,
            "as_of": micros(Some(*as_of)),
        })),
    })
}

fn run_json(status: &Status, run: &LastRun) -> Value {
    let outcome = match run.finished_at {
        None if !status.is_running => "killed",
        _ => &run.outcome,
    };
    value!({
        "run_id": run.run_id,
        "trigger": run.trigger,
        "started_at": micros(Some(run.started_at)),
        "finished_at": micros(run.finished_at),
        "outcome": outcome,
        "detail": run.detail,
        "requests": run.requests,
    })
}

fn kind_json(status: &Status, kind: &KindStatus) -> Value {
    let next_listing_at = match status.listings.get(&kind.kind) {
        None | Some(NextListing::Never) => None,
        Some(NextListing::Now) => Some(status.now),
        Some(NextListing::At(at)) => Some(*at),
    };
    value!({
        "kind": kind.kind.name(),
        "rows": kind.rows,
        "removed": kind.removed,
        "complete_as_of": micros(kind.state.complete_as_of),
        "last_full_sync_at": micros(kind.state.last_full_sync_at),
        "last_outcome": kind.state.last_outcome,
        "held_removals": kind.state.held_removals,
        "open_listing": kind.open_listing.as_ref().map(|listing| value!({
            "started_at": micros(Some(listing.started_at)),
            "last_page_at": micros(Some(listing.last_page_at)),
            "pages": listing.pages,
            "rows_seen": listing.rows_seen,
        })),
        "unreadable_last_scrape_time": kind.unreadable_scrapes.as_ref().map_or(0, |found| found.rows),
        "next_listing_at": next_listing_at.map(instant::text),
        "freshness": kind.freshness.as_ref().map(|freshness| freshness_json(status, freshness)),
    })
}

fn freshness_json(status: &Status, freshness: &Freshness) -> Value {
    let text = |at: Option<Instant>| at.map(Instant::to_text);
    let age = |at: Option<Instant>| at.map(|at| status.now.timestamp().saturating_sub(at.seconds));
    value!({
        "rows": freshness.rows,
        "is_sample": freshness.is_sample,
        "never_scraped": freshness.never_scraped,
        "newest": text(freshness.newest),
        "oldest": text(freshness.oldest),
        "median_age_s": age(freshness.median),
        "p95_age_s": age(freshness.p95),
    })
}

fn unsupported_json(unsupported: &UnsupportedFeature) -> Value {
    value!({
        "feature": unsupported.feature,
        "status": unsupported.status,
        "code": unsupported.code,
        "detail": unsupported.detail,
        "request_id": unsupported.request_id,
        "refused_at": micros(Some(unsupported.refused_at)),
        "retry_at": micros(Some(unsupported.retry_at)),
    })
}

fn micros(micros: Option<i64>) -> Option<String> {
    micros.map(|micros| instant::text(instant::from_micros(micros)))
}
