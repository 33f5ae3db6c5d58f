//! Full-size simulations of the planner, printed as tables; with `--check`, held to their goals.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on must fail")]
#![expect(clippy::print_stdout, reason = "its answer is what it prints")]

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use std::time::Duration;

use simulation::{AMPLE, Outcome, Scenario, evenness_table, table};

fn number(name: &str, default: u32) -> u32 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(default, |value| value.parse().unwrap())
}

fn show(title: &str, outcome: &Outcome, per_hour: Option<f64>) {
    let truth = &outcome.truth;
    println!("\n== {title}");
    println!(
        "{} videos on {} pages, {} days; {} passes, patience up to {:?}; simulated in {:.1?}",
        truth.videos.len(),
        truth.pages,
        truth.days(),
        outcome.passes,
        outcome.patience_max,
        outcome.took
    );
    println!("{:?} {:?}", outcome.by_route, outcome.by_status);
    let strategies = [&outcome.ours, &truth.get_per_due(per_hour), &truth.walks(per_hour)];
    print!("{}", table(truth, &strategies));
    print!("{}", evenness_table(&outcome.ours));
}

fn main() {
    if std::env::var_os("SIMULATOR_LOG").is_some() {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).init();
    }
    let scenario = Scenario {
        videos: number("--videos", 10_000) as usize,
        days: number("--days", 7),
        rate_window: Duration::from_secs(u64::from(number("--window", 3_600))),
        ..Scenario::default()
    };
    let limit = number("--limit", 0);
    if limit > 0 {
        let per_hour = f64::from(limit) * 3_600.0 / scenario.rate_window.as_secs_f64();
        let pressed = simulation::run(&Scenario { rate_limit: limit, ..scenario });
        return show("a limit by hand", &pressed, Some(per_hour));
    }
    let ample = simulation::run(&scenario);
    show("ample budget", &ample, None);
    let per_hour = ample.by_route.values().sum::<u64>() / (u64::from(scenario.days) * 24);
    for part in [3, 12] {
        let rate_limit = u32::try_from(per_hour / part).unwrap();
        assert!(rate_limit < AMPLE);
        let pressed = simulation::run(&Scenario { rate_limit, ..scenario.clone() });
        show(&format!("1/{part} of the demand"), &pressed, Some(f64::from(rate_limit)));
    }
}
