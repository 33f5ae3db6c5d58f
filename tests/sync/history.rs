//! History: every scrape the API showed, once, with its latest counts, from polls and listings.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::sandbox::{Moment, SandboxSettings};
use crate::support::{TestBed, frozen_at, unlimited};
use chrono::{DateTime, Utc};
use creatormirror::model::Kind;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3_600);
const SCRAPED: [Kind; 3] = [Kind::Account, Kind::Video, Kind::AccountVideo];

/// Views by resource and instant of scrape.
type Scrapes = BTreeMap<(String, DateTime<Utc>), Option<i64>>;

/// Adds the scrapes that the API shows now.
fn note_shown(bed: &TestBed, kind: Kind, shown: &mut Scrapes) {
    for row in bed.control.rows(kind) {
        if let Some(at) = row["last_scrape_time"].as_str() {
            let key = crate::support::compare::truth_key(kind, &row);
            shown.insert((key, at.parse().unwrap()), row["view_count"].as_i64());
        }
    }
}

/// Scrapes in the mirror's history.
fn stored(bed: &TestBed, kind: Kind) -> Scrapes {
    let id = match kind {
        Kind::AccountVideo => "platform || ':' || account_video_id".to_owned(),
        _ => format!("{}_id", kind.name()),
    };
    let rows =
        bed.rows(&format!("SELECT {id}, scraped_at, view_count FROM {}_history", kind.name()));
    let count = rows.len();
    let read = |row: Vec<Sql>| match &row[..] {
        [Sql::Text(id), Sql::Text(at), views] => {
            let views = if let Sql::Integer(views) = views { Some(*views) } else { None };
            ((id.clone(), at.parse().unwrap()), views)
        }
        other => panic!("{other:?}"),
    };
    let stored: Scrapes = rows.into_iter().map(read).collect();
    assert_eq!(stored.len(), count, "a scrape is stored twice");
    stored
}

/// An active video, and its row as the API shows it.
fn some_video(bed: &TestBed) -> (String, Value) {
    let rows = bed.control.rows(Kind::Video);
    let row = rows.into_iter().find(|row| row["is_active"] == true && row["view_count"].is_i64());
    let row = row.unwrap();
    (row["id"].as_str().unwrap().to_owned(), row)
}

fn history_of(bed: &TestBed, video: &str) -> Vec<(String, Option<i64>)> {
    let sql = format!(
        "SELECT scraped_at, view_count FROM video_history WHERE video_id = '{video}' ORDER BY 1"
    );
    let rows = bed.rows(&sql).into_iter().map(|row| match &row[..] {
        [Sql::Text(at), Sql::Integer(views)] => (at.clone(), Some(*views)),
        [Sql::Text(at), _] => (at.clone(), None),
        other => panic!("{other:?}"),
    });
    rows.collect()
}

#[test]
fn stores_every_shown_scrape_once() {
    let settings = SandboxSettings { videos: 260, new_posts_per_day: 2.0, ..unlimited() };
    let bed = TestBed::frozen(settings);
    let mut shown: BTreeMap<&str, Scrapes> = BTreeMap::new();
    for hours in [0, 7, 1, 26, 0] {
        bed.clock.advance(hours * HOUR);
        bed.sync_ok(&["--full"]);
        for kind in SCRAPED {
            note_shown(&bed, kind, shown.entry(kind.name()).or_default());
        }
        bed.compare();
    }
    for kind in SCRAPED {
        let stored = stored(&bed, kind);
        assert_eq!(stored, shown[kind.name()], "{kind}");
        let happened = bed.control.all_scrapes(kind);
        for ((id, at), views) in stored {
            let scrapes = &happened[&id];
            let scrape = scrapes.iter().find(|s| s.scraped_at.parse::<DateTime<Utc>>() == Ok(at));
            assert_eq!(scrape.map(|scrape| scrape.view_count), views, "{kind} {id} {at}");
        }
    }
    assert_eq!(bed.last_number(Kind::Video, "snapshots_added"), 0, "nothing new in the last round");
    assert!(shown["video"].len() > 260 * 2, "too few scrapes to prove anything");
}

