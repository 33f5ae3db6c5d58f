//! Measures whole processes: wall time, CPU time and peak memory.

use std::io::{Error, Result};
use std::process::{Command, Stdio};
use std::time::Duration;

use creatormirror::clock::Clock;
use wait4::Wait4;

/// Resources used by a process.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Wall time.
    pub wall: Duration,
    /// User and system time of all threads.
    pub cpu: Duration,
    /// Peak resident set size, bytes.
    pub peak_bytes: u64,
}

/// Runs a process and measures it. Its stdout is discarded, its stderr inherited.
///
/// # Errors
///
/// If the process cannot be started or does not exit with 0.
pub fn run(command: &mut Command) -> Result<Cost> {
    let begun = Clock::System.boot().elapsed;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
    let ended = child.wait4()?;
    let wall = Clock::System.boot().elapsed - begun;
    if !ended.status.success() {
        return Err(Error::other(format!("{command:?} failed: {}", ended.status)));
    }
    let used = ended.rusage;
    Ok(Cost { wall, cpu: used.utime + used.stime, peak_bytes: used.maxrss })
}

/// Returns the median of each figure.
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
