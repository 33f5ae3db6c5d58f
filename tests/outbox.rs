//! Queued writes through the real binary: commands, SQL, outcomes, lost answers, crashes, concurrency.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

#[path = "outbox/commands.rs"]
mod commands;
#[path = "outbox/copies.rs"]
mod copies;
#[path = "outbox/crashes.rs"]
mod crashes;
#[path = "outbox/lost_answers.rs"]
mod lost_answers;
#[path = "outbox/outcomes.rs"]
mod outcomes;
#[path = "outbox/rate_limit.rs"]
mod rate_limit;
#[path = "outbox/retries.rs"]
mod retries;
#[path = "outbox/sql.rs"]
mod sql;

use creatormirror::model::Kind;
use serde_json::Value;
use support::sandbox::SandboxSettings;
use support::{Run, TestBed, unlimited};

/// A bed with four server processes and a short `reconcile_after`.
pub fn bed() -> TestBed {
    let bed = bed_of(unlimited());
    bed.control.set_replicas(4);
    bed
}

/// A bed with other settings.
pub fn bed_of(settings: SandboxSettings) -> TestBed {
    let mut bed = TestBed::frozen(settings);
    bed.set("CREATORMIRROR_RECONCILE_AFTER", "50ms");
    bed.sync_ok(&[]);
    bed.control.clear_log();
    bed
}

/// Helpers of the outbox tests.
pub trait Outbox {
    /// Runs a command and waits for it.
    fn run(&self, arguments: &[&str]) -> Run;
    /// Queues a write and returns the entry number.
    fn queue(&self, arguments: &[&str]) -> i64;
    /// The entry as printed by `outbox show --json`.
    fn entry(&self, entry: i64) -> Value;
    /// States of all entries, in order.
    fn states(&self) -> Vec<String>;
    /// Syncs, each time with every entry due, until all entries are finished. Returns the runs.
    fn sync_until_finished(&self) -> Vec<Run>;
    /// How many writes the sandbox received.
    fn writes(&self) -> usize;
    /// Names of all creators.
    fn creators(&self) -> Vec<String>;
}

impl Outbox for TestBed {
    fn run(&self, arguments: &[&str]) -> Run {
        self.start(self.command(arguments)).wait()
    }

    #[track_caller]
    fn queue(&self, arguments: &[&str]) -> i64 {
        let run = self.run(arguments).expect(0);
        run.stdout.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[track_caller]
    fn entry(&self, entry: i64) -> Value {
        self.run(&["outbox", "show", &entry.to_string(), "--json"]).expect(0).json()
    }

    fn states(&self) -> Vec<String> {
        let rows = self.rows("SELECT state FROM outbox_log ORDER BY entry");
        rows.iter().map(|row| format!("{:?}", row[0])).map(|text| word(&text)).collect()
    }

    #[track_caller]
    fn sync_until_finished(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        while self.number("SELECT count(*) FROM outbox_log WHERE finished_at IS NULL") > 0 {
            self.db_to_write().execute("UPDATE outbox SET next_at = 0", []).unwrap();
            runs.push(self.sync(&[]));
            assert!(runs.len() < 20, "{}", self.entry(1));
        }
        runs
    }

    fn writes(&self) -> usize {
        self.log().iter().filter(|entry| entry.method != "GET").count()
    }

    fn creators(&self) -> Vec<String> {
        let rows = self.control.rows(Kind::Creator);
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// The text in the debug format of an SQL value.
fn word(debug: &str) -> String {
    debug.chars().filter(|c| c.is_alphabetic() || *c == '_').collect::<String>().replace("Text", "")
}
