//! The numbers: counted as requests and passes go by, or read from the database when asked for.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::listen::last_pass::LastPass;
use crate::model::outbox::State;
use crate::model::{Event, Kind};
use crate::pass::Report;
use crate::store::{Database, StoreResult, due, outbox, status};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRequest {
    kind: &'static str,
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

type PerKind = Family<OfKind, Gauge>;
type SecondsPerKind = Family<OfKind, Gauge<f64, AtomicU64>>;

/// Everything that `/metrics` shows.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    turn: Mutex<Kind>,
    requests: Family<OfRequest, Counter>,
    rate_limited: Counter,
    scrapes: Family<OfKind, Counter>,
    passes: Histogram,
    key_ok: Gauge,
    api_up: Gauge,
    limit: Gauge,
    remaining: Gauge,
    rows: PerKind,
    removed: PerKind,
    due: PerKind,
    overdue: PerKind,
    staleness: Family<OfKind, Histogram>,
    complete_as_of: SecondsPerKind,
    last_pass: LastPass,
    outbox: Family<OfState, Gauge>,
    outbox_oldest: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("creatormirror"),
            turn: Mutex::new(Kind::Meta),
            requests: Family::default(),
            rate_limited: Counter::default(),
            scrapes: Family::default(),
            passes: Histogram::new(exponential_buckets(0.05, 3.0, 10)),
            key_ok: Gauge::default(),
            api_up: Gauge::default(),
            limit: Gauge::default(),
            remaining: Gauge::default(),
            rows: Family::default(),
            removed: Family::default(),
            due: Family::default(),
            overdue: Family::default(),
            staleness: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(60.0, 4.0, 8))
            }),
            complete_as_of: Family::default(),
            last_pass: LastPass::default(),
            outbox: Family::default(),
            outbox_oldest: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        r.register("build", "Which creatormirror this is", Info::new(version));
        r.register("requests", "Requests sent, by kind and HTTP status", self.requests.clone());
        r.register("rate_limited", "Answers with status 429", self.rate_limited.clone());
        r.register("scrapes", "Scrapes added to history", self.scrapes.clone());
        r.register("pass_duration_seconds", "How long passes take", self.passes.clone());
        r.register("key_ok", "1 while the API accepts the key", self.key_ok.clone());
        r.register("api_up", "1 while the API answers", self.api_up.clone());
        r.register("rate_limit_limit", "Requests per window, as the API says", self.limit.clone());
        r.register(
            "rate_limit_remaining",
            "Requests left, as the API says",
            self.remaining.clone(),
        );
        r.register("rows", "Resources that the API lists", self.rows.clone());
        r.register("removed", "Resources marked removed", self.removed.clone());
        r.register("due", "Resources whose next scrape is expected by now", self.due.clone());
        r.register(
            "overdue",
            "Resources due for more than a quarter of an hour",
            self.overdue.clone(),
        );
        r.register("staleness_seconds", "How long resources have been due", self.staleness.clone());
        let help = "Start of the last complete walk, Unix seconds";
        r.register("complete_as_of_timestamp_seconds", help, self.complete_as_of.clone());
        r.register_collector(Box::new(self.last_pass.clone()));
        r.register("outbox", "Entries of the outbox, by state", self.outbox.clone());
        let help = "How long the oldest entry that is not at its end is queued, held ones aside";
        r.register("outbox_oldest_seconds", help, self.outbox_oldest.clone());
    }

    /// Counts what a pass tells.
    pub fn count(&self, event: &Event) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { kind, .. } | Event::Days { kind, .. } => *turn = *kind,
            Event::Finished { .. } => *turn = Kind::Meta,
            Event::Answered { status } => {
                let outcome = status.map_or("none".to_owned(), |status| status.to_string());
                self.requests.get_or_create(&OfRequest { kind: turn.name(), outcome }).inc();
                if *status == Some(429) {
                    self.rate_limited.inc();
                }
            }
            Event::Page { .. } | Event::Pushed { .. } | Event::Waiting { .. } => {}
        }
    }

    /// Counts a pass that is over.
    pub fn count_pass(&self, report: &Report, took: Duration, now: DateTime<Utc>) {
        self.passes.observe(took.as_secs_f64());
        self.last_pass.set(now.timestamp());
        for kind in &report.kinds {
            let Some(name) = Kind::from_name(&kind.turn.kind).map(Kind::name) else { continue };
            let added = u64::try_from(kind.turn.tally.page.snapshots_added).unwrap_or(0);
            self.scrapes.get_or_create(&OfKind { kind: name }).inc_by(added);
        }
    }

    /// Notes whether the key works.
    pub fn set_key_ok(&self, is_ok: bool) {
        self.key_ok.set(i64::from(is_ok));
    }

    /// Notes whether the API answers.
    pub fn set_api_up(&self, is_up: bool) {
        self.api_up.set(i64::from(is_up));
    }

    /// Everything as text, the database's part read anew.
    pub fn render(&self, store: &Database, now: DateTime<Utc>) -> StoreResult<String> {
        let snapshot = store.read(|c| status::read(c, now.timestamp_micros()))?;
        let gate = serde_json::from_str(&snapshot.traffic.gate);
        let gate: crate::api::RateGate = gate.unwrap_or_default();
        if let Some(budget) = &gate.budget {
            self.limit.set(i64::try_from(budget.limit).unwrap_or(i64::MAX));
            self.remaining.set(i64::try_from(budget.remaining).unwrap_or(i64::MAX));
        }
        for kind in &snapshot.kinds {
            let label = OfKind { kind: kind.kind.name() };
            self.rows.get_or_create(&label).set(kind.rows);
            self.removed.get_or_create(&label).set(kind.removed);
            if let Some(at) = kind.complete_as_of {
                #[allow(clippy::cast_precision_loss)] // Seconds are far below 2^53.
                self.complete_as_of.get_or_create(&label).set(at as f64 / 1e6);
            }
        }
        for kind in Kind::LISTS.into_iter().filter(|kind| due::is_scheduled(*kind)) {
            self.read_lateness(store, kind, now)?;
        }
        for state in State::ALL {
            let count = snapshot.outbox.counts.iter().find(|(found, _)| *found == state);
            let label = OfState { state: state.name() };
            self.outbox.get_or_create(&label).set(count.map_or(0, |(_, count)| *count));
        }
        let oldest = store.read(outbox::oldest_open)?;
        let age = oldest.map_or(0, |at| now.timestamp_micros().saturating_sub(at).max(0));
        #[allow(clippy::cast_precision_loss)] // Ages are far below 2^53.
        self.outbox_oldest.set(age as f64 / 1e6);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        Ok(text)
    }

    fn read_lateness(&self, store: &Database, kind: Kind, now: DateTime<Utc>) -> StoreResult<()> {
        const OVERDUE_S: i64 = 15 * 60;
        let late = store.read(|c| due::lateness(c, kind, now.timestamp()))?;
        let label = OfKind { kind: kind.name() };
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.due.get_or_create(&label).set(count(late.len()));
        let overdue = late.iter().filter(|seconds| **seconds > OVERDUE_S).count();
        self.overdue.get_or_create(&label).set(count(overdue));
        self.staleness.remove(&label);
        let histogram = self.staleness.get_or_create(&label);
        for seconds in late {
            #[allow(clippy::cast_precision_loss)] // Seconds are far below 2^53.
            histogram.observe(seconds as f64);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outbox::{Action, Checked, Draft};
    use crate::store::open::IfMissing;
    use crate::store::outbox::{by_hand, enqueue};

    #[test]
    fn every_state_of_the_outbox_is_always_there() {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let metrics = Metrics::default();
        let shown = |store: &Database| {
            let text = metrics.render(store, now).unwrap();
            let lines = text.lines().filter(|line| line.starts_with("creatormirror_outbox"));
            let mut lines: Vec<String> = lines.map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let mut expected: Vec<String> = State::ALL
            .into_iter()
            .map(|state| format!("creatormirror_outbox{{state=\"{}\"}} 0", state.name()))
            .collect();
        expected.push("creatormirror_outbox_oldest_seconds 0.0".to_owned());
        expected.sort();
        assert_eq!(shown(&store), expected);

        let draft = Draft {
            kind: Kind::Creator,
            action: Action::Track,
            subject: None,
            account: None,
            body: Some(r#"{"name":"Ada"}"#.to_owned()),
        };
        let at = now.timestamp_micros() - 90_000_000;
        let checked = Checked { path: Some("/creators".to_owned()), ..Checked::default() };
        store.write(|tx| enqueue::add(tx, &draft, &checked, at)).unwrap();
        let is_there = |line: &str| shown(&store).iter().any(|shown| shown == line);
        assert!(is_there("creatormirror_outbox{state=\"queued\"} 1"));
        assert!(is_there("creatormirror_outbox_oldest_seconds 90.0"));
        // Those that are held wait for a hand, and say so by their number.
        store.write(|tx| by_hand::hold_all(tx, at)).unwrap();
        assert!(is_there("creatormirror_outbox{state=\"held\"} 1"));
        assert!(is_there("creatormirror_outbox{state=\"queued\"} 0"));
        assert!(is_there("creatormirror_outbox_oldest_seconds 0.0"));
    }
}
