//! The HTTP listener: Prometheus metrics and health checks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::harness::{Daemon, Wire, quiet_bed};
use super::support::{unlimited, until};

/// The address that the daemon logs.
pub(super) fn address(daemon: &Daemon) -> SocketAddr {
    let mut found = None;
    until("the listener is up", || {
        let log = daemon.process.stderr();
        let line = log.lines().find(|line| line.contains("listening"));
        let word = line.and_then(|line| line.split("address=").nth(1));
        found = word.and_then(|word| word.split_whitespace().next()?.parse().ok());
        found.is_some()
    });
    found.unwrap()
}

/// Returns status and body.
pub(super) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    answer(ask(address, "localhost", path))
}

fn ask(address: SocketAddr, host: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    stream
}

/// Reads the answer; the server closes the connection after it.
fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn metrics_omit_values_not_known_yet() {
    let mut bed = quiet_bed(unlimited());
    bed.set("CREATORMIRROR_LISTEN", "127.0.0.1:0");
    let mut wire = Wire::to(&mut bed);
    wire.cut();
    let daemon = bed.start_daemon();
    let address = address(&daemon);
    daemon.notify.wait_for("READY=1");
    let (status, metrics) = get(address, "/metrics");
    assert_eq!(status, 200, "{metrics}");
    assert!(metrics.contains("creatormirror_api_up 0"), "{metrics}");
    // No run has finished: a timestamp of 0 would look like 1970.
    assert!(!metrics.contains("creatormirror_last_run_timestamp_seconds "), "{metrics}");
    assert_eq!((get(address, "/healthz").0, get(address, "/readyz").0), (200, 503));

    wire.repair();
    daemon.notify.wait_for("STATUS=idle until");
    let (_, metrics) = get(address, "/metrics");
    let line = |name: &str| {
        let found = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        found.unwrap_or_else(|| panic!("no {name} in {metrics}")).to_owned()
    };
    assert_eq!(line("creatormirror_api_up"), "1");
    let at: i64 = line("creatormirror_last_run_timestamp_seconds").parse().unwrap();
    assert!((chrono::Utc::now().timestamp() - at).abs() < 600, "{at}");
    // In the text format, `# TYPE` uses the name of the samples, including `_total`.
    for family in ["requests_total counter", "build_info gauge", "run_duration_seconds histogram"] {
        assert!(metrics.contains(&format!("# TYPE creatormirror_{family}\n")), "{metrics}");
    }
    // Kinds are listed side by side; each request counts for its own.
    let kinds =
        [("creator", "/creators"), ("video", "/videos"), ("account_video", "/account-videos")];
    for (kind, path) in kinds {
        let name = format!("creatormirror_requests_total{{kind=\"{kind}\",outcome=\"200\"}}");
        assert_eq!(line(&name), bed.log_of(path).len().to_string(), "{kind}");
    }
    assert_eq!(get(address, "/readyz").0, 200);
    assert_eq!(get(address, "/elsewhere").0, 404);
    daemon.stop();
}

/// Returns the value of a sample.
fn sample(metrics: &str, name: &str) -> f64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[test]
fn metrics_describe_the_process_its_files_and_its_build() {
    let mut bed = quiet_bed(unlimited());
    bed.set("CREATORMIRROR_LISTEN", "127.0.0.1:0");
    let daemon = bed.idle_daemon();
    let (_, metrics) = get(address(&daemon), "/metrics");
    let of = |name: &str| sample(&metrics, name);
    assert!(of("process_resident_memory_bytes") > 1e6, "{metrics}");
    assert!(of("process_cpu_seconds_total") > 0.0, "{metrics}");
    assert!(of("process_open_fds") >= 5.0 && of("process_max_fds") >= of("process_open_fds"));
    let now = chrono::Utc::now().timestamp() as f64;
    let start = of("process_start_time_seconds");
    assert!((now - 600.0..=now + 1.0).contains(&start), "{start} {now}");
    let size = std::fs::metadata(bed.database()).unwrap().len();
    assert_eq!(of("creatormirror_database_bytes"), size as f64);
    assert!(of("creatormirror_wal_bytes") > 0.0, "{metrics}");
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("creatormirror_build_info{{version=\"{version}\",commit=\"");
    assert!(metrics.contains(&build), "{metrics}");
    for bound in ["0.1", "1.0", "60.0", "3600.0", "+Inf"] {
        let bucket = format!("creatormirror_run_duration_seconds_bucket{{le=\"{bound}\"}}");
        assert!(of(&bucket) >= 0.0);
    }
    daemon.stop();
}

/// An alert for a daemon that finishes no run compares with this, from its first minute.
#[test]
fn last_run_is_that_of_an_earlier_process_at_first() {
    let mut bed = quiet_bed(unlimited());
    bed.sync_ok(&[]);
    let finished_at = bed.number("SELECT max(finished_at) / 1000000 FROM run");
    bed.set("CREATORMIRROR_LISTEN", "127.0.0.1:0");
    let mut wire = Wire::to(&mut bed);
    wire.cut();
    let daemon = bed.start_daemon();
    let (_, metrics) = get(address(&daemon), "/metrics");
    assert_eq!(sample(&metrics, "creatormirror_last_run_timestamp_seconds"), finished_at as f64);
    daemon.stop();
}

/// Protects against DNS rebinding by web pages.
#[test]
fn rejects_requests_for_other_host_names() {
    let mut bed = quiet_bed(unlimited());
    bed.set("CREATORMIRROR_LISTEN", "127.0.0.1:0");
    let daemon = bed.idle_daemon();
    let address = address(&daemon);
    for path in ["/metrics", "/healthz"] {
        assert_eq!(answer(ask(address, "rebound.example:80", path)).0, 421);
        assert_eq!(answer(ask(address, &address.to_string(), path)).0, 200);
    }
    daemon.stop();
}

#[test]
fn serves_200_concurrent_scrapes_in_little_memory() {
    let mut bed = quiet_bed(unlimited());
    bed.set("CREATORMIRROR_LISTEN", "127.0.0.1:0");
    let daemon = bed.idle_daemon();
    let address = address(&daemon);
    let peak_kib = || -> u64 {
        let status = format!("/proc/{}/status", daemon.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    assert_eq!(get(address, "/metrics").0, 200);
    let before = peak_kib();
    let requests: Vec<_> = (0..200).map(|_| ask(address, "localhost", "/metrics")).collect();
    assert!(requests.into_iter().all(|stream| answer(stream).0 == 200));
    let (after, more) = (peak_kib(), peak_kib() - before);
    assert!(more < 16 * 1024, "{before} KiB, then {after} KiB");
    daemon.stop();
}
