//! Whole processes, measured from outside: wall time, CPU time and peak memory.

use std::io::{Error, Result};
use std::process::{Command, Stdio};
use std::time::Duration;

use creatormirror::clock::Clock;
use wait4::Wait4;

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From start to end.
    pub wall: Duration,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Its largest resident set, bytes.
    pub peak_bytes: u64,
}

/// Runs a process that must succeed. Its stdout is not of interest, its stderr is kept for errors.
pub fn run(command: &mut Command) -> Result<Cost> {
    let begun = Clock::System.boot().elapsed;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    let ended = child.wait4()?;
    let wall = Clock::System.boot().elapsed - begun;
    if !ended.status.success() {
        return Err(Error::other(format!("{command:?} ended with {}", ended.status)));
    }
    let used = ended.rusage;
    Ok(Cost { wall, cpu: used.utime + used.stime, peak_bytes: used.maxrss })
}

/// The middle one of several runs, each figure by itself.
pub fn median(costs: &[Cost]) -> Cost {
    Cost {
        wall: middle(costs, |cost| cost.wall),
        cpu: middle(costs, |cost| cost.cpu),
        peak_bytes: middle(costs, |cost| cost.peak_bytes),
    }
}

fn middle<T: Ord + Copy + Default>(costs: &[Cost], of: impl Fn(&Cost) -> T) -> T {
    let mut all: Vec<T> = costs.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
