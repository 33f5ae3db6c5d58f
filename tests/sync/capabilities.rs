//! Endpoints and parameters that the server does not support: one refused request, one message, and
//! an alternative.

use crate::support::rewriting_proxy::RewritingProxy;
use crate::support::sandbox::{Fault, FaultBody, FaultKind, SandboxSettings, Switch};
use crate::support::{TestBed, unlimited};
use creatormirror::model::Kind;
use serde_json::json;

fn settings() -> SandboxSettings {
    SandboxSettings { accounts: 230, videos: 450, account_videos: 450, ..unlimited() }
}

fn refused(path: &str, name: &str, value: Option<&str>) -> Switch {
    Switch::Refused { path: path.into(), name: name.into(), value: value.map(str::to_owned) }
}

fn ignored(path: &str, name: &str, value: Option<&str>) -> Switch {
    Switch::Ignored { path: path.into(), name: name.into(), value: value.map(str::to_owned) }
}

fn with_status(bed: &TestBed, path: &str, status: u16) -> usize {
    bed.log_of(path).iter().filter(|entry| entry.status == Some(status)).count()
}

#[test]
fn missing_endpoint_is_requested_once_a_week() {
    let bed = TestBed::frozen(settings());
    let (method, path) = ("*".to_owned(), "/account-videos".to_owned());
    bed.control.switch_off(Switch::Endpoint { method, path, status: 404 });
    bed.sync_ok(&[]).says("the server does not support a feature");
    assert_eq!(bed.log_of("/account-videos").len(), 1);
    assert_eq!(bed.last_outcome(Kind::AccountVideo), "unavailable");
    bed.control.switch_all_on();
    let again = bed.sync_ok(&["--full"]);
    assert!(!again.stderr.contains("does not support"), "the message appears once: {again:#?}");
    assert_eq!(bed.log_of("/account-videos").len(), 1, "no second request within the week");
    for kind in [Kind::Account, Kind::Creator, Kind::Video] {
        bed.compare_kind(kind);
    }
    bed.db_to_write().execute("UPDATE unsupported_feature SET retry_at = 0", []).unwrap();
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn refusal_of_an_endpoint_that_has_worked_is_a_failure() {
    // On a later page of the first listing.
    let field = r#"{"code":"VALIDATION_ERROR","errors":[{"field":"page_token","message":"x"}]}"#;
    let body = FaultBody::Raw("application/problem+json", field);
    let what = FaultKind::Status { code: 422, body, headers: Vec::new() };
    let bed = TestBed::frozen(settings());
    bed.control.fault(Fault::on("GET", "/account-videos", what).after(1));
    bed.sync(&[]).expect(1).says("VALIDATION_ERROR");
    bed.sync_ok(&["--full"]);
    bed.compare();

    for (kind, status) in [
        (Kind::AccountVideo, 404),
        (Kind::AccountVideo, 400),
        (Kind::Overview, 404),
        (Kind::Overview, 422),
        (Kind::Meta, 404),
    ] {
        bed.control.fault(Fault::on("GET", kind.path(), FaultKind::status(status)).forever());
        bed.sync(&["--full"]).expect(1);
        bed.control.clear_faults();
        assert_eq!(bed.last_outcome(kind), "failed", "{kind} {status}");
        assert_eq!(bed.number("SELECT count(*) FROM unsupported_feature"), 0);
        bed.sync_ok(&["--full"]);
        assert_eq!(bed.last_outcome(kind), "complete", "{kind} {status}");
    }
}

#[test]
fn missing_scope_affects_only_that_list() {
    let bed = TestBed::frozen(settings());
    let body = FaultBody::Code("INSUFFICIENT_SCOPE");
    let what = FaultKind::Status { code: 403, body, headers: Vec::new() };
    bed.control.fault(Fault::on("GET", "/account-videos", what.clone()).forever());
    bed.sync_ok(&[]);
    assert_eq!(bed.last_outcome(Kind::AccountVideo), "unavailable");
    assert_eq!(bed.last_outcome(Kind::Overview), "complete");
    bed.sync_ok(&[]);
    assert_eq!(bed.log_of("/account-videos").len(), 1);
    // A scope belongs to the key, and its owner can add it.
    bed.control.clear_faults();
    bed.sync_ok(&["--full"]);
    bed.compare();
    for path in ["/account-videos", "/overview"] {
        bed.control.fault(Fault::on("GET", path, what.clone()).forever());
    }
    bed.sync(&["--full"]).expect(1).says("INSUFFICIENT_SCOPE");
    for kind in [Kind::AccountVideo, Kind::Overview] {
        assert_eq!(bed.last_outcome(kind), "unconfirmed");
        let state = format!("SELECT last_outcome FROM kind_state WHERE kind = '{kind}'");
        assert_eq!(bed.text(&state), "unconfirmed");
    }
}

#[test]
fn omits_a_parameter_after_one_refusal() {
    for (path, name, kind) in [
        ("/videos", "include_total", Kind::Video),
        ("/videos", "order_by", Kind::Video),
        ("/accounts", "order_direction", Kind::Account),
        ("/account-videos", "include_total", Kind::AccountVideo),
        ("/creators", "limit", Kind::Creator),
    ] {
        let bed = TestBed::frozen(settings());
        bed.control.switch_off(refused(path, name, None));
        bed.sync_ok(&[]);
        assert_eq!(with_status(&bed, path, 422), 1, "{path} {name}");
        bed.compare();
        bed.sync_ok(&["--full"]);
        assert_eq!(with_status(&bed, path, 422), 1, "{path} {name}: no second refusal");
        assert_eq!(bed.last_outcome(kind), "complete");
        bed.compare();
    }
}

#[test]
fn detects_an_ignored_sort_by_its_missing_echo() {
    for path in ["/videos", "/accounts"] {
        let bed = TestBed::frozen(settings());
        bed.control.switch_off(ignored(path, "order_direction", None));
        let first = bed.sync_ok(&[]);
        assert_eq!(first.stderr.matches("the server ignores a parameter").count(), 1, "{first:#?}");
        bed.compare();
        let again = bed.sync_ok(&["--full"]);
        assert!(!again.stderr.contains("the server ignores a parameter"), "{again:#?}");
        bed.compare();
    }
}

#[test]
fn listing_without_total_count_ends_at_the_last_page() {
    let bed = TestBed::frozen(settings());
    bed.control.switch_off(ignored("*", "include_total", None));
    bed.sync_ok(&[]);
    bed.compare();
}

/// Makes all accounts due, and nothing else.
fn accounts_are_due(bed: &TestBed) {
    let due = "UPDATE account_due SET due_at = 0; UPDATE video_due SET due_at = 9e10";
    bed.db_to_write().execute_batch(due).unwrap();
}

#[test]
fn omits_a_parameter_that_a_400_names() {
    let mut bed = TestBed::frozen(settings());
    let proxy = RewritingProxy::on(&mut bed, |path, reply| {
        if path.starts_with("/videos?") && path.contains("order_by") {
            reply.fail(400, "BAD_REQUEST");
            reply.replace(r#""detail":"x""#, br#""detail":"unknown parameter order_by""#);
        }
    });
    bed.sync_ok(&[]);
    let refused = |path: &String| path.starts_with("/videos?") && path.contains("order_by");
    assert_eq!(proxy.take_paths().iter().filter(|path| refused(path)).count(), 1);
    bed.compare();
}

#[test]
fn polls_accounts_by_page_if_sorting_is_unsupported() {
    let by_scrape = Some("last_scrape_time");
    for switch in
        [refused("/accounts", "order_by", by_scrape), ignored("/accounts", "order_by", by_scrape)]
    {
        let bed = TestBed::frozen(settings());
        bed.control.switch_off(switch);
        bed.sync_ok(&[]);
        let mut ids = bed.control.ids(Kind::Account).into_iter();
        for round in 0..2 {
            bed.control.clear_log();
            let id = ids.next().unwrap();
            bed.control.set_member(Kind::Account, &id, "category", &json!(format!("new {round}")));
            accounts_are_due(&bed);
            bed.sync_ok(&[]);
            let requests = bed.log_of("/accounts");
            let follows = requests.iter().filter(|e| e.param("order_by") == by_scrape).count();
            assert_eq!(follows, 1 - round, "requested once, not again: {requests:#?}");
            bed.compare_kind(Kind::Account);
        }
    }
}

#[test]
fn order_of_accounts_shows_that_sorting_is_ignored() {
    let by_scrape = Some("last_scrape_time");
    let mut bed = TestBed::frozen(settings());
    bed.sync_ok(&[]);
    bed.clock.advance(std::time::Duration::from_secs(26 * 3_600));
    bed.control.switch_off(ignored("/accounts", "order_by", by_scrape));
    let proxy = RewritingProxy::on(&mut bed, |path, reply| {
        if path.contains("order_by=last_scrape_time") {
            let mut page: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            page["filters"] = json!({});
            reply.body = page.to_string().into_bytes();
        }
    });
    accounts_are_due(&bed);
    bed.sync_ok(&[]);
    let follows = |paths: Vec<String>| {
        paths.iter().filter(|path| path.contains("order_by=last_scrape_time")).count()
    };
    assert_eq!(follows(proxy.take_paths()), 1);
    bed.compare_kind(Kind::Account);
    accounts_are_due(&bed);
    bed.sync_ok(&[]);
    assert_eq!(follows(proxy.take_paths()), 0, "not requested again");
}

#[test]
fn lists_all_account_videos_if_filtering_is_unsupported() {
    for switch in [
        refused("/account-videos", "account_id", None),
        ignored("/account-videos", "account_id", None),
    ] {
        // With few accounts and many pages, lists per account are cheaper.
        let bed =
            TestBed::frozen(SandboxSettings { accounts: 2, account_videos: 900, ..unlimited() });
        bed.control.switch_off(switch);
        bed.sync_ok(&[]);
        bed.clock.advance(std::time::Duration::from_secs(26 * 3_600));
        for _ in 0..2 {
            accounts_are_due(&bed);
            bed.sync_ok(&[]);
        }
        let requests = bed.log_of("/account-videos");
        let account_lists =
            requests.iter().filter(|entry| entry.param("account_id").is_some()).count();
        assert!(account_lists <= 1, "requested once, not again: {requests:#?}");
        bed.compare_kind(Kind::AccountVideo);
    }
}
