//! Out-of-range numbers from the API or the database: they are bounded, and neither stop the daemon nor
//! cause waits of years.

use creatormirror::model::Kind;
use serde_json::json;

use super::harness::quiet_bed;
use super::support::{Run, TestBed, unlimited};
use crate::support::sandbox::{Fault, FaultBody, FaultKind, RetryAfter};

/// `sync` is rate limited for at most an hour.
fn expect_rate_limited_for_an_hour(bed: &TestBed) -> Run {
    let run = bed.sync(&[]).expect(75).says("rate limited for another ");
    let messages = ["another 1h", "another 59m", "another 58m", "another 57m"];
    assert!(messages.iter().any(|words| run.stderr.contains(words)), "{run:#?}");
    run
}

fn expect_start_and_stop(bed: &TestBed) {
    let daemon = bed.start_daemon();
    daemon.notify.wait_for("READY=1");
    daemon.notify.wait_for_status("rate limited until");
    daemon.stop();
}

/// Runs every command that displays the rate limit.
fn expect_rate_limit_displayed(bed: &TestBed) {
    for arguments in [&["status"][..], &["status", "--json"], &["report", "--out", "-"]] {
        bed.start(bed.command(arguments)).wait().expect(0);
    }
    let check = bed.start(bed.command(&["check"])).wait();
    assert!(matches!(check.code, Some(0 | 1 | 75)), "{check:#?}");
}

#[test]
fn bounds_retry_after_to_an_hour_across_restarts() {
    let never = "Fri, 31 Dec 9999 23:59:59 GMT";
    for retry_after in
        ["9000000000000", "999999999999", "315360000", "99999999999999999999999.5", never]
    {
        for code in [429, 503] {
            let bed = quiet_bed(unlimited());
            let refuse =
                FaultKind::Refuse { code, retry_after: RetryAfter::Raw(retry_after.to_owned()) };
            bed.control.fault(Fault::on("GET", "/videos", refuse));
            expect_rate_limited_for_an_hour(&bed).says("the API asks for a wait of over a day");
            let requests = bed.log().len();
            expect_rate_limited_for_an_hour(&bed);
            expect_start_and_stop(&bed);
            expect_rate_limit_displayed(&bed);
            assert_eq!(bed.log().len(), requests, "no request before the hour is over");
            let over = r#"UPDATE instance SET rate_limiter = json_set(rate_limiter, '$.closed.length.secs', 0)"#;
            bed.db_to_write().execute(over, []).unwrap();
            bed.sync_ok(&[]);
            bed.compare();
        }
    }
}

#[test]
fn bounds_a_stored_wait_to_an_hour() {
    for secs in ["9000000000000", "315360000", "18446744073709551615"] {
        let bed = quiet_bed(unlimited());
        let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(5_000) };
        bed.control.fault(Fault::on("GET", "/videos", refuse));
        bed.sync(&[]).expect(75);
        let limiter = bed
            .text("SELECT rate_limiter FROM instance")
            .replace("\"secs\":5000", &format!("\"secs\":{secs}"));
        assert!(limiter.contains(secs), "{limiter}");
        bed.db_to_write().execute("UPDATE instance SET rate_limiter = ?1", [limiter]).unwrap();
        expect_rate_limited_for_an_hour(&bed);
        expect_start_and_stop(&bed);
        expect_rate_limit_displayed(&bed);
    }
}

#[test]
fn survives_out_of_range_rate_limit_headers() {
    for reset in ["9223372036854775807", "1e300", "-1", "99999999999999", "soon", "584542046090y"] {
        let bed = quiet_bed(unlimited());
        let headers = [
            ("retry-after", "0"),
            ("x-ratelimit-limit", "18446744073709551615"),
            ("x-ratelimit-remaining", "18446744073709551615"),
            ("x-ratelimit-reset", reset),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let what = FaultKind::Status { code: 429, body: FaultBody::Problem, headers };
        bed.control.fault(Fault::on("GET", "/accounts", what));
        bed.sync_ok(&[]);
        bed.compare();
    }
}

#[test]
fn survives_rows_with_extreme_numbers_and_instants() {
    let bed = quiet_bed(unlimited());
    let (least, most) = ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z");
    let absurd = [
        ("scrape_interval_hours", json!(i64::MAX)),
        ("scrape_interval_hours", json!(i64::MIN)),
        ("scrape_interval_hours", json!(0)),
        ("scrape_interval_hours", json!(1e300)),
        ("last_scrape_time", json!(most)),
        ("last_scrape_time", json!(least)),
        ("added_at", json!(most)),
        ("added_at", json!(least)),
        ("create_time", json!(most)),
        ("create_time", json!(least)),
        ("view_count", json!(i64::MAX)),
        ("like_count", json!(i64::MAX)),
        ("view_count", json!(i64::MIN)),
        ("share_count", json!(u64::MAX)),
    ];
    for kind in [Kind::Account, Kind::Video] {
        let mut ids = bed.control.ids(kind).into_iter().cycle();
        for (name, value) in &absurd {
            bed.control.set_member(kind, &ids.next().unwrap(), name, value);
        }
    }
    let first = bed.sync(&[]);
    assert!(matches!(first.code, Some(0 | 1)), "{first:#?}");
    bed.control.clear_log();
    let daemon = bed.idle_daemon();
    expect_rate_limit_displayed(&bed);
    daemon.stop();
    assert!(bed.log().len() < 60, "{} requests", bed.log().len());
    bed.check_integrity();
}
