//! `verify`: samples within a budget; differences are found, reported and repaired.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

use std::path::Path;
use std::time::Duration;

use creatormirror::model::Kind;
use serde_json::{Value, json};
use support::sandbox::{Fault, FaultKind, RetryAfter, SandboxSettings};
use support::{BINARY, Run, TestBed, unlimited, until};

/// More than the number of rows.
const ALL: &str = "2000";

fn verify(bed: &TestBed, arguments: &[&str]) -> Run {
    bed.start(bed.command(&[&["verify"], arguments].concat())).wait()
}

fn mirrored(settings: SandboxSettings) -> TestBed {
    let bed = TestBed::frozen(settings);
    bed.sync_ok(&[]);
    bed.control.clear_log();
    bed
}

/// The document's section of a kind.
fn of(document: &Value, kind: Kind) -> Value {
    let kinds = document["kinds"].as_array().unwrap();
    kinds.iter().find(|one| one["kind"] == kind.name()).unwrap().clone()
}

/// The columns that differ, as `kind column`, sorted.
fn columns(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for one in document["differences"].as_array().unwrap() {
        for column in one["columns"].as_array().unwrap() {
            let (kind, name) = (one["kind"].as_str().unwrap(), column["column"].as_str().unwrap());
            found.push(format!("{kind} {name}"));
        }
    }
    found.sort();
    found
}

#[test]
fn clean_mirror_is_equal_within_the_printed_budget() {
    let bed = mirrored(SandboxSettings { videos: 700, account_videos: 900, ..unlimited() });
    let run =
        verify(&bed, &["--json", "--seed", "5"]).expect(0).says("requests_max=55").says("seed=5");
    let document = run.json();
    assert!(bed.log().len() <= 55, "{} requests", bed.log().len());
    assert_eq!(document["requests"], bed.log().len());
    assert_eq!((&document["is_equal"], &document["seed"]), (&json!(true), &json!(5)));
    assert_eq!(document["differences"], json!([]));
    for kind in Kind::LISTS {
        let found = of(&document, kind);
        assert!(found["compared"].as_u64().unwrap() > 0, "{found}");
        assert_eq!(found["compared"], found["equal"], "{found}");
        assert_eq!(found["total"]["held"], bed.control.count(kind), "{found}");
        assert_eq!(found["total"]["held"], found["total"]["api"], "{found}");
    }
    // A page of account videos costs one request and holds 200 rows.
    assert!(of(&document, Kind::AccountVideo)["compared"].as_u64().unwrap() >= 200);
    assert_eq!(
        bed.text("SELECT DISTINCT trigger FROM sync_log WHERE run_id = 2 AND kind <> 'meta'"),
        "verify"
    );
    bed.compare();
    bed.check_integrity();
    let text = verify(&bed, &[]).expect(0);
    assert!(text.stdout.contains("total 700 in both"), "{text:#?}");
    // Reading by id keeps the ETags of pages.
    bed.control.clear_log();
    bed.sync_ok(&["--full", "--only", "videos"]);
    assert_eq!(bed.last_number(Kind::Video, "not_modified"), 4);
}

#[test]
fn same_seed_samples_the_same_rows() {
    let bed = mirrored(SandboxSettings { videos: 700, ..unlimited() });
    let sample = |seed: &str| {
        bed.control.clear_log();
        verify(&bed, &["--seed", seed, "--sample", "20"]).expect(0);
        assert!(bed.log().len() <= 25);
        bed.take_requests()
    };
    let first = sample("1");
    assert_eq!(first, sample("1"));
    assert_ne!(first, sample("2"));
}

