//! Answers that are refusals, or not what was asked for.

use std::collections::BTreeSet;

use creatormirror::model::Kind;
use creatormirror::sandbox::{Accident, Batch, Fault, SandboxSettings};

use super::support::{Bed, calm};
use super::truth::{Figures, ids, nothing_twice};

fn settings() -> SandboxSettings {
    SandboxSettings { accounts: 20, videos: 450, account_videos: 300, past_days: 20, ..calm() }
}

fn synced() -> Bed {
    let bed = Bed::live(settings());
    bed.sync_well(&[]);
    bed.control.clear_log();
    bed
}

fn on_videos(what: Batch) -> Fault {
    Fault::on("POST", "/videos/metrics", Accident::Batch(what))
}

fn sizes(bed: &Bed, path: &str, status: u16) -> Vec<usize> {
    let asked = bed.log_of(path).into_iter().filter(|entry| entry.status == Some(status));
    asked.map(|entry| ids(&entry).1.len()).collect()
}

#[test]
fn a_bound_that_the_server_names_is_kept_to_at_once_and_remembered() {
    let bed = synced();
    bed.control.set_batch_bound(70, true);
    let days = Bed::days_of(&bed.backfill_well(3));
    assert_eq!(sizes(&bed, "/videos/metrics", 422), [200]);
    assert_eq!(sizes(&bed, "/account-videos/metrics", 422).len(), 1, "for both platforms");
    let answered = bed.asked().len() - 2;
    assert_eq!(answered, bed.fewest(&days, 70));
    bed.compare_days(&days);
    bed.control.clear_log();
    let days = Bed::days_of(&bed.backfill_well(4));
    assert!(bed.asked().iter().all(|entry| entry.status == Some(200)), "it is remembered");
    bed.compare_days(&days);
}

#[test]
fn a_bound_that_is_not_named_is_found_by_halving() {
    let bed = synced();
    bed.control.set_batch_bound(60, false);
    let days = Bed::days_of(&bed.backfill_well(3));
    assert_eq!(sizes(&bed, "/videos/metrics", 422), [200, 100]);
    assert_eq!(sizes(&bed, "/videos/metrics", 200).into_iter().max(), Some(50));
    bed.compare_days(&days);
    bed.control.clear_log();
    bed.backfill_well(4);
    assert!(sizes(&bed, "/videos/metrics", 422).is_empty(), "it is remembered");
    // After a week it is not believed any more.
    bed.control.set_batch_bound(200, true);
    bed.db_to_write().execute("UPDATE metric_kind SET ids_max_until = 1", []).unwrap();
    bed.control.clear_log();
    bed.backfill_well(5);
    assert_eq!(sizes(&bed, "/videos/metrics", 200).into_iter().max(), Some(200));
}

#[test]
fn a_refusal_of_the_window_is_not_taken_for_one_of_the_size() {
    let bed = synced();
    let body = creatormirror::sandbox::FaultBody::Raw(
        "application/problem+json",
        r#"{"code":"VALIDATION_ERROR","title":"Validation failed","detail":"at most 90 days ago",
            "errors":[{"field":"start_date","message":"must be at most 90 days ago"}]}"#,
    );
    let what = Accident::Status { code: 422, body, headers: Vec::new() };
    bed.control.fault(Fault::on("POST", "/videos/metrics", what).after(3));
    bed.backfill(&["--days", "4"]).expect(1).says("at most 90 days ago");
    assert_eq!(sizes(&bed, "/videos/metrics", 422).len(), 1);
    let days = Bed::days_of(&bed.backfill_well(4));
    bed.compare_days(&days);
}

#[test]
fn refusals_that_no_size_mends_end_with_that_kind() {
    let bed = synced();
    bed.control.set_batch_bound(0, false);
    bed.backfill(&["--days", "2"]).expect(1).says("too many items");
    // 200, 100, 50, 25, 13, 7, 4, 2, 1.
    assert_eq!(bed.log_of("/videos/metrics").len(), 9);
    bed.control.set_batch_bound(200, true);
    bed.compare_days(&Bed::days_of(&bed.backfill_well(2)));
}

#[test]
fn an_id_that_is_refused_is_left_out_and_holds_up_no_other() {
    let bed = synced();
    let odd = "UPDATE video SET id = 'legacy-7'
               WHERE key = (SELECT key FROM video ORDER BY create_time LIMIT 1)";
    assert_eq!(bed.db_to_write().execute(odd, []).unwrap(), 1);
    let missing = "SELECT count(*) FROM videos AS v
                   JOIN (SELECT DISTINCT date FROM daily_metrics WHERE kind = 'account') AS d
                   WHERE v.id <> 'legacy-7' AND substr(v.create_time, 1, 10) <= d.date
                       AND (v.id, d.date) NOT IN
                           (SELECT id, date FROM daily_metrics WHERE kind = 'video')";
    bed.backfill(&["--days", "3"]).expect(1).says("refuses 1 ids");
    assert_eq!(bed.number(missing), 0);
    assert!(sizes(&bed, "/videos/metrics", 422).len() < 10, "on one day alone");
    bed.control.clear_log();
    bed.backfill_well(3);
    assert!(bed.asked().is_empty());
    // The newest days, on which there is nothing but that id to ask for, are no end of it.
    bed.backfill(&["--days", "5"]).expect(1).says("refuses 1 ids");
    assert_eq!(bed.number(missing), 0);
    assert_eq!(sizes(&bed, "/videos/metrics", 200).into_iter().max(), Some(200), "as many as ever");
}

