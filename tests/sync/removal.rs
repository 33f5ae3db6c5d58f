//! Removal of rows: two observations of absence, the `max_removals` limit, restored rows, history.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::rewriting_proxy::RewritingProxy;
use crate::support::sandbox::{Fault, FaultKind, SandboxSettings};
use crate::support::{TestBed, unlimited, until};
use creatormirror::model::Kind;

fn settings() -> SandboxSettings {
    SandboxSettings { accounts: 60, creators: 60, videos: 420, account_videos: 420, ..unlimited() }
}

/// A test bed after one sync, and the ids of `count` rows of a kind that were deleted since.
fn without(kind: Kind, count: usize) -> (TestBed, Vec<String>) {
    let bed = TestBed::frozen(settings());
    bed.sync_ok(&[]);
    let mut gone = bed.control.ids(kind);
    gone.truncate(count);
    for id in &gone {
        assert!(bed.control.delete(kind, id));
    }
    (bed, gone)
}

fn marks(bed: &TestBed, kind: Kind) -> (i64, i64) {
    (bed.suspected(kind), bed.removed(kind))
}

#[test]
fn removes_a_row_after_two_absences() {
    for kind in Kind::LISTS {
        let (bed, gone) = without(kind, 4);
        bed.sync_ok(&["--full", "--only", kind.plural()]);
        assert_eq!(marks(&bed, kind), (4, 0), "{kind}");
        bed.sync_ok(&["--full", "--only", kind.plural()]);
        assert_eq!(bed.removed(kind), 4, "{kind}");
        assert_eq!(bed.last_number(kind, "removed"), 4);
        assert_eq!(bed.last_outcome(kind), "complete");
        let removed = format!("SELECT removed FROM coverage WHERE kind = '{}'", kind.name());
        assert_eq!(bed.number(&removed), 4);
        bed.compare_kind(kind);
        let first = gone[0].rsplit(':').next().unwrap();
        let table = kind.name();
        let sql = format!("SELECT count(*) FROM {table} WHERE id = '{first}' AND removed_at > 0");
        assert!(bed.number(&sql) >= 1);
    }
}

#[test]
fn returned_row_is_restored_with_its_history() {
    let (bed, gone) = without(Kind::Video, 3);
    let history = "SELECT count(*) FROM video_history";
    let before = bed.number(history);
    bed.sync_ok(&["--full"]);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 3);
    assert_eq!(bed.number(history), before, "history outlives removal");
    let first_mirrored = format!("SELECT first_mirrored_at FROM videos WHERE id = '{}'", gone[1]);
    let since = bed.text(&first_mirrored);

    assert!(bed.control.restore(Kind::Video, &gone[1]));
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 2);
    assert_eq!(bed.number(history), before);
    assert_eq!(bed.text(&first_mirrored), since);
    bed.compare();
    // Its old absences are cleared: removal needs two new ones.
    bed.control.delete(Kind::Video, &gone[1]);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 2);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 3);
}

#[test]
fn row_seen_again_loses_its_removal_mark() {
    let (bed, gone) = without(Kind::Account, 2);
    bed.sync_ok(&["--full"]);
    assert_eq!(marks(&bed, Kind::Account), (2, 0));
    gone.iter().for_each(|id| assert!(bed.control.restore(Kind::Account, id)));
    bed.sync_ok(&["--full"]);
    assert_eq!(marks(&bed, Kind::Account), (0, 0));
    gone.iter().for_each(|id| assert!(bed.control.delete(Kind::Account, id)));
    bed.sync_ok(&["--full"]);
    assert_eq!(marks(&bed, Kind::Account), (2, 0));
    bed.compare_kind(Kind::Creator);
}

#[test]
fn holds_mass_removals_until_accepted() {
    // A quarter of the videos: more than the default of 20 %.
    let (bed, _) = without(Kind::Video, 105);
    bed.sync_ok(&["--full"]);
    for _ in 0..2 {
        let run = bed.sync(&["--full"]).expect(1);
        run.says("105 videos are gone from the API").says("--accept-removals");
        assert_eq!(bed.removed(Kind::Video), 0);
        assert_eq!(bed.last_outcome(Kind::Video), "removals_held");
        assert_eq!(bed.last_outcome(Kind::AccountVideo), "complete");
    }
    bed.sync_ok(&["--accept-removals"]);
    assert_eq!(bed.removed(Kind::Video), 105);
    assert_eq!(bed.last_number(Kind::Video, "removed"), 105);
    bed.compare();
    bed.sync_ok(&["--full"]);
}

#[test]
fn max_removals_allows_small_removals() {
    // Exactly 20 % is allowed, and ten rows are allowed whatever their share.
    let (bed, _) = without(Kind::Video, 84);
    bed.sync_ok(&["--full"]);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 84);
    let (mut bed, gone) = without(Kind::Account, 10);
    bed.set("CREATORMIRROR_MAX_REMOVALS", "1%");
    bed.sync_ok(&["--full", "--only", "accounts"]);
    bed.sync_ok(&["--full", "--only", "accounts"]);
    assert_eq!(bed.removed(Kind::Account), 10);
    for id in bed.control.ids(Kind::Account).iter().take(11) {
        assert!(!gone.contains(id) && bed.control.delete(Kind::Account, id));
    }
    bed.sync_ok(&["--full", "--only", "accounts"]);
    bed.sync(&["--full", "--only", "accounts"]).expect(1).says("11 accounts are gone");
    bed.set("CREATORMIRROR_MAX_REMOVALS", "50%");
    bed.sync_ok(&["--full", "--only", "accounts"]);
    assert_eq!(bed.removed(Kind::Account), 21);
}