#[test]
fn finds_and_repairs_manual_changes() {
    let bed = mirrored(unlimited());
    let sql = "UPDATE video SET view_count = view_count + 1, is_active = 0 WHERE row_id = 3;
               UPDATE video SET description = NULL, metadata = '{\"a\":\"b\"}' WHERE row_id = 4;
               UPDATE video SET extra = '{\"odd\":1}' WHERE row_id = 5;
               UPDATE account SET category = 'altered', follower_count = NULL WHERE row_id = 2;
               UPDATE creator SET name = 'altered' WHERE row_id = 1;
               UPDATE account_video SET like_count = 7777777 WHERE row_id = 9;
               DELETE FROM post_scrape WHERE source = 6;
               UPDATE account_scrape SET follower_count = 1 WHERE account = 3;";
    bed.db_to_write().execute_batch(sql).unwrap();
    let document =
        verify(&bed, &["--json", "--sample", ALL]).expect(1).says("8 rows, repaired").json();
    assert_eq!((&document["exit_code"], &document["is_equal"]), (&json!(1), &json!(false)));
    let found = columns(&document);
    for expected in [
        "account category",
        "account follower_count",
        "account history.follower_count",
        "account_video like_count",
        "creator name",
        "video description",
        "video extra",
        "video history.view_count",
        "video is_active",
        "video metadata",
        "video view_count",
    ] {
        assert!(found.iter().any(|one| one == expected), "{expected} in {found:?}");
    }
    let sum = |name: &str| {
        let kinds = Kind::LISTS.map(|kind| of(&document, kind)[name].as_u64().unwrap());
        kinds.iter().sum::<u64>()
    };
    assert_eq!((sum("drifted"), sum("missing"), sum("later_scrape")), (8, 0, 0));
    bed.compare();
    let again = verify(&bed, &["--json", "--sample", ALL]).expect(0).json();
    assert_eq!(columns(&again), Vec::<String>::new());
    bed.sync_ok(&["--full"]);
    bed.compare();
    bed.check_integrity();
}

#[test]
fn repairs_a_row_after_an_interrupted_repair() {
    let bed = mirrored(unlimited());
    // The state left by a `verify` killed between invalidating and writing a row.
    let sql = "UPDATE video SET view_count = view_count + 1, fingerprint = ~fingerprint WHERE row_id = 3;
               UPDATE account_video SET like_count = 7777777, fingerprint = ~fingerprint WHERE row_id = 9;
               UPDATE creator SET name = 'altered', fingerprint = 0 WHERE row_id = 1;";
    bed.db_to_write().execute_batch(sql).unwrap();
    verify(&bed, &["--sample", ALL]).expect(1).says("3 rows, repaired");
    bed.compare();
    verify(&bed, &["--sample", ALL]).expect(0);
}

#[test]
fn reports_changed_settings_but_not_later_scrapes() {
    let bed = mirrored(unlimited());
    bed.clock.advance(Duration::from_secs(30 * 3_600));
    let document = verify(&bed, &["--json", "--sample", ALL]).expect(0).json();
    for kind in [Kind::Account, Kind::Video, Kind::AccountVideo] {
        let found = of(&document, kind);
        assert!(found["later_scrape"].as_u64().unwrap() > 0, "{found}");
        assert_eq!(found["drifted"], 0, "{document:#}");
    }
    // Newer rows that were read are stored in the mirror.
    let newest =
        bed.number("SELECT count(*) FROM videos WHERE last_scrape_time > '2024-03-04T12:00:00Z'");
    assert!(newest > 0);
    assert_eq!(
        of(&verify(&bed, &["--json", "--sample", ALL]).expect(0).json(), Kind::Video)["later_scrape"],
        0
    );

    let rows = bed.control.rows(Kind::Video);
    let active = rows.iter().find(|row| row["is_active"] == true).unwrap();
    bed.control.pause(Kind::Video, active["id"].as_str().unwrap());
    bed.clock.advance(Duration::from_secs(30 * 3_600));
    let document = verify(&bed, &["--json", "--sample", ALL]).expect(1).json();
    assert_eq!(columns(&document), ["video is_active"]);
}