#[test]
fn changed_counts_at_the_same_time_revise_the_scrape() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let (id, row) = some_video(&bed);
    let views = row["view_count"].as_i64().unwrap();
    bed.control.revise(Kind::Video, &id, |counts| counts.view += 17);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.last_number(Kind::Video, "snapshots_revised"), 1);
    assert_eq!(bed.last_number(Kind::Video, "snapshots_added"), 0);
    assert_eq!(history_of(&bed, &id).last().unwrap().1, Some(views + 17));
    assert_eq!(history_of(&bed, &id).len(), 1);
    bed.compare();
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.last_number(Kind::Video, "snapshots_revised"), 0);
}

#[test]
fn null_never_replaces_a_number_in_history() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let (id, row) = some_video(&bed);
    let (views, likes) = (row["view_count"].as_i64(), row["like_count"].as_i64().unwrap());
    bed.control.set_member(Kind::Video, &id, "view_count", &Value::Null);
    bed.control.set_member(Kind::Video, &id, "like_count", &json!(likes + 1));
    bed.sync_ok(&["--full"]);
    bed.compare_kind(Kind::Video);
    assert_eq!(history_of(&bed, &id).last().unwrap().1, views);
    assert_eq!(bed.last_number(Kind::Video, "snapshots_revised"), 1, "the likes have changed");
    bed.control.remove_member(Kind::Video, &id, "view_count");
    bed.control.set_member(Kind::Video, &id, "like_count", &json!("many"));
    bed.sync_ok(&["--full"]);
    assert_eq!(history_of(&bed, &id).last().unwrap().1, views);
    let sql = format!("SELECT like_count FROM video_history WHERE video_id = '{id}'");
    assert_eq!(bed.number(&sql), likes + 1);
}

#[test]
fn earlier_scrape_time_adds_only_missing_scrapes() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let (id, row) = some_video(&bed);
    let now: DateTime<Utc> = row["last_scrape_time"].as_str().unwrap().parse().unwrap();
    let earlier = Moment::from(now).plus(-3_600_000);
    let shown = || bed.text(&format!("SELECT last_scrape_time FROM videos WHERE id = '{id}'"));
    for (to, scrapes, added) in [(earlier, 2, 1), (now.into(), 2, 0), (earlier, 2, 0)] {
        bed.control.rewind(Kind::Video, &id, to);
        bed.sync_ok(&["--full"]);
        assert_eq!(shown().parse::<DateTime<Utc>>().unwrap(), to.to_utc());
        assert_eq!(history_of(&bed, &id).len(), scrapes);
        assert_eq!(bed.last_number(Kind::Video, "snapshots_added"), added);
        assert_eq!(bed.last_number(Kind::Video, "snapshots_revised"), 0);
        bed.compare();
    }
}

#[test]
fn distinguishes_scrapes_at_received_precision() {
    let bed = TestBed::frozen(unlimited());
    let (id, _) = some_video(&bed);
    let times = [
        ("2024-03-04T10:00:00Z", "2024-03-04T10:00:00Z"),
        ("2024-03-04T10:00:00.000000001Z", "2024-03-04T10:00:00.000000001Z"),
        ("2024-03-04T10:00:00.500000Z", "2024-03-04T10:00:00.5Z"),
        ("2024-03-04T12:00:00.5+02:00", "2024-03-04T10:00:00.5Z"),
    ];
    for (n, (given, kept)) in times.into_iter().enumerate() {
        bed.control.set_member(Kind::Video, &id, "last_scrape_time", &json!(given));
        bed.sync_ok(&["--full", "--only", "videos"]);
        let sql = format!("SELECT last_scrape_time FROM videos WHERE id = '{id}'");
        assert_eq!(bed.text(&sql), kept);
        assert_eq!(history_of(&bed, &id).len(), (n + 1).min(3));
    }
    bed.compare_kind(Kind::Video);
}

#[test]
fn newly_signed_urls_are_not_a_change() {
    let bed = TestBed::frozen(unlimited());
    bed.control.sign_urls();
    for id in bed.control.ids(Kind::Account) {
        bed.control.make_unavailable(Kind::Account, &id);
    }
    bed.sync_ok(&[]);
    let before = bed.content()["account_video"].clone();
    bed.clock.advance(30 * HOUR);
    bed.control.clear_log();
    bed.sync_ok(&["--full", "--only", "account-videos"]);
    assert_eq!(bed.log_of("/account-videos")[0].status, Some(200), "the page has changed");
    assert_eq!(bed.last_number(Kind::AccountVideo, "rows_changed"), 0);
    assert_eq!(bed.content()["account_video"], before);
}

