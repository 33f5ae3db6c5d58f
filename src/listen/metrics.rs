//! Prometheus metrics: counters updated by events of a run, and gauges read from the database for
//! each scrape.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::clock::Clock;
use crate::listen::process::{ProcessMetrics, add, registered};
use crate::model::outbox::State;
use crate::model::{Event, Kind};
use crate::store::{Database, StoreResult, due, outbox, status};
use crate::sync::Report;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    outcome: String,
}

/// Upper bounds of the histogram of runs, seconds.
const RUN_SECONDS: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];

/// A label and its value.
type Label = [(&'static str, &'static str); 1];
type KindGauge = Family<Label, Gauge>;
type KindSecondsGauge = Family<Label, Gauge<f64, AtomicU64>>;

/// The metrics of `/metrics`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    process: ProcessMetrics,
    rendering: Arc<tokio::sync::Mutex<()>>,
    requests: Family<RequestLabels, Counter>,
    rate_limited: Counter,
    scrapes: Family<Label, Counter>,
    runs: Histogram,
    key_ok: Gauge,
    api_up: Gauge,
    limit: Gauge,
    remaining: Gauge,
    rows: KindGauge,
    removed: KindGauge,
    due: KindGauge,
    overdue: KindGauge,
    staleness_median: KindGauge,
    staleness_p95: KindGauge,
    complete_as_of: KindSecondsGauge,
    /// End of the last run, Unix seconds. A family, because a plain gauge would report 0 before the
    /// first run.
    last_run: Family<[(&'static str, &'static str); 0], Gauge>,
    database_bytes: Gauge,
    wal_bytes: Gauge,
    outbox: Family<Label, Gauge>,
    outbox_oldest: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("creatormirror");
        let r = &mut registry;
        let build =
            [("version", env!("CARGO_PKG_VERSION")), ("commit", env!("CREATORMIRROR_COMMIT"))];
        r.register("build", "Version of creatormirror, and its commit", Info::new(build.to_vec()));
        let runs = Histogram::new(RUN_SECONDS);
        Self {
            process: ProcessMetrics::default(),
            rendering: Arc::default(),
            requests: add(r, "requests", "Requests sent, by kind and HTTP status"),
            rate_limited: add(r, "rate_limited", "Responses with status 429"),
            scrapes: add(r, "scrapes", "Scrapes added to history"),
            runs: registered(r, "run_duration_seconds", "Duration of runs", runs),
            key_ok: add(r, "key_ok", "1 while the API accepts the key"),
            api_up: add(r, "api_up", "1 while the API responds"),
            limit: add(r, "rate_limit_limit", "Requests per window, as reported by the API"),
            remaining: add(
                r,
                "rate_limit_remaining",
                "Requests left in the window, as reported by the API",
            ),
            rows: add(r, "rows", "Resources in the mirror, removed ones excluded"),
            removed: add(r, "removed", "Resources marked removed"),
            due: add(r, "due", "Resources due to be polled"),
            overdue: add(r, "overdue", "Resources due for more than 15 minutes"),
            staleness_median: add(
                r,
                "staleness_median_seconds",
                "Median time that due resources have been due, 0 if none is",
            ),
            staleness_p95: add(
                r,
                "staleness_p95_seconds",
                "95th percentile of the time that due resources have been due, 0 if none is",
            ),
            complete_as_of: add(
                r,
                "complete_as_of_timestamp_seconds",
                "Start of the last complete listing, Unix time",
            ),
            last_run: add(r, "last_run_timestamp_seconds", "End of the last run, Unix time"),
            database_bytes: add(r, "database_bytes", "Size of the database file"),
            wal_bytes: add(r, "wal_bytes", "Size of the write-ahead log"),
            outbox: add(r, "outbox", "Outbox entries, by state"),
            outbox_oldest: add(
                r,
                "outbox_oldest_seconds",
                "Age of the oldest unfinished outbox entry, held ones excluded",
            ),
            registry,
        }
    }
}

