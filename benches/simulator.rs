//! Full-size simulations of the scheduler, printed as tables; with `--check` it fails if a goal is missed.
//!
//! `cargo bench --bench simulator -- --check` takes half an hour on a busy machine. `--videos`, `--days`, `--freshness`
//! and `--window` (both in seconds) change the scenario; `--limit N` runs it once with N requests per
//! window.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot continue must fail")]
#![expect(clippy::print_stdout, reason = "the program prints its results")]

#[path = "../tests/simulation/mod.rs"]
mod simulation;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use simulation::{Outcome, Scenario, fairness_table, table};

fn number(name: &str, default: u32) -> u32 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(default, |value| value.parse().unwrap())
}

/// Prints our strategy beside simpler ones, which are computed from the same scrapes. With a limited
/// budget they get as many requests as ours used for videos.
fn show(title: &str, outcome: &Outcome, is_limited: bool) {
    let (truth, ours) = (&outcome.truth, &outcome.ours);
    println!("\n== {title}");
    println!(
        "{} videos on {} pages, {} days; {} runs, batch delay up to {:?}; simulated in {:.1?}",
        truth.videos.len(),
        truth.pages,
        truth.days(),
        outcome.runs,
        outcome.batch_delay_max,
        outcome.took
    );
    println!("{:?} {:?}", outcome.by_route, outcome.by_status);
    let per_hour = is_limited.then(|| ours.requests as f64 / (truth.days() * 24) as f64);
    print!("{}", table(truth, &[ours, &truth.get_per_due(per_hour), &truth.listings(per_hour)]));
    print!("{}", fairness_table(ours));
}

fn main() {
    if std::env::var_os("SIMULATOR_LOG").is_some() {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    }
    let is_check = std::env::args().any(|argument| argument == "--check");
    let scenario = Scenario {
        videos: number("--videos", 10_000) as usize,
        days: number("--days", 7),
        freshness: Duration::from_secs(u64::from(number("--freshness", 300))),
        rate_window: Duration::from_secs(u64::from(number("--window", 3_600))),
        ..Scenario::default()
    };
    let limit = number("--limit", 0);
    if limit > 0 {
        let limited = simulation::run(&Scenario { rate_limit: limit, ..scenario });
        return show("chosen limit", &limited, true);
    }
    let ample = simulation::run(&scenario);
    show("ample budget", &ample, false);
    if is_check {
        ample.check_ample();
    }
    let windows = f64::from(scenario.days) * 86_400.0 / scenario.rate_window.as_secs_f64();
    let demand = ample.by_route.values().sum::<u64>() as f64 / windows;
    for part in [3, 12] {
        let rate_limit = (demand / f64::from(part)) as u32;
        let limited = simulation::run(&Scenario { rate_limit, ..scenario.clone() });
        show(&format!("1/{part} of the demand"), &limited, true);
        if is_check {
            limited.check_scarce();
        }
        if is_check && part == 3 {
            assert_eq!(limited.ours.missed, 0, "avoidable missed scrapes");
        }
    }
}
