//! Days of the real daemon on a simulated clock: a key that is switched off, an API that is down, a
//! clock that is stepped, a machine that sleeps. What is due is caught up with afterwards, and nothing
//! that could have been seen is lost.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "days/lived.rs"]
mod lived;
mod simulation;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use support::sandbox::{Accident, Fault, FaultBody, RetryAfter};

use lived::{hours, live};
use simulation::Stage;
use support::KEY;
use support::wire::Wire;

/// When trouble comes, and when it is over.
const FROM: Duration = hours(6);
const UNTIL: Duration = hours(14);
/// When the story ends.
const END: Duration = hours(20);

/// What is due by then is asked for.
const SOON: Duration = Duration::from_secs(20 * 60);

/// What an outage of eight hours may cost: the first attempts, and then one request after each pause,
/// which grows to between two and a half and five minutes.
const TRIES_MAX: usize = 12 + 8 * 24 + 10;

#[test]
fn a_key_disabled_for_eight_hours_is_hardly_used_and_all_is_caught_up_with() {
    let lived = live(UNTIL, END, |stage| {
        for (at, is_enabled) in [(FROM, false), (UNTIL, true)] {
            let control = stage.control.clone();
            stage.clock.plan(at, move || _ = control.set_key_enabled(KEY, is_enabled));
        }
        stage.base_url.clone()
    });
    // Once a minute at first, and then every quarter of an hour.
    let refused = lived.sent(FROM, UNTIL).count();
    assert!((20..=45).contains(&refused), "{refused} requests with a key that is refused");
    assert!(lived.has_said(FROM, UNTIL, "the API refuses the key"));
    // Up to a quarter of an hour may pass until the next probe.
    lived.read_once(UNTIL + Duration::from_secs(15 * 60));
    lived.caught_up(UNTIL + Duration::from_secs(15 * 60), Some((FROM, UNTIL)));
}

fn cut(stage: &Stage) -> String {
    let wire = Wire::leading_to(stage.address());
    let base_url = wire.base_url();
    let wire = Arc::new(Mutex::new(wire));
    let (again, at_end) = (Arc::clone(&wire), Arc::clone(&wire));
    stage.clock.plan(FROM, move || wire.lock().unwrap().cut());
    stage.clock.plan(UNTIL, move || again.lock().unwrap().repair());
    // It would be cut when nobody held it.
    stage.clock.plan(END, move || drop(at_end));
    base_url
}

#[test]
fn an_api_that_cannot_be_reached_for_eight_hours_is_tried_again_by_single_requests() {
    let lived = live(UNTIL, END, cut);
    let tries = lived.sent(FROM, UNTIL).count();
    assert!((96..=TRIES_MAX).contains(&tries), "{tries} tries");
    assert!(lived.sent(FROM, UNTIL).all(|status| status.is_none()));
    assert!(lived.has_said(FROM, UNTIL, "the API is unreachable"));
    lived.read_once(UNTIL + Duration::from_secs(5 * 60));
    lived.caught_up(UNTIL + Duration::from_secs(5 * 60), Some((FROM, UNTIL)));
}

fn breakdown(stage: &Stage) -> String {
    let (control, again) = (stage.control.clone(), stage.control.clone());
    let broken = Accident::Status { code: 500, body: FaultBody::Problem, headers: Vec::new() };
    let fault = Fault::on("*", "*", broken).forever();
    stage.clock.plan(FROM, move || control.fault(fault));
    stage.clock.plan(UNTIL, move || again.clear_faults());
    stage.base_url.clone()
}

#[test]
fn an_api_that_fails_for_eight_hours_is_tried_again_by_single_requests() {
    let lived = live(UNTIL, END, breakdown);
    let tries = lived.sent(FROM, UNTIL).count();
    assert!((96..=TRIES_MAX).contains(&tries), "{tries} tries");
    lived.read_once(UNTIL + Duration::from_secs(5 * 60));
    lived.caught_up(UNTIL + Duration::from_secs(5 * 60), Some((FROM, UNTIL)));
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
fn a_clock_that_is_ahead_for_a_while_loses_nothing() {
    for by in [TimeDelta::days(40), TimeDelta::minutes(20)] {
        let lived = live(UNTIL, END, |stage| step(stage, by));
        lived.is_no_busier(FROM, UNTIL);
        lived.caught_up(UNTIL + SOON, None);
    }
}

#[test]
fn a_clock_that_is_behind_for_a_while_is_made_up_for_once_it_is_right() {
    for by in [TimeDelta::days(-40), TimeDelta::minutes(-20)] {
        let lived = live(UNTIL, END, |stage| step(stage, by));
        lived.is_no_busier(FROM, UNTIL);
        lived.caught_up(UNTIL + SOON, Some((FROM, UNTIL)));
    }
}

#[test]
fn three_days_of_sleep_are_made_up_for_at_once() {
    let asleep = hours(72);
    let lived = live(FROM + asleep, END + asleep, |stage| {
        let clock = stage.clock.clone();
        stage.clock.plan(FROM, move || clock.advance(asleep));
        stage.base_url.clone()
    });
    assert_eq!(lived.sent(FROM, FROM + asleep).count(), 0);
    lived.caught_up(FROM + asleep + SOON, Some((FROM, FROM + asleep)));
}

/// Hands a job over at `FROM`, just when the API begins to ask for a wait of five minutes.
fn limited_job(stage: &Stage, max_wait_s: u64) -> String {
    let (control, database, clock) = (stage.control.clone(), stage.database(), stage.clock.clone());
    stage.clock.plan(FROM, move || {
        let limit = Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(300) };
        control.fault(Fault::on("GET", "/overview", limit));
        let request = format!(r#"{{"full":true,"only":["overview"],"max_wait_s":{max_wait_s}}}"#);
        let sql = "INSERT INTO job (request, created_at) VALUES (?1, ?2)";
        let now = clock.now().timestamp_micros();
        rusqlite::Connection::open(database).unwrap().execute(sql, (request, now)).unwrap();
    });
    stage.base_url.clone()
}

#[test]
fn a_rate_limit_in_the_middle_of_a_job_is_waited_out_for_as_long_as_whoever_asked_waits() {
    // The daemon alone would wait for half a minute within a run.
    for (max_wait_s, exit_code) in [(600, 0), (200, 75)] {
        let lived = live(FROM, FROM + hours(1), |stage| limited_job(stage, max_wait_s));
        assert_eq!(lived.job_ended(), Some(exit_code), "{max_wait_s} s");
        let limited = Duration::from_secs(300);
        assert_eq!(lived.sent(FROM, FROM + limited).count(), 1, "it asked before it might");
    }
}
