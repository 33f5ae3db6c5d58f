//! `status --json`: one document with stable keys. Instants have the mirror's form.

use serde_json::{Value, json as value};

use crate::model::{Instant, instant};
use crate::report::status::facts::{NextWalk, Status};
use crate::report::{outbox, sync};
use crate::store::freshness::Freshness;
use crate::store::refusals::Refusal;
use crate::store::status::{KindStatus, LastPass};

/// The document.
pub fn json(status: &Status) -> Value {
    let snapshot = &status.snapshot;
    let kinds: Vec<Value> = snapshot.kinds.iter().map(|kind| of_kind(status, kind)).collect();
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
        "daemon": snapshot.daemon.as_ref().filter(|_| status.is_running).map(|(condition, patience_s)| {
            value!({ "condition": condition, "patience_seconds": patience_s })
        }),
        "last_pass": snapshot.last_pass.as_ref().map(|pass| of_pass(status, pass)),
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
        "refusals": snapshot.refusals.iter().map(of_refusal).collect::<Vec<_>>(),
        "last_error": snapshot.last_error.as_ref().map(|error| value!({
            "run_id": error.pass,
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

fn of_pass(status: &Status, pass: &LastPass) -> Value {
    let outcome = match pass.finished_at {
        None if !status.is_running => "killed",
        _ => &pass.outcome,
    };
    value!({
        "run_id": pass.pass,
        "trigger": pass.trigger,
        "started_at": micros(Some(pass.started_at)),
        "finished_at": micros(pass.finished_at),
        "outcome": outcome,
        "detail": pass.detail,
        "requests": pass.requests,
    })
}

fn of_kind(status: &Status, kind: &KindStatus) -> Value {
    let next_walk_at = match status.walks.get(&kind.kind) {
        None | Some(NextWalk::Never) => None,
        Some(NextWalk::Now) => Some(status.now),
        Some(NextWalk::At(at)) => Some(*at),
    };
    value!({
        "kind": kind.kind.name(),
        "rows": kind.rows,
        "removed": kind.removed,
        "complete_as_of": micros(kind.state.complete_as_of),
        "last_full_sync_at": micros(kind.state.last_full_sync_at),
        "last_outcome": kind.state.last_outcome,
        "held_removals": kind.state.held_removals,
        "open_walk": kind.open_walk.as_ref().map(|walk| value!({
            "started_at": micros(Some(walk.started_at)),
            "touched_at": micros(Some(walk.touched_at)),
            "pages": walk.pages,
            "rows_seen": walk.rows_seen,
        })),
        "unreadable_last_scrape_time": kind.unreadable_scrapes.as_ref().map_or(0, |found| found.rows),
        "next_walk_at": next_walk_at.map(instant::text),
        "freshness": kind.freshness.as_ref().map(|freshness| of_freshness(status, freshness)),
    })
}

fn of_freshness(status: &Status, freshness: &Freshness) -> Value {
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

fn of_refusal(refusal: &Refusal) -> Value {
    value!({
        "thing": refusal.thing,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.detail,
        "request_id": refusal.request_id,
        "refused_at": micros(Some(refusal.refused_at)),
        "retry_at": micros(Some(refusal.retry_at)),
    })
}

fn micros(micros: Option<i64>) -> Option<String> {
    micros.map(|micros| instant::text(instant::from_micros(micros)))
}
