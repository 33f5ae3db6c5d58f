//! The first load of 20,000 videos over loopback HTTP, measured as a whole process and compared with the
//! minimal program of `baseline.rs`; the two alternate. Then the same load again with nothing changed.
//!
//! `cargo bench --bench first_load` prints a table; with `-- --check` it fails if a goal is missed;
//! `-- --rounds N` sets the number of rounds.

mod baseline;
mod support;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rusqlite::Connection;
use support::process::{self, Cost};
use support::server::{self, Server};

const ROWS: usize = 20_000;
const ROWS_MORE: usize = 100_000;
const ROUNDS: usize = 9;
const MIB: f64 = 1_048_576.0;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["baseline", base_url, database] => {
            baseline::load(base_url, database)?;
            return Ok(ExitCode::SUCCESS);
        }
        ["serve", rows] => {
            server::serve(rows.parse()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let rounds = arguments.iter().skip_while(|argument| **argument != "--rounds").nth(1);
    let rounds = rounds.map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let measured = measure(rounds)?;
    let goals = measured.goals();
    measured.print(rounds);
    for goal in &goals {
        println!("{goal}");
    }
    let is_checked = arguments.contains(&"--check");
    Ok(match is_checked && goals.iter().any(|goal| !goal.is_met()) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

struct Measured {
    baseline: Cost,
    first: Cost,
    again: Cost,
    larger: Cost,
    unchanged: Unchanged,
}

/// Counters of the second, unchanged load, summed over the rounds.
#[derive(Default)]
struct Unchanged {
    requests: i64,
    not_modified: i64,
    rows_rewritten: i64,
}

struct Goal {
    what: &'static str,
    value: f64,
    most: f64,
}

impl Goal {
    fn is_met(&self) -> bool {
        self.value <= self.most
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.is_met() { "ok    " } else { "MISSED" };
        write!(f, "{word} {:<58} {:>7.3}, at most {:.3}", self.what, self.value, self.most)
    }
}

fn measure(rounds: usize) -> Outcome<Measured> {
    let server = Server::start(ROWS)?;
    let (mut baselines, mut firsts, mut agains) = (Vec::new(), Vec::new(), Vec::new());
    let mut unchanged = Unchanged::default();
    // The first round is not counted, because its caches are cold.
    for round in 0..=rounds {
        let folder = tempfile::tempdir()?;
        let (flat, mirror) = (folder.path().join("flat.db"), folder.path().join("mirror.db"));
        let baseline = process::run(&mut baseline_command(&server, &flat)?)?;
        let first = process::run(&mut sync_command(&server, &mirror, &[]))?;
        expect_rows(&mirror, ROWS)?;
        expect_rows(&flat, ROWS)?;
        let newest = query_i64(&mirror, "SELECT max(as_of) FROM video")?;
        let again = process::run(&mut sync_command(&server, &mirror, &["--full"]))?;
        unchanged.add(&mirror, newest)?;
        if round > 0 {
            baselines.push(baseline);
            firsts.push(first);
            agains.push(again);
        }
    }
    Ok(Measured {
        baseline: process::median(&baselines),
        first: process::median(&firsts),
        again: process::median(&agains),
        larger: load_more(rounds)?,
        unchanged,
    })
}

/// Loads five times the rows, to measure how memory grows with them.
fn load_more(rounds: usize) -> Outcome<Cost> {
    let server = Server::start(ROWS_MORE)?;
    let mut costs = Vec::new();
    for _ in 0..rounds.min(3) {
        let folder = tempfile::tempdir()?;
        let mirror = folder.path().join("mirror.db");
        costs.push(process::run(&mut sync_command(&server, &mirror, &[]))?);
        expect_rows(&mirror, ROWS_MORE)?;
    }
    Ok(process::median(&costs))
}

fn baseline_command(server: &Server, database: &Path) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("baseline").arg(server.base_url()).arg(database);
    Ok(command)
}

fn sync_command(server: &Server, database: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creatormirror"));
    command
        .args(["sync", "--quiet", "--only", "videos", "--base-url", server.base_url()])
        .arg("--database")
        .arg(database)
        .args(more)
        .env_clear()
        .env("CREATORAUDIT_API_KEY", "ca_bench_0123456789abcdef0123456789abcdef");
    command
}

fn expect_rows(database: &Path, rows: usize) -> Outcome<()> {
    let found = query_i64(database, "SELECT count(*) FROM video")?;
    if usize::try_from(found)? == rows {
        Ok(())
    } else {
        Err(format!("{found} rows instead of {rows}").into())
    }
}

fn query_i64(database: &Path, sql: &str) -> Outcome<i64> {
    Ok(Connection::open(database)?.query_row(sql, [], |row| row.get(0))?)
}

impl Unchanged {
    /// Adds the counters of the last run, and the number of rows written after `newest`.
    fn add(&mut self, mirror: &Path, newest: i64) -> Outcome<()> {
        let last = |column| {
            let of_last = "FROM sync_log WHERE kind = 'video' ORDER BY run_id DESC LIMIT 1";
            query_i64(mirror, &format!("SELECT {column} {of_last}"))
        };
        self.requests += last("requests")?;
        self.not_modified += last("not_modified")?;
        self.rows_rewritten += last("rows_changed")?
            + query_i64(mirror, &format!("SELECT count(*) FROM video WHERE as_of > {newest}"))?;
        Ok(())
    }
}

impl Measured {
    fn goals(&self) -> Vec<Goal> {
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        let confirmed = self.unchanged.not_modified as f64 / self.unchanged.requests as f64;
        let goal = |what, value, most| Goal { what, value, most };
        let growth = self.larger.peak_bytes as f64 / self.first.peak_bytes as f64;
        vec![
            goal("wall time / baseline", ratio(self.first.wall, self.baseline.wall), 1.25),
            goal("peak memory, MiB", self.first.peak_bytes as f64 / MIB, 24.0),
            goal("peak memory with 100,000 rows, MiB", self.larger.peak_bytes as f64 / MIB, 24.0),
            goal("peak memory with five times the rows / first load", growth, 1.1),
            goal("unchanged: share of pages not answered 304", 1.0 - confirmed, 0.1),
            goal("unchanged: rows rewritten", self.unchanged.rows_rewritten as f64, 0.0),
            goal("unchanged: CPU time / first load", ratio(self.again.cpu, self.first.cpu), 0.12),
        ]
    }

    fn print(&self, rounds: usize) {
        println!("\n{ROWS} videos in 100 pages over loopback, medians of {rounds} rounds");
        println!("{:<24} {:>9} {:>9} {:>9}", "", "wall ms", "CPU ms", "peak MiB");
        for (name, cost) in [
            ("baseline", &self.baseline),
            ("sync", &self.first),
            ("sync --full, unchanged", &self.again),
            ("sync, 100,000 videos", &self.larger),
        ] {
            let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
            let peak = cost.peak_bytes as f64 / MIB;
            println!("{name:<24} {:>9.1} {:>9.1} {peak:>9.1}", ms(cost.wall), ms(cost.cpu));
        }
        println!();
    }
}
