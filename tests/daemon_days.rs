//! Days of the real daemon on a simulated clock: a disabled key, an outage, clock steps, a suspended
//! machine. Afterwards everything due is caught up, and no scrape that could be seen is lost.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "days/simulated.rs"]
mod simulated;
mod simulation;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use support::sandbox::{Fault, FaultBody, FaultKind, RetryAfter};

use simulated::{hours, simulate};
use simulation::Stage;
use support::KEY;
use support::wire::Wire;

/// When the fault begins, and when it is over.
const FROM: Duration = hours(6);
const UNTIL: Duration = hours(14);
/// When the simulation ends.
const END: Duration = hours(20);

/// How soon everything due must have been requested.
const SOON: Duration = Duration::from_secs(20 * 60);

/// The most requests in an outage of eight hours: the first attempts, and then one after each backoff,
/// which grows to between 2.5 and 5 minutes.
const TRIES_MAX: usize = 12 + 8 * 24 + 10;

#[test]
fn probes_a_disabled_key_rarely_and_catches_up() {
    let days = simulate(UNTIL, END, |stage| {
        for (at, is_enabled) in [(FROM, false), (UNTIL, true)] {
            let control = stage.control.clone();
            stage.clock.plan(at, move || _ = control.set_key_enabled(KEY, is_enabled));
        }
        stage.base_url.clone()
    });
    // Once a minute at first, then every 15 minutes.
    let refused = days.sent(FROM, UNTIL).count();
    assert!((20..=45).contains(&refused), "{refused} requests with a refused key");
    assert!(days.reported(FROM, UNTIL, "the API refuses the key"));
    // The next probe may be 15 minutes away.
    days.expect_read_once(UNTIL + Duration::from_secs(15 * 60));
    days.expect_caught_up(UNTIL + Duration::from_secs(15 * 60), Some((FROM, UNTIL)));
}

fn cut(stage: &Stage) -> String {
    let wire = Wire::leading_to(stage.address());
    let base_url = wire.base_url();
    let wire = Arc::new(Mutex::new(wire));
    let (again, at_end) = (Arc::clone(&wire), Arc::clone(&wire));
    stage.clock.plan(FROM, move || wire.lock().unwrap().cut());
    stage.clock.plan(UNTIL, move || again.lock().unwrap().repair());
    // Dropping the wire would cut the connection, so keep it until then.
    stage.clock.plan(END, move || drop(at_end));
    base_url
}

#[test]
fn probes_an_unreachable_api_with_single_requests() {
    let days = simulate(UNTIL, END, cut);
    let tries = days.sent(FROM, UNTIL).count();
    assert!((96..=TRIES_MAX).contains(&tries), "{tries} tries");
    assert!(days.sent(FROM, UNTIL).all(|status| status.is_none()));
    assert!(days.reported(FROM, UNTIL, "the API is unreachable"));
    days.expect_read_once(UNTIL + Duration::from_secs(5 * 60));
    days.expect_caught_up(UNTIL + Duration::from_secs(5 * 60), Some((FROM, UNTIL)));
}

fn breakdown(stage: &Stage) -> String {
    let (control, again) = (stage.control.clone(), stage.control.clone());
    let broken = FaultKind::Status { code: 500, body: FaultBody::Problem, headers: Vec::new() };
    let fault = Fault::on("*", "*", broken).forever();
    stage.clock.plan(FROM, move || control.fault(fault));
    stage.clock.plan(UNTIL, move || again.clear_faults());
    stage.base_url.clone()
}

#[test]
fn probes_a_failing_api_with_single_requests() {
    let days = simulate(UNTIL, END, breakdown);
    let tries = days.sent(FROM, UNTIL).count();
    assert!((96..=TRIES_MAX).contains(&tries), "{tries} tries");
    days.expect_read_once(UNTIL + Duration::from_secs(5 * 60));
    days.expect_caught_up(UNTIL + Duration::from_secs(5 * 60), Some((FROM, UNTIL)));
}

/// Steps the clock at `FROM`, and back at `UNTIL`.
fn step(stage: &Stage, by: TimeDelta) -> String {
    for (at, by) in [(FROM, by), (UNTIL, -by)] {
        let clock = stage.clock.clone();
        stage.clock.plan(at, move || clock.step_wall(by));
    }
    stage.base_url.clone()
}

#[test]
fn clock_ahead_for_hours_loses_nothing() {
    for by in [TimeDelta::days(40), TimeDelta::minutes(20)] {
        let days = simulate(UNTIL, END, |stage| step(stage, by));
        days.expect_usual_request_rate(FROM, UNTIL);
        days.expect_caught_up(UNTIL + SOON, None);
    }
}

#[test]
fn catches_up_after_a_clock_that_was_behind() {
    for by in [TimeDelta::days(-40), TimeDelta::minutes(-20)] {
        let days = simulate(UNTIL, END, |stage| step(stage, by));
        days.expect_usual_request_rate(FROM, UNTIL);
        days.expect_caught_up(UNTIL + SOON, Some((FROM, UNTIL)));
    }
}

#[test]
fn catches_up_after_three_days_of_sleep() {
    let asleep = hours(72);
    let days = simulate(FROM + asleep, END + asleep, |stage| {
        let clock = stage.clock.clone();
        stage.clock.plan(FROM, move || clock.advance(asleep));
        stage.base_url.clone()
    });
    assert_eq!(days.sent(FROM, FROM + asleep).count(), 0);
    days.expect_caught_up(FROM + asleep + SOON, Some((FROM, FROM + asleep)));
}

/// Submits a job at `FROM`, when the API begins to ask for a wait of five minutes.
fn limited_job(stage: &Stage, max_wait_s: u64) -> String {
    let (control, database, clock) = (stage.control.clone(), stage.database(), stage.clock.clone());
    stage.clock.plan(FROM, move || {
        let limit = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(300) };
        control.fault(Fault::on("GET", "/overview", limit));
        let request = format!(r#"{{"full":true,"only":["overview"],"max_wait_s":{max_wait_s}}}"#);
        let sql = "INSERT INTO job (request, created_at) VALUES (?1, ?2)";
        let now = clock.now().timestamp_micros();
        rusqlite::Connection::open(database).unwrap().execute(sql, (request, now)).unwrap();
    });
    stage.base_url.clone()
}

#[test]
fn job_waits_for_a_rate_limit_up_to_its_max_wait() {
    // Without a job, the daemon waits for at most half a minute within a run.
    for (max_wait_s, exit_code) in [(600, 0), (200, 75)] {
        let days = simulate(FROM, FROM + hours(1), |stage| limited_job(stage, max_wait_s));
        assert_eq!(days.job_exit_code(), Some(exit_code), "{max_wait_s} s");
        let limited = Duration::from_secs(300);
        // `/whoami` and `/overview`.
        let sent: Vec<_> = days.sent(FROM, FROM + limited).collect();
        assert_eq!(sent, [Some(200), Some(429)], "a request before Retry-After was over");
    }
}