impl Metrics {
    /// Counts an event of a run.
    pub fn count(&self, event: &Event) {
        if let Event::Answered { kind, status } = event {
            let outcome = status.map_or("none".to_owned(), |status| status.to_string());
            self.requests.get_or_create(&RequestLabels { kind: kind.name(), outcome }).inc();
            if *status == Some(429) {
                self.rate_limited.inc();
            }
        }
    }

    /// Counts a finished run that took `took`.
    pub fn count_run(&self, report: &Report, took: Duration, now: DateTime<Utc>) {
        self.runs.observe(took.as_secs_f64());
        self.set_last_run(now.timestamp());
        for kind in &report.kinds {
            let added = u64::try_from(kind.kind_run.counts.page.snapshots_added).unwrap_or(0);
            let label = [("kind", kind.kind_run.kind.name())];
            self.scrapes.get_or_create(&label).inc_by(added);
        }
    }

    /// Sets when the last run ended, Unix seconds: at the start, that of an earlier process.
    pub fn set_last_run(&self, at: i64) {
        self.last_run.get_or_create(&[]).set(at);
    }

    /// Waits until no other scrape is being rendered. The guard blocks others until it is dropped.
    pub(super) async fn begin_rendering(&self) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(&self.rendering).lock_owned().await
    }

    /// Sets `key_ok`.
    pub fn set_key_ok(&self, is_ok: bool) {
        self.key_ok.set(i64::from(is_ok));
    }

    /// Sets `api_up`.
    pub fn set_api_up(&self, is_up: bool) {
        self.api_up.set(i64::from(is_up));
    }

    /// Updates the gauges from the database and returns all metrics in OpenMetrics format.
    pub fn render(&self, store: &Database, clock: &Clock) -> StoreResult<String> {
        let now = clock.now();
        let snapshot = store.read(|c| status::read(c, now.timestamp_micros()))?;
        let limiter = serde_json::from_str(&snapshot.request_state.rate_limiter);
        let limiter: crate::api::RateLimiter = limiter.unwrap_or_default();
        if let Some(budget) = &limiter.budget {
            self.limit.set(i64::try_from(budget.limit).unwrap_or(i64::MAX));
            self.remaining.set(i64::try_from(budget.remaining).unwrap_or(i64::MAX));
        }
        for kind in &snapshot.kinds {
            let label = [("kind", kind.kind.name())];
            self.rows.get_or_create(&label).set(kind.rows);
            self.removed.get_or_create(&label).set(kind.removed);
            if let Some(at) = kind.state.complete_as_of {
                self.complete_as_of.get_or_create(&label).set(at as f64 / 1e6);
            }
        }
        for kind in Kind::LISTS.into_iter().filter(|kind| due::is_scheduled(*kind)) {
            self.read_lateness(store, kind, now)?;
        }
        for state in State::ALL {
            let count = snapshot.outbox.counts.iter().find(|(found, _)| *found == state);
            let label = [("state", state.name())];
            self.outbox.get_or_create(&label).set(count.map_or(0, |(_, count)| *count));
        }
        let oldest = store.read(outbox::oldest_open)?;
        let age = oldest.map_or(0, |at| now.timestamp_micros().saturating_sub(at).max(0));
        self.outbox_oldest.set(age as f64 / 1e6);
        let sizes = status::sizes(store.path());
        let bytes = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.database_bytes.set(bytes(sizes.database));
        self.wal_bytes.set(bytes(sizes.wal));
        self.process.update(clock);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, self.process.registry());
        let _ = encode_eof(&mut text);
        Ok(text)
    }

    fn read_lateness(&self, store: &Database, kind: Kind, now: DateTime<Utc>) -> StoreResult<()> {
        const OVERDUE_S: i64 = 15 * 60;
        let late = store.read(|c| due::lateness(c, kind, now.timestamp()))?;
        let label = [("kind", kind.name())];
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.due.get_or_create(&label).set(count(late.len()));
        let overdue = late.iter().filter(|seconds| **seconds > OVERDUE_S).count();
        self.overdue.get_or_create(&label).set(count(overdue));
        // Gauges, because a histogram of the present state could decrease, which Prometheus takes
        // for a restart.
        self.staleness_median.get_or_create(&label).set(percentile(&late, 50));
        self.staleness_p95.get_or_create(&label).set(percentile(&late, 95));
        Ok(())
    }
}

