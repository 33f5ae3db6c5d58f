//! The standard `process_*` metrics, read from `/proc/self`.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};
use rustix::process::{Resource, getrlimit};

use crate::clock::Clock;

/// Fields of `/proc/self/stat` after the program's name, counted from 0: see proc_pid_stat(5).
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const START_TICKS: usize = 19;
/// Ticks per second in `/proc`: USER_HZ, which is the same on all architectures that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// The metrics of this process. Their names do not begin with ours, so they have a separate registry.
#[derive(Debug)]
pub struct ProcessMetrics {
    registry: Registry,
    cpu_seconds: Counter<f64, AtomicU64>,
    resident: Gauge,
    virtual_memory: Gauge,
    start_time: Gauge<f64, AtomicU64>,
    open_fds: Gauge,
    max_fds: Gauge,
}

impl Default for ProcessMetrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("process");
        let r = &mut registry;
        Self {
            cpu_seconds: add(r, "cpu_seconds", "User and system CPU time"),
            resident: add(r, "resident_memory_bytes", "Resident memory"),
            virtual_memory: add(r, "virtual_memory_bytes", "Virtual memory"),
            start_time: add(r, "start_time_seconds", "Start of the process, Unix time"),
            open_fds: add(r, "open_fds", "Open file descriptors"),
            max_fds: add(r, "max_fds", "Limit of open file descriptors"),
            registry,
        }
    }
}

/// Registers a metric.
pub fn registered<M: Metric + Clone>(r: &mut Registry, name: &str, help: &str, metric: M) -> M {
    r.register(name, help, metric.clone());
    metric
}

/// Registers a new metric.
pub fn add<M: Metric + Clone + Default>(r: &mut Registry, name: &str, help: &str) -> M {
    registered(r, name, help, M::default())
}

impl ProcessMetrics {
    /// Reads the present values. One that cannot be read keeps its last value.
    pub fn update(&self, clock: &Clock) {
        let open = std::fs::read_dir("/proc/self/fd").map(Iterator::count);
        // One of them is the folder that is read.
        let open = open.ok().map(|open| open.saturating_sub(1));
        if let Some(open) = open.and_then(|open| i64::try_from(open).ok()) {
            self.open_fds.set(open);
        }
        let max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        self.max_fds.set(i64::try_from(max).unwrap_or(i64::MAX));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        for (name, gauge) in [("VmSize:", &self.virtual_memory), ("VmRSS:", &self.resident)] {
            if let Some(kib) = kibibytes(&status, name) {
                gauge.set(kib.saturating_mul(1_024));
            }
        }
        let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
        let field = |number| field(&stat, number);
        if let (Some(user), Some(system)) = (field(USER_TICKS), field(SYSTEM_TICKS)) {
            let now = user.saturating_add(system) as f64 / TICKS_PER_SECOND;
            self.cpu_seconds.inc_by((now - self.cpu_seconds.get()).max(0.0));
        }
        // Once: the time of the boot moves whenever the clock is set.
        if let Some(start) = field(START_TICKS).filter(|_| self.start_time.get() == 0.0) {
            let age = clock.boot().elapsed.as_secs_f64() - start as f64 / TICKS_PER_SECOND;
            self.start_time.set(clock.now().timestamp_micros() as f64 / 1e6 - age.max(0.0));
        }
    }

    /// Their registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }
}

/// A line of `/proc/self/status` about memory.
fn kibibytes(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A field of `/proc/self/stat`. The program's name, in parentheses, may contain any character.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split_ascii_whitespace().nth(number)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_does_not_move_the_fields() {
        let fields = (0..40).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        let stat = format!("17 (a) b (c) {fields}");
        assert_eq!(field(&stat, START_TICKS), Some(19));
        assert_eq!((field("", 0), field("1 (x) R", START_TICKS)), (None, None));
    }

    #[test]
    fn values_are_those_of_this_process() {
        let (metrics, clock) = (ProcessMetrics::default(), Clock::System);
        metrics.update(&clock);
        let (cpu, start) = (metrics.cpu_seconds.get(), metrics.start_time.get());
        assert!(metrics.resident.get() > 1 << 20 && metrics.virtual_memory.get() > 1 << 20);
        assert!(metrics.open_fds.get() >= 3 && metrics.max_fds.get() > metrics.open_fds.get());
        let now = clock.now().timestamp_micros() as f64 / 1e6;
        assert!(start <= now && start > now - 86_400.0, "{start} {now}");
        metrics.update(&clock);
        assert!(metrics.cpu_seconds.get() >= cpu && metrics.start_time.get() == start);
    }
}
