//! Bulk sending: many entries are sent within the rate share, each exactly once, with progress reports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use creatormirror::model::Kind;

use crate::Outbox;
use crate::support::{TestBed, unlimited};

const ENTRIES: u64 = 1_000;
const FIRST: u64 = 7_300_000_000_000_000_000;
const LIMIT: u32 = 400;
/// `rate_share` of the limit.
const OURS: usize = 360;
const WINDOW: Duration = Duration::from_secs(2);

#[test]
fn sends_1000_entries_once_within_the_rate_share() {
    let bed = TestBed::live(unlimited());
    bed.control.set_replicas(4);
    bed.sync_ok(&[]);
    let before = bed.control.count(Kind::Video);
    let mut csv = "platform,identifier\n".to_owned();
    for n in 0..ENTRIES {
        writeln!(csv, "tiktok,{}", FIRST + n).unwrap();
    }
    let path = bed.folder().join("posts.csv");
    std::fs::write(&path, csv).unwrap();
    let queued = bed.run(&["track", "video", "--from", path.to_str().unwrap()]).expect(0);
    assert_eq!(queued.stdout.lines().count() as u64, ENTRIES);
    bed.control.set_rate_limit(LIMIT, WINDOW);
    bed.control.clear_log();
    let run = bed.sync_ok(&["--json"]);
    assert_eq!(run.json()["outbox"]["succeeded"], ENTRIES);

    let log = bed.log();
    assert!(log.iter().all(|entry| entry.status != Some(429)), "{run:#?}");
    let mut windows: BTreeMap<u128, usize> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.has_authorization) {
        let at = u128::from(entry.server_time.0.unsigned_abs()) / WINDOW.as_millis();
        *windows.entry(at).or_default() += 1;
    }
    assert!(windows.values().all(|requests| *requests <= OURS), "{windows:?}");
    assert!(windows.len() >= 3, "{windows:?}");
    // One request per entry, oldest first, without reconciling or repeats.
    assert_eq!(bed.writes() as u64, ENTRIES);
    let bodies: Vec<_> =
        log.iter().filter(|entry| entry.method == "POST").map(|entry| &entry.body).collect();
    assert!(bodies.is_sorted(), "sent in the order of the file");
    assert_eq!(bed.control.count(Kind::Video), before + ENTRIES as usize);
    let rows = bed.control.rows(Kind::Video);
    let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["external_id"].as_str()).collect();
    assert!((0..ENTRIES).all(|n| ids.contains((FIRST + n).to_string().as_str())));
    assert_eq!(
        bed.number("SELECT count(*) FROM outbox_log WHERE state = 'succeeded' AND attempts = 1"),
        ENTRIES as i64
    );

    for line in [
        "outbox entries sent done=100 total=1000",
        "outbox entries sent done=900 total=1000",
        "outbox entries sent done=1000 total=1000",
    ] {
        assert_eq!(run.stderr.matches(line).count(), 1, "{line}: {}", run.stderr);
    }
    assert!(run.stderr.matches("outbox entries sent").count() < 20, "{}", run.stderr);
}