/// Returns a percentile of ascending values by the nearest-rank method, 0 if there are none.
fn percentile(ascending: &[i64], percent: usize) -> i64 {
    let rank = (ascending.len() * percent).div_ceil(100);
    ascending.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::due::Due;
    use crate::model::outbox::{Action, Checked, Draft};
    use crate::store::open::IfMissing;
    use crate::store::outbox::{enqueue, manual};

    #[test]
    fn every_outbox_state_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let metrics = Metrics::default();
        let shown = |store: &Database| {
            let text = metrics.render(store, &Clock::manual(now)).unwrap();
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
        let contains = |line: &str| shown(&store).iter().any(|shown| shown == line);
        assert!(contains("creatormirror_outbox{state=\"queued\"} 1"));
        assert!(contains("creatormirror_outbox_oldest_seconds 90.0"));
        // StoredRow entries need manual action and do not count towards the oldest age.
        store.write(|tx| manual::hold_open_entries(tx, at)).unwrap();
        assert!(contains("creatormirror_outbox{state=\"held\"} 1"));
        assert!(contains("creatormirror_outbox{state=\"queued\"} 0"));
        assert!(contains("creatormirror_outbox_oldest_seconds 0.0"));
    }

    /// Samples of counters and histograms, and of gauges, by name and labels.
    fn samples(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, f64>) {
        let (mut counters, mut gauges) = (BTreeMap::new(), BTreeMap::new());
        let mut is_counter = false;
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                is_counter = family.ends_with(" counter") || family.ends_with(" histogram");
            } else if let Some((name, value)) = line.rsplit_once(' ')
                && !line.starts_with('#')
            {
                let samples = if is_counter { &mut counters } else { &mut gauges };
                samples.insert(name.to_owned(), value.parse().unwrap());
            }
        }
        (counters, gauges)
    }

    /// Staleness was once a histogram that was rebuilt for each scrape.
    #[test]
    fn counters_never_decrease() {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let metrics = Metrics::default();
        metrics.count(&Event::Answered { kind: Kind::Video, status: Some(429) });
        let set_due = |key: i64, late_s: Option<i64>| {
            let due = late_s.map(|late_s| Due { due_at: now.timestamp() - late_s, gap_s: 0 });
            store.write(|tx| due::set(tx, Kind::Video, key, due)).unwrap();
        };
        for key in 1..=20 {
            set_due(key, Some(key * 100));
        }
        let (before, gauges) = samples(&metrics.render(&store, &Clock::manual(now)).unwrap());
        let of_videos = |gauges: &BTreeMap<String, f64>, name: &str| {
            gauges[&format!("creatormirror_staleness_{name}_seconds{{kind=\"video\"}}")]
        };
        assert_eq!(of_videos(&gauges, "median"), 1_000.0);
        assert_eq!(of_videos(&gauges, "p95"), 1_900.0);
        assert!(!before.is_empty());

        for key in 2..=20 {
            set_due(key, None);
        }
        let (after, gauges) = samples(&metrics.render(&store, &Clock::manual(now)).unwrap());
        assert_eq!((of_videos(&gauges, "median"), of_videos(&gauges, "p95")), (100.0, 100.0));
        for (name, value) in &before {
            assert!(after.get(name).is_some_and(|now| now >= value), "{name} decreased");
        }
        set_due(1, None);
        let (_, gauges) = samples(&metrics.render(&store, &Clock::manual(now)).unwrap());
        assert_eq!((of_videos(&gauges, "median"), of_videos(&gauges, "p95")), (0.0, 0.0));
    }
}