#[test]
fn changed_headline_figures_add_an_observation() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.number("SELECT count(*) FROM overview_history"), 1);
    let id = bed.control.ids(Kind::Video).remove(0);
    bed.control.delete(Kind::Video, &id);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.number("SELECT count(*) FROM overview_history"), 2);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

/// Makes these rows due, and nothing else.
fn make_due(bed: &TestBed, kind: Kind, which: &str) {
    let db = bed.db_to_write();
    db.execute_batch("UPDATE account_due SET due_at = 9e10; UPDATE video_due SET due_at = 9e10")
        .unwrap();
    let table = kind.name();
    let due = format!(
        "UPDATE {table}_due SET due_at = 0 WHERE {table} IN (SELECT row_id FROM {table} WHERE {which})"
    );
    assert!(db.execute(&due, []).unwrap() > 0, "nothing is due");
}

#[test]
fn due_video_reads_its_page_and_stores_all_rows() {
    let bed = TestBed::frozen(SandboxSettings { videos: 700, ..unlimited() });
    bed.sync_ok(&[]);
    let mut shown = Scrapes::new();
    note_shown(&bed, Kind::Video, &mut shown);
    bed.clock.advance(50 * HOUR);
    let gone = bed.control.ids(Kind::Video).remove(450);
    bed.control.delete(Kind::Video, &gone);
    make_due(&bed, Kind::Video, "row_id = 451");
    bed.control.clear_log();
    bed.sync_ok(&[]);
    let requests = bed.log_of("/videos");
    assert_eq!((bed.log().len(), requests.len()), (2, 1), "{:#?}", bed.take_requests());
    assert_eq!(bed.last_outcome(Kind::Video), "polled");
    // A poll does not count as evidence of removal.
    assert_eq!((bed.suspected(Kind::Video), bed.removed(Kind::Video)), (0, 0));
    let added = bed.last_number(Kind::Video, "snapshots_added");
    assert!(added > 150, "{added}");
    assert_eq!(stored(&bed, Kind::Video).len(), shown.len() + usize::try_from(added).unwrap());
}

#[test]
fn polls_scraped_accounts_and_their_videos() {
    let settings = SandboxSettings { accounts: 450, account_videos: 900, ..unlimited() };
    let bed = TestBed::frozen(settings);
    bed.sync_ok(&[]);
    bed.clock.advance(26 * HOUR);
    make_due(&bed, Kind::Account, "TRUE");
    bed.control.clear_log();
    bed.sync_ok(&[]);
    let requests = bed.log_of("/accounts");
    let is_poll = |n: usize| requests[n].param("order_by") == Some("last_scrape_time");
    assert!((0..requests.len()).all(is_poll), "{:#?}", bed.take_requests());
    assert!(!bed.log_of("/account-videos").is_empty(), "their videos are read");
    bed.sync_ok(&["--full"]);
    assert_eq!(
        bed.last_number(Kind::AccountVideo, "rows_changed"),
        0,
        "every change was seen before"
    );
    bed.compare();
}

#[test]
fn row_changed_by_another_request_clears_the_page_etag() {
    let bed = TestBed::frozen(SandboxSettings { accounts: 450, ..unlimited() });
    bed.sync_ok(&[]);
    // A poll of accounts sees the account that was scraped last first.
    let mut rows = bed.control.rows(Kind::Account);
    rows.sort_by_key(|row| row["last_scrape_time"].as_str().map(str::to_owned));
    let id = rows.last().unwrap()["id"].as_str().unwrap().to_owned();
    let category = || bed.text(&format!("SELECT category FROM accounts WHERE id = '{id}'"));
    let before = category();

    bed.control.set_member(Kind::Account, &id, "category", &json!("changed"));
    make_due(&bed, Kind::Account, "TRUE");
    bed.sync_ok(&[]);
    assert_eq!(category(), "changed", "{:#?}", bed.take_requests());
    // Now its page is byte for byte the one of the stored ETag.
    bed.control.reset_members(Kind::Account, &id);
    bed.control.clear_log();
    bed.sync_ok(&["--full"]);
    assert_eq!(category(), before);
    let read = bed.log_of("/accounts").iter().filter(|e| e.status == Some(200)).count();
    assert_eq!(read, 1, "one page is read, the others are confirmed");
    bed.compare();
    assert_eq!(bed.clock.now(), frozen_at());
}