#[test]
fn missing_rows_are_reported_and_count_as_removal_evidence() {
    let bed = mirrored(unlimited());
    let id = bed.control.ids(Kind::Video).remove(0);
    bed.control.delete(Kind::Video, &id);
    let document =
        verify(&bed, &["--json", "--sample", ALL]).expect(1).says("1 row gone from the API").json();
    let found = of(&document, Kind::Video);
    assert_eq!(
        (&found["missing"], &found["total"]["held"], &found["total"]["api"]),
        (&json!(1), &json!(60), &json!(59))
    );
    assert_eq!(document["differences"][0]["what"], "missing");
    assert_eq!((bed.suspected(Kind::Video), bed.removed(Kind::Video)), (1, 0));
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 1);
    verify(&bed, &["--sample", ALL]).expect(0);
    bed.compare();

    // The other order: a listing misses it first, and the 404 confirms the removal.
    let id = bed.control.ids(Kind::Account).remove(0);
    bed.control.delete(Kind::Account, &id);
    bed.sync_ok(&["--full", "--only", "accounts"]);
    assert_eq!(bed.removed(Kind::Account), 0);
    let run = verify(&bed, &["--sample", ALL]).expect(1);
    assert!(run.stdout.contains("the API answers 404; marked as removed"), "{run:#?}");
    assert!(
        run.stdout.contains("1 of them suspected to be removed") || bed.removed(Kind::Account) == 1
    );
    assert_eq!(bed.removed(Kind::Account), 1);
}

#[test]
fn reports_totals_that_no_scrape_explains() {
    let bed = mirrored(unlimited());
    bed.control.add_creator("New here");
    let document = verify(&bed, &["--json"]).expect(1).says("1 total").says("sync --full").json();
    assert_eq!(
        of(&document, Kind::Creator)["total"],
        json!({"held": 5, "suspected": 0, "api": 6, "is_explained": false})
    );
    bed.sync_ok(&["--full"]);
    verify(&bed, &[]).expect(0);
    // Account videos appear with scrapes of accounts, and no scrape happened since.
    let account = bed.control.ids(Kind::Account).remove(0);
    let add = || bed.control.add_account_video(&account, bed.control.now().plus(-72 * 3_600_000));
    add().unwrap();
    let document = verify(&bed, &["--json"]).expect(1).json();
    assert_eq!(
        of(&document, Kind::AccountVideo)["total"],
        json!({"held": 150, "suspected": 0, "api": 151, "is_explained": false})
    );
    bed.sync_ok(&["--full"]);
    bed.clock.advance(Duration::from_secs(30 * 3_600));
    add().unwrap();
    let document = verify(&bed, &["--json"]).expect(0).json();
    assert_eq!(
        of(&document, Kind::AccountVideo)["total"],
        json!({"held": 151, "suspected": 0, "api": 152, "is_explained": true})
    );
}

#[test]
fn full_sync_after_a_different_total_reads_every_page() {
    let bed = mirrored(unlimited());
    let with_etag = "SELECT count(*) FROM page WHERE kind = 'video' AND etag IS NOT NULL";
    assert!(bed.number(with_etag) > 0);
    verify(&bed, &[]).expect(0);
    assert!(bed.number(with_etag) > 0);
    bed.db_to_write().execute("DELETE FROM video WHERE row_id = 1", []).unwrap();
    verify(&bed, &[]).expect(1).says("sync --full");
    assert_eq!(bed.number(with_etag), 0, "an ETag may not cover the rows that are missing");
    bed.sync_ok(&["--full"]);
    verify(&bed, &[]).expect(0);
}

#[test]
fn skips_missing_endpoints_and_says_so() {
    let bed = mirrored(unlimited());
    bed.control.fault(Fault::on("GET", "/account-videos", FaultKind::status(404)).forever());
    let run = verify(&bed, &[]).expect(0);
    assert!(run.stdout.contains("not compared: their pages cannot be read again"), "{run:#?}");
}

#[test]
fn ignores_an_endpoint_that_answers_404_to_every_id() {
    let bed = mirrored(unlimited());
    bed.control.fault(Fault::on("GET", "/creators/*", FaultKind::status(404)).forever());
    let run = verify(&bed, &["--sample", ALL]).expect(0);
    assert!(run.stdout.contains("not compared: the API answers 404 to every id"), "{run:#?}");
    assert_eq!(bed.suspected(Kind::Creator), 0);
}