#[test]
fn ids_that_the_api_does_not_know_have_no_row_and_are_not_asked_for_again() {
    let bed = synced();
    let gone: Vec<String> = bed.control.ids(Kind::Video).drain(..7).collect();
    for id in &gone {
        bed.control.delete(Kind::Video, id);
    }
    let document = bed.backfill_well(3);
    let days = Bed::days_of(&document);
    let published = bed.number("SELECT count(*) FROM metric WHERE state = 2");
    assert_eq!(document["not_found"], published);
    assert!(published > 0);
    bed.compare_days(&days);
    bed.control.clear_log();
    assert_eq!(bed.backfill_well(3)["not_found"], 0);
    assert_eq!(bed.asked().len(), 0);
}

#[test]
fn ids_that_an_answer_passes_over_are_asked_for_by_the_next_run() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::Omit(3)));
    let run = bed.backfill(&["--days", "2"]).expect(1).says("3 daily figures");
    assert!(run.stdout.contains("3 skipped by the API"), "{run:#?}");
    nothing_twice(&bed.asked());
    bed.control.clear_log();
    let days = Bed::days_of(&bed.backfill_well(2));
    let asked = bed.asked();
    assert_eq!((asked.len(), ids(&asked[0]).1.len()), (1, 3));
    bed.compare_days(&days);
}

#[test]
fn an_answer_for_another_window_is_not_taken() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::OtherWindow).forever());
    bed.backfill(&["--days", "2"]).expect(1).says("another window");
    assert_eq!(bed.number("SELECT count(*) FROM daily_metrics WHERE kind = 'video'"), 0);
    assert_eq!(bed.last_outcome(Kind::Video), "incomplete");
    bed.control.clear_faults();
    bed.compare_days(&Bed::days_of(&bed.backfill_well(2)));
}

#[test]
fn answers_that_pass_are_asked_for_again_until_they_are_right() {
    let bed = synced();
    // A request is given up after five attempts.
    let rounds = [
        [
            Accident::Batch(Batch::OtherWindow),
            Accident::Batch(Batch::List),
            Accident::TruncatedJson,
        ],
        [Accident::Truncated, Accident::Html, Accident::status(500)],
    ];
    for (round, accidents) in rounds.into_iter().enumerate() {
        for what in accidents {
            bed.control.fault(Fault::on("POST", "/videos/metrics", what));
        }
        let days = Bed::days_of(&bed.backfill_well(round + 2));
        assert_eq!(bed.control.faults_waiting(), 0);
        bed.compare_days(&days);
    }
}

#[test]
fn capitals_and_foreign_members_are_no_trouble() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::Capitals).times(3));
    bed.control.fault(on_videos(Batch::Foreign).forever());
    bed.compare_days(&Bed::days_of(&bed.backfill_well(3)));
}

#[test]
fn a_figure_that_is_no_number_is_null_and_counted() {
    let bed = synced();
    bed.control.fault(on_videos(Batch::WrongTypes));
    let run = bed.backfill(&["--days", "1"]).expect(1).says("1 daily figures");
    assert!(run.stdout.contains("1 with a value that is not a number"), "{run:#?}");
    assert_eq!(bed.last_number(Kind::Video, "type_mismatches"), 1);
    let odd: Figures =
        bed.mirrored_figures().into_iter().filter(|(_, figures)| figures[0].is_none()).collect();
    let (key, figures) = odd.first_key_value().unwrap();
    let day = key.2.parse().unwrap();
    let mut truth = bed.true_figures(&[day])[key];
    (truth[0], truth[2]) = (None, None);
    assert_eq!((odd.len(), *figures), (1, truth));
}

#[test]
fn a_kind_that_keeps_failing_leaves_the_others_their_days() {
    let bed = synced();
    bed.control.fault(Fault::on("POST", "/videos/metrics", Accident::status(500)).forever());
    bed.backfill(&["--days", "2"]).expect(69).says("keeps failing");
    let sql = "SELECT DISTINCT kind FROM daily_metrics ORDER BY 1";
    let kinds: BTreeSet<String> = bed.rows(sql).iter().map(|row| format!("{:?}", row[0])).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    assert_eq!(bed.last_outcome(Kind::Video), "failed");
}
