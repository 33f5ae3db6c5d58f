//! Runs against an API that answers after 300 ms, with the default number of requests in flight and with
//! one.
//!
//! `cargo bench --bench far_away` prints a table; with `-- --check` it fails if a goal is missed. All
//! figures are ratios of two runs on this machine.

#![expect(clippy::print_stdout, reason = "the program prints its results")]

#[expect(dead_code, reason = "only the wall time is used here")]
#[path = "support/process.rs"]
mod process;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rusqlite::Connection;

/// Latency of every answer.
const LATENCY: &str = "300ms";
/// Number of days of the backfill.
const DAYS: &str = "3";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    let api = Api::start()?;
    let folder = tempfile::tempdir()?;
    let [mirror, longest, one] =
        ["mirror.db", "longest.db", "one.db"].map(|name| folder.path().join(name));
    let first = api.run(&mirror, &["sync"], None)?;
    let list = api.run(&longest, &["sync", "--only", "videos"], None)?;
    let requests = requests(&mirror)?;
    let again = api.run(&mirror, &["sync", "--full"], None)?;
    let requests_again = self::requests(&mirror)? - requests;
    std::fs::copy(&mirror, &one)?;
    let again_alone = api.run(&one, &["sync", "--full"], Some("1"))?;
    let days = api.run(&mirror, &["backfill", "--days", DAYS], None)?;
    let days_alone = api.run(&one, &["backfill", "--days", DAYS], Some("1"))?;
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!("latency {LATENCY}; {requests} requests in the first sync");
    let goals = [
        ("first sync / its longest list alone", ratio(first, list), 1.35),
        ("unchanged full sync / one request at a time", ratio(again, again_alone), 0.40),
        ("its requests / those of the first sync", requests_again as f64 / requests as f64, 1.10),
        ("backfill / one request at a time", ratio(days, days_alone), 0.40),
    ];
    for (what, value, most) in goals {
        let word = if value <= most { "ok    " } else { "MISSED" };
        println!("{word} {what:<45} {value:>6.3}, at most {most:.2}");
    }
    let is_checked = std::env::args().any(|argument| argument == "--check");
    let is_missed = goals.iter().any(|(_, value, most)| value > most);
    Ok(if is_checked && is_missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Returns the number of requests of all runs so far.
fn requests(database: &Path) -> Outcome<i64> {
    let sql = "SELECT sum(requests) FROM sync_log";
    Ok(Connection::open(database)?.query_row(sql, [], |row| row.get(0))?)
}

/// A running `creatormirror sandbox`, killed on drop.
struct Api {
    process: Child,
    base_url: String,
    key: String,
}

impl Api {
    fn start() -> Outcome<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_creatormirror"));
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--latency", LATENCY]);
        command.args(["--accounts", "400", "--creators", "100", "--rate-limit", "1000000"]);
        command.args(["--videos", "6000", "--account-videos", "6000"]);
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or("no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        // serving URL, key KEY
        let mut words = line.trim().split(", key ");
        let base_url = words.next().and_then(|word| word.strip_prefix("serving "));
        let (base_url, key) = base_url.zip(words.next()).ok_or("the sandbox does not serve")?;
        Ok(Self { process, base_url: base_url.to_owned(), key: key.to_owned() })
    }

    fn run(
        &self,
        database: &Path,
        arguments: &[&str],
        concurrent: Option<&str>,
    ) -> Outcome<Duration> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_creatormirror"));
        command.arg("--database").arg(database).args(["--base-url", &self.base_url, "--quiet"]);
        command.args(arguments).env("CREATORAUDIT_API_KEY", &self.key);
        if let Some(number) = concurrent {
            command.env("CREATORMIRROR_MAX_CONCURRENT_REQUESTS", number);
        }
        Ok(process::run(&mut command)?.wall)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
