//! Redaction: the key never appears on stderr. Each case runs in a separate process, because logging
//! and the panic hook are set up once per process.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

use std::process::Command;

use creatormirror::clock::Clock;
use creatormirror::config::Environment;
use creatormirror::logging::{self, LogFormat, LogSettings};
use secrecy::SecretString;
use tracing::level_filters::LevelFilter;

const KEY: &str = "ca_live_s3cret\"quoted";

/// The cases below run only if this variable is set.
const SPILL: &str = "SPILL_THE_KEY";

/// Runs one of the cases below in its own process and returns its stderr.
fn stderr_of(case: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", case])
        .env("RUST_BACKTRACE", "1")
        .env(SPILL, "1")
        .output()
        .unwrap();
    assert!(!output.status.success(), "the case must panic");
    String::from_utf8(output.stderr).unwrap()
}

/// Logs the key in every possible way.
fn spill(format: LogFormat, environment: &Environment) {
    if std::env::var_os(SPILL).is_none() {
        return;
    }
    let level = Some(LevelFilter::TRACE);
    let settings = LogSettings { level, default_level: LevelFilter::INFO, format };
    logging::init(settings, environment, &Clock::System);
    logging::add_secret(&SecretString::from(KEY));
    tracing::trace!(target: "hyper::proto", header = ?KEY, "sent {KEY}");
    tracing::error!(detail = %format!("one\ntwo {KEY}"), "refused");
    logging::print_error(&format!("creatormirror: no\nhint: not {KEY}"));
    panic!("with {KEY}");
}

#[test]
fn case_text() {
    spill(LogFormat::Text, &Environment::new([("NO_COLOR", "1")]));
}

#[test]
fn case_json() {
    spill(LogFormat::Json, &Environment::new([("NO_COLOR", "1")]));
}

#[test]
fn case_journal() {
    let found = rustix::fs::fstat(std::io::stderr()).unwrap();
    let stream = format!("{}:{}", found.st_dev, found.st_ino);
    spill(LogFormat::Text, &Environment::new([("JOURNAL_STREAM", stream)]));
}

#[test]
fn key_is_redacted_on_every_line() {
    for case in ["case_text", "case_json", "case_journal"] {
        let stderr = stderr_of(case);
        assert!(!stderr.contains("s3cret"), "{case}: {stderr}");
        assert!(stderr.contains("hint: not [redacted]"), "{case}: {stderr}");
        assert!(stderr.contains("panicked at tests/logging.rs"), "{case}: {stderr}");
        assert!(stderr.contains("with [redacted]"), "{case}: {stderr}");
    }
}

#[test]
fn journal_lines_have_a_priority_and_no_time() {
    let stderr = stderr_of("case_journal");
    for start in ["<7>TRACE hyper::proto: ", "<3>ERROR ", "<3>creatormirror: no", "<3>hint: "] {
        assert!(stderr.lines().any(|line| line.starts_with(start)), "{start}: {stderr}");
    }
    assert!(stderr.contains(r"detail=one\ntwo"), "{stderr}");
}
