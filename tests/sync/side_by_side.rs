//! Concurrent requests: their number and order, and results that do not depend on the order of answers.

use std::time::Duration;

use crate::support::sandbox::{Fault, FaultKind, SandboxSettings};
use crate::support::{TestBed, unlimited};
use creatormirror::model::Kind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::types::Value as Sql;

const LATENCY: Duration = Duration::from_millis(150);

fn pages() -> SandboxSettings {
    SandboxSettings {
        accounts: 30,
        creators: 10,
        videos: 1_700,
        account_videos: 900,
        ..unlimited()
    }
}

/// Arrival times of the requests, in order.
fn arrivals(bed: &TestBed) -> Vec<Duration> {
    let mut arrivals: Vec<_> = bed.log().into_iter().map(|entry| entry.received).collect();
    arrivals.sort_unstable();
    arrivals
}

#[test]
fn keeps_to_max_concurrent_requests() {
    std::thread::scope(|scope| {
        for at_once in [1_usize, 2, 4, 7] {
            scope.spawn(move || {
                let mut bed = TestBed::frozen(pages());
                bed.set("CREATORMIRROR_MAX_CONCURRENT_REQUESTS", &at_once.to_string());
                bed.control.set_latency(LATENCY);
                for arguments in [&[][..], &["--full"]] {
                    bed.control.clear_log();
                    bed.sync_ok(arguments);
                    let arrivals = arrivals(&bed);
                    // A request takes at least `LATENCY`, so one more than the limit cannot arrive before
                    // the first of them was answered.
                    let too_close = |pair: &[Duration]| pair[pair.len() - 1] - pair[0] < LATENCY;
                    let too_many = arrivals.windows(at_once + 1).filter(|some| too_close(some));
                    assert_eq!(too_many.count(), 0, "{at_once} {arguments:?}: {arrivals:?}");
                    let most = arrivals.windows(at_once.min(4)).filter(|some| too_close(some));
                    assert!(at_once == 1 || most.count() > 0, "{at_once}: {arrivals:?}");
                }
                bed.compare();
            });
        }
    });
}

#[test]
fn predicted_cursors_cost_no_extra_request() {
    let bed = TestBed::frozen(pages());
    bed.sync_ok(&[]);
    let first = bed.take_requests();
    bed.sync_ok(&["--full"]);
    let log = bed.log();
    assert_eq!(log.len(), first.len());
    let confirmed = log.iter().filter(|entry| entry.status == Some(304)).count();
    assert_eq!(
        confirmed,
        9 + 5 + 1 + 1 + 1,
        "videos, account videos, accounts, creators, overview"
    );
    bed.compare();
}

#[test]
fn wrong_prediction_costs_only_requests_in_flight() {
    let bed = TestBed::frozen(pages());
    bed.sync_ok(&[]);
    // The last row of the third page is gone, so every later cursor differs.
    let gone = bed.control.ids(Kind::Video).remove(599);
    assert!(bed.control.delete(Kind::Video, &gone));
    bed.control.clear_log();
    bed.sync_ok(&["--full", "--only", "videos"]);
    let requests = bed.log_of("/videos").len();
    assert!((9..=9 + 2 * 3).contains(&requests), "{requests}");
    assert_eq!(bed.last_outcome(Kind::Video), "complete");
    assert_eq!(bed.suspected(Kind::Video), 1);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 1);
    bed.compare();
}

/// The listing of account videos ended before the answer for accounts came, and has their posts.
#[test]
fn accounts_answered_after_their_posts_are_not_read_again() {
    let bed = TestBed::frozen(unlimited());
    bed.control.fault(Fault::on("GET", "/accounts", FaultKind::Slow(Duration::from_secs(3))));
    bed.sync_ok(&[]);
    let order = "SELECT kind FROM listing WHERE kind LIKE 'account%' ORDER BY finished_at";
    let order: Vec<_> = bed.rows(order).into_iter().flatten().collect();
    assert_eq!(order, ["account_video", "account"].map(|kind| Sql::Text(kind.into())));
    bed.control.clear_log();
    bed.sync_ok(&[]);
    assert_eq!(bed.log().len(), 1, "whoami");
    bed.compare();
}

#[test]
fn expired_predicted_cursors_do_not_fail_the_listing() {
    let bed = TestBed::frozen(pages());
    bed.sync_ok(&[]);
    bed.control.expire_cursors();
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.last_outcome(Kind::Video), "complete");
    bed.compare();
}

#[test]
fn concurrent_requests_stay_within_a_small_limit() {
    let bed = TestBed::live(SandboxSettings {
        rate_limit: 20,
        rate_window: Duration::from_secs(4),
        ..pages()
    });
    bed.control.set_latency(Duration::from_millis(40));
    for arguments in [&[][..], &["--full"]] {
        bed.sync_ok(arguments);
        assert!(bed.log().iter().all(|entry| entry.status != Some(429)), "{:#?}", bed.log());
    }
    bed.compare_lists();
}

/// Reordered answers, rows that change during requests, and killed runs: afterwards the mirror equals
/// the API.
fn check_reordered_answers_and_kills(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let bed = TestBed::frozen(SandboxSettings { videos: 900, account_videos: 500, ..pages() });
        for round in 0..4 {
            bed.control.clear_faults();
            for _ in 0..10 {
                let slow = FaultKind::Slow(Duration::from_millis(random.random_range(1..120)));
                bed.control.fault(Fault::on("*", "/*", slow).after(random.random_range(0..18)));
            }
            let run = bed.start_sync(if round % 2 == 0 { &["--full"] } else { &[] });
            for _ in 0..4 {
                std::thread::sleep(Duration::from_millis(random.random_range(0..40)));
                let kind = [Kind::Video, Kind::AccountVideo][random.random_range(0..2)];
                let ids = bed.control.ids(kind);
                let id = &ids[random.random_range(0..ids.len())];
                match random.random_range(0..3) {
                    0 => _ = bed.control.delete(kind, id),
                    1 => _ = bed.control.revise(kind, id, |counts| counts.like += 1),
                    _ => _ = bed.control.add_creator(&format!("new {seed} {round}")),
                }
            }
            match random.random_range(0..2) {
                0 => _ = run.kill(),
                _ => _ = run.wait(),
            }
        }
        bed.control.clear_faults();
        // A removal needs two listings.
        for _ in 0..2 {
            bed.sync_ok(&["--full", "--accept-removals"]);
        }
        bed.compare();
        bed.check_integrity();
    }
}

#[test]
fn converges_with_reordered_answers_and_kills() {
    check_reordered_answers_and_kills(0..4);
}

#[test]
#[ignore = "takes minutes; .ci/nightly runs it"]
fn converges_with_reordered_answers_and_kills_of_more_seeds() {
    check_reordered_answers_and_kills(4..24);
}