#[test]
fn empty_list_removes_nothing() {
    let (bed, _) = without(Kind::Creator, 60);
    let said = bed.sync_ok(&["--full"]).stdout;
    let is_shown = |line: &str| line.starts_with("creator ") && line.contains(" 0 rows");
    assert!(said.lines().any(is_shown), "{said}");
    bed.sync(&["--full"]).expect(1).says("60 creators are gone");
    assert_eq!(bed.removed(Kind::Creator), 0);
}

#[test]
fn incomplete_listing_removes_nothing() {
    let (bed, _) = without(Kind::Video, 5);
    for _ in 0..3 {
        let early = Fault::on("GET", "/videos", FaultKind::EarlyEnd).forever();
        bed.control.fault(early);
        bed.sync(&["--full"])
            .expect(1)
            .says("the list ended after 200 rows, but the API counts 415");
        bed.control.clear_faults();
        assert_eq!(marks(&bed, Kind::Video), (0, 0));
    }
    bed.sync_ok(&["--full"]);
    assert_eq!(marks(&bed, Kind::Video), (5, 0));
    bed.control.fault(Fault::on("GET", "/videos", FaultKind::EarlyEnd).forever());
    bed.sync(&["--full"]).expect(1);
    bed.control.clear_faults();
    assert_eq!(
        marks(&bed, Kind::Video),
        (5, 0),
        "an incomplete listing does not count as the second absence"
    );
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 5);
}

#[test]
fn listing_resumed_after_an_hour_removes_nothing() {
    let (mut bed, _) = without(Kind::Video, 5);
    // Sequential requests, so that the second page is interrupted.
    bed.set("CREATORMIRROR_MAX_CONCURRENT_REQUESTS", "1");
    let interrupt = || {
        let slow = FaultKind::Slow(Duration::from_secs(600));
        bed.control.fault(Fault::on("GET", "/videos", slow).after(1));
        bed.control.clear_log();
        let run = bed.start_sync(&["--full", "--only", "videos"]);
        let pages = "SELECT coalesce(max(pages), 0) FROM listing WHERE state = 'open'";
        until("the first page is stored", || {
            bed.log_of("/videos").len() == 2 && bed.number(pages) == 1
        });
        run.kill();
    };
    interrupt();
    let an_hour_ago =
        "UPDATE listing SET last_page_at = last_page_at - 3700000000 WHERE state = 'open'";
    assert_eq!(bed.db_to_write().execute(an_hour_ago, []).unwrap(), 1);
    bed.sync_ok(&[]);
    assert_eq!(bed.last_outcome(Kind::Video), "complete");
    assert_eq!(marks(&bed, Kind::Video), (0, 0));
    interrupt();
    bed.sync_ok(&[]);
    assert_eq!(marks(&bed, Kind::Video), (5, 0), "a listing resumed soon counts");
}

#[test]
fn absence_and_404_remove_a_row() {
    let (bed, gone) = without(Kind::Video, 1);
    bed.sync_ok(&["--full"]);
    assert_eq!(marks(&bed, Kind::Video), (1, 0));
    // Only the absent row is due, and it has no page: it is requested by its id.
    let due = "UPDATE video_due SET due_at = iif(video IN (SELECT row_id FROM video WHERE page IS NULL), 0, 9e10)";
    bed.db_to_write().execute(due, []).unwrap();
    bed.control.clear_log();
    bed.sync_ok(&[]);
    assert_eq!(bed.take_requests(), ["GET /whoami", &format!("GET /videos/{}", gone[0])]);
    assert_eq!(bed.removed(Kind::Video), 1);
    bed.compare();
    bed.control.clear_log();
    // A removed row is not requested again.
    bed.sync_ok(&[]);
    assert_eq!(bed.take_requests(), ["GET /whoami"]);
    // A 304 for its former page does not restore it.
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.removed(Kind::Video), 1);
}

#[test]
fn due_rows_are_not_removed_by_listings_in_quick_succession() {
    let mut bed = TestBed::frozen(settings());
    bed.sync_ok(&[]);
    let hidden: BTreeSet<String> = bed.control.ids(Kind::Video).into_iter().step_by(8).collect();
    let count = i64::try_from(hidden.len()).unwrap();
    let lags = Arc::new(AtomicBool::new(true));
    let is_lagging = Arc::clone(&lags);
    // A replica that lags behind.
    let _proxy = RewritingProxy::on(&mut bed, move |path, reply| {
        if path.starts_with("/videos?") && reply.status == 200 && is_lagging.load(Ordering::SeqCst)
        {
            let mut page: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
            let rows = page["data"].as_array_mut().unwrap();
            rows.retain(|row| !hidden.contains(row["id"].as_str().unwrap()));
            let total = page["pagination"]["total_count"].as_i64().map(|total| total - count);
            page["pagination"]["total_count"] = total.into();
            reply.body = page.to_string().into_bytes();
            reply.headers = reply.headers.replace("etag: \"", "etag: \"lagging-");
        }
    });
    let due = "UPDATE video_due SET due_at = 0; UPDATE page SET etag = NULL";
    bed.db_to_write().execute_batch(due).unwrap();
    for _ in 0..4 {
        bed.sync_ok(&[]);
    }
    assert_eq!(marks(&bed, Kind::Video), (count, 0));
    lags.store(false, Ordering::SeqCst);
    bed.sync_ok(&["--full"]);
    assert_eq!(marks(&bed, Kind::Video), (0, 0));
    bed.compare_kind(Kind::Video);
}
