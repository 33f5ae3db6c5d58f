//! Invalid answers of `/whoami`, `/meta` and `/overview`: no panic, no invented values, and no effect on
//! the lists.

use crate::support::sandbox::{Fault, FaultBody, FaultKind};
use crate::support::{TestBed, unlimited};
use creatormirror::model::Kind;

fn json_answer(text: &'static str) -> FaultKind {
    let body = FaultBody::Raw("application/json", text);
    FaultKind::Status { code: 200, body, headers: Vec::new() }
}

/// Answers without a document, on every attempt.
fn invalid_answers() -> Vec<FaultKind> {
    let texts = ["", "null", "[]", "{}", "{\"data\":[]}", "{\"data\":null}"];
    let others =
        [FaultKind::Html, FaultKind::TruncatedJson, FaultKind::NotModified, FaultKind::status(204)];
    texts.into_iter().map(json_answer).chain(others).collect()
}

/// Returns the exit code of a run that always gets this answer at `path`.
fn run_with(path: &str, what: &FaultKind, check: impl Fn(&TestBed)) -> i32 {
    let bed = TestBed::frozen(unlimited());
    bed.control.fault(Fault::on("GET", path, what.clone()).forever());
    let run = bed.sync(&[]);
    assert!(!run.stderr.contains("panicked"), "{run:#?}");
    check(&bed);
    bed.control.clear_faults();
    bed.sync_ok(&["--full"]);
    bed.compare();
    run.code.unwrap()
}

#[test]
fn unreadable_whoami_exits_69_before_any_list() {
    std::thread::scope(|scope| {
        let wrong = ["{\"data\":{\"organization_id\":7}}", "{\"data\":{\"organization_id\":\"\"}}"];
        for what in invalid_answers().into_iter().chain(wrong.map(json_answer)) {
            scope.spawn(move || {
                let code = run_with("/whoami", &what, |bed| {
                    assert!(bed.log().iter().all(|entry| entry.path == "/whoami"));
                    assert_eq!(bed.text("SELECT organization_id FROM instance"), "");
                });
                assert_eq!(code, 69, "{what:?}");
            });
        }
    });
}

#[test]
fn unreadable_overview_or_meta_does_not_affect_lists() {
    std::thread::scope(|scope| {
        for path in [Kind::Meta.path(), Kind::Overview.path()] {
            for what in invalid_answers() {
                scope.spawn(move || {
                    let code = run_with(path, &what, |bed| {
                        bed.compare_lists();
                        assert_eq!(
                            bed.number("SELECT count(*) FROM overview_history"),
                            i64::from(path == "/meta")
                        );
                    });
                    assert_eq!(code, 1, "{path} {what:?}");
                });
            }
        }
    });
}

#[test]
fn overview_values_of_wrong_type_are_null_and_in_extra() {
    let bed = TestBed::frozen(unlimited());
    let answer = json_answer(
        r#"{"data":{"type":"overview","current":{"total_views":"many","engagement_rate":0.25,
            "active_accounts":3.0,"account_videos":null,"mood":"good"},"previous":{"total_views":1}}}"#,
    );
    bed.control.fault(Fault::on("GET", "/overview", answer));
    bed.sync_ok(&[]);
    let columns = "total_views IS NULL AND api_engagement_rate = 0.25 AND active_accounts = 3
                   AND account_videos IS NULL AND tracked_videos IS NULL";
    assert_eq!(bed.number(&format!("SELECT {columns} FROM overview_history")), 1);
    assert_eq!(bed.last_number(Kind::Overview, "type_mismatches"), 1);
    let extra = bed.text("SELECT extra FROM overview_observation");
    for kept in ["\"many\"", "\"good\"", "\"previous\""] {
        assert!(extra.contains(kept), "{extra}");
    }
}

#[test]
fn only_changed_headline_figures_add_an_observation() {
    let bed = TestBed::frozen(unlimited());
    let answers = [
        r#"{"data":{"current":{"total_views":5},"previous":{"total_views":1}}}"#,
        r#"{"data":{"current":{"total_views":5},"previous":{"total_views":2}}}"#,
        r#"{"data":{"current":{"total_views":6},"previous":{"total_views":2}}}"#,
    ];
    for (answer, rows) in answers.into_iter().zip([1, 1, 2]) {
        bed.control.fault(Fault::on("GET", "/overview", json_answer(answer)));
        bed.sync_ok(&["--full", "--only", "overview"]);
        assert_eq!(bed.number("SELECT count(*) FROM overview_history"), rows, "{answer}");
        // Other members are kept in `extra`.
        let newest = "SELECT extra FROM overview_observation ORDER BY observed_at DESC LIMIT 1";
        let extra: serde_json::Value = serde_json::from_str(&bed.text(newest)).unwrap();
        let said: serde_json::Value = serde_json::from_str(answer).unwrap();
        assert_eq!(extra["previous"], said["data"]["previous"]);
    }
}

#[test]
fn status_shows_deprecation_and_sunset() {
    let bed = TestBed::frozen(unlimited());
    bed.control.set_lifecycle(Some("2027-01-01T00:00:00Z"), Some("2027-07-01T00:00:00Z"));
    bed.sync_ok(&[]);
    let status = bed.start(bed.command(&["status"])).wait().expect(0);
    assert!(status.stdout.contains("2027-07-01"), "{status:#?}");
}
