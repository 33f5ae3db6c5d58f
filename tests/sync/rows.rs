//! Rows that differ from the documentation: undecodable rows, wrong types, unknown and missing members.

use crate::support::sandbox::{BadRow, Fault, FaultKind, IdStyle, SandboxSettings};
use crate::support::{TestBed, unlimited};
use creatormirror::model::Kind;
use serde_json::json;

fn two_pages() -> SandboxSettings {
    SandboxSettings { videos: 333, accounts: 9, account_videos: 60, ..unlimited() }
}

#[test]
fn bad_row_is_counted_and_others_are_kept() {
    for what in [BadRow::Null, BadRow::NoId, BadRow::IdObject, BadRow::Text] {
        let bed = TestBed::frozen(two_pages());
        bed.control.fault(Fault::on("GET", "/videos", FaultKind::BadRow { row: 7, what }));
        let document = bed.sync(&["--json"]).expect(1).says("1 row could not be decoded").json();
        let video = document["kinds"].as_array().unwrap().iter().find(|k| k["kind"] == "video");
        assert_eq!(video.unwrap()["rows_dropped"], 1, "{what:?}");
        assert_eq!(bed.number("SELECT count(*) FROM videos"), 332);
        assert_eq!(bed.last_outcome(Kind::Video), "rows_dropped");
        assert_eq!(bed.last_outcome(Kind::AccountVideo), "complete");
        // The page's ETag is cleared: the page is read in full although it has not changed.
        bed.control.clear_log();
        bed.sync_ok(&["--full"]);
        let mut statuses: Vec<_> = bed.log_of("/videos").iter().map(|entry| entry.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [Some(200), Some(304)], "{what:?}");
        bed.compare();
    }
}

#[test]
fn bad_row_is_named_by_its_id_and_not_removed() {
    let bed = TestBed::frozen(two_pages());
    bed.sync_ok(&[]);
    let id = bed.control.ids(Kind::Video).remove(5);
    bed.control.set_member(Kind::Video, &id, "id", &json!(4711));
    for _ in 0..3 {
        bed.sync(&["--full"]).expect(1).says("4711 (its id is not of the documented type)");
    }
    let marks = (bed.removed(Kind::Video), bed.suspected(Kind::Video));
    assert_eq!(marks, (0, 0), "an undecodable row may be any of the absent rows");
    bed.control.reset_members(Kind::Video, &id);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn keeps_account_videos_without_a_platform() {
    let bed = TestBed::frozen(two_pages());
    let posts = bed.control.ids(Kind::AccountVideo);
    bed.control.remove_member(Kind::AccountVideo, &posts[5], "platform");
    bed.sync_ok(&[]);
    let number = posts[5].split_once(':').unwrap().1;
    let sql =
        format!("SELECT count(*) FROM account_videos WHERE id = '{number}' AND platform IS NULL");
    assert_eq!(bed.number(&sql), 1);
    assert_eq!(bed.number("SELECT count(*) FROM account_videos"), 60);
}

#[test]
fn values_of_the_wrong_type_are_kept_in_extra_and_counted() {
    let bed = TestBed::frozen(two_pages());
    let ids = bed.control.ids(Kind::Video);
    let mismatches = [
        ("view_count", "\"12.3K\""),
        ("view_count", "\"7\""),
        ("like_count", "12.5"),
        ("comment_count", "9223372036854775808"),
        ("share_count", "[1]"),
        ("scrape_interval_hours", "true"),
        ("is_active", "\"yes\""),
        ("is_unavailable", "0"),
        ("last_scrape_time", "1709500000"),
        ("last_scrape_time", "\"yesterday\""),
        ("added_at", "{}"),
        ("metadata", "[]"),
        ("platform_data", "\"none\""),
        ("duration", "\"long\""),
        ("description", "{\"en\":\"a cat\"}"),
        ("account_username", "false"),
    ];
    for (id, (name, json)) in ids.iter().zip(mismatches) {
        assert!(bed.control.set_member_raw(Kind::Video, id, name, json));
    }
    // Two mismatches in one row count once.
    bed.control.set_member_raw(Kind::Video, &ids[0], "like_count", "\"many\"");
    let account = bed.control.ids(Kind::Account).remove(2);
    bed.control.set_member_raw(Kind::Account, &account, "follower_count", "\"1M\"");
    let creator = bed.control.ids(Kind::Creator).remove(1);
    let summary = json!({ "total": "two", "platforms": { "tiktok": 2 }, "total_followers": 5 });
    bed.control.set_member(Kind::Creator, &creator, "accounts_summary", &summary);
    // Only an unreadable `last_scrape_time` fails the run: history depends on it.
    bed.sync(&[]).expect(1).says("last_scrape_time of 2 videos cannot be read");
    for kind in [Kind::Account, Kind::Video, Kind::AccountVideo] {
        bed.compare_kind(kind);
    }
    let expected = i64::try_from(mismatches.len()).unwrap();
    assert_eq!(bed.last_number(Kind::Video, "type_mismatches"), expected);
    assert_eq!(bed.last_number(Kind::Account, "type_mismatches"), 1);
    assert_eq!(bed.last_number(Kind::Creator, "type_mismatches"), 1);
    assert_eq!(bed.last_number(Kind::AccountVideo, "type_mismatches"), 0);
    let parts = "accounts_total IS NULL AND accounts_by_platform = '{\"tiktok\":2}'
                 AND total_followers = 5 AND extra = '{\"accounts_summary\":{\"total\":\"two\"}}'";
    assert_eq!(bed.number(&format!("SELECT {parts} FROM creators WHERE id = '{creator}'")), 1);

    // With correct values, `extra` is empty again.
    for id in &ids[..mismatches.len()] {
        bed.control.reset_members(Kind::Video, id);
    }
    bed.control.reset_members(Kind::Account, &account);
    bed.control.reset_members(Kind::Creator, &creator);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.last_number(Kind::Video, "type_mismatches"), 0);
    bed.compare();
}