#[test]
fn a_row_that_cannot_be_read_does_not_hide_the_others() {
    let bed = mirrored(unlimited());
    let ids = bed.control.ids(Kind::Video);
    let refused = |id: &String| {
        let path = format!("/videos/{id}");
        bed.control.fault(Fault::on("GET", &path, FaultKind::status(400)).forever());
    };
    refused(&ids[0]);
    let document = verify(&bed, &["--sample", ALL, "--json"]).expect(1).json();
    assert_eq!(of(&document, Kind::Video)["compared"], ids.len() - 1);
    ids.iter().for_each(refused);
    bed.control.clear_log();
    verify(&bed, &["--sample", ALL]).expect(1);
    let log = bed.log();
    let requests = log.iter().filter(|entry| entry.path.starts_with("/videos/")).count();
    assert_eq!(requests, 3, "the rest is not tried");
}

#[test]
fn members_only_in_single_answers_are_not_differences() {
    let bed = mirrored(unlimited());
    // The list is unchanged; the single resource has one more member.
    let id = bed.control.ids(Kind::Creator).remove(0);
    bed.control.set_member(Kind::Creator, &id, "accounts", &json!([{"id": "a"}]));
    verify(&bed, &["--sample", ALL]).expect(0);
    let kept = "SELECT count(*) FROM page WHERE kind = 'creator' AND etag IS NOT NULL";
    assert_eq!(bed.number(kept), 1);
}

#[test]
fn daemon_runs_verify_as_a_job() {
    let bed = mirrored(unlimited());
    bed.db_to_write().execute_batch("UPDATE video SET view_count = 1 WHERE row_id = 3").unwrap();
    let daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || bed.text("SELECT runner FROM instance") == "run");
    // Overdue rows are polled by then.
    until("the daemon is idle", || {
        bed.text("SELECT ifnull(condition, '') FROM instance").starts_with("idle")
    });
    bed.db_to_write().execute_batch("UPDATE account SET category = 'x' WHERE row_id = 2").unwrap();
    let mut command = bed.command(&["verify", "--json", "--sample", ALL]);
    command.env("CREATORAUDIT_API_KEY", "");
    let document = bed.start(command).wait().expect(1).says("the mirror differed").json();
    assert!(columns(&document).contains(&"account category".to_owned()), "{document:#}");
    assert_eq!(bed.number("SELECT count(*) FROM job WHERE state = 'done' AND exit_code = 1"), 1);
    let text = verify(&bed, &["--sample", ALL]).expect(0);
    assert!(text.stdout.contains("in both"), "{text:#?}");
    daemon.terminate();
    daemon.wait().expect(0);
    bed.check_integrity();
}

#[test]
fn exit_codes() {
    let bed = TestBed::frozen(unlimited());
    verify(&bed, &[]).expect(78).says("no database at");
    assert!(!bed.database().exists());
    assert_eq!(verify(&bed, &["--json"]).expect(78).json()["exit_code"], 78);
    bed.sync_ok(&[]);
    verify(&bed, &["--sample", "0"]).expect(2);
    let mut command = bed.command_on(Path::new(BINARY), &bed.database(), &["verify"]);
    command.env("CREATORAUDIT_API_KEY", "wrong");
    bed.start(command).wait().expect(77);

    bed.control.clear_log();
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("GET", "/creators", slow));
    let sync = bed.start_sync(&["--full"]);
    until("the sync has started", || !bed.log_of("/creators").is_empty());
    verify(&bed, &[]).expect(75).says("another creatormirror");
    sync.kill();

    let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(2_000) };
    bed.control.fault(Fault::on("GET", "/videos/*", refuse));
    let document = verify(&bed, &["--json", "--max-wait", "1s"]).expect(75).json();
    assert_eq!(
        (&document["outcome"], &document["exit_code"]),
        (&json!("rate_limited"), &json!(75))
    );
    // Rows compared before the rate limit are reported.
    assert!(of(&document, Kind::Account)["compared"].as_u64().unwrap() > 0);

    let mut bed = mirrored(unlimited());
    bed.stop_server();
    verify(&bed, &[]).expect(69);
}
