//! What it costs to wait, and the signs of life while it does.

use std::time::{Duration, Instant};

use creatormirror::sandbox::{Accident, Fault, RetryAfter, SandboxSettings};
use rustix::process::Signal;

use super::stage::still;
use super::support::{calm, until};

/// User and system time of a process, in hundredths of a second.
pub fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name is in parentheses and may hold anything; times are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn waiting_costs_next_to_nothing() {
    let bed = still(SandboxSettings { videos: 2_000, ..calm() });
    let daemon = bed.idle_daemon();
    bed.control.clear_log();
    // What ends the pass in the background is over after a while.
    std::thread::sleep(Duration::from_millis(500));
    let (before, begun) = (cpu_ticks(daemon.process.id()), Instant::now());
    std::thread::sleep(Duration::from_secs(6));
    let spent = (cpu_ticks(daemon.process.id()) - before) as f64 / 100.0;
    let part = spent / begun.elapsed().as_secs_f64();
    // Half a percent, and a tick for the coarse measure.
    assert!(part < 0.005 + 0.01 / 6.0, "{:.2} % of a core", part * 100.0);
    assert_eq!(bed.log().len(), 0);
    daemon.stop();
}

#[test]
fn signs_of_life_come_while_it_is_idle_and_stop_with_the_process() {
    let bed = still(calm());
    let daemon = bed.idle_daemon();
    let heard = daemon.news.times("WATCHDOG=1").len();
    daemon.news.wait_for_more("WATCHDOG=1", heard + 3);
    daemon.process.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(300));
    let heard = daemon.news.times("WATCHDOG=1").len();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(daemon.news.times("WATCHDOG=1").len(), heard);
    daemon.process.signal(Signal::CONT);
    daemon.news.wait_for_more("WATCHDOG=1", heard);
    daemon.stop();
}

#[test]
fn waiting_for_retry_after_counts_as_progress() {
    let bed = still(calm());
    let refuse = Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(20) };
    bed.control.fault(Fault::on("GET", "/videos", refuse));
    let daemon = bed.start_daemon();
    until("it is limited", || !bed.log_of("/videos").is_empty());
    let heard = daemon.news.times("WATCHDOG=1").len();
    daemon.news.wait_for_more("WATCHDOG=1", heard + 3);
    assert_eq!(bed.log_of("/videos").len(), 1);
    daemon.stop();
}
