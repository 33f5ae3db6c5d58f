//! Rejections and malformed answers to metrics requests.

use std::collections::BTreeSet;

use creatormirror::model::Kind;

use super::support::{TestBed, unlimited};
use super::truth::{Figures, expect_no_repeats, ids};
use crate::support::sandbox::{Batch, Fault, FaultBody, FaultKind, SandboxSettings};

fn settings() -> SandboxSettings {
    SandboxSettings { accounts: 20, videos: 450, account_videos: 300, past_days: 20, ..unlimited() }
}

fn synced() -> TestBed {
    let bed = TestBed::live(settings());
    bed.sync_ok(&[]);
    bed.control.clear_log();
    bed
}

fn on_videos(what: Batch) -> Fault {
    Fault::on("POST", "/videos/metrics", FaultKind::Batch(what))
}

fn sizes(bed: &TestBed, path: &str, status: u16) -> Vec<usize> {
    let requests = bed.log_of(path).into_iter().filter(|entry| entry.status == Some(status));
    requests.map(|entry| ids(&entry).1.len()).collect()
}

#[test]
fn adopts_and_remembers_the_batch_size_the_server_names() {
    let bed = synced();
    bed.control.set_batch_bound(70, true);
    let days = TestBed::days_of(&bed.backfill_well(3));
    assert_eq!(sizes(&bed, "/videos/metrics", 422), [200]);
    assert_eq!(sizes(&bed, "/account-videos/metrics", 422).len(), 1, "once for both platforms");
    let answered = bed.metrics_requests().len() - 2;
    assert_eq!(answered, bed.fewest(&days, 70));
    bed.compare_days(&days);
    bed.control.clear_log();
    let days = TestBed::days_of(&bed.backfill_well(4));
    assert!(
        bed.metrics_requests().iter().all(|entry| entry.status == Some(200)),
        "the result is remembered"
    );
    bed.compare_days(&days);
}

#[test]
fn finds_an_unnamed_batch_size_by_halving() {
    let bed = synced();
    bed.control.set_batch_bound(60, false);
    let days = TestBed::days_of(&bed.backfill_well(3));
    assert_eq!(sizes(&bed, "/videos/metrics", 422), [200, 100]);
    assert_eq!(sizes(&bed, "/videos/metrics", 200).into_iter().max(), Some(50));
    bed.compare_days(&days);
    bed.control.clear_log();
    bed.backfill_well(4);
    assert!(sizes(&bed, "/videos/metrics", 422).is_empty(), "the result is remembered");
    // The learned batch size expires after a week.
    bed.control.set_batch_bound(200, true);
    bed.db_to_write().execute("UPDATE metric_kind SET ids_max_until = 1", []).unwrap();
    bed.control.clear_log();
    bed.backfill_well(5);
    assert_eq!(sizes(&bed, "/videos/metrics", 200).into_iter().max(), Some(200));
}

#[test]
fn rejected_window_does_not_shrink_the_batch() {
    let bed = synced();
    let body = FaultBody::Raw(
        "application/problem+json",
        r#"{"code":"VALIDATION_ERROR","title":"Validation failed","detail":"at most 90 days ago",
            "errors":[{"field":"start_date","message":"must be at most 90 days ago"}]}"#,
    );
    let what = FaultKind::Status { code: 422, body, headers: Vec::new() };
    bed.control.fault(Fault::on("POST", "/videos/metrics", what).after(3));
    bed.backfill(&["--days", "4"]).expect(1).says("at most 90 days ago");
    assert_eq!(sizes(&bed, "/videos/metrics", 422).len(), 1);
    let days = TestBed::days_of(&bed.backfill_well(4));
    bed.compare_days(&days);
}

#[test]
fn gives_up_a_kind_that_rejects_every_batch_size() {
    let bed = synced();
    bed.control.set_batch_bound(0, false);
    bed.backfill(&["--days", "2"]).expect(1).says("too many items");
    // Batch sizes tried: 200, 100, 50, 25, 13, 7, 4, 2, 1.
    assert_eq!(bed.log_of("/videos/metrics").len(), 9);
    bed.control.set_batch_bound(200, true);
    bed.compare_days(&TestBed::days_of(&bed.backfill_well(2)));
}