#[test]
fn numbers_are_exact_up_to_i64() {
    let bed = TestBed::frozen(two_pages());
    let ids = bed.control.ids(Kind::Video);
    let numbers = [
        ("9007199254740993", "9007199254740993"),
        ("9223372036854775807", "9223372036854775807"),
        ("12.0", "12"),
        ("-3", "-3"),
        ("0", "0"),
    ];
    for (id, (given, _)) in ids.iter().zip(numbers) {
        bed.control.set_member_raw(Kind::Video, id, "view_count", given);
    }
    bed.sync_ok(&[]);
    for (id, (given, kept)) in ids.iter().zip(numbers) {
        let sql = format!("SELECT CAST(view_count AS TEXT) FROM videos WHERE id = '{id}'");
        assert_eq!(bed.text(&sql), kept, "{given}");
        let sql = "SELECT CAST(view_count AS TEXT) FROM video_history WHERE video_id";
        assert_eq!(bed.text(&format!("{sql} = '{id}'")), kept, "{given}");
    }
    assert_eq!(bed.last_number(Kind::Video, "type_mismatches"), 0);
}

#[test]
fn unknown_members_are_kept_and_missing_ones_are_null() {
    let bed = TestBed::frozen(two_pages());
    for kind in Kind::LISTS {
        let id = bed.control.ids(kind).remove(1);
        bed.control.set_member(kind, &id, "mood", &json!({ "today": ["glad", null, 3.25] }));
        bed.control.set_member(kind, &id, "é\"\\", &json!("a\u{0}b\n"));
        bed.control.set_member(kind, &id, "nothing", &json!(null));
        let id = bed.control.ids(kind).remove(2);
        for name in ["view_count", "added_at", "name", "metadata", "is_active", "accounts_summary"]
        {
            bed.control.remove_member(kind, &id, name);
        }
        // Enums may have unknown values.
        bed.control.set_member(kind, &id, "type", &json!("hologram"));
    }
    bed.sync_ok(&[]);
    bed.compare();
    for kind in Kind::LISTS {
        assert_eq!(
            bed.last_number(kind, "type_mismatches"),
            0,
            "{kind}: new members are not mismatches"
        );
    }
}

#[test]
fn account_videos_accept_every_id_type() {
    for style in [IdStyle::Integer, IdStyle::Text, IdStyle::Uuid] {
        let settings =
            SandboxSettings { account_videos: 450, account_video_ids: style, ..unlimited() };
        let bed = TestBed::frozen(settings);
        bed.sync_ok(&[]);
        bed.compare();
        assert_eq!(bed.number("SELECT count(*) FROM account_videos"), 450);
        let shared = "SELECT count(*) FROM account_videos a JOIN account_videos b
                      USING (id) WHERE a.platform < b.platform";
        let is_shared = bed.number(shared) > 0;
        assert_eq!(is_shared, style != IdStyle::Uuid, "integer ids repeat across platforms");
        bed.control.clear_log();
        bed.sync_ok(&["--full"]);
        assert!(bed.log_of("/account-videos").iter().all(|entry| entry.status == Some(304)));
    }
}
