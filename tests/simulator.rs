//! The goals of the request planner in simulated days, at sizes that take seconds; the bench of the same
//! name runs full sizes.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod simulation;
mod support;

use std::time::Duration;

use simulation::{Outcome, Scenario, fairness_table, run, table};

fn show(outcome: &Outcome) {
    // Visible with `--nocapture`, and when a test fails.
    println!("{}{}", table(&outcome.truth, &[&outcome.ours]), fairness_table(&outcome.ours));
    println!("{:?} {:?}", outcome.by_route, outcome.took);
}

#[test]
fn ample_budget_misses_nothing_near_the_lower_bound() {
    let freshness = Duration::from_secs(900);
    let outcome = run(&Scenario { videos: 1_000, days: 1, freshness, ..Scenario::default() });
    show(&outcome);
    outcome.check_ample();
}

#[test]
fn a_third_of_the_demand_misses_nothing() {
    // An ample budget would spend about 50 requests an hour.
    let outcome = run(&Scenario {
        videos: 1_000,
        days: 1,
        rate_limit: 4,
        rate_window: Duration::from_secs(900),
        ..Scenario::default()
    });
    show(&outcome);
    assert_eq!(outcome.ours.missed, 0, "scrapes were missed");
    outcome.check_scarce();
}

#[test]
fn scarce_budget_is_shared_evenly_without_starvation() {
    let outcome = run(&Scenario { videos: 2_000, days: 1, rate_limit: 8, ..Scenario::default() });
    show(&outcome);
    assert!(outcome.ours.missed > 0, "the budget is too large to prove anything");
    outcome.check_scarce();
}