#[test]
fn skips_a_rejected_id_without_blocking_others() {
    let bed = synced();
    let rename_one = "UPDATE video SET id = 'legacy-7'
               WHERE row_id = (SELECT row_id FROM video ORDER BY create_time LIMIT 1)";
    assert_eq!(bed.db_to_write().execute(rename_one, []).unwrap(), 1);
    let missing = "SELECT count(*) FROM videos AS v
                   JOIN (SELECT DISTINCT date FROM daily_metrics WHERE kind = 'account') AS d
                   WHERE v.id <> 'legacy-7' AND substr(v.create_time, 1, 10) <= d.date
                       AND (v.id, d.date) NOT IN
                           (SELECT id, date FROM daily_metrics WHERE kind = 'video')";
    bed.backfill(&["--days", "3"]).expect(1).says("refuses 1 ids");
    assert_eq!(bed.number(missing), 0);
    assert!(sizes(&bed, "/videos/metrics", 422).len() < 10, "only on one day");
    bed.control.clear_log();
    bed.backfill_well(3);
    assert!(bed.metrics_requests().is_empty());
    // Days on which only that id is left must not end the backfill early.
    bed.backfill(&["--days", "5"]).expect(1).says("refuses 1 ids");
    assert_eq!(bed.number(missing), 0);
    assert_eq!(
        sizes(&bed, "/videos/metrics", 200).into_iter().max(),
        Some(200),
        "still full batches"
    );
}

#[test]
fn unknown_ids_get_no_row_and_no_second_request() {
    let bed = synced();
    let gone: Vec<String> = bed.control.ids(Kind::Video).drain(..7).collect();
    for id in &gone {
        bed.control.delete(Kind::Video, id);
    }
    let document = bed.backfill_well(3);
    let days = TestBed::days_of(&document);
    let published = bed.number("SELECT count(*) FROM metric WHERE state = 2");
    assert_eq!(document["not_found"], published);
    assert!(published > 0);
    bed.compare_days(&days);
    bed.control.clear_log();
    assert_eq!(bed.backfill_well(3)["not_found"], 0);
    assert_eq!(bed.metrics_requests().len(), 0);
}

#[test]
fn next_run_requests_ids_missing_from_an_answer() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::Omit(3)));
    let run = bed.backfill(&["--days", "2"]).expect(1).says("3 daily metrics");
    assert!(run.stdout.contains("3 skipped by the API"), "{run:#?}");
    expect_no_repeats(&bed.metrics_requests());
    bed.control.clear_log();
    let days = TestBed::days_of(&bed.backfill_well(2));
    let requests = bed.metrics_requests();
    assert_eq!((requests.len(), ids(&requests[0]).1.len()), (1, 3));
    bed.compare_days(&days);
}

#[test]
fn rejects_an_answer_for_another_window() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::OtherWindow).forever());
    bed.backfill(&["--days", "2"]).expect(1).says("another window");
    assert_eq!(bed.number("SELECT count(*) FROM daily_metrics WHERE kind = 'video'"), 0);
    assert_eq!(bed.last_outcome(Kind::Video), "incomplete");
    bed.control.clear_faults();
    bed.compare_days(&TestBed::days_of(&bed.backfill_well(2)));
}

#[test]
fn retries_transient_wrong_answers() {
    let bed = synced();
    // Three failures per round stay below the five attempts of a request.
    let rounds = [
        [
            FaultKind::Batch(Batch::OtherWindow),
            FaultKind::Batch(Batch::List),
            FaultKind::TruncatedJson,
        ],
        [FaultKind::Truncated, FaultKind::Html, FaultKind::status(500)],
    ];
    for (round, accidents) in rounds.into_iter().enumerate() {
        for what in accidents {
            bed.control.fault(Fault::on("POST", "/videos/metrics", what));
        }
        let days = TestBed::days_of(&bed.backfill_well(round + 2));
        assert_eq!(bed.control.faults_waiting(), 0);
        bed.compare_days(&days);
    }
}

#[test]
fn accepts_upper_case_ids_and_unknown_members() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::Capitals).times(3));
    bed.control.fault(on_videos(Batch::Foreign).forever());
    bed.compare_days(&TestBed::days_of(&bed.backfill_well(3)));
}

#[test]
fn non_numeric_figure_is_null_and_counted() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::WrongTypes));
    let run = bed.backfill(&["--days", "1"]).expect(1).says("1 daily metrics");
    assert!(run.stdout.contains("1 with a value that is not a number"), "{run:#?}");
    assert_eq!(bed.last_number(Kind::Video, "type_mismatches"), 1);
    let with_nulls: Figures =
        bed.mirrored_figures().into_iter().filter(|(_, figures)| figures[0].is_none()).collect();
    let (key, figures) = with_nulls.first_key_value().unwrap();
    let day = key.2.parse().unwrap();
    let mut truth = bed.true_figures(&[day])[key];
    (truth[0], truth[2]) = (None, None);
    assert_eq!((with_nulls.len(), *figures), (1, truth));
}

#[test]
fn failing_kind_does_not_stop_the_others() {
    let bed = synced();
    bed.control.fault(Fault::on("POST", "/videos/metrics", FaultKind::status(500)).forever());
    bed.backfill(&["--days", "2"]).expect(69).says("keeps failing");
    let sql = "SELECT DISTINCT kind FROM daily_metrics ORDER BY 1";
    let kinds: BTreeSet<String> = bed.rows(sql).iter().map(|row| format!("{:?}", row[0])).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    assert_eq!(bed.last_outcome(Kind::Video), "failed");
}
